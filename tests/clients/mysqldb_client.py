"""mysqlclient (MySQLdb): mysqldb_client.py HOST PORT TABLE"""

import sys

import MySQLdb
import MySQLdb.cursors
from common import check_every_type, every_type_table, fails_with, is_direct, reads_go_to_a_replica, round_trip

host, port, table = sys.argv[1], int(sys.argv[2]), sys.argv[3]
account = dict(host=host, port=port, user="app", passwd="app", db="guestbook", charset="utf8mb4")
connection = MySQLdb.connect(**account)
round_trip(connection, table)

connection.autocommit(True)
cursor = connection.cursor()
statements, select, types = every_type_table(f"{table}_t", connection.get_server_info())
for statement in statements:
    cursor.execute(statement)
for _ in range(4):
    cursor.execute(select)
    check_every_type(cursor.fetchall(), types)
cursor.execute(f"CREATE PROCEDURE {table}_p (IN a INT, OUT b INT) BEGIN SELECT a; SELECT a + 1; SET b = a + 2; END")
cursor.callproc(f"{table}_p", (5, 0))
results = [cursor.fetchall()]
while cursor.nextset():
    results.append(cursor.fetchall())
assert results[:2] == [((5,),), ((6,),)], results
cursor.execute(f"SELECT @_{table}_p_1")
assert cursor.fetchone() == (7,)
large = b"\xfe\x00" * (1 << 19)
cursor.execute(f"CREATE TABLE {table}_large (bytes LONGBLOB)")
cursor.execute(f"INSERT INTO {table}_large VALUES (X'" + large.hex() + "')")
cursor.execute(f"SELECT bytes FROM {table}_large")
assert cursor.fetchone() == (large,)
cursor.execute("SELECT CAST('x' AS SIGNED)")
assert connection.warning_count() == 1 and connection.show_warnings()[0][1] == 1292
with open("/tmp/load", "w") as file:
    file.writelines(f"{n}\n" for n in range(1000))
loader = MySQLdb.connect(**account, local_infile=1, autocommit=True)
loader.cursor().execute(f"LOAD DATA LOCAL INFILE '/tmp/load' INTO TABLE {table}_t (c6)")
assert loader.affected_rows() == 1000
loader.close()

streamed = connection.cursor(MySQLdb.cursors.SSDictCursor)
digits = "(" + " UNION ".join(f"SELECT {n} n" for n in range(10)) + ")"
streamed.execute(f"SELECT a.n + 10 * b.n + 100 * c.n AS n FROM {digits} a, {digits} b, {digits} c")
assert sum(row["n"] for row in streamed) == 499500
streamed.close()

connection.ping()
connection.select_db("guestbook")
assert connection.stat() and connection.thread_id() > 0
fails_with(1146, MySQLdb.ProgrammingError, cursor.execute, "SELECT * FROM no_such_table")
fails_with(1064, MySQLdb.ProgrammingError, cursor.execute, "SELECT FROM WHERE")
fails_with(1062, MySQLdb.IntegrityError, cursor.execute, f"INSERT INTO {table} (id) VALUES (1)")
fails_with(1045, MySQLdb.OperationalError, MySQLdb.connect, **{**account, "passwd": "wrong"})

if not is_direct():
    fresh = MySQLdb.connect(**account, autocommit=True, ssl={"cipher": "HIGH"})
    asking = fresh.cursor()

    def query(sql):
        asking.execute(sql)
        return asking.fetchall()

    for _ in range(5):
        fresh.ping()
    reads_go_to_a_replica(query)
    fresh.close()
print("good")

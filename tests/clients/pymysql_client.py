"""PyMySQL: pymysql_client.py HOST PORT TABLE"""

import sys

import pymysql
import pymysql.cursors
from common import check_every_type, every_type_table, fails_with, reads_go_to_a_replica, round_trip
from pymysql.constants import CLIENT

host, port, table = sys.argv[1], int(sys.argv[2]), sys.argv[3]
account = dict(host=host, port=port, user="app", password="app", database="guestbook", charset="utf8mb4")

connection = pymysql.connect(**account)
round_trip(connection, table)

with connection.cursor(pymysql.cursors.SSDictCursor) as cursor:
    cursor.execute("SELECT seq.n FROM (WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 900) SELECT n FROM s) seq")
    assert [row["n"] for row in cursor] == list(range(1, 901))

with connection.cursor() as cursor:
    cursor.execute(f"CREATE PROCEDURE {table}_p (IN a INT) BEGIN SELECT a; SELECT a + 1, 'two'; END")
    cursor.callproc(f"{table}_p", (5,))
    results = [list(cursor.fetchall())]
    while cursor.nextset():
        results.append(list(cursor.fetchall()))
    assert results == [[(5,)], [(6, "two")], []], results

connection.ping()
connection.select_db("guestbook")
fails_with(1146, pymysql.err.ProgrammingError, connection.query, "SELECT * FROM no_such_table")
fails_with(1064, pymysql.err.ProgrammingError, connection.query, "SELECT FROM WHERE")
fails_with(1062, pymysql.err.IntegrityError, connection.query, f"INSERT INTO {table} (id) VALUES (1)")
connection.close()

statements, select, types = every_type_table(f"{table}_t", connection.server_version)
connection = pymysql.connect(**account, autocommit=True)
with connection.cursor() as cursor:
    for statement in statements:
        cursor.execute(statement)
    assert cursor.lastrowid == 2
    for _ in range(4):
        cursor.execute(select)
        check_every_type(cursor.fetchall(), types)
    cursor.execute("SELECT CAST('x' AS SIGNED)")
    cursor.execute("SHOW WARNINGS")
    assert cursor.fetchone()[1] == 1292
    # More than a packet, both ways.
    large = b"\xfe\x00" * (17 << 19)
    cursor.execute(f"CREATE TABLE {table}_large (bytes LONGBLOB)")
    cursor.execute(f"INSERT INTO {table}_large VALUES (X'" + large.hex() + "')")
    cursor.execute(f"SELECT bytes FROM {table}_large")
    assert cursor.fetchone() == (large,)
    for rows in (3, 0):
        cursor.execute(f"UPDATE {table} SET small = 5")
        assert cursor.rowcount == rows, cursor.rowcount
found = pymysql.connect(**account, client_flag=CLIENT.FOUND_ROWS, autocommit=True)
with found.cursor() as cursor:
    assert cursor.execute(f"UPDATE {table} SET small = 5") == 3
found.close()
connection.begin()
connection.cursor().execute(f"DELETE FROM {table}")
connection.rollback()
# A pool's ways to find out whether a connection lives cost no route.
fresh = pymysql.connect(**account, autocommit=True, init_command="SET SESSION TRANSACTION READ ONLY")
with fresh.cursor() as cursor:

    def query(sql):
        cursor.execute(sql)
        return cursor.fetchall()

    for _ in range(5):
        fresh.ping()
        assert query("/* ping */ SELECT 1") == ((1,),)
    reads_go_to_a_replica(query)
fresh.close()
connection.close()

several = pymysql.connect(**account, client_flag=CLIENT.MULTI_STATEMENTS, autocommit=True)
with several.cursor() as cursor:
    cursor.execute(f"SELECT 1; INSERT INTO {table} (small) VALUES (77); SELECT small FROM {table} WHERE small = 77")
    assert cursor.fetchall() == ((1,),)
    assert cursor.nextset() and cursor.rowcount == 1
    assert cursor.nextset() and cursor.fetchall() == ((77,),)
    assert not cursor.nextset()
several.close()

fails_with(1045, pymysql.err.OperationalError, pymysql.connect, **{**account, "password": "wrong"})
fails_with(1045, pymysql.err.OperationalError, pymysql.connect, **{**account, "user": "nobody"})
fails_with(1045, pymysql.err.OperationalError, pymysql.connect, **{**account, "password": ""})
print("good")

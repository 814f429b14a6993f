"""mysql-connector-python, in pure Python (its C half wants another OpenSSL than Debian's): connector_client.py HOST PORT TABLE"""

import sys

import mysql.connector
from common import ROW, SELECT, fails_with, normal, round_trip
from mysql.connector import errors

host, port, table = sys.argv[1], int(sys.argv[2]), sys.argv[3]

# Left to itself it asks for a collation that MariaDB does not have, and takes TLS, which is tls_client.py's matter.
account = dict(host=host, port=port, user="app", password="app", database="guestbook", collation="utf8mb4_general_ci", use_pure=True, ssl_disabled=True)
connection = mysql.connector.connect(**account)
round_trip(connection, table)

prepared = connection.cursor(prepared=True)
for least in range(3):
    prepared.execute(SELECT.format(table=table) + " WHERE id > %s", (least,))
    assert [normal(row) for row in prepared.fetchall()] == [ROW] * (3 - least)
prepared.close()

cursor = connection.cursor()
cursor.execute(f"CREATE PROCEDURE {table}_p (IN a INT, OUT b INT) BEGIN SELECT a; SELECT a + 1; SET b = a + 2; END")
assert tuple(cursor.callproc(f"{table}_p", (5, 0))) == (5, 7)
assert [result.fetchall() for result in cursor.stored_results()] == [[(5,)], [(6,)]]
cursor.execute("SET @a = 1")
connection.cmd_reset_connection()
cursor.execute("SELECT @a")
assert cursor.fetchall() == [(None,)]
connection.ping()
fails_with(1146, errors.ProgrammingError, cursor.execute, "SELECT * FROM no_such_table")
cursor.close()
connection.close()

fails_with(1045, errors.ProgrammingError, mysql.connector.connect, **{**account, "password": "wrong"})

print("good")

"""PyMySQL: pymysql_client.py HOST PORT TABLE"""

import sys

import pymysql
import pymysql.cursors
from common import fails_with, round_trip
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

"""Drivers that switch autocommit off, at READ COMMITTED: lazy_client.py HOST PORT TABLE"""

import sys
import time

import mysql.connector
import pymysql

host, port, table = sys.argv[1], int(sys.argv[2]), sys.argv[3]
account = dict(host=host, port=port, user="app", password="app", database="guestbook")
LEVEL = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"

pymysql_client = pymysql.connect(**account, init_command=LEVEL)
pure = mysql.connector.connect(**account, use_pure=True, init_command=LEVEL)


def wait_until(holds):
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


for number, client in enumerate([pymysql_client, pure], 100):

    def ask(sql):
        cursor = client.cursor()
        cursor.execute(sql)
        rows = cursor.fetchall() if cursor.description else []
        cursor.close()
        return rows

    def route(sql):
        return str(ask(f"EXPLAIN ROUTE {sql}"))

    read = f"SELECT a FROM {table} WHERE a IN (1, {number})"
    wait_until(lambda: "a transaction at READ COMMITTED reads on a replica" in route(read))
    assert ask(read) == [(1,)] or list(ask(read)) == [(1,)]
    client.commit()
    ask(read)
    ask(f"INSERT INTO {table} VALUES ({number})")
    assert list(ask(read)) == [(1,), (number,)]
    client.rollback()
    assert list(ask(read)) == [(1,)]
    ask(f"INSERT INTO {table} VALUES ({number})")
    client.commit()
    assert list(ask(read)) == [(1,), (number,)]
    client.close()
print("good")

"""Query attributes with mysql-connector-python, in text and in prepared statements: attributes_client.py HOST PORT TABLE"""

import sys

import mysql.connector

host, port, table = sys.argv[1], int(sys.argv[2]), sys.argv[3]
connection = mysql.connector.connect(host=host, port=port, user="app", password="app", database="guestbook", use_pure=True, autocommit=True)

# What the server itself makes of attributes: the component behind it need not be installed for them to be accepted.
cursor = connection.cursor()
cursor.add_attribute("trace", "a1b2")
cursor.add_attribute("count", 17)
cursor.execute("SELECT 1")
assert cursor.fetchall() == [(1,)]
for text, name, value in [("text with an attribute", "server", "db3"), ("from the primary", "primary", "yes")]:
    for _ in range(3):
        cursor.clear_attributes()
        cursor.add_attribute(name, value)
        cursor.execute(f"SELECT a, '{text}' FROM {table}")
        cursor.fetchall()
cursor.clear_attributes()
cursor.add_attribute("replica", "yes")
try:
    cursor.execute(f"DELETE FROM {table}")
    raise AssertionError("a write went to a replica")
except mysql.connector.Error as error:
    assert error.errno == 1235, error
cursor.close()

prepared = connection.cursor(prepared=True)
for turn in range(3):
    prepared.clear_attributes()
    prepared.add_attribute("server", "db3")
    prepared.execute(f"SELECT a, 'prepared with an attribute' FROM {table} WHERE id >= %s AND id < %s", (turn, 100 + turn))
    prepared.fetchall()
prepared.close()
connection.close()
print("good")

"""Statements of a trace, with mysql-connector-python: traced_client.py HOST PORT TRACEPARENT ATTRIBUTES, where the last is yes or no"""

import sys

import mysql.connector

host, port, parent, attributes = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4] == "yes"
connection = mysql.connector.connect(host=host, port=port, user="app", password="app", database="guestbook", use_pure=True, autocommit=True)
cursor = connection.cursor()
cursor.execute(f"SELECT 'by a comment' /*action='%2Fcart',traceparent='{parent}'*/")
cursor.fetchall()
cursor.execute("SELECT 'without a parent'")
cursor.fetchall()
if attributes:
    cursor.add_attribute("traceparent", parent)
    cursor.execute("SELECT 'by an attribute', 1")
    cursor.fetchall()
    prepared = connection.cursor(prepared=True)
    prepared.add_attribute("traceparent", parent)
    prepared.execute("SELECT %s, 2, 'prepared'", (3,))
    prepared.fetchall()
connection.close()
print("good")

"""PyMySQL and mysql-connector-python over TLS, with several versions of it: tls_client.py HOST PORT TABLE"""

import ssl
import sys

import mysql.connector
import pymysql
from common import fails_with, round_trip

host, port, table = sys.argv[1], int(sys.argv[2]), sys.argv[3]
account = dict(host=host, port=port, user="app", password="app", database="guestbook")


def context(version):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    made.minimum_version = made.maximum_version = version
    return made


for version, name in [(ssl.TLSVersion.TLSv1_2, "TLSv1.2"), (ssl.TLSVersion.TLSv1_3, "TLSv1.3")]:
    connection = pymysql.connect(**account, ssl=context(version))
    assert connection._sock.version() == name, connection._sock.version()
    round_trip(connection, f"{table}_{name[-1]}")
    with connection.cursor() as cursor:
        # More than a record, both ways.
        long = "x" * 3_000_000
        cursor.execute("SELECT %s", (long,))
        assert cursor.fetchone() == (long,)
    connection.close()
    fails_with(1045, pymysql.err.OperationalError, pymysql.connect, **{**account, "password": "wrong"}, ssl=context(version))

# It takes TLS where it is offered.
connection = mysql.connector.connect(**account, collation="utf8mb4_general_ci", use_pure=True)
assert isinstance(connection._socket.sock, ssl.SSLSocket), connection._socket
round_trip(connection, f"{table}_connector")
connection.close()

print("good")

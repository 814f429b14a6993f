"""mysql-connector-python, compressed: compressed_client.py HOST PORT TABLE"""

import sys

import mysql.connector
from common import round_trip

host, port, table = sys.argv[1], int(sys.argv[2]), sys.argv[3]

account = dict(host=host, port=port, user="app", password="app", database="guestbook", collation="utf8mb4_general_ci", use_pure=True, compress=True)

for place, disabled in enumerate([True, False]):
    connection = mysql.connector.connect(**account, ssl_disabled=disabled)
    round_trip(connection, f"{table}_{place}")
    cursor = connection.cursor()
    # Answers and statements of one packet and of several, compressed in one frame and in several.
    for length in (10, 20_000, 1_000_000):
        cursor.execute("SELECT REPEAT('ab', %s)", (length // 2,))
        assert cursor.fetchall() == [("ab" * (length // 2),)], length
        cursor.execute("SELECT LENGTH(%s)", ("x" * length,))
        assert cursor.fetchall() == [(length,)], length
    for first, second in [(1, 2), ("a" * 100_000, "b")]:
        cursor.execute("SELECT %s; SELECT %s", (first, second), **({"multi": True} if mysql.connector.__version_info__ < (9, 2) else {}))
        assert cursor.fetchall() == [(first,)]
        assert cursor.nextset() and cursor.fetchall() == [(second,)]
    cursor.close()
    connection.close()

print("good")

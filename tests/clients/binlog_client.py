"""python-mysql-replication, as user and password "follower": binlog_client.py HOST PORT TABLE"""

import sys

import pymysql
from pymysqlreplication import BinLogStreamReader
from pymysqlreplication.row_event import WriteRowsEvent

host, port, table = sys.argv[1], int(sys.argv[2]), sys.argv[3]
follower = dict(host=host, port=port, user="follower", password="follower")

writer = pymysql.connect(host=host, port=port, user="app", password="app", database="guestbook", autocommit=True)


def ask(sql):
    with writer.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()


is_mariadb = "MariaDB" in ask("SELECT @@version")[0]


def now():
    """The place in the log that comes next: file and position, and the GTIDs."""
    admin = pymysql.connect(**follower)
    with admin.cursor() as cursor:
        cursor.execute("SHOW MASTER STATUS" if is_mariadb else "SHOW BINARY LOG STATUS")
        status = cursor.fetchone()
        cursor.execute("SELECT @@gtid_binlog_pos" if is_mariadb else "SELECT @@gtid_executed")
        gtids = cursor.fetchone()[0]
    admin.close()
    return status[0], status[1], gtids


def follow(blocking, first, by_gtid):
    """Follows the log from now on, while rows are written."""
    file, position, gtids = now()
    if by_gtid:
        options = dict(auto_position=gtids, is_mariadb=is_mariadb)
    else:
        options = dict(log_file=file, log_pos=position, resume_stream=True)
    for row in range(first, first + 5):
        ask(f"INSERT INTO {table} VALUES ({row}, REPEAT('x', {row} * 1000))")
    stream = BinLogStreamReader(
        connection_settings=follower, server_id=4000 + first, blocking=blocking, only_tables=[table],
        only_events=[WriteRowsEvent], **options,
    )
    seen = []
    for event in stream:
        seen += [len(list(row["values"].values())[1]) // 1000 for row in event.rows]
        if len(seen) == 2 and blocking:
            # One more, while it waits for it.
            ask(f"INSERT INTO {table} VALUES ({first + 5}, REPEAT('x', ({first} + 5) * 1000))")
        if len(seen) == 6:
            break
    stream.close()
    expected = list(range(first, first + (6 if blocking else 5)))
    assert seen == expected, (seen, expected)


follow(blocking=True, first=1, by_gtid=False)
follow(blocking=False, first=11, by_gtid=False)
follow(blocking=True, first=21, by_gtid=True)
print("good")

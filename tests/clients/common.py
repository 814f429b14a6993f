"""What every driver must be able to do, written once against the Python database API."""

import datetime
import decimal

ROW = (
    -(2**63),
    2**64 - 1,
    decimal.Decimal("-12345.6789"),
    2.5,
    "Größe 😀 'quoted' \\ backslash",
    b"\x00\xff\xfe binary \x1a",
    datetime.date(2024, 2, 29),
    datetime.datetime(2024, 2, 29, 23, 59, 59, 123456),
    None,
)

COLUMNS = """id INT AUTO_INCREMENT PRIMARY KEY, small BIGINT, large BIGINT UNSIGNED, exact DECIMAL(12, 4), approximate DOUBLE,
    words VARCHAR(100) CHARACTER SET utf8mb4, bytes BLOB, day DATE, moment DATETIME(6), missing INT"""

INSERT = """INSERT INTO {table} (small, large, exact, approximate, words, bytes, day, moment, missing)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)"""

SELECT = "SELECT small, large, exact, approximate, words, bytes, day, moment, missing FROM {table}"


def normal(row):
    """Drivers differ in the types for bytes only."""
    return tuple(bytes(value) if isinstance(value, bytearray) else value for value in row)


def round_trip(connection, table, **cursor_options):
    """Creates a table, writes values of many types and reads them back inside the transaction and after it."""
    cursor = connection.cursor(**cursor_options)
    cursor.execute("EXPLAIN ROUTE SELECT 1")
    assert [row[0] for row in cursor.fetchall()][-1] == "decision"
    cursor.execute(f"CREATE TABLE {table} ({COLUMNS})")
    cursor.execute(INSERT.format(table=table), ROW)
    assert cursor.lastrowid == 1, cursor.lastrowid
    cursor.executemany(INSERT.format(table=table), [ROW, ROW])
    cursor.execute(SELECT.format(table=table))
    rows = [normal(row) for row in cursor.fetchall()]
    assert rows == [ROW] * 3, rows
    connection.commit()
    cursor.execute(f"UPDATE {table} SET missing = 1")
    assert cursor.rowcount == 3, cursor.rowcount
    connection.rollback()
    cursor.execute(f"SELECT COUNT(*), COUNT(missing) FROM {table}")
    assert tuple(cursor.fetchone()) == (3, 0)
    connection.commit()
    cursor.close()


def fails_with(code, error, action, *arguments, **options):
    """Runs what must fail with this MySQL error number."""
    try:
        action(*arguments, **options)
    except error as failure:
        assert failure.args[0] == code, failure
        return
    raise AssertionError(f"no error {code}")

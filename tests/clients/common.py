"""What every driver must be able to do, written once against the Python database API."""

import datetime
import decimal
import os
import pathlib
import time

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
    if not is_direct():
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


def every_type(version):
    """Type, literal and value, as text or as bytes, of every type that the engine has."""
    engine = "mariadb" if "MariaDB" in version else "mysql"
    for line in (pathlib.Path(__file__).parent / "every_type.tsv").read_text("utf-8").splitlines():
        where, kind, literal, value = line.split("\t")
        if where in ("any", engine):
            yield kind, literal, bytes.fromhex(value[4:]) if value.startswith("hex:") else value


def python_value(kind, value):
    """What a Python driver makes of it."""
    word = kind.split("(")[0].split()[0]
    if word in ("TINYINT", "SMALLINT", "MEDIUMINT", "INT", "BIGINT", "YEAR"):
        return int(value)
    if word in ("FLOAT", "DOUBLE"):
        return float(value)
    if word == "DECIMAL":
        return decimal.Decimal(value)
    if word == "DATE":
        return datetime.date.fromisoformat(value)
    if word in ("DATETIME", "TIMESTAMP"):
        return datetime.datetime.fromisoformat(value)
    if word == "TIME":
        hours, minutes, seconds = value.lstrip("-").split(":")
        span = datetime.timedelta(hours=int(hours), minutes=int(minutes), seconds=float(seconds))
        return -span if value.startswith("-") else span
    return value


def every_type_table(table, version):
    """The statements that make a table with every type, a row of values and a row of NULL; its columns; and the values."""
    types = list(every_type(version))
    columns = ", ".join(f"c{n} {kind}" for n, (kind, _, _) in enumerate(types))
    statements = [
        f"CREATE TABLE {table} (id INT PRIMARY KEY AUTO_INCREMENT, {columns})",
        f"INSERT INTO {table} VALUES (NULL, {', '.join(literal for _, literal, _ in types)})",
        f"INSERT INTO {table} (id) VALUES (NULL)",
    ]
    names = ", ".join(f"c{n}" for n in range(len(types)))
    return statements, f"SELECT {names} FROM {table} ORDER BY id", [(kind, python_value(kind, value)) for kind, _, value in types]


def check_every_type(rows, types, special=None):
    """`special` are values that a driver gives in a way of its own."""
    whole, empty = rows
    for got, (kind, want) in zip(whole, types, strict=True):
        word = kind.split("(")[0].split()[0]
        want = (special or {}).get(word, want)
        if isinstance(got, (bytearray, bytes)) and isinstance(want, str):
            want = want.encode()
        if isinstance(want, (set, frozenset)) or not isinstance(got, (set, frozenset)):
            assert got == want, (kind, got, want)
        else:
            assert ",".join(sorted(got)) == want, (kind, got, want)
    assert all(value is None for value in empty), empty


def is_direct():
    """Whether the script runs against a server without Pointsman."""
    return os.environ.get("DIRECT") == "1"


def decision(rows):
    """What the rows of EXPLAIN ROUTE say."""
    return [row for row in rows if row[0] == "decision"][0]


def reads_go_to_a_replica(query):
    """A replica must answer plain reads, as soon as it has what the session wrote: nothing pins the session to the primary."""
    if is_direct():
        return
    deadline = time.monotonic() + 10
    while decision(query("EXPLAIN ROUTE SELECT 1"))[2] == "db1":
        assert time.monotonic() < deadline, f"a read goes to the primary: {decision(query('EXPLAIN ROUTE SELECT 1'))[3]}"
        time.sleep(0.01)

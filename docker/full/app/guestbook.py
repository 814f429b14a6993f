"""The guest book: it takes an entry, reads it back at once, and shows who answered.

Each request opens a session at a Pointsman, as PHP does. It knows no database server: the DSN names Pointsmen only. What it needs to do for high
availability is in `session` (two Pointsmen) and `write` (a second try that is harmless).
"""

import os
import re
import secrets
import time
from contextlib import contextmanager

import pymysql
from flask import Flask, redirect, render_template, request

WEB = os.environ["WEB"]
POINTSMEN = os.environ["POINTSMEN"].split()
ACCOUNT = {
    "port": 6033,
    "user": "app",
    "password": os.environ["APP_PASSWORD"],
    "database": "guestbook",
    "charset": "utf8mb4",
    # Otherwise each statement would belong to a transaction, and reads would stay on the primary.
    "autocommit": True,
    "cursorclass": pymysql.cursors.DictCursor,
    "ssl_ca": "/made/ca.pem",
    "ssl_verify_cert": True,
    "ssl_verify_identity": True,
    "connect_timeout": 0.5,
    # Longer than a write waits for a new primary (routing.hold_writes).
    "read_timeout": 12,
    "write_timeout": 12,
}

TRIES = 3
SHOWN = 20
NAME_MAX = 80
TEXT_MAX = 1000

# A Pointsman that could not be reached is tried last for this long, in seconds.
AVOIDED_FOR = 10
avoided_until = dict.fromkeys(POINTSMEN, 0.0)

# `here` has one row, which is another one on each server: its name. It is not replicated.
ENTRIES = """SELECT here.server, entries.id, entries.name, entries.text, entries.written
    FROM here LEFT JOIN entries ON TRUE ORDER BY entries.id DESC LIMIT %s"""

app = Flask(__name__)


class EntryMissed(Exception):
    """A session did not find what it has just written. It must never happen."""


# --- Requests ---


@app.get("/health")
def health():
    return "well\n"


@app.get("/")
def page():
    answer = again(read, request.args.get("entry", type=int))
    response = app.make_response(render_template("page.html", web=WEB, token=secrets.token_hex(16), **answer))
    for name in ("pointsman", "server"):
        response.headers[f"X-{name.capitalize()}"] = answer[name]
    response.headers["X-Web"] = WEB
    response.headers["Cache-Control"] = "no-store"
    response.headers["Content-Security-Policy"] = "default-src 'self'"
    return response


@app.post("/")
def entry():
    name = request.form.get("name", "").strip()[:NAME_MAX] or "Anonymous"
    text = request.form.get("text", "").strip()[:TEXT_MAX]
    token = request.form.get("token", "")
    if not text or not re.fullmatch("[0-9a-f]{32}", token):
        return "An entry needs a text, and the token of its form.\n", 400
    return redirect(f"/?entry={again(write, name, text, token)}", code=303)


@app.errorhandler(EntryMissed)
def missed(_):
    return "missed: the session did not find what it has just written\n", 500


@app.errorhandler(pymysql.MySQLError)
def failed(error):
    return f"The guest book cannot be reached: {error}\n", 503


# --- The database ---


def again(statements, *arguments):
    """Runs them in a session, and in a further one if that one is lost: what is repeated must be harmless."""
    for attempt in range(TRIES):
        try:
            with session() as (pointsman, cursor):
                return statements(pointsman, cursor, *arguments)
        except (pymysql.OperationalError, pymysql.InternalError, pymysql.InterfaceError) as error:
            app.logger.warning("attempt %s: %s", attempt + 1, error)
            if attempt + 1 == TRIES:
                raise


def write(_pointsman, cursor, name, text, token):
    """The number of the new entry. The token is unique, so after an error of unknown outcome (08007) the same entry may be written again."""
    cursor.execute(
        "INSERT INTO entries (token, name, text) VALUES (%s, %s, %s) ON DUPLICATE KEY UPDATE token = token", (token, name, text)
    )
    cursor.execute("SELECT id FROM entries WHERE token = %s", (token,))
    row = cursor.fetchone()
    if row is None:
        raise EntryMissed
    return row["id"]


def read(pointsman, cursor, own):
    """The last entries, and how the answer came about.

    `own` is the visitor's last entry. Another session wrote it, maybe at the other Pointsman, so a replica may lack it for up to max_lag. Then the
    primary is asked.
    """
    rows = select(cursor, ENTRIES)
    if own and all(row["id"] != own for row in rows) and own > min((row["id"] or 0 for row in rows), default=0):
        rows = select(cursor, "/* pointsman: primary */ " + ENTRIES)
    servers = route(cursor)
    server = rows[0]["server"] if rows else "unknown"
    return {
        "pointsman": pointsman,
        "server": server,
        "answered": servers.get(server, {}),
        "servers": servers,
        "entries": [row for row in rows if row["id"]],
        "own": own,
    }


def select(cursor, sql):
    cursor.execute(sql, (SHOWN,))
    return cursor.fetchall()


def route(cursor):
    """What Pointsman knows of each server."""
    cursor.execute("EXPLAIN ROUTE " + ENTRIES, (SHOWN,))
    return {row["subject"]: row for row in cursor.fetchall() if row["step"] == "server"}


@contextmanager
def session():
    """A session at the first Pointsman of the list that lets us in."""
    pointsman, connection = connect()
    try:
        with connection.cursor() as cursor:
            yield pointsman, cursor
    finally:
        connection.close()


def connect():
    failure = None
    now = time.monotonic()
    for pointsman in sorted(POINTSMEN, key=lambda name: avoided_until[name] > now):
        try:
            return pointsman, pymysql.connect(host=pointsman, **ACCOUNT)
        except pymysql.OperationalError as error:
            avoided_until[pointsman] = time.monotonic() + AVOIDED_FOR
            failure = error
    raise failure

#!/usr/bin/env python3
"""Users of the guest book, until the file STOP is there: each writes an entry, and then looks whether the page has it.

One line for each event: `KIND MILLISECONDS USER DETAIL`, where the kinds are

    ack     the entry was taken; its token follows
    read    the page that came next has it
    missed  the page that came next lacks it
    error   a request failed: where and how; the same request goes to the other edge

With `--once`: one entry. With `--look N`: the page, so many times, and who answered. With `--knock HOST`: what a stranger gets from the port of a
Pointsman.
"""

import http.client
import os
import secrets
import socket
import ssl
import sys
import threading
import time
from html.parser import HTMLParser
from urllib.parse import urlencode

EDGES = ("edge1", "edge2")
STOP = "/tmp/stop"
USERS = 2
CONNECT_TIMEOUT = 1
# Longer than the edge waits for a web server.
REQUEST_TIMEOUT = 45
PAUSE_AFTER_ERROR = 0.05

tls = ssl.create_default_context(cafile="/made/ca.pem")


class User:
    """Keeps a connection to one edge, and changes to the other one when a request fails."""

    def __init__(self, number):
        self.number = number
        self.edge = number % len(EDGES)
        self.connection = None

    def say(self, kind, detail):
        print(kind, int(time.monotonic() * 1000), self.number, detail, flush=True)

    def run(self):
        count = 0
        while not os.path.exists(STOP):
            count += 1
            self.write_and_read(f"Entry {count} of user {self.number}, {secrets.token_hex(4)}")

    def write_and_read(self, text):
        token = secrets.token_hex(16)
        form = urlencode({"token": token, "name": f"User {self.number}", "text": text})
        response, _ = self.request("POST", "/", form)
        self.say("ack", token)
        response, page = self.request("GET", response.headers["Location"])
        self.say("read" if text in texts(page) else "missed", token)
        return response, page

    def request(self, method, path, body=None):
        """Until it succeeds, at one edge or the other."""
        while True:
            try:
                return self.attempt(method, path, body)
            except (OSError, http.client.HTTPException) as failure:
                self.say("error", f"{method} at {EDGES[self.edge]}: {str(failure) or type(failure).__name__}")
                self.close()
                self.edge = (self.edge + 1) % len(EDGES)
                time.sleep(PAUSE_AFTER_ERROR)

    def attempt(self, method, path, body):
        if self.connection is None:
            self.connect()
        self.connection.request(method, path, body, {"Content-Type": "application/x-www-form-urlencoded"})
        response = self.connection.getresponse()
        page = response.read().decode()
        if response.status not in (200, 303):
            raise http.client.HTTPException(f"{response.status} {page.strip()[:200]}")
        return response, page

    def connect(self):
        self.connection = http.client.HTTPSConnection(EDGES[self.edge], context=tls, timeout=CONNECT_TIMEOUT)
        self.connection.connect()
        self.connection.sock.settimeout(REQUEST_TIMEOUT)

    def close(self):
        if self.connection is not None:
            self.connection.close()
        self.connection = None


class Texts(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_data(self, data):
        self.found.append(data)


def texts(page):
    parser = Texts()
    parser.feed(page)
    return parser.found


def look(times):
    user = User(0)
    for _ in range(times):
        response, _ = user.request("GET", "/")
        print(*(response.headers[name] for name in ("X-Edge", "X-Web", "X-Pointsman", "X-Server")))


def knock(host):
    with socket.create_connection((host, 6033), timeout=5) as stranger:
        try:
            greeting = stranger.recv(1024)
        except ConnectionResetError:
            greeting = b""
    print(f"{len(greeting)} bytes, then the end")


def main():
    match sys.argv[1:]:
        case ["--once"]:
            return User(0).write_and_read("Hello, <b>world</b> & all")
        case ["--look", times]:
            return look(int(times))
        case ["--knock", host]:
            return knock(host)
    users = [threading.Thread(target=User(number).run) for number in range(USERS)]
    for user in users:
        user.start()
    for user in users:
        user.join()


main()

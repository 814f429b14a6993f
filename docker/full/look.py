#!/usr/bin/env python3
"""What an administrator sees from inside, for docker/demo --full: `tls` on both legs, or `refused`, connections that a Pointsman has not let in."""

import os
import sys
import urllib.request

import pymysql

POINTSMAN = "pointsman-a"
ACCOUNT = {"host": POINTSMAN, "port": 6033, "user": "app", "password": os.environ["APP_PASSWORD"], "database": "guestbook"}
VERIFIED = {"ssl_ca": "/made/ca.pem", "ssl_verify_cert": True, "ssl_verify_identity": True}


def tls():
    connection = pymysql.connect(**ACCOUNT, **VERIFIED)
    with connection.cursor() as cursor:
        # What PyMySQL itself has agreed on with Pointsman; it has no public name for it.
        print("application to Pointsman", connection._sock.cipher()[0], sep="\t")
        cursor.execute("SHOW STATUS LIKE 'Ssl_cipher'")
        print("Pointsman to the primary", cursor.fetchone()[1], sep="\t")
    connection.close()
    try:
        pymysql.connect(**ACCOUNT)
    except pymysql.MySQLError as error:
        print("an application without TLS", "error %s: %s" % error.args, sep="\t")


def refused():
    request = urllib.request.Request(f"http://{POINTSMAN}:6034/metrics", headers={"Authorization": "Bearer demo-demo-demo-demo"})
    with urllib.request.urlopen(request, timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    # The line is there once there is something to count.
    counts = [line.split()[-1] for line in lines if line.startswith("pointsman_login_failures_total") and 'reason="network"' in line]
    print(*counts or "0")


{"tls": tls, "refused": refused}[sys.argv[1]]()

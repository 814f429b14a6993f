"""The MySQL servers behind the paths, in containers of a network of their own: a primary, which is all that most measurements need, and replicas.

All three paths reach it at the container's address, through the same bridge. No port is published, so neither Docker's
userland proxy nor its address translation is in the way.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from dataclasses import dataclass
from typing import Iterator

from benchmark.failure import Failure
from benchmark.process import signals_held_back

IMAGE = "pointsman-mysql:9.7"
USER = PASSWORD = "app"
SCHEMA = "sbtest"
MONITOR = "monitor"

READY_SECONDS = 60

# Nothing may wait for a disk or be read from one: its speed is not the question, and its moods are noise.
CONTAINER_OPTIONS = [
    "--tmpfs=/var/lib/mysql:size=4g",
    "--ulimit=nofile=20000:20000",
    "--env=FAST=1",
    f"--env=APP_USER={USER}",
    f"--env=APP_PASSWORD={PASSWORD}",
    f"--env=APP_SCHEMA={SCHEMA}",
    f"--env=MONITOR_PASSWORD={MONITOR}",
]


@dataclass(frozen=True)
class Server:
    """A running MySQL server."""

    host: str
    pid: int
    version: str
    container: str
    port: int = 3306

    def run(self, sql: str) -> str:
        """As root. The values that come back, without their names."""
        return _docker("exec", self.container, "mysql", "--batch", "--skip-column-names", f"--database={SCHEMA}", f"--execute={sql}")


@contextlib.contextmanager
def started(connections: int, replicas: int = 0) -> Iterator[list[Server]]:
    """Runs the primary and so many replicas for the length of a `with` block, each for so many connections at once."""
    network = f"pointsman-bench-{os.getpid()}"
    options = [
        f"--max-connections={connections}",
        f"--back-log={connections}",
        "--innodb-buffer-pool-size=512M",
        "--innodb-redo-log-capacity=512M",
        # A tmpfs may not know O_DIRECT.
        "--innodb-flush-method=fsync",
    ]
    with contextlib.ExitStack() as stack:
        # The cleaning is on the stack before what it cleans, and does not mind what is absent.
        stack.callback(_remove, "network", "rm", network)
        _docker("network", "create", "--label=pointsman-bench", network)
        primary = f"{network}-1"
        servers = []
        for number in range(1, replicas + 2):
            name = f"{network}-{number}"
            role = [f"--env=SERVER_ID={number}", *([f"--env=PRIMARY_HOST={primary}"] if name != primary else [])]
            stack.callback(_remove, "rm", "--force", "--volumes", name)
            _docker("run", "--detach", f"--name={name}", f"--network={network}", *CONTAINER_OPTIONS, *role, IMAGE, *options)
            host = _docker("inspect", "--format={{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", name)
            pid = int(_docker("inspect", "--format={{.State.Pid}}", name))
            servers.append(Server(host, pid, _wait_for_greeting(name, host), name))
        yield servers


def _wait_for_greeting(name: str, host: str) -> str:
    """Waits until the server answers clients, and returns its version."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection((host, 3306), 2) as connection:
            greeting = connection.recv(256)
            if len(greeting) > 5:
                return greeting[5 : greeting.index(b"\0", 5)].decode()
        if _docker("inspect", "--format={{.State.Running}}", name) != "true":
            break
        time.sleep(0.2)
    log = subprocess.run(["docker", "logs", "--tail=20", name], capture_output=True, text=True)
    raise Failure(f"the MySQL server did not start; the end of its log:\n{log.stdout}{log.stderr}")


def _docker(*arguments: str) -> str:
    # A client of Docker that is cut off leaves the daemon at work, which may create what was just cleaned away.
    with signals_held_back():
        done = subprocess.run(["docker", *arguments], capture_output=True, text=True, start_new_session=True)
    if done.returncode != 0:
        raise Failure(f"docker {arguments[0]} failed: {done.stderr.strip()}")
    return done.stdout.strip()


def _remove(*arguments: str) -> None:
    with signals_held_back():
        subprocess.run(["docker", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)

"""The ways to the server that are compared: directly, through HAProxy, through Pointsman.

Each proxy is started anew for each measurement, so no path is disturbed by the other proxies' idle work, and listens on
loopback at a port that the system chooses.
"""

from __future__ import annotations

import contextlib
import re
import shlex
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Iterator

from benchmark import server
from benchmark.certificate import certificate
from benchmark.client import Client, Refused
from benchmark.failure import Failure
from benchmark.process import running
from benchmark.server import Server

READY_SECONDS = 30

HAPROXY_CONFIG = """
global
    nbthread {workers}
    maxconn {connections}

defaults
    mode tcp
    timeout connect 5s
    timeout client 1h
    timeout server 1h

listen mysql
    bind {bind}
    {rules}
    server next {next}
"""

STUNNEL_CONFIG = """
foreground = yes
pid =
debug = info
socket = l:TCP_NODELAY=1
socket = r:TCP_NODELAY=1
[mysql]
{keys}
"""

# Where the stunnel that stands in for a server with TLS listens, in the network namespace of the server's container.
TLS_SERVER_PORT = 3307

POINTSMAN_CONFIG = """
{keys}

{servers}

[monitor]
user = "monitor"
password = "{monitor}"

[[users]]
name = "{user}"
password = "{password}"
"""


@dataclass(frozen=True)
class Settings:
    """What both proxies are given alike."""

    workers: int
    connections: int


@dataclass(frozen=True)
class Route:
    """A way that is open: where clients connect, and the proxy's process, if there is one."""

    address: tuple[str, int]
    pid: int | None
    # Whether clients have to encrypt.
    tls: bool = False

    def log_in(self) -> Client:
        return Client(self.address, server.USER, server.PASSWORD, server.SCHEMA)


@dataclass(frozen=True)
class Direct:
    """No proxy."""

    label: str = "direct"

    @contextlib.contextmanager
    def open(self, to: Server, settings: Settings) -> Iterator[Route]:
        yield Route((to.host, to.port), None)


@dataclass(frozen=True)
class HAProxy:
    """HAProxy as a pipe: TCP mode, no logging, its defaults otherwise."""

    label: str = "haproxy"
    rules: str = ""

    def refusing(self, network: str) -> HAProxy:
        """The same, without clients from there."""
        return replace(self, rules=f"tcp-request connection reject if {{ src {network} }}")

    @contextlib.contextmanager
    def open(self, to: Server, settings: Settings) -> Iterator[Route]:
        # HAProxy cannot say which port the system chose for it, so it inherits a bound socket.
        with socket.socket() as listener, tempfile.TemporaryDirectory(prefix="pointsman-bench-") as home:
            listener.bind(("127.0.0.1", 0))
            config = Path(home, "haproxy.cfg")
            command = _haproxy(config, settings, _inherited(listener), f"{to.host}:{to.port}", self.rules)
            with _proxy(command, Path(home, "log"), pass_fds=[listener.fileno()]) as process:
                route = Route(listener.getsockname(), process.pid)
                _wait_until_ready(process, route)
                yield route


@dataclass(frozen=True)
class HAProxyTls:
    """HAProxy as a pipe that ends TLS and begins it anew.

    It stands between two stunnels, for a client and a server that speak TLS at once, as MySQL's do not. stunnel has a thread for each connection, as
    sysbench and MySQL have. Other HAProxies in their place took several messages whenever they woke, and so made the one in the middle cheaper
    than it is between a client and a server: without TLS, 39 us of CPU per query instead of 53. The stunnel for the server runs in the network of
    its container, so that HAProxy reaches it by the same bridge as Pointsman reaches the server.
    """

    label: str = "haproxy"

    @contextlib.contextmanager
    def open(self, to: Server, settings: Settings) -> Iterator[Route]:
        with contextlib.ExitStack() as stack:
            home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pointsman-bench-")))
            listener = stack.enter_context(socket.socket())
            listener.bind(("127.0.0.1", 0))
            both = certificate().both

            def start(name: str, command: list[str], **options: object) -> subprocess.Popen:
                return stack.enter_context(_proxy(command, home / f"{name}.log", **options))

            def stunnel(name: str, **keys: object) -> list[str]:
                config = home / f"{name}.conf"
                config.write_text(STUNNEL_CONFIG.format(keys="\n".join(f"{key} = {value}" for key, value in keys.items())))
                return ["stunnel4", str(config)]

            there = ["nsenter", f"--net=/proc/{to.pid}/ns/net"]
            start("server", [*there, *stunnel("server", accept=TLS_SERVER_PORT, connect=f"127.0.0.1:{to.port}", cert=both)])
            next_hop = f"{to.host}:{TLS_SERVER_PORT} ssl verify none"
            bind = f"{_inherited(listener)} ssl crt {both}"
            middle = start("haproxy", _haproxy(home / "haproxy.cfg", settings, bind, next_hop), pass_fds=[listener.fileno()])
            before_it = f"127.0.0.1:{listener.getsockname()[1]}"
            client = start("client", stunnel("client", client="yes", accept="127.0.0.1:0", connect=before_it))
            route = Route(_address_in(client, home / "client.log", "bound to"), middle.pid)
            _wait_until_ready(client, route)
            yield route


def _inherited(listener: socket.socket) -> str:
    """HAProxy's name for a socket that it inherits."""
    return f"fd@{listener.fileno()}"


def _haproxy(config: Path, settings: Settings, bind: str, following: str, rules: str = "") -> list[str]:
    """Writes the configuration, and returns the command that follows it."""
    config.write_text(HAPROXY_CONFIG.format(
        workers=settings.workers, connections=settings.connections, bind=bind, next=following, rules=rules
    ))
    return ["haproxy", "-db", "-q", "-f", str(config)]


@dataclass(frozen=True)
class Pointsman:
    """A Pointsman binary, options for its `run`, and keys of its configuration beside the usual ones."""

    binary: Path
    options: str = ""
    label: str = "pointsman"
    keys: str = ""
    # On both legs.
    tls: bool = False
    # Beside the server that all ways lead to.
    replicas: tuple[Server, ...] = ()

    def refusing(self, network: str) -> Pointsman:
        """The same, without clients from there."""
        return replace(self, keys=f"{self.keys};firewall.deny=['{network}']")

    @contextlib.contextmanager
    def open(self, to: Server, settings: Settings) -> Iterator[Route]:
        with tempfile.TemporaryDirectory(prefix="pointsman-bench-") as home:
            config, log = Path(home, "pointsman.toml"), Path(home, "log")
            keys = {
                "listen.address": '"127.0.0.1:0"',
                "listen.threads": settings.workers,
                "security.public_key_retrieval": "true",
                "limits.client_connections": settings.connections,
                "limits.server_connections": settings.connections,
            } | (_tls_keys() if self.tls else {}) | dict(map(str.strip, key.split("=", 1)) for key in self.keys.split(";") if key.strip())
            config.write_text(POINTSMAN_CONFIG.format(
                keys="\n".join(f"{key} = {value}" for key, value in keys.items()),
                servers="\n".join(map(_server, (to, *self.replicas))),
                monitor=server.MONITOR, user=server.USER, password=server.PASSWORD,
            ))
            command = [str(self.binary), "run", "--config", str(config), *shlex.split(self.options)]
            with _proxy(command, log) as process:
                route = Route(_address_in(process, log), process.pid, self.tls)
                _wait_until_ready(process, route)
                yield route


def _server(one: Server) -> str:
    return f'[[servers]]\nname = "{one.container}"\naddress = "{one.host}:{one.port}"'


def _tls_keys() -> dict[str, str]:
    """TLS for clients that recognise the certificate, and to the servers."""
    return {
        "listen.tls_certificate": f'"{certificate().certificate}"',
        "listen.tls_key": f'"{certificate().key}"',
        "server_tls.mode": '"required"',
    }


Way = Direct | HAProxy | HAProxyTls | Pointsman


@contextlib.contextmanager
def _proxy(command: list[str], log: Path, **options: object) -> Iterator[subprocess.Popen]:
    """Runs a proxy; if what is done with it fails, the failure ends with its log."""
    with log.open("wb") as output, running(command, stdout=output, stderr=output, **options) as process:
        try:
            yield process
        except Failure as failure:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-20:])
            raise Failure(f"{failure}\nthe end of the log of {Path(command[0]).name}:\n{tail}") from failure


def _address_in(process: subprocess.Popen, log: Path, said_by: str = "listening") -> tuple[str, int]:
    """Where a proxy listens, as it says in its log."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        for line in log.read_text(errors="replace").splitlines():
            address = re.search(r"127\.0\.0\.1:(\d+)", line)
            if said_by in line and address:
                return "127.0.0.1", int(address[1])
        time.sleep(0.02)
    raise Failure(f"{Path(process.args[0]).name} did not say where it listens")


def _wait_until_ready(process: subprocess.Popen, route: Route) -> None:
    """Waits until a statement gets through."""
    deadline = time.monotonic() + READY_SECONDS
    while True:
        try:
            with contextlib.closing(route.log_in()) as client:
                return client.query("SELECT 1")
        except (OSError, Refused) as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise Failure(f"no statement gets through: {error}") from error
            time.sleep(0.02)

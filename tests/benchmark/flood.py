"""What served clients notice of a flood of connections that are refused.

Run as a program, it is the flood: connections from many addresses of this machine, at an even pace, until it is terminated.
"""

from __future__ import annotations

import contextlib
import itertools
import signal
import socket
import struct
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Iterator

from benchmark.process import running

TESTS = Path(__file__).resolve().parent.parent

# Where the flood comes from: of the loopback interface, so nobody else is there.
NETWORK = "127.1.0.0/16"
PER_SECOND = 10_000

# The pace is kept by this many connections at once, as a sleep is no shorter than some 60 us.
BATCH = 20
CONNECT_SECONDS = 1
ABORT_AT_CLOSE = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class Flood:
    """The 99th percentile of statements: without a flood, beside one that meets a closed port, and with one at the proxy."""

    quiet_us: float
    elsewhere_us: float
    flooded_us: float
    # Connections per second, as the flood counted them.
    elsewhere_per_second: float
    flooded_per_second: float


def measure(run_load: Callable[[], float], proxy: tuple[str, int]) -> Flood:
    """`run_load` returns the 99th percentile of a load through the proxy, in microseconds."""
    quiet = run_load()
    with _closed_port() as nobody, _flooding(nobody) as counted:
        elsewhere = run_load()
    elsewhere_per_second = counted()
    with _flooding(proxy) as counted:
        flooded = run_load()
    return Flood(quiet, elsewhere, flooded, elsewhere_per_second, counted())


@contextlib.contextmanager
def _closed_port() -> Iterator[tuple[str, int]]:
    """A port that nobody listens at, for as long as this lasts."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()


@contextlib.contextmanager
def _flooding(target: tuple[str, int]) -> Iterator[Callable[[], float]]:
    """Floods it. What is yielded says, afterwards, how many connections there were in a second."""
    command = [sys.executable, "-B", "-m", "benchmark.flood", target[0], str(target[1])]
    said: list[str] = []
    with running(command, stdout=subprocess.PIPE, text=True, cwd=TESTS) as process:
        yield lambda: float(said[0])
    assert process.stdout is not None
    said.append(process.stdout.read())


def _flood(host: str, port: int) -> float:
    """Until SIGTERM."""
    ended: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: ended.append(number))
    begun, connections = time.monotonic(), 0
    for batch in itertools.count():
        if ended:
            break
        for _ in range(BATCH):
            source = f"127.1.{connections // 250 % 250}.{connections % 250 + 1}"
            # Refused, or closed at once.
            with contextlib.suppress(OSError):
                _connect(source, host, port)
            connections += 1
        time.sleep(max(0, begun + (batch + 1) * BATCH / PER_SECOND - time.monotonic()))
    return connections / (time.monotonic() - begun)


def _connect(source: str, host: str, port: int) -> None:
    with socket.socket() as connection:
        connection.settimeout(CONNECT_SECONDS)
        # So that no port stays taken afterwards.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT_AT_CLOSE)
        connection.bind((source, 0))
        connection.connect((host, port))


if __name__ == "__main__":
    print(_flood(sys.argv[1], int(sys.argv[2])))

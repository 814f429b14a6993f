"""What clients cost that are logged in and do nothing."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass

from benchmark.client import Refused
from benchmark.failure import Failure
from benchmark.paths import Route
from benchmark.process import cpu_time, resident_bytes

# A proxy may give memory back a moment after it needed it.
SETTLE_SECONDS = 2
REST_SECONDS = 5

STATEMENT = "SELECT c FROM sbtest1 WHERE id = 1"


@dataclass(frozen=True)
class Idle:
    """Bytes of the proxy's memory per idle client, and CPU while all of them are idle."""

    bytes_after_login: float
    bytes_after_query: float
    cpu_ms_per_second: float


def measure(route: Route, clients: int) -> Idle:
    """Logs in so many clients, lets them rest, then each runs one statement and rests again."""
    assert route.pid is not None
    with contextlib.ExitStack() as stack:
        time.sleep(SETTLE_SECONDS)
        empty = resident_bytes(route.pid)
        connected = []
        try:
            for _ in range(clients):
                connected.append(stack.enter_context(contextlib.closing(route.log_in())))
            after_login = _settled_bytes(route.pid)
            for client in connected:
                client.query(STATEMENT)
        except (OSError, Refused) as error:
            raise Failure(f"client {len(connected)} of {clients} idle ones: {error}") from error
        after_query = _settled_bytes(route.pid)
        return Idle(
            bytes_after_login=(after_login - empty) / clients,
            bytes_after_query=(after_query - empty) / clients,
            cpu_ms_per_second=_cpu_at_rest(route.pid),
        )


def _settled_bytes(pid: int) -> int:
    time.sleep(SETTLE_SECONDS)
    return resident_bytes(pid)


def _cpu_at_rest(pid: int) -> float:
    before = cpu_time(pid)
    time.sleep(REST_SECONDS)
    return (cpu_time(pid) - before).total / REST_SECONDS * 1000

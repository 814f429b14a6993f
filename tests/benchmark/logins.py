"""What it costs to connect, to log in, and to leave."""

from __future__ import annotations

import time
from dataclasses import dataclass

from benchmark.client import Refused
from benchmark.failure import Failure
from benchmark.paths import Route
from benchmark.process import cpu_time

# Before the measurement: the server knows the password, and Pointsman has an idle connection.
WARM_UP_LOGINS = 50


@dataclass(frozen=True)
class Logins:
    """CPU of the proxy for one login, and how many there were in a second, one after the other."""

    cpu_us: float
    per_second: float


def measure(route: Route, seconds: int) -> Logins:
    """Logs in again and again for so long."""
    assert route.pid is not None
    _log_in(route, WARM_UP_LOGINS)
    logins, begun, before = 0, time.monotonic(), cpu_time(route.pid)
    while (elapsed := time.monotonic() - begun) < seconds:
        _log_in(route, 10)
        logins += 10
    used = cpu_time(route.pid) - before
    return Logins(cpu_us=used.total / logins * 1e6, per_second=logins / elapsed)


def _log_in(route: Route, times: int) -> None:
    for _ in range(times):
        try:
            route.log_in().close()
        except (OSError, Refused) as error:
            raise Failure(f"a login: {error}") from error

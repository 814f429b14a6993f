"""Load by sysbench, and what it says about it.

The percentiles come from sysbench's histogram. Its buckets are 1.8% wide, 2 us at 100 us; a percentile is interpolated inside
its bucket, so that the few dozen microseconds that a proxy adds are not drowned in rounding.
"""

from __future__ import annotations

import contextlib
import enum
import math
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Sequence

from benchmark import server
from benchmark.certificate import certificate
from benchmark.failure import Failure
from benchmark.process import running

TABLES = 4
ROWS = 100_000

# Statements per thread before a measurement: caches and connections are warm then.
WARM_UP_EVENTS = {"point_select": 300, "read_write": 20}

ENCRYPT = "--mysql-ssl=on"

# sysbench's histogram: 1024 buckets from 1 us to 100 s, each centred on its value (sb_histogram_init in its sources).
HISTOGRAM_STEP = math.log(1e5 / 1e-3) / (1024 - 1)
HISTOGRAM_START_US = 1.0


@dataclass(frozen=True)
class Workload:
    """One cell of the table: what is run, how, and by how many threads."""

    script: str
    protocol: str
    threads: int

    def __str__(self) -> str:
        return f"{self.script} {self.protocol}, {self.threads} thread{'s'[: self.threads != 1]}"


@dataclass(frozen=True)
class Target:
    """Where sysbench connects, and whether it encrypts."""

    address: tuple[str, int]
    tls: bool = False
    # Of each table.
    rows: int = ROWS


class Moment(enum.Enum):
    """When to look at the processes that are under load."""

    START = "the clients have logged in and begin"
    LATE = "a second before the end"
    END = "the clients have ended"


@dataclass(frozen=True)
class Load:
    """What sysbench saw. Latencies are of an event: a statement, or for read_write a transaction of 20."""

    queries: int
    queries_per_second: float
    p50_us: float
    p95_us: float
    p99_us: float


def prepare(target: Target) -> None:
    """Fills the tables. It also warms the server's cache of passwords."""
    command = _command("oltp_point_select", target, [f"--threads={TABLES}", "prepare"])
    done = subprocess.run(command, capture_output=True, text=True, start_new_session=True)
    if done.returncode != 0:
        raise Failure(f"sysbench could not fill the tables:\n{_complaints(done.stdout + done.stderr)}")


def run(workload: Workload, target: Target, seconds: int, look: Callable[[Moment], None], rate: int | None = None) -> Load:
    """Runs a workload, after a short one that warms caches and accounts. `rate`: events per second; None: as many as it takes."""
    script = f"oltp_{workload.script}"
    common = [
        f"--threads={workload.threads}",
        f"--db-ps-mode={'auto' if workload.protocol == 'prepared' else 'disable'}",
        "--rand-type=uniform",
        "--histogram=on",
        "run",
    ]
    warm_up = WARM_UP_EVENTS[workload.script] * workload.threads
    _observe(_command(script, target, [f"--events={warm_up}", "--time=30", *common]), lambda _: None)
    timing = ["--events=0", f"--time={seconds}", f"--report-interval={max(1, seconds - 1)}"]
    if rate is not None:
        timing.append(f"--rate={rate}")
    return _parse(_observe(_command(script, target, [*timing, *common]), look))


def _command(script: str, target: Target, options: Sequence[str]) -> list[str]:
    host, port = target.address
    return [
        "sysbench", script,
        f"--mysql-host={host}", f"--mysql-port={port}",
        f"--mysql-user={server.USER}", f"--mysql-password={server.PASSWORD}", f"--mysql-db={server.SCHEMA}",
        f"--tables={TABLES}", f"--table-size={target.rows}", *([ENCRYPT] if target.tls else []),
        *options,
    ]  # fmt: skip


def _observe(command: Sequence[str], look: Callable[[Moment], None]) -> str:
    """Runs sysbench, follows what it says, and returns all of it."""
    lines: list[str] = []
    with contextlib.ExitStack() as stack:
        home = stack.enter_context(tempfile.TemporaryDirectory(prefix="pointsman-bench-"))
        if ENCRYPT in command:
            _provide_certificates(Path(home))
        sysbench = stack.enter_context(
            running(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=home)
        )
        assert sysbench.stdout is not None
        for line in sysbench.stdout:
            lines.append(line)
            if line.startswith("Threads started!"):
                look(Moment.START)
            elif line.startswith("[ "):
                look(Moment.LATE)
            elif line.startswith("Latency histogram"):
                look(Moment.END)
        status = sysbench.wait()
    report = "".join(lines)
    if status != 0 or "Latency histogram" not in report:
        raise Failure(f"sysbench failed:\n{_complaints(report)}")
    return report


def _provide_certificates(home: Path) -> None:
    """sysbench wants these files where it runs."""
    own = certificate()
    files = {"cacert.pem": own.certificate, "client-cert.pem": own.certificate, "client-key.pem": own.key}
    for name, file in files.items():
        (home / name).write_text(file.read_text())


def _parse(report: str) -> Load:
    queries = re.search(r"queries:\s+(\d+)\s+\(([\d.]+) per sec", report)
    histogram = re.findall(r"^\s*([\d.]+) \|[* ]+ (\d+)$", report, re.MULTILINE)
    if not queries or not histogram:
        raise Failure(f"cannot read what sysbench says:\n{report[-2000:]}")
    buckets = [(float(milliseconds) * 1000, int(count)) for milliseconds, count in histogram]
    p50, p95, p99 = (_percentile(buckets, share) for share in (0.50, 0.95, 0.99))
    return Load(int(queries[1]), float(queries[2]), p50, p95, p99)


def _percentile(buckets: Sequence[tuple[float, int]], share: float) -> float:
    wanted = share * sum(count for _, count in buckets)
    below = 0
    for value_us, count in buckets:
        if below + count >= wanted:
            # The printed value is rounded to a microsecond; the bucket's number gives the exact one back.
            bucket = round(math.log(value_us / HISTOGRAM_START_US) / HISTOGRAM_STEP)
            inside = (wanted - below) / count - 0.5
            return HISTOGRAM_START_US * math.exp((bucket + inside) * HISTOGRAM_STEP)
        below += count
    raise ValueError("an empty histogram")


def _complaints(report: str) -> str:
    complaints = [line for line in report.splitlines() if "FATAL" in line or "ERROR" in line]
    return "\n".join((complaints or report.splitlines())[-10:])

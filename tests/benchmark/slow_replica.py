"""What readers notice of one replica among three that is ten times slower.

It is slow because its tables have lost their primary keys, so that it reads all rows where the others read one. That goes on for as long as the
measurement, and says nothing of its health, as a server that lacks an index or memory does.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, replace
from typing import Sequence

from benchmark import load
from benchmark.failure import Failure
from benchmark.load import Target, Workload
from benchmark.paths import Pointsman, Route, Settings
from benchmark.server import Server

REPLICAS = 3

# So many that a look at all of them takes about ten times as long as the way of a query that reads one.
ROWS = 4_000

READS = Workload("point_select", "text", 8)
READS_PER_SECOND = 600

# What others do, and what Pointsman does without its own ways.
IN_TURN = "routing.balance='round_robin';ejection.share=0"

CATCH_UP_SECONDS = 60


@dataclass(frozen=True)
class SlowReplica:
    """The 99th percentile of reads: of the two good replicas alone, with the slow one beside them, and with it in turn."""

    good_us: float
    usual_us: float
    in_turn_us: float


def prepare(servers: Sequence[Server]) -> None:
    """Fills the tables, and makes the last of the replicas slow."""
    primary, *replicas = servers
    load.prepare(Target((primary.host, primary.port), rows=ROWS))
    position = primary.run("SELECT @@global.gtid_executed").replace("\\n", "")
    for one in replicas:
        _wait_for_rows(one, position)
    tables = (f"ALTER TABLE sbtest{number} MODIFY id INT NOT NULL, DROP PRIMARY KEY;" for number in range(1, load.TABLES + 1))
    replicas[-1].run(f"SET sql_log_bin = 0; SET GLOBAL super_read_only = 0; {' '.join(tables)} SET GLOBAL super_read_only = 1")


def measure(way: Pointsman, servers: Sequence[Server], settings: Settings, seconds: int) -> SlowReplica:
    """The three runs, each of so many seconds."""
    primary, *replicas = servers

    def p99_us(using: Sequence[Server], keys: str = "") -> float:
        proxy = replace(way, replicas=tuple(using), keys=f"{way.keys};{keys}")
        with proxy.open(primary, settings) as route:
            _wait_for_reads(route, using)
            target = Target(route.address, route.tls, ROWS)
            return load.run(READS, target, seconds, lambda _: None, READS_PER_SECOND).p99_us

    return SlowReplica(p99_us(replicas[:-1]), p99_us(replicas), p99_us(replicas, IN_TURN))


def _wait_for_rows(replica: Server, position: str) -> None:
    if replica.run(f"SELECT WAIT_FOR_EXECUTED_GTID_SET('{position}', {CATCH_UP_SECONDS})") != "0":
        raise Failure(f"a replica has not caught up within {CATCH_UP_SECONDS} s")


def _wait_for_reads(route: Route, replicas: Sequence[Server]) -> None:
    """Waits until each replica has answered a read."""
    deadline, silent = time.monotonic() + CATCH_UP_SECONDS, {one: _rows_read(one) for one in replicas}
    with contextlib.closing(route.log_in()) as client:
        while silent:
            for _ in range(len(replicas)):
                client.query("SELECT c FROM sbtest1 WHERE id = 1")
            silent = {one: before for one, before in silent.items() if _rows_read(one) == before}
            if time.monotonic() > deadline:
                raise Failure(f"no read has been answered by {', '.join(one.container for one in silent)}")


def _rows_read(replica: Server) -> str:
    return replica.run("SELECT variable_value FROM performance_schema.global_status WHERE variable_name = 'Innodb_rows_read'")

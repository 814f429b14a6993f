"""What was measured, as tables: medians over the rounds, each with how far the rounds lie apart.

Ratios are formed within a round, where both proxies ran one after the other, and only then is their median taken. So what slows
the whole machine for a minute slows both sides of a ratio.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import Callable, Iterable, Sequence

from benchmark.flood import Flood
from benchmark.idle import Idle
from benchmark.load import Load, Workload
from benchmark.logins import Logins
from benchmark.process import CpuTime
from benchmark.slow_replica import SlowReplica

BASELINE = "haproxy"
DIRECT = "direct"
NOTHING = "-"


@dataclass(frozen=True)
class Measurement:
    """One run of one workload on one way."""

    load: Load
    proxy_cpu: CpuTime | None
    proxy_bytes: int | None
    server_cpu: CpuTime

    def per_query_us(self, seconds: float) -> float:
        return seconds * 1e6 / self.load.queries


# A round has one measurement for each way, by the way's label.
Round = dict[str, Measurement]


@dataclass
class Results:
    """Everything that was measured so far."""

    loads: dict[Workload, list[Round]] = field(default_factory=dict)
    idle: list[dict[str, Idle]] = field(default_factory=list)
    idle_clients: int = 0
    logins: list[dict[str, Logins]] = field(default_factory=list)
    floods: list[dict[str, Flood]] = field(default_factory=list)
    slow_replicas: list[dict[str, SlowReplica]] = field(default_factory=list)


def render(results: Results, markdown: bool) -> str:
    tables = [
        (LOAD_HEADER, list(_load_rows(results.loads))),
        (ADDED_HEADER, list(_added_rows(results.loads))),
        ([f"{results.idle_clients:,} idle clients", *IDLE_HEADER], list(_idle_rows(results.idle))),
        (LOGIN_HEADER, list(_login_rows(results.logins))),
        (FLOOD_HEADER, list(_flood_rows(results.floods))),
        (SLOW_REPLICA_HEADER, list(_slow_replica_rows(results.slow_replicas))),
    ]
    return "\n\n".join(_lay_out(header, rows, markdown) for header, rows in tables if rows)


LOAD_HEADER = [
    "workload", "protocol", "threads", "way", "queries/s", "to haproxy", "p50 us", "p95 us", "p99 us",
    "proxy CPU us/query", "user + system", "to haproxy", "RSS MiB", "server CPU us/query",
]  # fmt: skip


def _load_rows(loads: dict[Workload, list[Round]]) -> Iterable[list[str]]:
    for workload, rounds in loads.items():
        for way in _ways(rounds):
            measured = [round_[way] for round_ in rounds if way in round_]
            yield [
                workload.script,
                workload.protocol,
                str(workload.threads),
                way,
                _spread((one.load.queries_per_second for one in measured), ",.0f"),
                _ratio(rounds, way, lambda one: one.load.queries_per_second),
                _spread((one.load.p50_us for one in measured), ",.0f"),
                _spread((one.load.p95_us for one in measured), ",.0f"),
                _spread((one.load.p99_us for one in measured), ",.0f"),
                *_proxy_cells(rounds, way, measured),
                _median((one.per_query_us(one.server_cpu.total) for one in measured), ".0f"),
            ]


def _proxy_cells(rounds: list[Round], way: str, measured: list[Measurement]) -> list[str]:
    if way == DIRECT:
        return [NOTHING] * 4
    user = _median((one.per_query_us(one.proxy_cpu.user) for one in measured), ".1f")
    system = _median((one.per_query_us(one.proxy_cpu.system) for one in measured), ".1f")
    return [
        _spread((one.per_query_us(one.proxy_cpu.total) for one in measured), ".1f"),
        f"{user} + {system}",
        _ratio(rounds, way, lambda one: one.per_query_us(one.proxy_cpu.total)),
        _median((one.proxy_bytes / 2**20 for one in measured), ".1f"),
    ]


ADDED_HEADER = ["added p50 at 1 thread", "protocol", "way", "added us", "to haproxy"]


def _added_rows(loads: dict[Workload, list[Round]]) -> Iterable[list[str]]:
    """What a proxy adds to the median latency, of a statement or for read_write of a transaction."""
    for workload, rounds in loads.items():
        # Only where all three ways were measured.
        rounds = [round_ for round_ in rounds if DIRECT in round_ and BASELINE in round_]
        if workload.threads != 1:
            continue
        for way in _ways(rounds):
            pairs = [(_added(round_, way), _added(round_, BASELINE)) for round_ in rounds if way in round_]
            if way != DIRECT:
                added = _spread((own for own, _ in pairs), ".1f")
                ratio = _range((own / baseline for own, baseline in pairs if baseline > 0), way)
                yield [workload.script, workload.protocol, way, added, ratio]


def _added(round_: Round, way: str) -> float:
    return round_[way].load.p50_us - round_[DIRECT].load.p50_us


IDLE_HEADER = ["bytes/client after login", "to haproxy", "bytes/client after a query", "to haproxy", "CPU ms/s of all"]


def _idle_rows(rounds: list[dict[str, Idle]]) -> Iterable[list[str]]:
    for way in _ways(rounds):
        measured = [round_[way] for round_ in rounds if way in round_]
        yield [
            way,
            _spread((one.bytes_after_login for one in measured), ",.0f"),
            _ratio(rounds, way, lambda one: one.bytes_after_login),
            _spread((one.bytes_after_query for one in measured), ",.0f"),
            _ratio(rounds, way, lambda one: one.bytes_after_query),
            _spread((one.cpu_ms_per_second for one in measured), ".1f"),
        ]


LOGIN_HEADER = ["logins", "logins/s", "proxy CPU us/login", "to haproxy"]


def _login_rows(rounds: list[dict[str, Logins]]) -> Iterable[list[str]]:
    for way in _ways(rounds):
        measured = [round_[way] for round_ in rounds if way in round_]
        yield [
            way,
            _spread((one.per_second for one in measured), ",.0f"),
            _spread((one.cpu_us for one in measured), ".0f"),
            _ratio(rounds, way, lambda one: one.cpu_us),
        ]


FLOOD_HEADER = [
    "flood", "p99 us alone", "p99 us, flood at a closed port", "connections/s", "p99 us, refused by the proxy", "connections/s",
    "to alone", "to the closed port",
]  # fmt: skip


def _flood_rows(rounds: list[dict[str, Flood]]) -> Iterable[list[str]]:
    for way in _ways(rounds):
        measured = [round_[way] for round_ in rounds if way in round_]
        yield [
            way,
            _spread((one.quiet_us for one in measured), ",.0f"),
            _spread((one.elsewhere_us for one in measured), ",.0f"),
            _median((one.elsewhere_per_second for one in measured), ",.0f"),
            _spread((one.flooded_us for one in measured), ",.0f"),
            _median((one.flooded_per_second for one in measured), ",.0f"),
            _range((one.flooded_us / one.quiet_us for one in measured), way=""),
            _range((one.flooded_us / one.elsewhere_us for one in measured), way=""),
        ]


SLOW_REPLICA_HEADER = [
    "one replica of three is slow", "p99 us of two good ones alone", "p99 us with all three", "to the good ones", "p99 us in turn", "to the good ones",
]  # fmt: skip


def _slow_replica_rows(rounds: list[dict[str, SlowReplica]]) -> Iterable[list[str]]:
    for way in _ways(rounds):
        measured = [round_[way] for round_ in rounds if way in round_]
        yield [
            way,
            _spread((one.good_us for one in measured), ",.0f"),
            _spread((one.usual_us for one in measured), ",.0f"),
            _range((one.usual_us / one.good_us for one in measured), way=""),
            _spread((one.in_turn_us for one in measured), ",.0f"),
            _range((one.in_turn_us / one.good_us for one in measured), way=""),
        ]


def _ways(rounds: Sequence[dict]) -> list[str]:
    """The labels in the order in which they were asked for, which is that of the first round."""
    return list(rounds[0]) if rounds else []


def _ratio(rounds: Sequence[dict], way: str, value: Callable) -> str:
    pairs = [(value(round_[way]), value(round_[BASELINE])) for round_ in rounds if way in round_ and BASELINE in round_]
    return _range((own / baseline for own, baseline in pairs if baseline > 0), way)


def _median(values: Iterable[float], form: str) -> str:
    return format(statistics.median(values), form)


def _spread(values: Iterable[float], form: str) -> str:
    """The median, and half of the range in percent of it. One round alone has no range."""
    values = list(values)
    median = statistics.median(values)
    if len(values) == 1 or not median:
        return format(median, form)
    half_range = (max(values) - min(values)) / 2
    return f"{median:{form}} ±{half_range / abs(median):.0%}"


def _range(ratios: Iterable[float], way: str) -> str:
    """The median, and the least and the greatest."""
    ratios = list(ratios)
    if not ratios or way == BASELINE:
        return NOTHING
    if len(ratios) == 1:
        return f"{ratios[0]:.2f}"
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f}..{max(ratios):.2f})"


def _lay_out(header: list[str], rows: list[list[str]], markdown: bool) -> str:
    if markdown:
        lines = [header, ["---"] * len(header), *rows]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines)
    widths = [max(len(line[column]) for line in [header, *rows]) for column in range(len(header))]
    lines = [header, ["-" * width for width in widths], *rows]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )

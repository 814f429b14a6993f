"""Starting, observing and ending processes.

What is measured comes from /proc: CPU time from `stat`, which sums up all threads, also those that have ended; memory from
`smaps_rollup`, as the counters in `statm` lag behind by some pages per core.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, Sequence

# How long a process may take to end after SIGTERM.
END_SECONDS = 10

ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class CpuTime:
    """CPU seconds since a process started."""

    user: float
    system: float

    def __sub__(self, earlier: CpuTime) -> CpuTime:
        return CpuTime(self.user - earlier.user, self.system - earlier.system)

    @property
    def total(self) -> float:
        return self.user + self.system


def cpu_time(pid: int) -> CpuTime:
    stat = Path(f"/proc/{pid}/stat").read_text()
    # The second field is the program's name in parentheses and may hold blanks.
    fields = stat.rpartition(")")[2].split()
    user, system = int(fields[11]), int(fields[12])
    return CpuTime(user / TICKS_PER_SECOND, system / TICKS_PER_SECOND)


def resident_bytes(pid: int) -> int:
    """Memory of the process itself. What the kernel keeps for its sockets is not in it."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Rss:"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"/proc/{pid}/smaps_rollup has no line 'Rss:'")


def end_on_first_signal() -> None:
    """Lets a signal end the script through its `with` blocks, which clean up; further signals do not disturb that."""

    def end(*_: object) -> None:
        for number in ENDING_SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in ENDING_SIGNALS:
        signal.signal(number, end)


@contextlib.contextmanager
def signals_held_back() -> Iterator[None]:
    """For a step that must be done wholly or not at all."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def running(command: Sequence[str], **options: object) -> Iterator[subprocess.Popen]:
    """Runs a program for the length of a `with` block.

    It gets a session of its own: Ctrl-C reaches this script alone, which then ends what it started.
    """
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True, **options)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

"""Measuring: medians of interleaved pairs, so that a busy moment of the machine meets both sides."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Figure(NamedTuple):
    """One line of the report. ``wanted`` is the most that ``value`` should be, or None where there is no budget."""

    name: str
    value: float
    unit: str
    wanted: float | None
    detail: str

    def __str__(self) -> str:
        budget = "" if self.wanted is None else f" (wanted: at most {self.wanted:g} {self.unit})"
        verdict = "" if self.wanted is None or self.value <= self.wanted else "  OVER"
        return f"{self.name:<28} {self.value:9.2f} {self.unit}{budget}{verdict}\n{'':<28} {self.detail}"

    @property
    def row(self) -> str:
        """The line of a Markdown table."""
        budget = "" if self.wanted is None else f"{self.wanted:g} {self.unit}"
        return f"| {self.name} | {self.value:.1f} {self.unit} | {budget} | {self.detail} |"


LOAD = os.getloadavg()[1]
"""Before anything is measured: the jobs of a benchmark are a load of their own."""


def table(figures: Sequence[Figure]) -> str:
    """A Markdown table of them, with the machine: for docs/benchmarks.md, unless the machine was busy."""
    cpus = os.cpu_count() or 1
    busy = f"; load {LOAD:.1f}, so not for publication" if cpus < LOAD else ""
    head = f"{platform.system()} {platform.machine()}, {cpus} CPUs, Python {platform.python_version()}{busy}:"
    return "\n".join([head, "", "| figure | measured | at most | |", "|---|---|---|---|", *(f.row for f in figures)])


def timed(act: Callable[[], object]) -> float:
    """Milliseconds that it took."""
    began = time.perf_counter()
    act()
    return (time.perf_counter() - began) * 1000


def pairs(ours: Callable[[], object], bare: Callable[[], object], count: int) -> tuple[float, float]:
    """(median of ours, median of the bare thing) in milliseconds, taken in turns; the first pair is not counted."""
    ours()
    bare()
    mine: list[float] = []
    theirs: list[float] = []
    for turn in range(count):
        first, second = (mine, theirs) if turn % 2 else (theirs, mine)
        first.append(timed(ours if turn % 2 else bare))
        second.append(timed(bare if turn % 2 else ours))
    return statistics.median(mine), statistics.median(theirs)


def program(argv: Sequence[str]) -> Callable[[], object]:
    """A program to run; what it writes is thrown away."""
    return lambda: subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)

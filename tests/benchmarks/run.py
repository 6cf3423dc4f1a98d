"""Measure what gpujobs adds to the bare thing, on this machine: see docs/benchmarks.md."""

from __future__ import annotations

import argparse
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from _local import figures
from _measure import Figure, pairs, program, table

if TYPE_CHECKING:
    from collections.abc import Iterator

MODEL = "from gpujobs import GpuJob, submit; GpuJob(command=['nvidia-smi'], gpus=1)"


def starting(count: int) -> Iterator[Figure]:
    """What starting costs: the import, a first model, the help."""
    bare_program = program([sys.executable, "-c", "pass"])
    ours, bare = pairs(program([sys.executable, "-c", "import gpujobs"]), bare_program, count)
    yield Figure("import gpujobs", ours - bare, "ms", 30, f"{ours:.1f} ms, a bare interpreter {bare:.1f} ms")
    ours, bare = pairs(program([sys.executable, "-c", MODEL]), bare_program, count)
    yield Figure("first model, in all", ours, "ms", 150, f"a bare interpreter {bare:.1f} ms")
    gpujobs = str(Path(sys.executable).with_name("gpujobs"))
    ours, bare = pairs(program([gpujobs, "--help"]), bare_program, count)
    yield Figure("gpujobs --help, in all", ours, "ms", 300, f"a bare interpreter {bare:.1f} ms")


def main() -> None:
    """Print the figures as they come, and all of them as a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=200, help="how often each is measured; 200 for figures to publish")
    count: int = parser.parse_args().pairs
    print(f"Python {platform.python_version()}, {count} pairs, medians")
    found: list[Figure] = []
    for part in (starting(count), figures(count)):
        for figure in part:
            print(figure, flush=True)
            found.append(figure)
    print(f"\n{table(found)}")


if __name__ == "__main__":
    main()

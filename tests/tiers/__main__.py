"""Runs the test tiers and prints one line for each: ``TIER: N passed, N failed, N skipped``.

``lint`` and ``types`` check the source. ``unit`` runs against the built wheel, without the source tree, on every Python
from 3.10 to 3.13 that this machine has. The others run against the source tree. A tier whose directory is not there is
not mentioned. A bed that cannot run on this machine is skipped and says why, unless its tier is required.

The beds mostly wait, so they run beside each other and beside the rest. What a tier prints then comes in one piece when
it ends.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from counting import SECOND_TRY, Counts, pytest, say
from lanes import side_by_side
from places import BEDS, CHECKS, DIRECTORIES, ROOT, paths_of, tiers_here
from pythons import pip, unit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType

LANES = (("bootstrap",), ("slurm", "kubernetes"), (*CHECKS, "unit", "contract", "docs"))
"""What runs side by side, the tiers of each lane one after another: each bed has its own network, ports and cgroups."""


def check(tier: str) -> Counts:
    """Run the programs that look at the source."""
    bin_dir = Path(sys.executable).parent
    codes = [subprocess.run([bin_dir / argv[0], *argv[1:]], cwd=ROOT, check=False).returncode for argv in CHECKS[tier]]
    return Counts(passed=codes.count(0), failed=len(codes) - codes.count(0))


def counted(tier: str, env: dict[str, str]) -> Counts:
    """Run one tier."""
    if tier in CHECKS:
        return check(tier)
    if tier == "unit":
        return unit(env)
    chosen = ("-m", "not long") if tier in BEDS else ()
    return pytest(sys.executable, paths_of(tier), ROOT, env, [*SECOND_TRY, *chosen])


def run_tier(tier: str, required: set[str], *, run: Callable[[str, dict[str, str]], Counts] = counted) -> bool:
    """Run one tier and print its line; whether it is good enough."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("GPUJOBS_")}
    env["GPUJOBS_REQUIRE"] = ",".join(sorted(required))
    env["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), env.get("PATH", os.defpath)])
    say(f"-- {tier}")
    began = time.monotonic()
    try:
        counts = run(tier, env)
    except subprocess.CalledProcessError as e:
        say(f"-- {tier} could not be prepared: {e}")
        counts = Counts(failed=1)
    say(f"-- {tier} took {time.monotonic() - began:.0f} s")
    say(f"{tier}: {counts}")
    return not counts.failed and not (tier in required and (counts.skipped > counts.excused or not counts.passed))


class Wish(NamedTuple):
    """What the command line asks for."""

    tiers: list[str]
    required: set[str]
    """Those of all tiers that may skip nothing."""
    one_by_one: bool = False


def parse(argv: Sequence[str], here: Sequence[str]) -> Wish:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="tests/run", description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("tiers", nargs="*", metavar="TIER", help=f"only these: {', '.join(here)}")
    parser.add_argument("--require", default="", metavar="TIER,...|all", help="these fail where they cannot run")
    parser.add_argument("--one-by-one", action="store_true", help="none beside another, and printed as it comes")
    args = parser.parse_args(argv)
    tiers: list[str] = args.tiers or list(here)
    wanted: str = args.require
    required = {tier for tier in wanted.split(",") if tier}
    unknown = sorted((set(tiers) | required) - {"all", *CHECKS, *DIRECTORIES})
    if unknown:
        parser.error(f"no tier {unknown[0]!r}; there are: {', '.join(here)}")
    missing = [t for t in [*tiers, *sorted(required - {"all"})] if t not in here]
    if missing:
        parser.error(f"the tier {missing[0]!r} has no tests in this checkout")
    chosen = [t for t in here if t in tiers]
    return Wish(chosen, set(here) if "all" in required else required, args.one_by_one)


def main(argv: Sequence[str]) -> int:
    """Run the tiers; 0 where all were good enough."""
    tiers, required, one_by_one = parse(argv, tiers_here())
    pip(sys.executable, "--editable", ".[all]", "--group", "dev")
    lanes = [[tier for tier in lane if tier in tiers] for lane in LANES]

    def alone(tier: str) -> list[str]:
        return [
            sys.executable,
            str(Path(__file__).parent),
            tier,
            "--one-by-one",
            "--require",
            ",".join(sorted(required)),
        ]

    if one_by_one or (os.cpu_count() or 1) == 1 or sum(map(bool, lanes)) == 1:
        bad = [tier for tier in tiers if not run_tier(tier, required)]
    else:
        bad = side_by_side(lanes, alone)
    if bad:
        say(f"-- not good enough: {', '.join(bad)}")
    return 1 if bad else 0


def terminated(number: int, _: FrameType | None) -> None:
    """End as by Ctrl-C, which clears away what was set up."""
    raise KeyboardInterrupt(number)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, terminated)
    signal.signal(signal.SIGINT, terminated)  # a shell that runs this in the background has it ignored
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt as e:
        say("-- interrupted")
        sys.exit(128 + e.args[0])

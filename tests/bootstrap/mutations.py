"""Break the bootstrap in more than twenty ways, one at a time, and show that the tests notice each.

Run by hand: ``python tests/bootstrap/mutations.py``. Exit code 1 names what went unnoticed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]

# File below gpujobs/bootstrap, what stands there, what to make of it.
MUTATIONS: tuple[tuple[str, str, str], ...] = (
    ("journal.py", "        if known is not None:\n            return known\n", ""),  # the first note is forgotten
    ("engine.py", "        finding = step.check(machine)\n    except", "    except"),  # no second look
    ("engine.py", "        machine.journal.forget(entry.key)\n", ""),  # an undone entry stays
    ("engine.py", "reversed(tuple(machine.journal))", "tuple(machine.journal)"),  # undone in the wrong order
    ("_lock.py", "flock -n -E", "flock -s -n -E"),  # two may hold it
    ("files.py", 'mv -fT -- "$t" "$p"', 'cat "$t" > "$p"; rm "$t"'),  # not atomic, and without the mode
    ("files.py", 'chmod -- "$2" "$t"\n', ""),  # the mode is dropped
    ("steps/file.py", "and state.content != original", ""),  # an untouched original counts as edited
    ("steps/file.py", "    if state.mode != step.mode:\n", "    if False:\n"),  # the mode is not looked at
    ("steps/file.py", "else secrets.token_bytes(self.size))", "else bytes(self.size))"),  # a key of zeros
    ("steps/directory.py", 'if data["contents"] == "remove":', "if True:"),  # Slurm's jobs are deleted
    ("steps/take_back.py", "        machine.journal.forget(self.entry.key)\n", ""),  # taken back again and again
    ("steps/packages.py", '{"installed"} if configured_only', '{"installed", "unpacked"} if configured_only'),
    ("steps/packages.py", 'verb = "purge" if data["purge"] else "remove"', 'verb = "purge"'),  # foreign files go too
    ("steps/packages.py", "        if not foreign:\n            return going\n", "        return going\n"),
    ("steps/service.py", 'bool(entry.data["read"] != self._digest(machine))', "False"),  # never started anew
    ("steps/service.py", '= "$2" ] && echo', '!= "" ] && echo'),  # any process with that pid will do
    ("slurm/conf.py", '"ConstrainDevices=yes", ', ""),  # no isolation
    ("slurm/conf.py", "CR_Core_Memory", "CR_Core"),  # memory is not handed out
    ("slurm/preflight.py", "if not wish.adopt:", "if wish.adopt:"),  # a foreign configuration is overwritten
    ("slurm/verify.py", "ran and not seen", "not seen"),  # a job that never ran proves isolation
    ("slurm/verify.py", 'line.startswith("GPU 0:")', '"GPU" in line or True'),  # exit code 0 is believed
    ("slurm/verify.py", "FAILED | ", ""),  # a job that failed is awaited for ever
    ("slurm/leftovers.py", "reversed(tuple(machine.journal))", "tuple(machine.journal)"),  # the first thing first
    ("slurm/daemons.py", "cgroup.procs\nexec slurmd", "cgroup.procs\nslurmd -c"),
    ("slurm/steps.py", 'contents="keep"', 'contents="remove"'),
)  # fmt: skip


def noticed(copy: Path) -> bool:
    """Whether the tests of the copy fail."""
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "tests/bootstrap", "-k", "not microk8s"],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy)},
        capture_output=True,
        check=False,
    )
    return ended.returncode == 1


def main() -> int:
    """Break, test, mend, for each mutation."""
    missed = 0
    with tempfile.TemporaryDirectory() as place:
        copy = Path(place)
        for name in ("gpujobs", "tests", "docs", "examples"):
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", copy)
        if noticed(copy):
            sys.exit("The tests fail before anything is broken.")
        for name, old, new in MUTATIONS:
            path = copy / "gpujobs/bootstrap" / name
            text = path.read_text()
            if text.count(old) != 1:
                sys.exit(f"{name} has {text.count(old)} times, not once: {old!r}")
            path.write_text(text.replace(old, new))
            caught = noticed(copy)
            path.write_text(text)
            missed += not caught
            sys.stdout.write(f"{'caught' if caught else 'MISSED'}  {name}: {old.strip()[:70]!r}\n")
            sys.stdout.flush()
    sys.stdout.write(f"{len(MUTATIONS) - missed} of {len(MUTATIONS)} mutations were caught.\n")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

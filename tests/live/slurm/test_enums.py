"""The tables of states and reasons are complete against Slurm's own headers and library, of every version."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from slurm_beds import SLAB, bed

from gpujobs_slurm._reasons import known
from gpujobs_slurm._states import BASE, FLAGS, HEADER_NAMES

NO_REASON = {"None", "InvalidReason", "InvaildReason"}
"""What the library says for numbers that mean nothing (any more); the second is its own spelling."""
READ_REASONS = """
import ctypes, glob, re
library = ctypes.CDLL(glob.glob("/usr/lib/*/slurm-wlm/libslurmfull.so")[0])
name = "slurm_job_reason_string" if hasattr(library, "slurm_job_reason_string") else "slurm_job_state_reason_string"
text = getattr(library, name)
text.restype = ctypes.c_char_p
body = re.search(r"enum job_state_reason \\{(.*?)\\n\\};", open("/usr/include/slurm/slurm.h").read(), re.S).group(1)
number = 0
for item in re.sub(r"/\\*.*?\\*/", "", body, flags=re.S).split(","):
    word, _, value = (part.strip() for part in item.strip().partition("="))
    if word:
        number = int(value, 0) if value else number
        print(text(number).decode())
        number += 1
"""


@pytest.fixture(params=["host", "trixie", "sid"])
def root(request: pytest.FixtureRequest, installed: None) -> Path:
    """Where a version of Slurm and its headers are installed."""
    suite = str(request.param)
    if suite == "host":
        return Path("/")
    try:
        bed("install.sh", suite)
    except RuntimeError:
        if suite == "sid":
            pytest.skip("SLURM OF sid NOT LOOKED AT: its chroot cannot be made")
        raise
    return SLAB / "chroot" / suite


def test_every_state_has_a_meaning(root: Path) -> None:
    """Every base state and every flag of ``slurm.h``."""
    header = (root / "usr/include/slurm/slurm.h").read_text()
    states = re.search(r"enum job_states \{(.*?)\n\};", header, re.DOTALL)
    assert states is not None
    base = set(re.findall(r"^\s*JOB_(\w+)", states[1], re.MULTILINE)) - {"END"}
    after = header[states.end() : header.index("enum job_state_reason")]
    flags = set(re.findall(r"^#define\s+JOB_(\w+)\s+SLURM_BIT\(", after, re.MULTILINE))

    assert len(base) == 12
    assert len(flags) >= 12
    assert {HEADER_NAMES.get(name, name) for name in base} == set(BASE)
    assert {HEADER_NAMES.get(name, name) for name in flags} - set(FLAGS) == set()


def test_every_reason_has_a_meaning(root: Path) -> None:
    """Every text that Slurm's library has for a reason."""
    python = ["python3"] if root == Path("/") else ["chroot", str(root), "python3"]
    printed = subprocess.run([*python, "-c", READ_REASONS], stdout=subprocess.PIPE, check=True, text=True).stdout
    reasons = set(printed.splitlines()) - NO_REASON

    assert len(reasons) > 150
    assert {text for text in reasons if not known(text)} == set()

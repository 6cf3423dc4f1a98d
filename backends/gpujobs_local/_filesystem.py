"""Whether a directory lies on this machine: record file and locks of the local backend need a local file system.

Follows the format of ``/proc/self/mountinfo`` in proc(5).
"""

from __future__ import annotations

import os
import re
from pathlib import Path

NETWORK = frozenset(
    [
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "coda",
        "fuse.glusterfs",
        "fuse.sshfs",
        "fuse.s3fs",
        "fuse.ceph",
        "glusterfs",
        "gpfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "panfs",
        "pvfs2",
        "smb3",
        "smbfs",
        "wekafs",
    ]
)
_ESCAPE = re.compile(r"\\([0-7]{3})")


def network_type(path: Path, mountinfo: str | None = None) -> str | None:
    """The type of the network file system that holds ``path``, or None where it is a local one.

    A path that is not there yet lies where its nearest parent lies.
    """
    if mountinfo is None:
        try:
            mountinfo = Path("/proc/self/mountinfo").read_text()
        except OSError:
            return None
    real = os.path.realpath(path)
    best, found = "", None
    # 36 35 98:0 /root /mount/point rw,noatime master:1 - ext3 /dev/root rw
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        fields, kind = left.split(), right.split(" ", 1)[0]
        if len(fields) < 5:  # noqa: PLR2004
            continue
        point = _ESCAPE.sub(lambda m: chr(int(m[1], 8)), fields[4])
        inside = real == point or real.startswith(point.rstrip("/") + "/")
        # Of two mounts on one point the later one covers the earlier.
        if inside and len(point) >= len(best):
            best, found = point, kind
    return found if found in NETWORK else None

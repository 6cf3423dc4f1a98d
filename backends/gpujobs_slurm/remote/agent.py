"""The loop on a login node: one request a line on stdin, one answer a line on stdout, several at once."""

from __future__ import annotations

import base64
import json
import sys
import threading
from typing import Any

from gpujobs_slurm.remote import operations

GREETING = "gpujobs-agent ready"
VERSION = 1


def encode(value: Any) -> Any:
    """JSON, with bytes as ``{"b64": ...}``."""
    if isinstance(value, bytes):
        return {"b64": base64.b64encode(value).decode("ascii")}
    if value.__class__ is dict:
        return {str(k): encode(v) for k, v in value.items()}
    if value.__class__ in (list, tuple):
        return [encode(v) for v in value]
    return value


def decode(value: Any) -> Any:
    """What :func:`encode` was given."""
    if value.__class__ is dict:
        if set(value) == {"b64"}:
            return base64.b64decode(value["b64"])
        return {k: decode(v) for k, v in value.items()}
    if value.__class__ is list:
        return [decode(v) for v in value]
    return value


def serve(nonce: str) -> None:
    """Answer until stdin ends."""
    lock = threading.Lock()

    def answer(request: Any) -> None:
        try:
            result = {
                "id": request["id"],
                "result": encode(operations.OPERATIONS[request["op"]](*decode(request["args"]))),
            }
        except OSError as e:
            result = {"id": request["id"], "oserror": [e.errno, e.strerror, str(e.filename or "")]}
        except Exception as e:  # noqa: BLE001  # told to the client, which raises
            result = {"id": request["id"], "error": f"{type(e).__name__}: {e}"}
        line = json.dumps(result)
        with lock:
            sys.stdout.write(line + "\n")
            sys.stdout.flush()

    sys.stdout.write(f"\n{GREETING} {VERSION} {nonce}\n")
    sys.stdout.flush()
    for line in iter(sys.stdin.readline, ""):
        threading.Thread(target=answer, args=(json.loads(line),), daemon=True).start()

"""Whether the daemons of a cluster answer each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpujobs.bootstrap.verify import Check

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from gpujobs.bootstrap.shell import Shell

# The token comes on stdin: in the arguments everybody could read it.
_ASK_REST = """
token=$(cat)
exec 3<>"/dev/tcp/$0/$1"
printf '%s\\r\\n' 'GET /openapi/v3 HTTP/1.1' 'Host: localhost' 'Connection: close' >&3
printf '%s\\r\\n' 'X-SLURM-USER-NAME: root' "X-SLURM-USER-TOKEN: $token" '' >&3
head -n 1 <&3
"""


def munge_checks(controller: Shell, shells: Mapping[str, Shell]) -> Iterator[Check]:
    """Whether every machine believes what the controller says: one key, and clocks that agree."""
    credential = controller.run(("munge", "-n")).stdout
    for name, shell in shells.items():
        believed = shell.run(("unmunge", "-o", "/dev/null"), stdin=credential)
        trusted = believed.ok and credential != b""
        yield Check(f"{name} trusts the controller (munge)", trusted, "" if trusted else believed.last_line)


def slurmctld_check(controller: Shell) -> Check:
    """Whether slurmctld answers."""
    ping = controller.run(("scontrol", "ping"), timeout_s=30)
    return Check("slurmctld answers", "is UP" in ping.text, ping.last_line)


def accounting_check(controller: Shell, job: str, sleep: Callable[[float], None]) -> Check:
    """Whether the last job is in the records; they follow a moment behind."""
    said = ""
    for _ in range(20):
        said = controller.run(("sacct", "-n", "-P", "-X", "-j", job or "0", "-o", "JobID,State")).text.strip()
        if "COMPLETED" in said:
            break
        sleep(0.5)
    return Check("The job is in the records (slurmdbd)", "COMPLETED" in said, said or "sacct knows nothing of it")


def rest_check(controller: Shell, address: str) -> Check:
    """Whether slurmrestd takes a token made here."""
    host, _, port = address.rpartition(":")
    token = controller.run(("scontrol", "token", "username=root", "lifespan=60")).text.strip()
    if not token.startswith("SLURM_JWT="):
        return Check("slurmrestd takes a token", ok=False, detail="scontrol makes no token: is auth/jwt set up?")
    reached = "127.0.0.1" if host in {"0.0.0.0", ""} else host  # noqa: S104  # where to ask, not to listen
    answer = controller.run(
        ("bash", "-c", _ASK_REST, reached, port), stdin=token.partition("=")[2].encode(), timeout_s=30
    )
    return Check("slurmrestd takes a token", " 200 " in answer.text, answer.last_line)

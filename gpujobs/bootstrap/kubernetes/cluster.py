"""The one edge to a cluster: kubectl and helm commands, their JSON, and what their errors mean."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, cast

from gpujobs.bootstrap.errors import BootstrapError, CommandFailedError
from gpujobs.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gpujobs.bootstrap.kubernetes.access import Access
    from gpujobs.bootstrap.shell import Argv, Completed, Shell

Json = dict[str, Any]
"""An object of the API, as it is sent."""

_UNREACHABLE = re.compile(
    r"connection to the server .* was refused|Unable to connect to the server|no such host|i/o timeout"
    r"|microk8s is not running|cluster unreachable|TLS handshake timeout|connection refused",
    re.IGNORECASE,
)
_NO_SUCH_KIND = re.compile(r"the server doesn't have a resource type|no matches for kind", re.IGNORECASE)
_FORBIDDEN = re.compile(r"\(Forbidden\)|is forbidden|\(Unauthorized\)|must be logged in", re.IGNORECASE)


class Cluster:
    """One cluster.

    Args:
        shell: The machine whose kubectl and helm are used.
        access: The words before their commands.
    """

    def __init__(self, shell: Shell, access: Access) -> None:
        self.shell = shell
        self.access = access

    def kubectl(self, *words: str) -> Argv:
        """A kubectl command for this cluster."""
        return (*self.access.kubectl, *words)

    def helm(self, *words: str) -> Argv:
        """A helm command for this cluster."""
        return (*self.access.helm, *words)

    def ask(self, argv: Argv, *, stdin: bytes = b"", timeout_s: float = 120) -> Completed:
        """Run one of its commands; a bad exit code is an answer.

        Raises:
            UnavailableError: The cluster cannot be reached.
        """
        completed = self.shell.run(argv, stdin=stdin, timeout_s=timeout_s)
        if not completed.ok and _UNREACHABLE.search(completed.error_text + completed.text):
            raise UnavailableError(
                f"The cluster cannot be reached from {self.shell.name}: {completed.last_line}",
                next_step=f"Make `{' '.join(self.kubectl('get', 'nodes'))}` work there, and run this again.",
            )
        return completed

    def do(self, argv: Argv, *, stdin: bytes = b"", timeout_s: float = 120) -> Completed:
        """Run one of its commands, which has to succeed.

        Raises:
            CommandFailedError: It did not.
            UnavailableError: The cluster cannot be reached.
        """
        completed = self.ask(argv, stdin=stdin, timeout_s=timeout_s)
        if not completed.ok:
            raise CommandFailedError(self.shell.name, completed)
        return completed

    def items(self, kind: str, *words: str) -> list[Json]:
        """All objects of a kind; none where the cluster does not know the kind.

        Raises:
            BootstrapError: They may not be read.
        """
        document = self._get(kind, *words)
        found: list[Json] = document.get("items", []) if document else []
        return found

    def find(self, kind: str, name: str, *words: str, namespace: str = "") -> Json | None:
        """One object, or None; more words go to ``kubectl get``.

        Raises:
            BootstrapError: It may not be read.
        """
        where = ("-n", namespace) if namespace else ()
        return self._get(kind, name, "--ignore-not-found", *where, *words)

    def apply(self, manifest: Json) -> None:
        """Have an object as written; the fields that others own stay theirs.

        Raises:
            CommandFailedError: The API server refused it.
        """
        self.do(self.apply_command(), stdin=json.dumps(manifest).encode())

    def apply_command(self) -> Argv:
        """The command that ``apply`` feeds the manifest to."""
        return self.kubectl("apply", "--server-side", "--force-conflicts", "--field-manager=gpujobs", "-f", "-")

    def identity(self) -> str:
        """What tells this cluster from every other: the beginning of the uid of kube-system.

        Raises:
            UnavailableError: The cluster cannot be reached.
        """
        found = self.do(self.kubectl("get", "namespace", "kube-system", "-o", "jsonpath={.metadata.uid}"), timeout_s=30)
        return found.text.strip()[:8]

    def _get(self, kind: str, *words: str) -> Json | None:
        argv = self.kubectl("get", kind, *words, "-o", "json")
        completed = self.ask(argv)
        if completed.ok:
            document: Json | None = json.loads(completed.stdout) if completed.stdout.strip() else None
            return document
        if _NO_SUCH_KIND.search(completed.error_text):
            return None
        if _FORBIDDEN.search(completed.error_text):
            raise BootstrapError(
                f"{kind} may not be read with these credentials: {completed.last_line}",
                next_step="Use the kubeconfig of a cluster administrator: --kubeconfig FILE or --context NAME.",
            )
        raise CommandFailedError(self.shell.name, completed)


def dig(document: Mapping[str, Any] | None, *path: str) -> Any:
    """A value deep inside an object, or None where any part of the way is missing."""
    value: Any = document
    for key in path:
        if not isinstance(value, dict):
            return None
        value = cast("Json", value).get(key)
    return value


def rows(document: Mapping[str, Any] | None, *path: str) -> list[Json]:
    """A list of objects deep inside an object; empty where any part of the way is missing."""
    found: list[Json] | None = dig(document, *path)
    return found or []


def table(document: Mapping[str, Any] | None, *path: str) -> Json:
    """An object deep inside an object; empty where any part of the way is missing."""
    found: Json | None = dig(document, *path)
    return found or {}

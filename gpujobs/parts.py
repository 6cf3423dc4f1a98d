"""The small models inside a workload: secrets, volumes, ports, probes, dependencies."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, PrivateAttr, SecretStr, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from gpujobs._model import ENV_NAME_SCHEMA, Count, EnvName, Model, NonNegative, Text, Words, like
from gpujobs.errors import SpecError
from gpujobs.refs import Ref
from gpujobs.units import Duration, Memory

__all__ = ["After", "Port", "Probe", "Rollout", "Secret", "Toleration", "Volume"]


class Secret(Model):
    """A value that the workload sees in its environment and nobody sees anywhere else.

    The value is taken, in this order, from ``value``, the file ``file``, or the caller's environment variable ``env``
    (by default the one of the same name), at submission. It is never written by ``repr``, a dump, a rendering or an
    error, and does not count when two secrets are compared: only names do.

    Attributes:
        name: The environment variable that the workload reads.
        env: The variable of the submitting environment that holds the value.
        file: A file on the submitting machine that holds the value; one final newline is dropped.
    """

    _shorthand = (ENV_NAME_SCHEMA,)

    name: EnvName
    env: Text | None = None
    file: Text | None = None
    _value: SecretStr | None = PrivateAttr(default=None)

    def __init__(
        self,
        name: str | None = None,
        value: str | SecretStr | None = None,
        *,
        env: str | None = None,
        file: str | os.PathLike[str] | None = None,
        **unknown: Any,
    ) -> None:
        given = {"name": name, "env": env, "file": None if file is None else os.fspath(file)}
        super().__init__(**{k: v for k, v in given.items() if v is not None}, **unknown)
        if value is not None:
            self._value = _hidden(value)

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    def reveal(self) -> str:
        """The value itself.

        Raises:
            SpecError: There is none: the variable is not set, the file cannot be read, or it holds a NUL.
        """
        if self._value is not None:
            value = self._value.get_secret_value()
        elif self.file is not None:
            try:
                value = Path(self.file).expanduser().read_text().removesuffix("\n")
            except (OSError, UnicodeDecodeError) as e:
                why = getattr(e, "strerror", None) or "not text"
                raise SpecError(
                    f"The file {self.file!r} of secret {self.name} cannot be read: {why}.",
                    next_step="Give a file that you can read.",
                ) from e
        else:
            variable = self.env or self.name
            if variable not in os.environ:
                raise SpecError(
                    f"Secret {self.name} has no value: the environment variable {variable} is not set.",
                    next_step=f"Set {variable}, or name another source: Secret({self.name!r}, env=..., file=...).",
                )
            value = os.environ[variable]
        if "\0" in value:
            raise SpecError(f"Secret {self.name} holds a NUL character.", next_step="Give it as text without NUL.")
        return value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and (self.name, self.env, self.file) == (other.name, other.env, other.file)

    def __hash__(self) -> int:
        return hash((self.name, self.env, self.file))


def _hidden(value: object) -> SecretStr:
    """The value of a secret; an error about it does not show it."""
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    if isinstance(text, str) and "\0" not in text:
        return SecretStr(text)
    why = "a NUL character cannot be passed to a program" if isinstance(text, str) else "the value must be text"
    error = InitErrorDetails(type=PydanticCustomError("secret", why), loc=("value",), input="<secret>")
    raise ValidationError.from_exception_data("Secret", [error])


class Volume(Model):
    """Something mounted into the workload at ``path``; exactly one source.

    Attributes:
        path: Where the workload sees it, absolute.
        host: A path on the node.
        claim: A PersistentVolumeClaim (Kubernetes).
        nfs: ``SERVER:/EXPORT`` (Kubernetes).
        empty: An empty directory that lives as long as the copy (Kubernetes emptyDir).
        medium: ``memory`` keeps an empty directory in RAM.
        size: The most an empty directory may hold, in bytes.
        sub_path: A directory inside the source.
    """

    _shorthand = (like(":/"),)

    path: Text
    host: Text | None = None
    claim: Text | None = None
    nfs: Text | None = None
    empty: bool = False
    medium: Literal["memory"] | None = None
    size: Memory | None = None
    sub_path: Text | None = None
    read_only: bool = False

    def __init__(self, path: str | None = None, **fields: Any) -> None:
        super().__init__(**({} if path is None else {"path": path}), **fields)

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return _parse_volume(value) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _check(self) -> Volume:
        sources = [n for n in ("host", "claim", "nfs") if getattr(self, n) is not None] + ["empty"] * self.empty
        if len(sources) != 1:
            raise ValueError(
                f"volume at {self.path!r} needs exactly one of host, claim, nfs, empty; it has {sources or 'none'}"
            )
        if not self.path.startswith("/"):
            raise ValueError(f"path {self.path!r} must be absolute")
        if self.nfs is not None and ":/" not in self.nfs:
            raise ValueError(f"nfs {self.nfs!r} must read SERVER:/EXPORT")
        if (self.medium or self.size) and not self.empty:
            raise ValueError("medium and size belong to an empty volume (empty=True)")
        return self


def _parse_volume(text: str) -> dict[str, Any]:
    """``SOURCE:PATH[:ro]`` with SOURCE a host path, ``pvc=NAME``, ``nfs=SERVER:/EXPORT`` or ``empty``."""
    body, read_only = (text[:-3], True) if text.endswith(":ro") else (text, False)
    source, colon, path = body.rpartition(":")
    if not colon or not path.startswith("/"):
        raise ValueError(
            f"{text!r} is not a volume: give SOURCE:/PATH[:ro], SOURCE = /host/path, pvc=NAME, nfs=HOST:/DIR or empty"
        )
    kind, equals, name = source.partition("=")
    if source == "empty":
        given: dict[str, Any] = {"empty": True}
    elif equals and kind in {"pvc", "claim"}:
        given = {"claim": name}
    elif equals and kind == "nfs":
        given = {"nfs": name}
    else:
        given = {"host": source}
    return {"path": path, **given, **({"read_only": True} if read_only else {})}


_PORT = Field(ge=1, le=65535)


class Port(Model):
    """A port that a service answers on.

    Attributes:
        port: Where clients reach it.
        target_port: Where the process listens; by default ``port``.
        node_port: A fixed port on every node (Kubernetes NodePort, 30000 to 32767 by default).
    """

    _shorthand = ({"type": "integer", "minimum": 1, "maximum": 65535}, like(r"^0*[1-9]\d{0,4}$"))

    port: int = _PORT
    target_port: int | None = Field(default=None, ge=1, le=65535)
    node_port: int | None = Field(default=None, ge=1, le=65535)
    name: Text | None = None
    protocol: Literal["TCP", "UDP"] = "TCP"

    def __init__(self, port: int | None = None, **fields: Any) -> None:
        super().__init__(**({} if port is None else {"port": port}), **fields)

    @model_validator(mode="before")
    @classmethod
    def _from_number(cls, value: Any) -> Any:
        if isinstance(value, str) and value.isascii() and value.isdigit():
            value = int(value)
        return {"port": value} if isinstance(value, int) else value


class Probe(Model):
    """How to tell that a copy is well: an HTTP GET, a TCP connection or a command.

    Attributes:
        path: An HTTP path; 200 to 399 is well.
        port: The port to ask; by default the service's first.
        delay: Before the first probe. ``period``: between probes. ``timeout``: of one probe.
        failures: How many in a row mean ill.
        tcp: Only open a connection to ``port``.
        exec: A command run inside the copy; exit 0 is well.
    """

    _shorthand = (like("^/"),)

    path: Text | None = None
    port: int | None = Field(default=None, ge=1, le=65535)
    delay: Duration | None = None
    period: Duration | None = None
    timeout: Duration | None = None
    failures: Count | None = None
    tcp: bool = False
    exec: Words | None = None

    def __init__(self, path: str | None = None, **fields: Any) -> None:
        super().__init__(**({} if path is None else {"path": path}), **fields)

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return {"path": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _check(self) -> Probe:
        kinds = [k for k, on in (("path", self.path), ("tcp", self.tcp), ("exec", self.exec)) if on]
        if len(kinds) != 1:
            raise ValueError(f"a probe needs exactly one of path, tcp, exec; it has {kinds or 'none'}")
        if self.path is not None and not self.path.startswith("/"):
            raise ValueError(f"path {self.path!r} must start with '/'")
        return self


class After(Model):
    """An upstream job: ``ok`` waits for its success, ``any`` for its end."""

    _shorthand = (like("^((ok|any):)?[a-z][a-z0-9_-]*://[A-Za-z0-9]"),)

    ref: Text
    when: Literal["ok", "any"] = "ok"

    def __init__(self, ref: str | None = None, **fields: Any) -> None:
        super().__init__(**({} if ref is None else {"ref": ref}), **fields)

    @model_validator(mode="before")
    @classmethod
    def _from_ref(cls, value: Any) -> Any:
        """Takes a Ref, a Job, ``REF``, ``ok:REF`` or ``any:REF``."""
        ref = value if isinstance(value, Ref) else getattr(value, "ref", None)
        if isinstance(ref, Ref):
            return {"ref": str(ref)}
        if isinstance(value, str):
            when, colon, ref = value.partition(":")
            return {"ref": ref, "when": when} if colon and when in {"ok", "any"} else {"ref": value}
        return value

    @model_validator(mode="after")
    def _check(self) -> After:
        try:
            Ref.parse(self.ref)
        except SpecError as e:
            raise ValueError(e.message) from e
        return self


class Toleration(Model):
    """A taint that the workload accepts (Kubernetes)."""

    key: Text | None = None
    operator: Literal["Exists", "Equal"] | None = None
    value: Text | None = None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    seconds: NonNegative | None = None


class Rollout(Model):
    """How a service is replaced by a new definition: how many copies more, and how many fewer, at a time."""

    max_surge: NonNegative = 0
    max_unavailable: NonNegative = 1

    @model_validator(mode="after")
    def _check(self) -> Rollout:
        if self.max_surge == 0 and self.max_unavailable == 0:
            raise ValueError("max_surge and max_unavailable cannot both be 0: nothing could ever be replaced")
        return self

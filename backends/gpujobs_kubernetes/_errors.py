"""The one place where what the API server, or the network, says becomes one of gpujobs' errors."""

from __future__ import annotations

import json
import re
import socket
import ssl
from typing import TYPE_CHECKING, Any

from gpujobs.errors import AuthError, BackendError, ConfigError, GpuJobsError, NotFoundError, RejectedError
from gpujobs.errors import UnavailableError as _Unavailable
from gpujobs_kubernetes._tables import inside

if TYPE_CHECKING:
    from collections.abc import Mapping

_BUSY = frozenset({408, 429, 500, 502, 503, 504})
_RBAC = re.compile(r'User "(?P<user>[^"]*)" cannot (?P<verb>\w+) resource "(?P<what>[^"]*)"')
_NAMESPACE = re.compile(r'namespaces? "(?P<name>[^"]+)" not found')
_LONGEST = 2000


class AlreadyExistsError(RejectedError):
    """An object of that name is there already."""


class ModifiedError(RejectedError):
    """Somebody else changed the object since it was read."""


class ExpiredError(RejectedError):
    """The resourceVersion is too old: list again."""


def from_reply(status: int, body: bytes, headers: Mapping[str, str], *, what: str, host: str, who: str) -> GpuJobsError:
    """The error that a reply of 400 and above means. ``what`` is the request, in words."""
    told = _status_object(body)
    reason, message = str(told.get("reason", "")), str(told.get("message") or body.decode(errors="replace"))[:_LONGEST]
    if status in _BUSY or reason in {"Timeout", "ServerTimeout", "TooManyRequests"}:
        return _Unavailable(
            f"The API server at {host} cannot answer at the moment ({status} {reason or message}).",
            retry_after=_retry_after(headers, told),
        )
    if status == 410 or reason == "Expired":  # noqa: PLR2004  # HTTP's own numbers are clearer than names
        return ExpiredError(message)
    if status == 409:  # noqa: PLR2004
        kind = AlreadyExistsError if reason == "AlreadyExists" else ModifiedError
        return kind(message, next_step="Try again.")
    return _denied(status, message, what=what, host=host, who=who)


def _denied(status: int, message: str, *, what: str, host: str, who: str) -> GpuJobsError:
    if status == 401:  # noqa: PLR2004
        return AuthError(
            f"The API server at {host} does not accept the credentials of {who}.",
            next_step="They may have expired: log in again (`kubectl get pods` should work), or use another context.",
        )
    if status == 403:  # noqa: PLR2004
        return _forbidden(message, what)
    if status == 404:  # noqa: PLR2004
        return _not_found(message, what)
    return RejectedError(f"Kubernetes refused to {what}: {message}", next_step="Change what it names.")


def _status_object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if found.__class__ is dict else {}


def _retry_after(headers: Mapping[str, str], told: Mapping[str, Any]) -> float | None:
    asked = headers.get("Retry-After") or inside(told, "details").get("retryAfterSeconds")
    try:
        return None if asked is None else float(asked)
    except ValueError:
        return None


def _forbidden(message: str, what: str) -> GpuJobsError:
    rbac = _RBAC.search(message)
    if rbac:
        return AuthError(
            f"You may not {what}: {message}",
            next_step=f"Ask for the right to {rbac['verb']} {rbac['what']}; `gpujobs targets rbac` prints them all.",
        )
    if "exceeded quota" in message:
        return RejectedError(f"The namespace's quota does not allow it: {message}", next_step="Ask for less, or wait.")
    return RejectedError(f"The cluster's admission refused to {what}: {message}", next_step="Change what it names.")


def _not_found(message: str, what: str) -> GpuJobsError:
    namespace = _NAMESPACE.search(message)
    if namespace:
        return RejectedError(
            f"There is no namespace {namespace['name']!r} in this cluster.",
            next_step=f"Create it (`kubectl create namespace {namespace['name']}`), or set another in the target.",
        )
    return NotFoundError(f"Cannot {what}: {message}", next_step="`gpujobs ps --all` shows what there is.")


def from_network(error: Exception, *, host: str, who: str) -> GpuJobsError:
    """The error that a failed connection means."""
    text = str(error)
    tls = _chained(error, ssl.SSLError)
    if tls is not None:
        return _from_tls(tls, host=host, who=who)
    if _chained(error, socket.gaierror):
        return _Unavailable(
            f"The name of the API server, {host}, cannot be resolved.", next_step="Check the network, VPN and context."
        )
    if _chained(error, ConnectionRefusedError):
        return _Unavailable(
            f"Nothing answers at the API server's address {host}.",
            next_step=f"Is the cluster up, and is {who} the right one?",
        )
    short = text if len(text) <= _LONGEST else text[:_LONGEST]
    return _Unavailable(f"The connection to the API server at {host} failed: {short}.", next_step="Check the network.")


def _from_tls(error: BaseException, *, host: str, who: str) -> BackendError | ConfigError:
    text = str(error)
    if "certificate has expired" in text:
        return ConfigError(
            f"The certificate of the API server at {host} has expired.",
            next_step="The cluster's administrator must renew it.",
        )
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return ConfigError(
            f"The API server at {host} shows a certificate that {who} does not trust: {text}.",
            next_step="The kubeconfig's certificate-authority belongs to another cluster: fetch the kubeconfig again.",
        )
    if "ALERT_CERTIFICATE_EXPIRED" in text or "ALERT_BAD_CERTIFICATE" in text or "ALERT_UNKNOWN_CA" in text:
        return AuthError(
            f"The API server at {host} does not accept the client certificate of {who}: {text}.",
            next_step="It may have expired: fetch the kubeconfig again.",
        )
    if "EOF" in text or "closed" in text:
        return _Unavailable(f"The connection to {host} was cut: {text}.")
    return ConfigError(f"No TLS connection to {host}: {text}.", next_step="Check the server's address and the proxy.")


def _chained(error: BaseException, kind: type[BaseException]) -> BaseException | None:
    """The error of that kind behind one: in its causes, or wrapped as an argument, as urllib3 does."""
    seen: list[BaseException] = [error]
    for found in seen:
        if isinstance(found, kind):
            return found
        inner = (found.__cause__, found.__context__, getattr(found, "reason", None), *found.args)
        seen += [e for e in inner if isinstance(e, BaseException) and e not in seen]
    return None

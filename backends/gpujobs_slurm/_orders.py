"""From submissions to what is sent: orders, claims and the files of a job directory."""

from __future__ import annotations

import json
import os
import secrets
import shlex
from typing import TYPE_CHECKING, Any

from gpujobs.environment import VENV, active, variables
from gpujobs_slurm._gres import gres_option
from gpujobs_slurm._names import job_name
from gpujobs_slurm._record import VERSION
from gpujobs_slurm._refuse import refuse, refuse_files
from gpujobs_slurm._script import Order, minutes, render_script
from gpujobs_slurm._shell import rows
from gpujobs_slurm.remote.bulks import name_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gpujobs.backend import Submission, Target
    from gpujobs.specs import GpuJob
    from gpujobs_slurm._after import Dependency
    from gpujobs_slurm._facts import Facts


class Orders:
    """Makes orders for one target."""

    def __init__(self, target: Target, facts: Facts, directory: str) -> None:
        self._target = target
        self._facts = facts
        self._directory = directory
        self.root = root_of(target, facts)

    def single(self, item: Submission, dependency: Dependency) -> Order:
        """One job, or one array.

        Raises:
            UnsupportedError: A field that Slurm cannot honour.
        """
        return self._order(item, name_of(item.key), dependency)

    def bulk(self, items: Sequence[Submission], dependency: Dependency) -> Order:
        """Many jobs that ask for the same, as one array."""
        return self._order(items[0], f"bulk-{secrets.token_hex(14)}", dependency, indices=tuple(range(len(items))))

    def _order(self, item: Submission, record: str, dependency: Dependency, *, indices: tuple[int, ...] = ()) -> Order:
        spec = refuse(item.spec)
        return Order(
            spec=spec,
            key=item.key,
            record=record,
            root=self.root,
            target=self._target.name,
            facts=self._facts,
            gpu_types=self._target.gpu_types,
            indices=indices,
            bulk=bool(indices),
            dependency=dependency.option,
            hold=dependency.never is not None,
            directory=self._directory,
            inherited=inherited(spec, os.environ),
        )


def root_of(target: Target, facts: Facts) -> str:
    """Where the job directories of a cluster lie: several clusters may share a home, and their job ids collide."""
    job_dir: str = target.options.job_dir
    base = facts.home + job_dir[1:] if job_dir.startswith("~") else job_dir
    return f"{base.rstrip('/')}/{facts.cluster}"


def inherited(spec: GpuJob, environ: Mapping[str, str]) -> dict[str, str]:
    """The variables of the submitting environment that a job asks for; what the user sets as well is the user's.

    Raises:
        SpecError: One is not set, or no environment is active.
    """
    if not spec.inherit_env:
        return {}
    found = variables(spec.inherit_env, environ) | (active(environ) if VENV in spec.inherit_env else {})
    return {name: value for name, value in found.items() if name not in spec.env}


def single_files(order: Order, item: Submission, now: float) -> dict[str, bytes]:
    """The files of a job directory."""
    part = _part(item)
    claim = {**part, **_claim(order, now), "array": order.spec.array}
    return {"claim.json": _json(claim), "script": render_script(order).encode(), **_own_files(order.spec, "")}


def bulk_files(order: Order, items: Sequence[Submission], now: float) -> dict[str, bytes]:
    """The files of a job directory that many jobs share: in columns what each of them is, and one file of rows.

    Raises:
        UnsupportedError: One of them has files that Slurm cannot take.
    """
    specs = [item.spec for item in items if item.spec.kind == "job"]
    keys = [item.key for item in items]
    columns = {
        "keys": keys,
        "hashes": [item.spec_hash for item in items],
        "names": _column([spec.name or "" for spec in specs]),
        "labels": _column([spec.labels for spec in specs]),
    }
    files = {"claim.json": _json({**_claim(order, now), **columns}), "script": render_script(order).encode()}
    for index, spec in enumerate(specs):
        if spec.files:
            refuse_files(spec)
        if spec.files or spec.secrets or spec.script is not None:
            files.update(_own_files(spec, f".{index}"))
    files["rows"] = rows([(k, s, inherited(s, os.environ)) for k, s in zip(keys, specs, strict=True)]).encode()
    return files


def _column(values: list[Any]) -> Any:
    """The one value that all have, or the list of them."""
    return values[0] if values.count(values[0]) == len(values) else values


def _claim(order: Order, now: float) -> dict[str, Any]:
    spec = order.spec
    return {
        "v": VERSION,
        "job": job_name(spec, order.record),
        "created": now,
        "nodes": spec.nodes,
        "gres": gres_option(spec.gpus, order.gpu_types, order.facts.gpu_types) if spec.gpus else "",
        "target": order.target,
        "time_limit": minutes(spec.time_limit) * 60 if spec.time_limit else None,
        "deadline": spec.deadline.total_seconds() if spec.deadline else None,
    }


def _part(item: Submission) -> dict[str, Any]:
    spec = item.spec
    return {"key": item.key, "hash": item.spec_hash, "name": spec.name or "", "labels": dict(spec.labels)}


def _own_files(spec: GpuJob, at: str) -> dict[str, bytes]:
    """Contents that belong to one job: its files, its secrets, its script."""
    files = {f"files{at}/{path}": content for path, content in spec.files.items()}
    if spec.secrets:
        lines = [f"export {s.name}={shlex.quote(s.reveal())}\n" for s in spec.secrets]
        files[f"secrets{at}"] = "".join(lines).encode()
    if spec.script is not None:
        files[f"command{at}"] = spec.script.encode()
    return files


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()

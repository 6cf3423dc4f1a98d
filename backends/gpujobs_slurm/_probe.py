"""Ask a cluster what it is like, and remember the answer for a while."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gpujobs.errors import UnavailableError
from gpujobs_slurm._errors import command_error
from gpujobs_slurm._facts import Facts, Node, Partition, parse_nodes, parse_partitions, parse_settings

if TYPE_CHECKING:
    from pathlib import Path

    from gpujobs.backend import Clock
    from gpujobs_slurm._options import SlurmOptions
    from gpujobs_slurm._transport import Transport

FACTS_S = 600.0
LAYOUT_S = 15.0
_CONFIG = ["scontrol", "show", "config"]
_PARTITIONS = ["scontrol", "--all", "show", "partition", "--oneliner"]
_NODES = ["scontrol", "--all", "show", "node", "--details", "--oneliner"]
_PYXIS = ["srun", "--help"]


@dataclass(frozen=True, slots=True)
class Layout:
    """The queues and nodes as they are now."""

    partitions: tuple[Partition, ...]
    nodes: tuple[Node, ...]

    @property
    def default(self) -> Partition | None:
        """The queue of a job that names none."""
        return next((p for p in self.partitions if p.default), None)

    def of(self, partition: str | None) -> list[Node]:
        """The nodes of a queue; of all where it is not known."""
        return [n for n in self.nodes if partition is None or partition in n.partitions]


class Probe:
    """Facts are kept in memory and on disk, so that a frozen scheduler holds up nothing that needs only them."""

    def __init__(self, transport: Transport, options: SlurmOptions, directory: Path, clock: Clock) -> None:
        self._transport = transport
        self._options = options
        self.clock = clock
        self._lock = threading.Lock()
        self._facts: tuple[float, Facts] | None = None
        self._layout: tuple[float, Layout] | None = None
        identity = f"{options.model_dump_json()}\0{os.environ.get('SLURM_CONF', '')}\0{os.getuid()}"
        self._file = directory / f"facts-{hashlib.sha256(identity.encode()).hexdigest()[:16]}.json"

    def facts(self) -> Facts:
        """What does not change from one minute to the next.

        Raises:
            UnavailableError: Slurm cannot be asked, and never was.
        """
        with self._lock:
            now = self.clock.time()
            if self._facts is None:
                self._facts = self._load()
            if self._facts is None or now - self._facts[0] > FACTS_S:
                try:
                    self._facts = (now, self._ask())
                except UnavailableError:
                    if self._facts is None:
                        raise
                else:
                    self._store()
            return self._facts[1]

    def layout(self, *, fresh_s: float = LAYOUT_S, timeout: float | None = None) -> Layout:
        """Queues and nodes, no older than so many seconds.

        Raises:
            UnavailableError: Slurm cannot be asked.
        """
        with self._lock:
            now = self.clock.monotonic()
            if self._layout is None or now - self._layout[0] > fresh_s:
                partitions, nodes = self._texts([_PARTITIONS, _NODES], timeout)
                self._layout = (now, Layout(tuple(parse_partitions(partitions)), tuple(parse_nodes(nodes))))
            return self._layout[1]

    def _ask(self) -> Facts:
        me: dict[str, Any] = self._transport.call("whoami")
        config, partitions, nodes = self._texts([_CONFIG, _PARTITIONS, _NODES], None)
        settings = parse_settings(config)
        layout = Layout(tuple(parse_partitions(partitions)), tuple(parse_nodes(nodes)))
        self._layout = (self.clock.monotonic(), layout)
        return Facts(
            home=me["home"],
            user=me["user"],
            uid=me["uid"],
            cluster=self._options.cluster or settings.text("ClusterName", "cluster"),
            version=settings.text("SLURM_VERSION"),
            accounting="slurmdbd" in settings.text("AccountingStorageType") and "sacct" in me["programs"],
            max_array=settings.number("MaxArraySize", 1001),
            message_timeout=settings.number("MessageTimeout", 10),
            container=self._container(me["programs"]),
            gpu_types=tuple(sorted({g.type for n in layout.nodes for g in n.gres if g.kind == "gpu" and g.type})),
        )

    def _container(self, programs: list[str]) -> str | None:
        chosen = self._options.container
        if chosen is not None:
            return None if chosen == "none" else chosen
        if "srun" in programs:
            done = self._transport.call("run", _PYXIS, b"", 20.0)
            if b"--container-image" in done["out"]:
                return "pyxis"
        return next((p for p in ("apptainer", "singularity") if p in programs), None)

    def _texts(self, argvs: list[list[str]], timeout: float | None) -> list[str]:
        answers = self._transport.call("run_many", argvs, timeout or self._options.timeout)
        for argv, done in zip(argvs, answers, strict=True):
            if done["rc"] != 0:
                raise command_error(argv[0], done["rc"], done["err"])
        return [done["out"].decode(errors="replace") for done in answers]

    def _load(self) -> tuple[float, Facts] | None:
        try:
            data: dict[str, Any] = json.loads(self._file.read_text(encoding="utf-8"))
            values: dict[str, Any] = data["facts"]
            values["gpu_types"] = tuple(values["gpu_types"])
            facts = Facts(**values)
            return float(data["time"]), facts
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def _store(self) -> None:
        """For the next process; without it everything works as well, only slower."""
        if self._facts is None:
            return
        text = json.dumps({"time": self._facts[0], "facts": dataclasses.asdict(self._facts[1])})
        new = self._file.with_suffix(f".{os.getpid()}.{threading.get_ident()}")
        try:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            new.write_text(text, encoding="utf-8")
            new.replace(self._file)
        except OSError:
            new.unlink(missing_ok=True)

"""The options of `gpujobs bootstrap slurm plan` and `apply`: what may be wished of a cluster."""

from __future__ import annotations

import click

from gpujobs.cli._options import several

wish_options = several(
    [
        click.option(
            "--node",
            "nodes",
            multiple=True,
            metavar="USER@HOST",
            help="A machine that runs jobs; may be repeated. Without: --host itself.",
        ),
        click.option(
            "--partition",
            "partitions",
            multiple=True,
            metavar="NAME",
            help="A partition, the first one the default; may be repeated (default: gpu)",
        ),
        click.option("--cluster", metavar="NAME", help="The name of the cluster (default: gpujobs)"),
        click.option(
            "--gpu-type",
            metavar="NAME",
            help='What the GPUs are called; "" for no name (default: from the driver)',
        ),
        click.option("--shards", type=int, metavar="N", help="Jobs that may share one GPU by shard:1 (default: 0)"),
        click.option("--autodetect", metavar="HOW", help="off, or nvidia (Slurm 24.11 and newer) (default: off)"),
        click.option(
            "--memory-reserve",
            metavar="SIZE",
            help="Memory that jobs may not have (default: 1GiB; 8GiB if GPUs share it)",
        ),
        click.option("--max-time", metavar="TIME", help="The longest a job may run (default: no limit)"),
        click.option(
            "--accounting/--no-accounting", default=None, help="Job records in MariaDB, by slurmdbd (default: no)"
        ),
        click.option("--rest/--no-rest", default=None, help="slurmrestd with tokens (default: no)"),
        click.option("--rest-address", metavar="HOST:PORT", help="Where it listens (default: 127.0.0.1:6820)"),
        click.option("--source", metavar="DIR", help="A directory of .deb files there, for machines offline."),
        click.option(
            "--adopt",
            is_flag=True,
            default=None,
            help="Replace a Slurm configuration of somebody else (kept for undo).",
        ),
        click.option(
            "--gpus-required/--no-gpus-required", default=None, help="Refuse nodes without a GPU (default: yes)"
        ),
    ]
)

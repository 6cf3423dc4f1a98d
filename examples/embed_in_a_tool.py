"""A tool with gpujobs inside: it tries learning rates at once and writes one JSON line for each.

Every experiment has a key made of what it is, so that a tool that was interrupted, or is started twice, finds the jobs
that are there already instead of running them again.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from gpujobs import Client, GpuJob, GpuJobsError, Job, Status

TRAIN = """
import os, sys
rate = float(os.environ["RATE"])
if rate <= 0:
    sys.exit(2)
print("loss", round(1 / (1 + rate), 3))
"""


def experiment(rate: float) -> GpuJob:
    """The job that tries one rate."""
    return GpuJob(
        name=f"rate-{rate}",
        command=["sh", "-c", 'exec python3 "$GPUJOBS_FILES/train.py"'],
        files={"train.py": TRAIN},
        env={"RATE": str(rate)},
        gpus=1,
        time_limit="10m",
        labels={"tool": "rates"},
    )


def result(rate: float, job: Job, status: Status) -> dict[str, Any]:
    """What is told about one rate."""
    log = [line.text for line in job.logs(tail=1)]
    why = None if status.succeeded else str(job.explain())
    return {"rate": rate, "ref": str(job.ref), "state": status.state, "last": log[-1] if log else None, "why": why}


def main() -> None:
    """Submit all in one call, wait for all with one poller."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", help="by default the configured default")
    parser.add_argument("rates", type=float, nargs="+")
    args = parser.parse_args()
    rates: list[float] = args.rates

    with Client() as client:
        jobs = client.submit_many(
            [experiment(rate) for rate in rates],
            target=args.target,
            idempotency_keys=[f"rates-{rate}" for rate in rates],
        )
        for rate, job, status in zip(rates, jobs, client.wait(jobs), strict=True):
            print(json.dumps(result(rate, job, status)))


if __name__ == "__main__":
    try:
        main()
    except GpuJobsError as e:
        sys.exit(str(e))

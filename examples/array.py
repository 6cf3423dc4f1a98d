"""Run many elements of one job, a few at a time, and collect what each of them wrote."""

from __future__ import annotations

import argparse
import sys

import gpujobs

if __name__ == "array":
    # A script in this directory that needs the standard library's module of this name finds this file: hand that over.
    sys.path.remove(__file__.rpartition("/")[0])
    del sys.modules["array"]
    import array as array  # noqa: PLC0414  # the module that was meant

SQUARE = "echo $((GPUJOBS_ARRAY_INDEX * GPUJOBS_ARRAY_INDEX))"


def main() -> int:
    """Submit one array, wait for it, and show each element's output."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", help="by default the configured default")
    parser.add_argument("--elements", type=int, default=8)
    args = parser.parse_args()

    workload = gpujobs.GpuJob(
        name="squares", command=["sh", "-c", SQUARE], gpus=1, array=args.elements, parallelism=2, time_limit="10m"
    )
    with gpujobs.Client() as client:
        job = client.submit(workload, target=args.target)
        print(job.ref)
        status = job.wait()
        for index in range(args.elements):
            for line in job.logs(replica=index):
                print(f"element {index}: {line.text}")
    print(f"{status.replicas.succeeded} of {status.replicas.wanted} succeeded")
    return 0 if status.succeeded else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except gpujobs.GpuJobsError as e:
        sys.exit(str(e))

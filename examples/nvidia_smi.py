"""Show the GPU that a job is given: ``nvidia_smi.py --target local|slurm|kubernetes`` (or a target of yours).

On Kubernetes a workload needs an image: give ``--image``, or set one in the target's defaults.
"""

from __future__ import annotations

import argparse
import sys

from gpujobs import Client, GpuJob, GpuJobsError

SHOW = 'nvidia-smi -L || echo "no nvidia-smi here; I was given GPU ${CUDA_VISIBLE_DEVICES:-none}"'


def main() -> int:
    """Submit, follow, and end as the job ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", help="by default the configured default")
    parser.add_argument("--gpus", default="1", help="1, h100, h100:2, 1g.10gb")
    parser.add_argument("--image", help="a container image with a shell")
    args = parser.parse_args()

    workload = GpuJob(
        name="nvidia-smi",
        command=["sh", "-c", SHOW],
        gpus=args.gpus,
        image=args.image,
        image_optional=True,
        time_limit="10m",
    )
    with Client() as client:
        job = client.submit(workload, target=args.target)
        print(job.ref)
        for line in job.logs(follow=True):
            print(line.text)
        status = job.wait()
        print(status.state)
        if not status.succeeded:
            print(job.explain())
    return 0 if status.succeeded else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except GpuJobsError as e:
        sys.exit(str(e))

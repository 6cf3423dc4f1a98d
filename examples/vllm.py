"""Serve a language model with vLLM: two copies that share one time-sliced GPU, behind one NodePort.

``vllm.py --models /mnt/models`` takes the model from a directory of the node, ``--claim models-pvc`` from a
PersistentVolumeClaim. ``--render`` prints the manifests instead. On one GPU for two copies, share it first:
``gpujobs bootstrap gpu-sharing apply --time-slice 4``.
"""

from __future__ import annotations

import argparse
import sys

from gpujobs import Client, Gpu, GpuJobsError, GpuService, Port, Probe, Volume

PORT = 8002


def service(args: argparse.Namespace) -> GpuService:
    """The service: what the Deployment, its Service and its probes say in Kubernetes' own words."""
    source = Volume("/models", claim=args.claim) if args.claim else Volume("/models", host=args.models)
    return GpuService(
        name="vllm",
        image=args.image,
        command=["vllm", "serve", f"/models/{args.model}"],
        args=[
            *("--quantization", "modelopt"),
            *("--host", "0.0.0.0", "--port", str(PORT)),  # noqa: S104  # inside its pod
            # Time-sliced GPUs isolate no memory: two copies at 0.4 leave a fifth for everything else.
            *("--gpu-memory-utilization", str(args.memory_share)),
            *("--max-model-len", "4096"),
            "--trust-remote-code",
        ],
        replicas=args.replicas,
        gpus=Gpu(1),
        volumes=[source],
        ports=[Port(8000, target_port=PORT, node_port=args.node_port, name="http")],
        readiness=Probe("/health", port=PORT, delay=45, period=10),
        expose="node-port",
    )


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", default="kubernetes")
    parser.add_argument("--model", default="Qwen3-8B-NVFP4", help="its directory below --models or in the claim")
    parser.add_argument("--models", default="/mnt/models", help="a directory on the node")
    parser.add_argument("--claim", help="a PersistentVolumeClaim, in place of --models")
    parser.add_argument("--image", default="nvcr.io/nvidia/vllm:25.09-py3")
    parser.add_argument("--replicas", type=int, default=2)
    parser.add_argument("--memory-share", type=float, default=0.4, help="of the GPU's memory, for each copy")
    parser.add_argument("--node-port", type=int, default=30080)
    parser.add_argument("--render", action="store_true", help="print what would be sent")
    return parser.parse_args(words)


def main() -> int:
    """Submit it, wait until it answers, and say where."""
    args = arguments()
    workload = service(args)
    with Client() as client:
        if args.render:
            print(client.render(workload, target=args.target))
            return 0
        running = client.submit(workload, target=args.target)
        print(running.ref)
        running.wait_ready(timeout=1800)  # the image has several GB, and the model is read into the GPU
        for endpoint in running.endpoints():
            print(endpoint)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except GpuJobsError as e:
        sys.exit(str(e))

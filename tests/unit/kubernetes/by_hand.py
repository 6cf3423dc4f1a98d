"""Services as people write them by hand: a Deployment and its Service each."""

from __future__ import annotations

import yaml

BANNER = 'echo "=== $(hostname) ==="\nnvidia-smi\nsleep 3600\n'
SMI = f"""\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: nvidia-smi-test, namespace: default, labels: {{app: nvidia-smi-test}}}}
spec:
  replicas: 4
  selector: {{matchLabels: {{app: nvidia-smi-test}}}}
  template:
    metadata: {{labels: {{app: nvidia-smi-test}}}}
    spec:
      runtimeClassName: nvidia
      restartPolicy: Always
      containers:
      - name: nvidia-smi
        image: nvidia/cuda:13.0.2-runtime-ubuntu24.04
        command: ["/bin/bash", "-c"]
        args: [{BANNER!r}]
        resources: {{limits: {{nvidia.com/gpu: 1}}, requests: {{nvidia.com/gpu: 1}}}}
        env:
        - {{name: NVIDIA_VISIBLE_DEVICES, value: all}}
        - {{name: NVIDIA_DRIVER_CAPABILITIES, value: "compute,utility"}}
---
apiVersion: v1
kind: Service
metadata: {{name: nvidia-smi-test}}
spec: {{clusterIP: None, selector: {{app: nvidia-smi-test}}, ports: [{{port: 80}}]}}
""".replace(repr(BANNER), yaml.dump(BANNER, default_style='"').strip())
VLLM = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: vllm-cluster, labels: {app: vllm-demo}}
spec:
  replicas: 2
  selector: {matchLabels: {app: vllm-demo}}
  template:
    metadata: {labels: {app: vllm-demo}}
    spec:
      runtimeClassName: nvidia
      containers:
      - name: vllm
        image: nvcr.io/nvidia/vllm:25.09-py3
        command: ["vllm", "serve", "/models/Qwen3-8B-NVFP4"]
        args: ["--quantization", "modelopt", "--host", "0.0.0.0", "--port", "8002", "--gpu-memory-utilization", "0.4",
          "--max-model-len", "4096", "--trust-remote-code"]
        ports: [{containerPort: 8002, name: http}]
        resources: {limits: {nvidia.com/gpu: 1}}
        volumeMounts: [{name: models, mountPath: /models}]
        readinessProbe: {httpGet: {path: /health, port: 8002}, initialDelaySeconds: 45, periodSeconds: 10}
      volumes: [{name: models, hostPath: {path: /mnt/models}}]
---
apiVersion: v1
kind: Service
metadata: {name: vllm-lb-service}
spec:
  type: NodePort
  selector: {app: vllm-demo}
  ports: [{name: http, port: 8000, targetPort: 8002, nodePort: 30080}]
"""

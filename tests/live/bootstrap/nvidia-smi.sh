#!/bin/sh
# A stand-in for nvidia-smi on machines without a GPU. Like the true one it lists what it may open,
# and like the true one it exits 0 when that is nothing.
allowed() { # a device file without a driver: "No such device or address" means that nobody forbade it
  e=$( { : < "$1"; } 2>&1 ); case $e in *"No such device"*) return 0 ;; esac; return 1
}
n=0
for f in /dev/nvidia[0-9]*; do
  [ -e "$f" ] && allowed "$f" || continue
  i=${f#/dev/nvidia}
  case $1 in
    -L) echo "GPU $n: NVIDIA H100 80GB HBM3 (UUID: GPU-00000000-0000-0000-0000-00000000000$i)" ;;
    --query-gpu=*) echo "$i, NVIDIA H100 80GB HBM3, GPU-00000000-0000-0000-0000-00000000000$i, 81559, 550.54.15" ;;
  esac
  n=$((n + 1))
done
[ $n -gt 0 ] || echo "No devices were found"

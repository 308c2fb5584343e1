#!/bin/bash
# Every benchmark of the CUDA backend on one GPU, as one Markdown page on standard output, in under nine minutes. It
# builds nothing: PROGRAMS is the folder with ops_bench and train_step_bench (build/cuda/benchmarks unless given; of a
# bundle, "$(dirname "$(command -v ops_bench)")" inside its run). Beside PyTorch 2 if PYTHON (python3) has it.
#   benchmarks/gpu.sh [PROGRAMS] >benchmarks/results/NAME.md
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
programs=${1:-$here/../build/cuda/benchmarks} python=${PYTHON:-python3}
section() { printf '\n## %s\n\n' "$1"; }

echo "# GPU benchmarks, $(date -I)"
echo
nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.max.sm,power.limit --format=csv,noheader
echo "$(nproc) cores, load average before: $(cut -d' ' -f1-3 /proc/loadavg); Fusor $("$programs/../launch/fusor" --version 2>/dev/null ||
  fusor --version)"
section "Operators"
ops=$(timeout 150 "$programs/ops_bench" cuda)
echo "$ops"
rate=$(sed -n 's/.*bf16 products \([0-9.]*\) TFLOP.*/\1/p' <<<"$ops")
section "Training steps"
if "$python" -c 'import torch, sys; sys.exit(not torch.cuda.is_available())' 2>/dev/null; then
  echo "Beside PyTorch $("$python" -c 'import torch; print(torch.__version__)'), compiled, in alternation."
  echo
  timeout 360 "$python" "$here/language_gpu.py" "$programs/train_step_bench" --rate "$rate"
elif command -v "$python" >/dev/null; then
  echo "Not beside PyTorch, which $python does not have."
  echo
  timeout 360 "$python" "$here/language_gpu.py" "$programs/train_step_bench" --rate "$rate" --without-pytorch
else
  echo "Not measured: there is no $python to ask for the steps."
fi

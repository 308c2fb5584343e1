#!/bin/bash
# Every benchmark of the CUDA backend on one GPU, as one Markdown page on standard output, in under nine minutes. It
# builds nothing: PROGRAMS is the folder with ops_bench and train_step_bench; unless given, where PATH has them (a
# bundle: ./run gpu.sh), else build/cuda/benchmarks. Beside PyTorch 2 if PYTHON (python3) has it.
#   benchmarks/gpu.sh [PROGRAMS] >benchmarks/results/NAME.md
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
programs=${1:-$(dirname "$(command -v ops_bench || echo "$here/../build/cuda/benchmarks/ops_bench")")}
python=${PYTHON:-python3}
command -v nvidia-smi >/dev/null || { echo "gpu.sh: no nvidia-smi here, so no NVIDIA driver and no GPU" >&2; exit 1; }
section() { printf '\n## %s\n\n' "$1"; }

echo "# GPU benchmarks, $(date -I)"
echo
nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.max.sm,power.limit --format=csv,noheader
echo "$(nproc) cores, load average before: $(cut -d' ' -f1-3 /proc/loadavg); Fusor $("$programs/../launch/fusor" --version 2>/dev/null ||
  fusor --version)"
section "Operators"
ops=$(mktemp)
trap 'rm -f "$ops"' EXIT
timeout 110 "$programs/ops_bench" cuda | tee "$ops" || printf '\nops_bench ended with status %s.\n' "${PIPESTATUS[0]}"
rate=$(sed -n 's/.*bf16 products \([0-9.]*\) TFLOP.*/\1/p' "$ops")
section "Libraries called bare"
timeout 90 "$programs/library_bench" || printf '\nlibrary_bench ended with status %s.\n' $?
section "Training steps"
if "$python" -c 'import torch, sys; sys.exit(not torch.cuda.is_available())' 2>/dev/null; then
  echo "Beside PyTorch $("$python" -c 'import torch; print(torch.__version__)'), compiled, in alternation."
  echo
  timeout 330 "$python" "$here/language_gpu.py" "$programs/train_step_bench" ${rate:+--rate "$rate"}
elif command -v "$python" >/dev/null; then
  echo "Not beside PyTorch, which $python does not have."
  echo
  timeout 330 "$python" "$here/language_gpu.py" "$programs/train_step_bench" ${rate:+--rate "$rate"} --without-pytorch
else
  echo "Not beside PyTorch: there is no $python. Seconds of eight steps each, as train_step_bench tells them:"
  for model in gpt2-124m gpt2-350m gpt2-1558m llama-1b; do
    printf '\n`%s` 16 x 1024: ' "$model"
    echo 8 | timeout 90 "$programs/train_step_bench" --model.preset=$model --model.vocab_size=50304 --train.device=cuda \
      --train.dtype=bf16 --data.seq_len=1024 --train.micro_batch=16 --train.global_batch=16 ||
      echo "train_step_bench ended with status ${PIPESTATUS[1]}."
  done
fi

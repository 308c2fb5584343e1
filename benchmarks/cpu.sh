#!/bin/bash
# Every benchmark of the CPU backend on this machine, as one Markdown page on standard output: about ten minutes
# with PyTorch 2 for PYTHON (default python3), two without. To be run on a machine that does nothing else.
#   PYTHON=python3 benchmarks/cpu.sh [BUILD_FOLDER] >benchmarks/results/NAME.md
set -euo pipefail
cd "$(dirname "$0")/.."
build=${1:-build/cpu} python=${PYTHON:-python3}
cores=$(nproc)
export OMP_NUM_THREADS=$cores
section() { printf '\n## %s\n\n' "$1"; }
command() { printf '`%s`\n\n' "$*"; "$@"; }
quoted() { printf '`%s`\n\n```\n' "$*"; "$@"; printf '```\n'; }

echo "# CPU benchmarks, $(date -I)"
echo
echo "$(sed -n 's/^model name\s*: //p' /proc/cpuinfo | head -1), $cores cores, $(awk '/MemTotal/ { printf "%.0f GiB", $2 / 2^20 }' /proc/meminfo);" \
  "$(. /etc/os-release && echo "$PRETTY_NAME"), $(g++ --version | head -1)," \
  "oneDNN $(dpkg-query -W -f '${Version}' libdnnl-dev 2>/dev/null || echo unknown), Fusor $(git describe --always --dirty);" \
  "load average before: $(cut -d' ' -f1-3 /proc/loadavg)."
if "$python" -c 'import torch' 2>/dev/null; then
  section "Training steps of GPT-2 124M against PyTorch $("$python" -c 'import torch; print(torch.__version__)')"
  command "$python" benchmarks/gpt2_cpu.py "$build/benchmarks/train_step_bench"
else
  section "Training steps of GPT-2 124M"
  echo "Not measured against PyTorch, which $python does not have."
fi
section "Matrix products of GPT-2 124M, GFLOP/s"
command env -u OPENBLAS_CORETYPE "$build/benchmarks/gemm_bench"
section "Attention"
for length in 64 256 1024; do quoted "$build/benchmarks/attention_bench" 4 "$length" 12 12 64 f32; done
section "Loading"
quoted "$build/benchmarks/loader_bench" 256 "$cores"
section "Communication hidden behind computing"
command mpirun -np 2 "$build/benchmarks/overlap_bench"
section "Start-up"
quoted benchmarks/startup.sh "$build/launch/fusor"

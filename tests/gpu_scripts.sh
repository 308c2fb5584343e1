#!/bin/bash
# The scripts that a machine with a GPU runs, played with programs that only say what they were asked: benchmarks/gpu.sh
# prints its whole page, also where a program fails, and tests/gpu_tests.sh runs every test and tells which failed.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
fail() { printf '%s\n%s\n' "$1" "$page" >&2; exit 1; }
says() { [[ $page == *"$1"* ]] || fail "The output lacks: $1"; }
# program NAME SCRIPT
program() {
  printf '#!/bin/bash\n%s\n' "$2" >"$folder/$1"
  chmod +x "$folder/$1"
}

program nvidia-smi 'echo "NVIDIA H200, 580.65"'
program fusor 'echo "fusor 0.1.0"'
program ops_bench 'echo "Copies reach 4000 GB/s, bf16 products 700.5 TFLOP/s. asked: $*"'
program library_bench 'echo "| product |"; exit 3'
program train_step_bench 'echo "seconds of $*"'
page=$(PATH=$folder:$PATH PYTHON=$folder/none benchmarks/gpu.sh "$folder")
says "NVIDIA H200, 580.65"
says "fusor 0.1.0"
says "asked: cuda"
says "library_bench ended with status 3"
for model in gpt2-124m gpt2-350m gpt2-1558m llama-1b; do says "--model.preset=$model"; done
program python3 '[[ $1 == -c ]] && { [[ $2 == *is_available* ]] || echo 2.9; exit 0; }; echo "asked: $*"'
page=$(PATH=$folder:$PATH PYTHON=$folder/python3 benchmarks/gpu.sh "$folder")
says "Beside PyTorch 2.9, compiled"
says "language_gpu.py $folder/train_step_bench --rate 700.5"
budget=$(grep -o 'timeout [0-9]*' benchmarks/gpu.sh | sort -u | awk '{ sum += $2 } END { print sum }')
((budget <= 540)) || fail "gpu.sh may take $budget s, more than nine minutes"

mkdir "$folder/bin"
cp tests/gpu_tests.sh "$folder/bin"
program bin/good_test 'echo "good: $*"'
page=$("$folder/bin/gpu_tests.sh" --one)
says "good: --gtest_brief=1 --one"
program bin/bad_test 'exit 1'
page=$("$folder/bin/gpu_tests.sh") && fail "gpu_tests.sh hides a failure"
says "failed: bad_test"
says "good: "
page=$(UNDER=false "$folder/bin/gpu_tests.sh") && fail "gpu_tests.sh does not run tests under a tool"
says "failed: bad_test good_test"

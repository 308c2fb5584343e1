#!/bin/bash
# Seconds from `mpirun -np 2 fusor train` of a tiny model to its end after step 1, beside those of mpirun
# starting two processes that do nothing: alternating, RUNS times each (default 5).
#   benchmarks/startup.sh [PATH/TO/fusor] [RUNS]
set -euo pipefail
fusor=$(realpath "${1:-build/cpu/launch/fusor}") runs=${2:-5}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
for i in $(seq 400); do printf 'Line %d of a small text.\n\n' "$i"; done >text
"$fusor" data text --input text --output data >/dev/null
printf '[model]\npreset = llama-tiny\nvocab_size = 256\n[data]\npath = data\nseq_len = 32\n' >tiny.ini
printf '[train]\nsteps = 1\nglobal_batch = 4\nmicro_batch = 2\n' >>tiny.ini

seconds() {  # COMMAND...: its wall time
  local start=$EPOCHREALTIME
  "$@" >log 2>&1 || { cat log >&2; exit 1; }
  awk -v a="$start" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.3f\n", b - a }'
}
for run in $(seq "$runs"); do
  seconds mpirun -np 2 true >>bare
  seconds mpirun -np 2 "$fusor" train tiny.ini --log.dir="run$run" >>trained
done
middle() { sort -n "$1" | awk '{ v[NR] = $1 } END { printf "%.3f s (%.3f to %.3f)", v[int((NR + 1) / 2)], v[1], v[NR] }'; }
echo "mpirun -np 2 true:          $(middle bare)"
echo "to the end of step 1:       $(middle trained)"

#!/bin/bash
# From a fresh Debian 12 machine to a trained language model: installs packages, builds, packs a text, trains,
# evaluates, and lets the model write. What is done already is skipped.
set -euo pipefail
usage="usage: $0 [--np RANKS] [--steps N] [--out DIR]
  --np RANKS   ranks that train (default 2)
  --steps N    training steps (default: those of launch/recipes/bible.ini)
  --out DIR    the dataset goes to DIR/data/bible, the run to DIR/runs/bible (default: the repository)"
ranks=2 overrides=() root=$(realpath "$(dirname "$0")/..")
out=$root
while (($#)); do
  case $1 in
    --np) ranks=${2:?$usage} ;;
    --steps) overrides=("--train.steps=${2:?$usage}" "--optimizer.warmup_steps=$(($2 / 20))") ;;
    --out) out=$(realpath -m "${2:?$usage}") ;;
    -h | --help) echo "$usage" && exit ;;
    *) echo "$usage" >&2 && exit 2 ;;
  esac
  shift 2
done

cd "$root"
source launch/setup.sh
install_packages build text
if [[ ! -f build/cpu/build.ninja ]]; then
  step "Configuring" build/logs/configure.log cmake --preset cpu -DFUSOR_TESTS=OFF
fi
step "Building the fusor program (minutes, the first time)" build/logs/build.log \
  cmake --build --preset cpu --target fusor
export PATH=$root/build/cpu/launch:$PATH

mkdir -p "$out/data"
cd "$out"
if [[ ! -d data/bible ]]; then
  echo "Packing the King James Bible: a verse is a line, a chapter is a document"
  bible -f gen1:1-rev22:21 </dev/null |
    awk -F '[: ]' '$1 != chapter { if (chapter) print ""; chapter = $1 } 1' >data/bible.txt
  fusor data text --input data/bible.txt --output data/bible
fi

printf '\nTraining on %d ranks, as launch/recipes/bible.ini says\n' "$ranks"
mpirun -np "$ranks" fusor train "$root/launch/recipes/bible.ini" "${overrides[@]}"

# bits FILE: what gzip -9 makes of it, in bits per byte.
bits() { awk -v packed="$(gzip -9c "$1" | wc -c)" -v raw="$(wc -c <"$1")" 'BEGIN { printf "%.3f", 8 * packed / raw }'; }
fusor data cat data/bible --split val >data/bible-val.txt
model=$(mpirun -np "$ranks" fusor eval --from runs/bible | sed -n 's/.* \([0-9.]*\) bits per byte.*/\1/p')
cat <<END

Held-out chapters, bits per byte (lower is better)
  this model                     $model
  gzip -9                        $(bits data/bible-val.txt)
  gzip -9 on the whole text      $(bits data/bible.txt)

What the model writes
END
fusor generate --from runs/bible --prompt "Ge1:1 In the beginning" --tokens 400 --temperature 0.8
((EUID)) && as_root= || as_root=" OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1"
cat <<END


In $out lie
  data/bible     the dataset (HDF5 shards; fusor data inspect data/bible)
  runs/bible     the run: recipe.ini, run.log, metrics.jsonl, checkpoints/
and the program is $root/build/cpu/launch/fusor.

To try next, there:
  export PATH=$root/build/cpu/launch:\$PATH$as_root
  fusor generate --from runs/bible --prompt "Mt5:3 Blessed are" --temperature 0.7
  mpirun -np $ranks fusor train $root/launch/recipes/bible.ini --train.steps=4000 --log.dir=runs/longer
  fusor plan $root/launch/recipes/gpt2-124m.ini -np 8
END

#!/bin/bash
# Runs, in order and in one shell, every command in the ```sh blocks of README.md and docs/. The tests are
# left out (they are the caller's), and the quickstart trains for 20 steps.
set -euo pipefail
cd "$(dirname "$0")/.."
source launch/setup.sh
commands=$(awk '/^```sh$/ { inside = 1; next } /^```/ { inside = 0 } inside' README.md docs/*.md |
  sed -e '/^\.\/tests\/run\.sh/d' -e 's|^\./launch/quickstart\.sh|& --steps 20|')
[[ $commands ]] || { echo "README.md shows no command" >&2; exit 1; }
set -x
eval "$commands"

#!/bin/bash
# Runs, in order and in one shell, every command in the ```sh blocks of README.md and docs/, in a folder that
# looks like the repository. The tests are left out (they are the caller's); the quickstart trains for 20 steps.
set -euo pipefail
cd "$(dirname "$0")/.."
source launch/setup.sh
commands=$(awk '/^```sh$/ { inside = 1; next } /^```/ { inside = 0 } inside' README.md docs/*.md |
  sed -e '/^\.\/tests\/run\.sh/d' -e 's|^\./launch/quickstart\.sh|& --steps 20 --out .|')
[[ $commands ]] || { echo "README.md shows no command" >&2; exit 1; }
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
ln -s "$PWD"/{build,docs,launch} "$scratch"
cd "$scratch"
set -x
eval "$commands"

#!/bin/bash
# Runs the tests that want a GPU, where a bundle has put them:   ./run gpu_tests.sh [GTEST ARGUMENTS]
# UNDER="compute-sanitizer --tool memcheck --error-exitcode 1" runs each under that.
set -uo pipefail
failed=()
for test in "$(dirname "$0")"/*_test; do
  echo "== $(basename "$test")"
  ${UNDER-} "$test" --gtest_brief=1 "$@" || failed+=("$(basename "$test")")
done
if ((${#failed[@]})); then
  echo "failed: ${failed[*]}"
  exit 1
fi

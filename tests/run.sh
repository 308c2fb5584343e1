#!/bin/bash
# All set-up and all tests, on a fresh Debian 12 machine or a used one. Arguments go to ctest:
#   ./tests/run.sh -R package      only the tests whose name holds "package"
#   ./tests/run.sh -LE slow        without the slow ones
set -euo pipefail
cd "$(dirname "$0")/.."
source launch/setup.sh
install_packages build tests
[[ -f build/cpu/build.ninja ]] || export CMAKE_{C,CXX,CUDA}_COMPILER_LAUNCHER=ccache

# build PRESET TARGET: configures and builds; the log names what failed.
build() {
  step "Configuring build/$1" "build/logs/configure-$1.log" cmake --preset "$1" -DFUSOR_TESTS=ON
  step "Building build/$1 (minutes, the first time)" "build/logs/build-$1.log" cmake --build --preset "$1" --target "$2"
}
build cpu all
build emulated emulated_tests # the CUDA backend on a device that the CPU emulates
status=0 no_tests=()
(($#)) && no_tests=(--no-tests=ignore) # a choice may leave out all of a preset
for preset in cpu emulated; do
  ctest --preset $preset -j "$(nproc)" "${no_tests[@]}" "$@" || status=1
done
exit $status

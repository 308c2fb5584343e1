#!/bin/bash
# All set-up and all tests, on a fresh Debian 12 machine or a used one. Arguments go to ctest:
#   ./tests/run.sh -R package      only the tests whose name holds "package"
#   ./tests/run.sh -LE slow        without the slow ones
set -euo pipefail
cd "$(dirname "$0")/.."
source launch/setup.sh
install_packages build tests
if [[ ! -f build/cpu/build.ninja ]]; then
  export CMAKE_C_COMPILER_LAUNCHER=ccache CMAKE_CXX_COMPILER_LAUNCHER=ccache
fi
step "Configuring" build/logs/configure.log cmake --preset cpu -DFUSOR_TESTS=ON
step "Building build/cpu (minutes, the first time)" build/logs/build.log cmake --build --preset cpu
exec ctest --preset cpu -j "$(nproc)" "$@"

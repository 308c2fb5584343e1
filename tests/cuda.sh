#!/bin/bash
# Where nvcc is, builds the CUDA backend for all architectures that Fusor supports, warnings as errors, and runs those of
# its tests that this machine can: without a GPU, what is the host's alone. Then the program has to start here.
set -euo pipefail
cd "$(dirname "$0")/.."
source launch/setup.sh
PATH=$PATH:${CUDA_HOME:-/usr/local/cuda}/bin
if ! command -v nvcc >/dev/null; then
  echo "No nvcc here: the CUDA backend is not built."
  exit
fi
install_packages build tests cuda
[[ -f build/cuda/build.ninja ]] || export CMAKE_{C,CXX,CUDA}_COMPILER_LAUNCHER=ccache
step "Configuring build/cuda" build/logs/configure-cuda.log cmake --preset cuda -DFUSOR_TESTS=ON \
  -DCMAKE_CUDA_ARCHITECTURES="80;90;100"
step "Building build/cuda (minutes, the first time)" build/logs/build-cuda.log \
  cmake --build --preset cuda --target fusor gpu_programs cuda_host_tests
ctest --preset cuda -j "$(nproc)" -L "gpu|cuda_host"
build/cuda/launch/fusor --version

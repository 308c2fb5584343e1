#!/bin/bash
# Installs Fusor's Debian packages that are not there yet: ./launch/setup.sh [build] [cuda] [tests] [bundle] [text] [images].
# quickstart.sh and tests/run.sh source it for its functions.

build_packages=(g++ cmake ninja-build openmpi-bin libopenmpi-dev libhdf5-dev libdnnl-dev
                libboost-program-options-dev nlohmann-json3-dev libxxhash-dev libutf8proc-dev libsentencepiece-dev
                libsndfile1-dev libsoxr-dev libkissfft-dev libturbojpeg0-dev libpng-dev zlib1g-dev)
cuda_packages=(python3-pip)  # fetches headers; NVIDIA's toolkit with cuDNN and NCCL is yours to install
tests_packages=(libgtest-dev libgmock-dev libboost-context-dev ccache python3-h5py clang-16 libclang-rt-16-dev clang-format)
bundle_packages=(xz-utils)
text_packages=(bible-kjv bible-kjv-text)
images_packages=(dataset-fashion-mnist)

# step TITLE LOG COMMAND...: runs COMMAND with its output in LOG, and shows the end of LOG if it fails.
step() {
  local title=$1 log=$2 begin=$SECONDS
  shift 2
  mkdir -p "$(dirname "$log")"
  printf '%s ... ' "$title"
  if "$@" >"$log" 2>&1 </dev/null; then
    printf '%d s\n' $((SECONDS - begin))
  else
    printf 'failed:\n'
    tail -n 30 "$log"
    printf 'The whole log is %s\n' "$log"
    exit 1
  fi
}

# install_packages GROUP...: calls apt-get only when a package of the groups is missing.
install_packages() {
  local group list package missing=() sudo=()
  for group in "$@"; do
    list="${group}_packages[@]"
    for package in "${!list}"; do
      [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] ||
        missing+=("$package")
    done
  done
  ((${#missing[@]})) || return 0
  if ! command -v apt-get >/dev/null; then
    echo "apt-get is not here; install what these Debian packages hold: ${missing[*]}" >&2
    exit 1
  fi
  if ((EUID)); then
    sudo=(sudo)
    sudo -v || { echo "Run this as root: apt-get install --no-install-recommends ${missing[*]}" >&2; exit 1; }
  fi
  step "Reading the package lists" build/logs/apt-update.log "${sudo[@]}" apt-get update
  step "Installing ${missing[*]}" build/logs/apt-install.log "${sudo[@]}" \
    env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"
}

# Lets mpirun start more ranks than there are cores, and start them as root (as in a container).
export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
  set -euo pipefail
  cd "$(dirname "$0")/.."
  install_packages "${@:-build}"
fi

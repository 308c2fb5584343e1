#!/bin/bash
# Runs a program of the bundle that lies beside this script:
#   ./run fusor --version        ./run mpirun -np 2 fusor train RECIPE.ini        ./run --list
# It is unpacked once, by xz or Python, into FUSOR_BUNDLE_DIR or the user's cache: where all nodes see that, for all of them.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=${FUSOR_BUNDLE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/fusor}/@VERSION@
if [[ ! -e $root/complete ]]; then
  mkdir -p "$(dirname "$root")"
  fresh=$(mktemp -d "$root.XXXXXX")
  if command -v xz >/dev/null; then
    xz -dc "$here/fusor.tar.xz" | tar -C "$fresh" -x
  elif command -v python3 >/dev/null; then
    python3 -c 'import lzma, shutil, sys; shutil.copyfileobj(lzma.open(sys.argv[1]), sys.stdout.buffer)' \
      "$here/fusor.tar.xz" | tar -C "$fresh" -x
  else
    echo "run: to unpack the bundle, once, this machine needs xz or python3" >&2
    exit 1
  fi
  touch "$fresh/complete"
  mv -T "$fresh" "$root" 2>/dev/null || rm -rf "$fresh" # another process was first
fi
if [[ ${1-} == --list ]]; then
  ls "$root/bin"
  exit
fi
export PATH=$root/bin:$PATH LD_LIBRARY_PATH=$root/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export OPAL_PREFIX=$root OPAL_DATADIR=$root/share OPAL_PKGDATADIR=$root/share/openmpi OPAL_PKGLIBDIR=$root/lib/openmpi
export OMPI_MCA_mca_base_component_path=$root/lib/openmpi PMIX_MCA_mca_base_component_path=$root/lib/pmix
export OMPI_MCA_rmaps_base_oversubscribe=1
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 FUSOR_SHARE=$root/share
command -v ssh >/dev/null || export OMPI_MCA_plm=isolated # else mpirun looks for it, also on one host
exec "$@"

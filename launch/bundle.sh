#!/bin/bash
# Builds Fusor with CUDA for other machines and packs it, its GPU tests and benchmarks, and every library they need but
# glibc, the driver, cuBLAS, cuDNN and NCCL:
#   ./launch/bundle.sh [FOLDER] [CMAKE ARGUMENTS]     FOLDER is build/bundle unless given
#   ./launch/bundle.sh build/bundle -DCMAKE_CUDA_ARCHITECTURES=90        for H100 and H200 alone: made in a third of the time
# Copy FOLDER to a machine with the same or a newer glibc (2.36 if built on Debian 12) and a GPU; there
#   FOLDER/run fusor train RECIPE.ini                 or: FOLDER/run mpirun -np 2 fusor train RECIPE.ini
#   FOLDER/run gpu_tests.sh                           the GPU tests;  FOLDER/run gpu.sh   the benchmarks
# cuBLAS, cuDNN and NCCL are found in the toolkit or pip's nvidia packages; FUSOR_CUDA_LIBRARIES can name their folders.
set -euo pipefail
out=build/bundle
if [[ ${1-} && $1 != -* ]]; then
  out=$1
  shift
fi
out=$(realpath -m "$out")
cd "$(dirname "$0")/.."
source launch/setup.sh
install_packages build tests bundle
build=build/travelling

# What every Linux has, and what belongs to the machine with the GPU.
stays='^(linux-vdso|ld-linux|libc|libm|libdl|librt|libpthread|libresolv|libutil|libcuda|libnvidia-|libcublas|libcudnn|libnccl)\b'

# needed FILE...: the shared libraries that the loader would take, less those that stay.
needed() {
  ldd "$@" | awk '$2 == "=>" { if ($3 !~ /^\//) { print "missing " $1 > "/dev/stderr"; exit 1 } print $1, $3 }' |
    sort -u | grep -Ev "$stays"
}

# Open MPI loads these as it runs. Networks of other makers, and what few clusters have, need libraries of their own:
# ranks of a bundle talk through shared memory and TCP.
plugins() {
  find "$1" -name '*mca_*.so' |
    grep -Ev '_(ofi|ucx|psm2?|openib|usnic|monitoring|gridengine|simulator|flux|munge)\.so$|_(atomic|memheap|scoll|spml|sshmem)_'
}

step "Configuring" build/logs/bundle-configure.log cmake --preset cuda -B "$build" -DFUSOR_CPU_ARCH=x86-64-v3 \
  -DFUSOR_STATIC_HDF5=ON -DCMAKE_CUDA_FLAGS=--compress-mode=size "$@"
step "Building $build (minutes, the first time)" build/logs/bundle-build.log \
  cmake --build "$build" --target fusor gpu_programs

rm -rf "$out"
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
mkdir -p "$out" "$tree"/{bin,lib/openmpi,lib/pmix,share}
mapfile -t programs < <(echo "$build/launch/fusor"; cat "$build/gpu_programs.txt"; command -v orterun orted)
cp -L "${programs[@]}" "$tree/bin"
ln -s orterun "$tree/bin/mpirun"
mpi=$(ompi_info --path pkglibdir --parsable | cut -d: -f3)
pmix=$(dirname "$(realpath "$(ldd "$mpi/mca_pmix_ext3x.so" | awk '/libpmix/ { print $3 }')")")
cp -L $(plugins "$mpi") "$tree/lib/openmpi"
cp -L $(plugins "$pmix/pmix") "$tree/lib/pmix"
cp -r "$(ompi_info --path pkgdatadir --parsable | cut -d: -f3)" "$tree/share/openmpi"
needed "$tree"/bin/* "$tree"/lib/openmpi/* "$tree"/lib/pmix/* | while read -r name file; do cp -L "$file" "$tree/lib/$name"; done
cp -r launch/recipes launch/clusters "$tree/share"
cp benchmarks/{gpu.sh,language_gpu.py,language_pytorch.py,gpt2_cpu.py} tests/gpu_tests.sh "$tree/bin"
find "$tree/bin" "$tree/lib" -type f -exec strip --strip-unneeded {} + 2>/dev/null || true

version=$(cd "$tree" && find . -type f -exec sha256sum {} + | sort | sha256sum | cut -c1-12)
# Most programs hold the same kernels: a dictionary as long as the archive keeps them once.
tar -C "$tree" -c . | xz --lzma2=preset=3,dict=256MiB >"$out/fusor.tar.xz"
sed "s/@VERSION@/$version/" launch/bundle_run.sh >"$out/run"
chmod +x "$out/run"
printf '%s: %d programs, %d libraries, %s unpacked, %s to carry\n' "$out" "$(find "$tree/bin" -type f | wc -l)" \
  "$(find "$tree/lib" -name '*.so*' | wc -l)" "$(du -sh "$tree" | cut -f1)" "$(du -sh "$out" | cut -f1)"

#include "ops/add_kernels.h"
#include "ops/cuda_map.h"

namespace fusor::ops::kernels {
namespace {

struct Same {
  template <class A>
  __device__ A operator()(A x) const {
    return x;
  }
};

}  // namespace

template <class T>
void add(Cuda on, std::int64_t n, const T* a, const T* b, T* y) {
  cuda::map(on, n, cuda::Sum(), y, a, b);
}

template <class T, class To>
void add_into(Cuda on, std::int64_t n, const T* x, To* to, bool add) {
  cuda::map_into(on, n, add, Same(), to, x);
}

template void add(Cuda, std::int64_t, const double*, const double*, double*);
template void add(Cuda, std::int64_t, const float*, const float*, float*);
template void add(Cuda, std::int64_t, const bf16*, const bf16*, bf16*);
template void add(Cuda, std::int64_t, const f16*, const f16*, f16*);
template void add_into(Cuda, std::int64_t, const double*, double*, bool);
template void add_into(Cuda, std::int64_t, const float*, float*, bool);
template void add_into(Cuda, std::int64_t, const bf16*, bf16*, bool);
template void add_into(Cuda, std::int64_t, const f16*, f16*, bool);
template void add_into(Cuda, std::int64_t, const bf16*, float*, bool);
template void add_into(Cuda, std::int64_t, const f16*, float*, bool);

}  // namespace fusor::ops::kernels

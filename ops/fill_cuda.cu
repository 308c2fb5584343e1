#include "ops/cuda_map.h"
#include "ops/fill_kernels.h"
#include "ops/normal.h"

namespace fusor::ops::kernels {
namespace {

template <class A>
struct Constant {
  A value;
  __device__ A operator()() const { return value; }
};
template <class A>
struct ConvertTo {
  template <class From>
  __device__ A operator()(From x) const {
    return static_cast<A>(x);
  }
};

constexpr int kDrawn = 4;  // normals of one counter

// Each thread takes kDrawn elements: mostly of one counter, or of two.
template <class T>
__global__ void __launch_bounds__(cuda::kMapThreads)
    normal_kernel(std::int64_t n, T* to, double std, RandomKey key, BoxRange range) {
  for (std::int64_t i = cuda::first_round() * kDrawn; i < n; i += cuda::rounds_at_once() * kDrawn) {
    std::int64_t counter = -1;
    float drawn[kDrawn] = {};
    for (std::int64_t k = i; k < i + kDrawn && k < n; ++k) {
      const std::int64_t index = range.index(k);
      if (index / kDrawn != counter) {
        counter = index / kDrawn;
        const auto words = philox(key, static_cast<std::uint64_t>(counter));
        normal_pair(words[0], words[1], drawn[0], drawn[1]);
        normal_pair(words[2], words[3], drawn[2], drawn[3]);
      }
      const float low = index & 1 ? drawn[1] : drawn[0], high = index & 1 ? drawn[3] : drawn[2];
      cuda::store(to[k], static_cast<acc_t<T>>(std * (index & 2 ? high : low)));
    }
  }
}

}  // namespace

template <class T>
void fill(Cuda on, std::int64_t n, T* to, double value) {
  cuda::map(on, n, Constant<acc_t<T>>{static_cast<acc_t<T>>(value)}, to);
}

template <class T>
void fill_normal(Cuda on, std::int64_t n, T* to, double std, RandomKey key, const BoxRange& range) {
  const std::int64_t blocks = cuda::loop_blocks(cuda::ceil_div(n, kDrawn), cuda::kMapThreads);
  cuda::run(on, {.blocks = blocks, .threads = cuda::kMapThreads}, normal_kernel<T>, n, to, std, key,
            range);
}

template <class From, class To>
void convert(Cuda on, std::int64_t n, const From* from, To* to) {
  cuda::map(on, n, ConvertTo<acc_t<To>>(), to, from);
}

#define FUSOR_FILL(T)                                                                    \
  template void fill(Cuda, std::int64_t, T*, double);                                    \
  template void fill_normal(Cuda, std::int64_t, T*, double, RandomKey, const BoxRange&); \
  template void convert(Cuda, std::int64_t, const T*, double*);                          \
  template void convert(Cuda, std::int64_t, const T*, float*);                           \
  template void convert(Cuda, std::int64_t, const T*, bf16*);                            \
  template void convert(Cuda, std::int64_t, const T*, f16*);
FUSOR_FILL(double)
FUSOR_FILL(float)
FUSOR_FILL(bf16)
FUSOR_FILL(f16)
#undef FUSOR_FILL

}  // namespace fusor::ops::kernels

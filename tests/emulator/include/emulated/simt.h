#pragma once
#include <cstdint>
#include <type_traits>

#include "emulated/vectors.h"

// What a kernel says in CUDA beyond C++: where it runs, its index, shared memory, and what the
// threads of a warp or a block do together. A thread of a block is a fiber; the blocks of a launch
// run one after the other on the OS thread that waits for it, so that a thread_local is memory that
// a block shares.
#define __global__
#define __device__
#define __host__
#define __constant__
#define __grid_constant__
#define __shared__ thread_local
#define __align__(bytes) __attribute__((aligned(bytes)))
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)

extern constinit thread_local uint3 threadIdx, blockIdx;
extern constinit thread_local dim3 blockDim, gridDim;
inline constexpr int warpSize = 32;

namespace fusor::emulator {

// The calling fiber waits until all threads of the block have come, or all lanes of the mask. The
// last lane calls complete(payloads, mask) for all of them, where payloads has an entry for each
// lane of the warp. `what` names the operation in errors.
using Complete = void (*)(void* const* payloads, unsigned mask);
void meet_block(const char* what, void* payload = nullptr,
                void (*complete)(void* const* payloads, int threads) = nullptr);
void meet_warp(const char* what, unsigned mask, void* payload, Complete complete);
int lane();  // of the calling fiber in its warp
[[noreturn]] void refuse_source(int lane, int source, unsigned mask);

template <class T>
struct Shuffled {
  T value;
  int source;  // lane
  T result;
};
template <class T>
void shuffle_lanes(void* const* payloads, unsigned mask) {
  const auto of = [&](int i) -> Shuffled<T>& { return *static_cast<Shuffled<T>*>(payloads[i]); };
  for (int i = 0; i < 32; ++i) {
    if (!(mask >> i & 1)) continue;
    if (!(mask >> of(i).source & 1)) refuse_source(i, of(i).source, mask);
    of(i).result = of(of(i).source).value;
  }
}
template <class T>
T shuffle(const char* what, unsigned mask, T value, int source) {
  static_assert(std::is_arithmetic_v<T> && sizeof(T) >= 4, "CUDA cannot shuffle this type");
  Shuffled<T> mine{value, source, value};
  meet_warp(what, mask, &mine, shuffle_lanes<T>);
  return mine.result;
}

// Every lane gets fold(values of all lanes of the mask), in the order of the lanes.
template <class T, class Fold>
T fold_lanes(const char* what, unsigned mask, T value) {
  meet_warp(what, mask, &value, [](void* const* payloads, unsigned lanes) {
    T all{};
    bool first = true;
    for (int i = 0; i < 32; ++i)
      if (lanes >> i & 1) {
        const T x = *static_cast<T*>(payloads[i]);
        all = first ? x : Fold()(all, x);
        first = false;
      }
    for (int i = 0; i < 32; ++i)
      if (lanes >> i & 1) *static_cast<T*>(payloads[i]) = all;
  });
  return value;
}
template <class Fold>
int fold_block(const char* what, int value) {
  meet_block(what, &value, [](void* const* payloads, int threads) {
    int all = *static_cast<int*>(payloads[0]);
    for (int i = 1; i < threads; ++i) all = Fold()(all, *static_cast<int*>(payloads[i]));
    for (int i = 0; i < threads; ++i) *static_cast<int*>(payloads[i]) = all;
  });
  return value;
}
struct Plus {
  template <class T>
  T operator()(T a, T b) const {
    return a + b;
  }
};
struct Less {
  template <class T>
  T operator()(T a, T b) const {
    return b < a ? b : a;
  }
};
struct More {
  template <class T>
  T operator()(T a, T b) const {
    return a < b ? b : a;
  }
};
struct Both {
  template <class T>
  T operator()(T a, T b) const {
    return a & b;
  }
};
struct Either {
  template <class T>
  T operator()(T a, T b) const {
    return a | b;
  }
};

}  // namespace fusor::emulator

inline void __syncthreads() { fusor::emulator::meet_block("__syncthreads"); }
inline int __syncthreads_count(int predicate) {
  return fusor::emulator::fold_block<fusor::emulator::Plus>("__syncthreads_count", predicate != 0);
}
inline int __syncthreads_and(int predicate) {
  return fusor::emulator::fold_block<fusor::emulator::Both>("__syncthreads_and", predicate != 0);
}
inline int __syncthreads_or(int predicate) {
  return fusor::emulator::fold_block<fusor::emulator::Either>("__syncthreads_or", predicate != 0);
}
inline void __syncwarp(unsigned mask = 0xffffffffu) {
  fusor::emulator::meet_warp("__syncwarp", mask, nullptr, [](void* const*, unsigned) {});
}
inline void __threadfence() {}
inline void __threadfence_block() {}
inline void __threadfence_system() {}

// A lane reads within its segment of `width` lanes; one whose source lies outside keeps its value.
template <class T>
auto __shfl_sync(unsigned mask, T value, int source, int width = 32) {
  const int lane = fusor::emulator::lane(), first = lane & ~(width - 1);
  return fusor::emulator::shuffle("__shfl_sync", mask, +value, first | (source & (width - 1)));
}
template <class T>
auto __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = 32) {
  const int lane = fusor::emulator::lane(), last = lane | (width - 1), from = lane ^ lane_mask;
  return fusor::emulator::shuffle("__shfl_xor_sync", mask, +value, from <= last ? from : lane);
}
template <class T>
auto __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32) {
  const int lane = fusor::emulator::lane(), last = lane | (width - 1);
  const int from = lane + static_cast<int>(delta);
  return fusor::emulator::shuffle("__shfl_down_sync", mask, +value, from <= last ? from : lane);
}
template <class T>
auto __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32) {
  const int lane = fusor::emulator::lane(), first = lane & ~(width - 1);
  const int from = lane - static_cast<int>(delta);
  return fusor::emulator::shuffle("__shfl_up_sync", mask, +value, from >= first ? from : lane);
}
inline unsigned __ballot_sync(unsigned mask, int predicate) {
  const unsigned bit = predicate ? 1u << fusor::emulator::lane() : 0;
  return fusor::emulator::fold_lanes<unsigned, fusor::emulator::Either>("__ballot_sync", mask, bit);
}
inline int __any_sync(unsigned mask, int predicate) {
  return fusor::emulator::fold_lanes<int, fusor::emulator::Either>("__any_sync", mask,
                                                                   predicate != 0);
}
inline int __all_sync(unsigned mask, int predicate) {
  return fusor::emulator::fold_lanes<int, fusor::emulator::Both>("__all_sync", mask,
                                                                 predicate != 0);
}
template <class T>
T __reduce_add_sync(unsigned mask, T value) {
  return fusor::emulator::fold_lanes<T, fusor::emulator::Plus>("__reduce_add_sync", mask, value);
}
template <class T>
T __reduce_min_sync(unsigned mask, T value) {
  return fusor::emulator::fold_lanes<T, fusor::emulator::Less>("__reduce_min_sync", mask, value);
}
template <class T>
T __reduce_max_sync(unsigned mask, T value) {
  return fusor::emulator::fold_lanes<T, fusor::emulator::More>("__reduce_max_sync", mask, value);
}

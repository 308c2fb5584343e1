#pragma once
#include <cstdint>

#include "runtime/launch.h"

// Defined in gated_sum_cpu.cc and gated_sum_cuda.cu.
namespace fusor::ops::kernels {

inline constexpr int kMostModalities = 8;

// Rows of `count` modalities, and which of them are there.
struct Modalities {
  std::int64_t rows, width;
  int count;
  std::uint32_t there;          // bit m: values[m] is not null
  const std::int32_t* present;  // [rows]

  constexpr bool has(std::int64_t row, int m) const {
    return (static_cast<std::uint32_t>(present[row]) & there) >> m & 1;
  }
};

template <class T>
struct ModalityValues {
  const T* at[kMostModalities];  // [rows, width], or null
};

// share [rows, count]: 1 or, with gates [rows, count], their softmax over what a row has; else 0
template <class T>
void modality_shares(Cpu, const Modalities&, const T* gates, acc_t<T>* share);
template <class T>
void modality_shares(Cuda, const Modalities&, const T* gates, acc_t<T>* share);

// y [rows, width] = sum over m of share[:, m] values[m]
template <class T>
void gated_sum(Cpu, const Modalities&, const acc_t<T>* share, const ModalityValues<T>& values,
               T* y);
template <class T>
void gated_sum(Cuda, const Modalities&, const acc_t<T>* share, const ModalityValues<T>& values,
               T* y);

// dx [rows, width] = (add ? dx : 0) + share[:, m] dy
template <class T>
void gated_sum_backward(Cpu, const Modalities&, int m, const acc_t<T>* share, const T* dy, T* dx,
                        bool add);
template <class T>
void gated_sum_backward(Cuda, const Modalities&, int m, const acc_t<T>* share, const T* dy, T* dx,
                        bool add);

// With d[m] = <dy, values[m]> in each row:
// dgates [rows, count] = (add ? dgates : 0) + share[:, m] (d[m] - sum over k of share[:, k] d[k])
template <class T>
void gates_backward(Cpu, const Modalities&, const acc_t<T>* share, const ModalityValues<T>& values,
                    const T* dy, T* dgates, bool add);
template <class T>
void gates_backward(Cuda, const Modalities&, const acc_t<T>* share, const ModalityValues<T>& values,
                    const T* dy, T* dgates, bool add);

}  // namespace fusor::ops::kernels

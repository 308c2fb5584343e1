#pragma once
#include <cstdint>

#include "ops/ctc_lattice.h"
#include "runtime/launch.h"

// Defined in ctc_loss_cpu.cc and ctc_loss_cuda.cu.
namespace fusor::ops::kernels {

// CtcTargets as pointers.
struct CtcTexts {
  const std::int32_t *labels, *label_counts, *frame_counts;
};

// Rows of states behind those of a sample's frames, for backward.
inline constexpr std::int64_t kCtcSpareRows = 2;

// lse [samples, frames]: log-sum-exp of the logits of each frame
// alpha [samples, frames + spare, states]: log-probability of frames 0 to t, of the paths that are
// in state s at frame t; only of states that the lattice holds
// losses [samples]: inf where the sample is impossible
template <class T>
void ctc_forward(Cpu, const CtcSizes& sizes, const T* logits, const CtcTexts& texts, double* lse,
                 double* alpha, double* losses);
template <class T>
void ctc_forward(Cuda, const CtcSizes& sizes, const T* logits, const CtcTexts& texts, double* lse,
                 double* alpha, double* losses);

// sum [1] of the losses that are not inf, and impossible [1], how many are
void ctc_sum(Cpu, std::int64_t samples, const double* losses, double* sum, double* impossible);
void ctc_sum(Cuda, std::int64_t samples, const double* losses, double* sum, double* impossible);

// logits become dloss[0] (softmax - the share of the paths that are there). Consumes alpha.
template <class T>
void ctc_backward(Cpu, const CtcSizes& sizes, const double* dloss, const CtcTexts& texts,
                  const double* lse, const double* losses, double* alpha, T* logits);
template <class T>
void ctc_backward(Cuda, const CtcSizes& sizes, const double* dloss, const CtcTexts& texts,
                  const double* lse, const double* losses, double* alpha, T* logits);

}  // namespace fusor::ops::kernels

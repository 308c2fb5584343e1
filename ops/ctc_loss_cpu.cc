#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "ops/cpu.h"
#include "ops/cpu_log_sum_exp.h"
#include "ops/cpu_math.h"
#include "ops/ctc_loss_kernels.h"

namespace fusor::ops::kernels {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

// log(e^a + e^b + e^c)
double log_add(double a, double b, double c) {
  const double max = std::max({a, b, c});
  if (max == -kInf) return max;
  return max + std::log(std::exp(a - max) + std::exp(b - max) + std::exp(c - max));
}

// One sample's rows of the batch.
template <class T>
struct Sample {
  std::int64_t rows, vocab, stride;  // rows: frames, past its count too
  CtcLattice lattice;
  T* logits;          // [rows, vocab]
  const double* lse;  // [rows]
  double* alpha;      // [rows + spare, stride]

  double log_share(std::int64_t t, std::int64_t s) const {
    return cpu::load(logits[t * vocab + lattice.symbol(s)]) - lse[t];
  }
  double alpha_at(std::int64_t t, std::int64_t s) const {
    return lattice.holds(t, s) ? alpha[t * stride + s] : -kInf;
  }
};

template <class T>
Sample<T> sample_of(const CtcSizes& z, const CtcTexts& texts, std::int64_t n, T* logits,
                    const double* lse, double* alpha) {
  return {z.frames,
          z.vocab,
          z.states(),
          {texts.labels + n * z.labels, static_cast<std::int32_t>(z.blank), texts.frame_counts[n],
           2 * std::int64_t{texts.label_counts[n]} + 1},
          logits + n * z.frames * z.vocab,
          lse + n * z.frames,
          alpha + n * (z.frames + kCtcSpareRows) * z.states()};
}

template <class T>
double loss_of(const Sample<T>& of) {
  const CtcLattice& lattice = of.lattice;
  if (lattice.frames == 0) return lattice.states == 1 ? 0 : kInf;
  for (std::int64_t t = 0; t < lattice.frames; ++t) {
    for (std::int64_t s = lattice.begin(t); s < lattice.end(t); ++s) {
      const double before =
          t == 0 ? 0
                 : log_add(of.alpha_at(t - 1, s), of.alpha_at(t - 1, s - 1),
                           lattice.reached_by_two(s) ? of.alpha_at(t - 1, s - 2) : -kInf);
      of.alpha[t * of.stride + s] = of.log_share(t, s) + before;
    }
  }
  const std::int64_t last = lattice.frames - 1;
  return -log_add(of.alpha_at(last, lattice.states - 1), of.alpha_at(last, lattice.states - 2),
                  -kInf);
}

// beta[s], in the sample's first spare row: log-probability of frames t to the last, of the paths
// that are in state s at frame t. Each frame overwrites the next one's: state s reads none before.
template <class T>
void backward_of(const Sample<T>& of, double loss, double dloss, double* share) {
  using A = acc_t<T>;
  const CtcLattice& lattice = of.lattice;
  double* const beta = of.alpha + of.rows * of.stride;
  for (std::int64_t t = lattice.frames - 1; t >= 0; --t) {
    const auto next = [&](std::int64_t s) { return lattice.holds(t + 1, s) ? beta[s] : -kInf; };
    for (std::int64_t s = lattice.begin(t); s < lattice.end(t); ++s) {
      const bool by_two = s + 2 < lattice.states && lattice.reached_by_two(s + 2);
      const double after =
          t + 1 == lattice.frames ? 0 : log_add(next(s), next(s + 1), by_two ? next(s + 2) : -kInf);
      beta[s] = of.log_share(t, s) + after;
      share[lattice.symbol(s)] += std::exp(of.alpha[t * of.stride + s] + after + loss);
    }
    T* const x = of.logits + t * of.vocab;
    const auto log_sum = static_cast<A>(of.lse[t]);
    const auto scale = static_cast<A>(std::exp(log_sum - of.lse[t]));  // undoes its rounding
#pragma omp simd
    for (std::int64_t k = 0; k < of.vocab; ++k)
      cpu::store(x[k], static_cast<A>(dloss) * (scale * cpu::exp(cpu::load(x[k]) - log_sum) -
                                                static_cast<A>(share[k])));
    for (std::int64_t s = lattice.begin(t); s < lattice.end(t); ++s) share[lattice.symbol(s)] = 0;
  }
  std::fill(of.logits + lattice.frames * of.vocab, of.logits + of.rows * of.vocab, T{});
}

}  // namespace

template <class T>
void ctc_forward(Cpu, const CtcSizes& sizes, const T* logits, const CtcTexts& texts, double* lse,
                 double* alpha, double* losses) {
  const std::int64_t rows = sizes.samples * sizes.frames, vocab = sizes.vocab;
  cpu::parallel_for(rows, cpu::row_grain(vocab), [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r)
      if (r % sizes.frames < texts.frame_counts[r / sizes.frames])
        lse[r] = cpu::log_sum_exp(logits + r * vocab, vocab);
  });
  cpu::parallel_for(sizes.samples, 1, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t n = begin; n < end; ++n)
      losses[n] = loss_of(sample_of(sizes, texts, n, logits, lse, alpha));
  });
}

void ctc_sum(Cpu, std::int64_t samples, const double* losses, double* sum, double* impossible) {
  *sum = *impossible = 0;
  for (std::int64_t n = 0; n < samples; ++n)
    losses[n] == kInf ? * impossible += 1 : * sum += losses[n];
}

template <class T>
void ctc_backward(Cpu, const CtcSizes& sizes, const double* dloss, const CtcTexts& texts,
                  const double* lse, const double* losses, double* alpha, T* logits) {
  cpu::parallel_for(sizes.samples, 1, [=](std::int64_t begin, std::int64_t end) {
    std::vector<double> share(static_cast<std::size_t>(sizes.vocab));
    for (std::int64_t n = begin; n < end; ++n) {
      const auto of = sample_of(sizes, texts, n, logits, lse, alpha);
      if (losses[n] == kInf)
        std::fill_n(of.logits, of.rows * of.vocab, T{});
      else
        backward_of(of, losses[n], *dloss, share.data());
    }
  });
}

#define FUSOR_CTC_LOSS(T)                                                                         \
  template void ctc_forward(Cpu, const CtcSizes&, const T*, const CtcTexts&, double*, double*,    \
                            double*);                                                             \
  template void ctc_backward(Cpu, const CtcSizes&, const double*, const CtcTexts&, const double*, \
                             const double*, double*, T*);
FUSOR_CTC_LOSS(double)
FUSOR_CTC_LOSS(float)
FUSOR_CTC_LOSS(bf16)
FUSOR_CTC_LOSS(f16)
#undef FUSOR_CTC_LOSS

}  // namespace fusor::ops::kernels

#include "ops/ctc_loss_kernels.h"
#include "ops/cuda_log_sum_exp.h"

namespace fusor::ops::kernels {
namespace {

constexpr int kRowThreads = 128;      // of a block that has rows of logits
constexpr int kMostThreads = 1024;    // of a block that has a sample's states
constexpr std::int64_t kAtOnce = 16;  // frames of a block that writes gradients

// log(e^a + e^b + e^c)
__device__ double log_add(double a, double b, double c) {
  const double max = cuda::Max()(cuda::Max()(a, b), c);
  if (max == -INFINITY) return max;
  return max + log(exp(a - max) + exp(b - max) + exp(c - max));
}

// One sample's rows of the batch.
template <class T>
struct Sample {
  std::int64_t rows, vocab, stride;  // rows: frames, past its count too
  CtcLattice lattice;
  T* logits;          // [rows, vocab]
  const double* lse;  // [rows]
  double* alpha;      // [rows + spare, stride]

  __device__ Sample(const CtcSizes& z, const CtcTexts& texts, std::int64_t n, T* logits_,
                    const double* lse_, double* alpha_)
      : rows(z.frames),
        vocab(z.vocab),
        stride(z.states()),
        lattice{texts.labels + n * z.labels, static_cast<std::int32_t>(z.blank),
                texts.frame_counts[n], 2 * std::int64_t{texts.label_counts[n]} + 1},
        logits(logits_ + n * z.frames * z.vocab),
        lse(lse_ + n * z.frames),
        alpha(alpha_ + n * (z.frames + kCtcSpareRows) * z.states()) {}

  __device__ double log_share(std::int64_t t, std::int64_t s) const {
    return cuda::load(logits[t * vocab + lattice.symbol(s)]) - lse[t];
  }
  __device__ double alpha_at(std::int64_t t, std::int64_t s) const {
    return lattice.holds(t, s) ? alpha[t * stride + s] : -INFINITY;
  }
};

template <class T>
__global__ void __launch_bounds__(kRowThreads)
    lse_kernel(CtcSizes sizes, const T* logits, CtcTexts texts, double* lse) {
  const std::int64_t row = blockIdx.x;
  if (row % sizes.frames >= texts.frame_counts[row / sizes.frames]) return;
  const double of =
      cuda::block_log_sum_exp<T, kRowThreads>(logits + row * sizes.vocab, sizes.vocab);
  if (threadIdx.x == 0) lse[row] = of;
}

// A block for each sample, its threads over the states of one frame at a time.
template <class T>
__global__ void __launch_bounds__(kMostThreads)
    alpha_kernel(CtcSizes sizes, const T* logits, CtcTexts texts, const double* lse, double* alpha,
                 double* losses) {
  const Sample<const T> of(sizes, texts, blockIdx.x, logits, lse, alpha);
  const CtcLattice& lattice = of.lattice;
  for (std::int64_t t = 0; t < lattice.frames; ++t) {
    for (std::int64_t s = lattice.begin(t) + threadIdx.x; s < lattice.end(t); s += blockDim.x) {
      const double before =
          t == 0 ? 0
                 : log_add(of.alpha_at(t - 1, s), of.alpha_at(t - 1, s - 1),
                           lattice.reached_by_two(s) ? of.alpha_at(t - 1, s - 2) : -INFINITY);
      of.alpha[t * of.stride + s] = of.log_share(t, s) + before;
    }
    __syncthreads();
  }
  if (threadIdx.x > 0) return;
  const std::int64_t last = lattice.frames - 1;
  losses[blockIdx.x] = lattice.frames > 0
                           ? -log_add(of.alpha_at(last, lattice.states - 1),
                                      of.alpha_at(last, lattice.states - 2), -INFINITY)
                       : lattice.states == 1 ? 0
                                             : INFINITY;
}

__global__ void sum_kernel(std::int64_t samples, const double* losses, double* sum,
                           double* impossible) {
  double mine = 0, mine_impossible = 0;
  for (std::int64_t n = threadIdx.x; n < samples; n += blockDim.x)
    losses[n] == INFINITY ? mine_impossible += 1 : mine += losses[n];
  mine = cuda::block_sum(mine);
  mine_impossible = cuda::block_sum(mine_impossible);
  if (threadIdx.x > 0) return;
  *sum = mine;
  *impossible = mine_impossible;
}

// alpha[t, s] becomes the share of the paths that are in state s at frame t. beta, in the spare
// rows in turn: log-probability of frames t to the last, of the paths that are in state s at frame
// t.
template <class T>
__global__ void __launch_bounds__(kMostThreads)
    share_kernel(CtcSizes sizes, const T* logits, CtcTexts texts, const double* lse,
                 const double* losses, double* alpha) {
  const double loss = losses[blockIdx.x];
  if (loss == INFINITY) return;
  const Sample<const T> of(sizes, texts, blockIdx.x, logits, lse, alpha);
  const CtcLattice& lattice = of.lattice;
  for (std::int64_t t = lattice.frames - 1; t >= 0; --t) {
    double* const beta = of.alpha + (of.rows + t % 2) * of.stride;
    const double* const later = of.alpha + (of.rows + (t + 1) % 2) * of.stride;
    const auto next = [&](std::int64_t s) {
      return lattice.holds(t + 1, s) ? later[s] : -INFINITY;
    };
    for (std::int64_t s = lattice.begin(t) + threadIdx.x; s < lattice.end(t); s += blockDim.x) {
      const bool by_two = s + 2 < lattice.states && lattice.reached_by_two(s + 2);
      const double after = t + 1 == lattice.frames
                               ? 0
                               : log_add(next(s), next(s + 1), by_two ? next(s + 2) : -INFINITY);
      beta[s] = of.log_share(t, s) + after;
      double& at = of.alpha[t * of.stride + s];
      at = exp(at + after + loss);
    }
    __syncthreads();
  }
}

// next[i]: the next place of the label at place i, or the number of labels. first[i]: whether none
// is before it.
__device__ void link_labels(const std::int32_t* labels, int count, int* next, bool* first) {
  for (int i = static_cast<int>(threadIdx.x); i < count; i += kRowThreads) {
    int after = i + 1, before = i - 1;
    while (after < count && labels[after] != labels[i]) ++after;
    while (before >= 0 && labels[before] != labels[i]) --before;
    next[i] = after;
    first[i] = before < 0;
  }
  __syncthreads();
}

// The slope of frame t at the blank, in every thread, and at each label, in the share of the state
// where it is first.
template <class T>
__device__ double slopes_of_symbols(const Sample<T>& of, std::int64_t t, const int* next,
                                    const bool* first) {
  const int count = static_cast<int>(of.lattice.states / 2);
  double* const share = of.alpha + t * of.stride;
  const auto share_at = [&](std::int64_t s) { return of.lattice.holds(t, s) ? share[s] : 0; };
  for (int i = static_cast<int>(threadIdx.x); i < count; i += kRowThreads) {
    if (!first[i]) continue;
    double sum = 0;
    for (int j = i; j < count; j = next[j]) sum += share_at(2 * j + 1);
    share[2 * i + 1] = exp(of.log_share(t, 2 * i + 1)) - sum;
  }
  double blanks = 0;
  for (std::int64_t s = 2 * threadIdx.x; s < of.lattice.states; s += 2 * kRowThreads)
    blanks += share_at(s);
  return exp(of.log_share(t, 0)) - cuda::block_sum(blanks);
}

// A block for some frames of a sample.
template <class T>
__global__ void __launch_bounds__(kRowThreads)
    gradient_kernel(CtcSizes sizes, const double* dloss, CtcTexts texts, const double* lse,
                    const double* losses, double* alpha, T* logits) {
  using A = acc_t<T>;
  const Sample<T> of(sizes, texts, blockIdx.y, logits, lse, alpha);
  const int count = static_cast<int>(of.lattice.states / 2);
  int* const next = cuda::dynamic_shared<int>();
  bool* const first = reinterpret_cast<bool*>(next + count);
  link_labels(of.lattice.labels, count, next, first);
  const std::int64_t frames = losses[blockIdx.y] == INFINITY ? 0 : of.lattice.frames;
  for (std::int64_t t = blockIdx.x * kAtOnce; t < min((blockIdx.x + 1) * kAtOnce, of.rows); ++t) {
    T* const x = of.logits + t * of.vocab;
    const auto for_each = [&](auto&& element) {
      cuda::for_row<T, kRowThreads>(
          of.vocab, x, [&]<int kWidth>(cuda::Vector<T, kWidth> at, std::int64_t column) {
#pragma unroll
            for (int j = 0; j < kWidth; ++j) element(at.at[j]);
            *reinterpret_cast<cuda::Vector<T, kWidth>*>(x + column) = at;
          });
    };
    if (t >= frames) {
      for_each([](T& at) { at = T{}; });
      continue;
    }
    const double at_blank = slopes_of_symbols(of, t, next, first);
    const auto log_sum = static_cast<A>(of.lse[t]);
    const auto scale = static_cast<A>(*dloss * exp(log_sum - of.lse[t]));  // undoes its rounding
    __syncthreads();  // the symbols' logits have been read
    for_each([=](T& at) { cuda::store(at, scale * cuda::exp_of<T>(cuda::load(at) - log_sum)); });
    __syncthreads();
    for (int i = static_cast<int>(threadIdx.x); i < count; i += kRowThreads)
      if (first[i])
        cuda::store(x[of.lattice.labels[i]],
                    static_cast<A>(*dloss * of.alpha[t * of.stride + 2 * i + 1]));
    if (threadIdx.x == 0) cuda::store(x[of.lattice.blank], static_cast<A>(*dloss * at_blank));
  }
}

int state_threads(const CtcSizes& sizes) {
  const std::int64_t warps = cuda::ceil_div(sizes.states(), cuda::kWarp);
  return static_cast<int>(std::min<std::int64_t>(warps * cuda::kWarp, kMostThreads));
}

}  // namespace

template <class T>
void ctc_forward(Cuda on, const CtcSizes& sizes, const T* logits, const CtcTexts& texts,
                 double* lse, double* alpha, double* losses) {
  cuda::run(on, {.blocks = sizes.samples * sizes.frames, .threads = kRowThreads}, lse_kernel<T>,
            sizes, logits, texts, lse);
  cuda::run(on, {.blocks = sizes.samples, .threads = state_threads(sizes)}, alpha_kernel<T>, sizes,
            logits, texts, lse, alpha, losses);
}

void ctc_sum(Cuda on, std::int64_t samples, const double* losses, double* sum, double* impossible) {
  cuda::run(on, {.blocks = 1, .threads = 256}, sum_kernel, samples, losses, sum, impossible);
}

template <class T>
void ctc_backward(Cuda on, const CtcSizes& sizes, const double* dloss, const CtcTexts& texts,
                  const double* lse, const double* losses, double* alpha, T* logits) {
  cuda::run(on, {.blocks = sizes.samples, .threads = state_threads(sizes)}, share_kernel<T>, sizes,
            logits, texts, lse, losses, alpha);
  cuda::run(on,
            {.blocks = cuda::ceil_div(sizes.frames, kAtOnce),
             .threads = kRowThreads,
             .shared = static_cast<std::size_t>(sizes.labels) * (sizeof(int) + sizeof(bool)),
             .rows = sizes.samples},
            gradient_kernel<T>, sizes, dloss, texts, lse, losses, alpha, logits);
}

#define FUSOR_CTC_LOSS(T)                                                                          \
  template void ctc_forward(Cuda, const CtcSizes&, const T*, const CtcTexts&, double*, double*,    \
                            double*);                                                              \
  template void ctc_backward(Cuda, const CtcSizes&, const double*, const CtcTexts&, const double*, \
                             const double*, double*, T*);
FUSOR_CTC_LOSS(double)
FUSOR_CTC_LOSS(float)
FUSOR_CTC_LOSS(bf16)
FUSOR_CTC_LOSS(f16)
#undef FUSOR_CTC_LOSS

}  // namespace fusor::ops::kernels

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "ops/cpu.h"
#include "ops/top_k_router_kernels.h"

namespace fusor::ops::kernels {
namespace {

// p = softmax of n logits.
template <class A>
void softmax(std::int64_t n, const A* logits, A* p) {
  const A largest = *std::max_element(logits, logits + n);
  std::transform(logits, logits + n, p, [=](A x) { return std::exp(x - largest); });
  const A scale = 1 / std::accumulate(p, p + n, A(0));
  std::transform(p, p + n, p, [=](A x) { return x * scale; });
}

// weights [k] of a row. `p`: room for all experts.
template <class A>
void weights_of(std::int64_t experts, std::int64_t k, const A* logits, const std::int32_t* choices,
                A* p, A* weights) {
  if (k == 1) {
    softmax(experts, logits, p);
    weights[0] = p[choices[0]];
    return;
  }
  std::transform(choices, choices + k, weights, [=](std::int32_t e) { return logits[e]; });
  softmax(k, weights, weights);
}

// d [n] += the gradient of the logits of p = softmax(logits), given that of p.
template <class A, class Dp>
void softmax_backward(std::int64_t n, const A* p, Dp&& dp, A* d) {
  A mean = 0;
  for (std::int64_t i = 0; i < n; ++i) mean += p[i] * dp(i);
  for (std::int64_t i = 0; i < n; ++i) d[i] += p[i] * (dp(i) - mean);
}

// d [experts] += the gradient that flows back from a row's weights. p: softmax of the logits.
// chosen [2 k]: room.
template <class A>
void weights_backward_row(std::int64_t experts, std::int64_t k, const A* dweights, const A* logits,
                          const std::int32_t* choices, A* p, A* chosen, A* d) {
  if (k == 1) {
    const auto dp = [=](std::int64_t e) { return e == choices[0] ? dweights[0] : A(0); };
    return softmax_backward(experts, p, dp, d);
  }
  A* dchosen = chosen + k;
  std::fill_n(dchosen, k, A(0));
  weights_of(experts, k, logits, choices, p, chosen);
  softmax_backward(
      k, chosen, [=](std::int64_t j) { return dweights[j]; }, dchosen);
  for (std::int64_t j = 0; j < k; ++j) d[choices[j]] += dchosen[j];
}

// The balance loss's gradient of expert e's probability is that times counts[e].
double pull_of(std::int64_t experts, const Pull& of) {
  const auto all = of.counts ? std::accumulate(of.counts, of.counts + experts, std::int64_t{0}) : 0;
  const double size =
      all > 0 ? of.coefficient * static_cast<double>(experts) / static_cast<double>(all) : 0;
  return of.loss_scale ? size * *of.loss_scale : size;
}

}  // namespace

template <class A>
void top_k(Cpu, std::int64_t rows, std::int64_t experts, std::int64_t k, const A* logits,
           std::int32_t* choices) {
  cpu::parallel_for(rows, cpu::row_grain(experts * k), [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      const A* row = logits + r * experts;
      std::int32_t *first = choices + r * k, *chosen = first;
      for (; chosen < first + k; ++chosen) {
        std::int32_t best = -1;
        for (std::int32_t e = 0; e < experts; ++e)
          if (std::find(first, chosen, e) == chosen && (best < 0 || row[e] > row[best])) best = e;
        *chosen = best;
      }
    }
  });
}

template <class A>
void router_weights(Cpu, std::int64_t rows, std::int64_t experts, std::int64_t k, const A* logits,
                    const std::int32_t* choices, A* weights) {
  cpu::parallel_for(rows, cpu::row_grain(experts), [=](std::int64_t begin, std::int64_t end) {
    std::vector<A> p(static_cast<std::size_t>(experts));
    for (std::int64_t r = begin; r < end; ++r)
      weights_of(experts, k, logits + r * experts, choices + r * k, p.data(), weights + r * k);
  });
}

template <class A>
void router_weights_backward(Cpu, std::int64_t rows, std::int64_t experts, std::int64_t k,
                             const A* dweights, const A* logits, const std::int32_t* choices,
                             const Pull& of, A* dlogits, bool add) {
  const auto pull = static_cast<A>(pull_of(experts, of));
  const auto row = [=](std::int64_t r, A* p, A* chosen, A* d) {
    const A* l = logits + r * experts;
    softmax(experts, l, p);
    std::fill_n(d, experts, A(0));
    weights_backward_row(experts, k, dweights + r * k, l, choices + r * k, p, chosen, d);
    const auto balance = [=](std::int64_t e) { return pull * static_cast<A>(of.counts[e]); };
    if (pull != 0) softmax_backward(experts, p, balance, d);
    A* to = dlogits + r * experts;
    for (std::int64_t e = 0; e < experts; ++e) to[e] = (add ? to[e] : 0) + d[e];
  };
  cpu::parallel_for(rows, cpu::row_grain(experts), [=](std::int64_t begin, std::int64_t end) {
    std::vector<A> room(static_cast<std::size_t>(2 * experts + 2 * k));
    A *p = room.data(), *d = p + experts, *chosen = d + experts;
    for (std::int64_t r = begin; r < end; ++r) row(r, p, chosen, d);
  });
}

#define FUSOR_TOP_K_ROUTER(A)                                                                    \
  template void top_k(Cpu, std::int64_t, std::int64_t, std::int64_t, const A*, std::int32_t*);   \
  template void router_weights(Cpu, std::int64_t, std::int64_t, std::int64_t, const A*,          \
                               const std::int32_t*, A*);                                         \
  template void router_weights_backward(Cpu, std::int64_t, std::int64_t, std::int64_t, const A*, \
                                        const A*, const std::int32_t*, const Pull&, A*, bool);
FUSOR_TOP_K_ROUTER(double)
FUSOR_TOP_K_ROUTER(float)
#undef FUSOR_TOP_K_ROUTER

}  // namespace fusor::ops::kernels

#include "launch/calibration.h"

#include <omp.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <functional>

#include "ops/add.h"
#include "ops/attention.h"
#include "ops/fill.h"
#include "ops/gelu.h"
#include "ops/gemm.h"
#include "runtime/host_memory.h"

namespace fusor {
namespace {

// To four digits: no measurement has more.
double rounded(double x) {
  std::array<char, 32> text;
  char* const end = text.data() + text.size();
  double value = x;
  std::from_chars(text.data(),
                  std::to_chars(text.data(), end, x, std::chars_format::scientific, 3).ptr, value);
  return value;
}

struct Rate {
  double size, per_second;  // flops or bytes of one call, and of a second
};

class Calibration {
 public:
  explicit Calibration(const World& world) : world_(world) {}

  Cluster operator()() {
    Cluster c;
    c.name = world_.host() + ", " + std::to_string(omp_get_max_threads()) + " threads a rank";
    c.ranks_per_node = world_.local_size();
    c.memory = static_cast<double>(available_host_memory()) / world_.local_size();
    c.peak_f64 = best(products(DType::f64, {192}));
    c.peak_bf16 = best(products(DType::bf16, {768}));
    const std::vector<Rate> f32 = products(DType::f32, {16, 32, 64, 128, 256, 512, 768});
    c.peak_f32 = best(f32);
    c.gemm = shares(f32, c.peak_f32);
    c.attention = shares(attentions(), c.peak_f32);
    const std::vector<Rate> copies = streams();
    c.bandwidth = best(copies);
    c.streaming = shares(copies, c.bandwidth);
    c.vector = arithmetic();
    c.inside = c.between = link(c.bandwidth);
    return c;
  }

 private:
  // The median of a few runs that all ranks begin together, of the slowest rank.
  double seconds(const std::function<void()>& run) {
    using Clock = std::chrono::steady_clock;
    constexpr int kRuns = 7;
    run();
    std::vector<double> times;
    for (int i = 0; i < kRuns; ++i) {
      world_.group()->barrier("calibrate");
      const auto begin = Clock::now();
      run();
      times.push_back(std::chrono::duration<double>(Clock::now() - begin).count());
    }
    std::ranges::nth_element(times, times.begin() + kRuns / 2);
    const Tensor slowest({1}, DType::f64);
    slowest.data<double>()[0] = times[kRuns / 2];
    world_.group()->all_reduce(slowest, ReduceOp::max, "calibrate").wait();
    return slowest.data<double>()[0];
  }

  // The three products of a linear layer with 4 n rows and n features in and out.
  std::vector<Rate> products(DType dtype, const std::vector<std::int64_t>& sides) {
    std::vector<Rate> rates;
    for (const std::int64_t n : sides) {
      const Tensor x({4 * n, n}, dtype), y({4 * n, n}, dtype), w({n, n}, dtype);
      const Tensor dw({n, n}, acc_dtype(dtype));
      ops::fill(x, 1), ops::fill(w, 1);
      const auto repeats = std::max<std::int64_t>(1, (1 << 24) / (n * n * n));
      const double three = seconds([&] {
        for (std::int64_t i = 0; i < repeats; ++i) {
          ops::gemm_nt(x, w, {}, y);
          ops::gemm_nn(y, w, x, false);
          ops::gemm_tn(y, x, dw, false);
        }
      });
      const double flops = 8.0 * static_cast<double>(n * n * n);
      rates.push_back({flops, 3 * flops * static_cast<double>(repeats) / three});
    }
    return rates;
  }

  // Forward and backward, of heads of 64.
  std::vector<Rate> attentions() {
    std::vector<Rate> rates;
    for (const std::int64_t seq_len : {32, 128, 512}) {
      const AttentionShape shape{4, seq_len, 4, 4, 64};
      const Tensor qkv({4 * seq_len, 12 * 64}, DType::f32), dy({4 * seq_len, 4 * 64}, DType::f32);
      ops::fill(qkv, 0.1), ops::fill(dy, 0.1);
      KernelClock& clock = qkv.device().backend().clock;
      double flops = 0;
      const double both = seconds([&] {
        const double before = clock.flops;
        Tape tape;
        tape.backward(attention(Var::input(qkv, &tape, true), shape), dy);
        flops = clock.flops - before;
      });
      rates.push_back({flops / 2, flops / both});
    }
    return rates;
  }

  std::vector<Rate> streams() {
    std::vector<Rate> rates;
    for (std::int64_t n = 1 << 10; n <= 1 << 24; n *= 8) {
      const Tensor from({n}, DType::f32), to({n}, DType::f32);
      ops::fill(from, 1), ops::fill(to, 1);
      const std::int64_t repeats = std::max<std::int64_t>(1, (1 << 18) / n);
      const double moved = seconds([&] {
        for (std::int64_t i = 0; i < repeats; ++i) ops::add_into(to, from, true);
      });
      const double bytes = 3.0 * static_cast<double>(from.bytes());
      rates.push_back({bytes, bytes * static_cast<double>(repeats) / moved});
    }
    return rates;
  }

  // flop/s of GELUs of what a cache holds.
  double arithmetic() {
    const Tensor x({1 << 16}, DType::f32);
    ops::fill(x, 0.5);
    KernelClock& clock = x.device().backend().clock;
    double flops = 0;
    const double time = seconds([&] {
      const double before = clock.flops;
      for (int i = 0; i < 4; ++i) gelu(Var::input(x));
      flops = clock.flops - before;
    });
    return rounded(flops / time);
  }

  // Reads bandwidth and latency off all-reduces, as CostModel will use them. A rank alone moves
  // bytes as it copies them.
  Link link(double alone) {
    const int n = world_.size();
    Link link{.bandwidth = alone};
    if (n == 1) return link;
    std::vector<Rate> rates;
    for (std::int64_t count = 2; count <= 1 << 22; count *= 8) {
      const Tensor t({count}, DType::f32);
      ops::fill(t, 0);
      const double time =
          seconds([&] { world_.group()->all_reduce(t, ReduceOp::sum, "calibrate").wait(); });
      if (link.latency == 0) {
        link.latency = rounded(time / (2.0 * (n - 1)));
        continue;
      }
      const double moved = 2.0 * (n - 1) / n * static_cast<double>(t.bytes());
      const double moving = std::max(time - 2 * (n - 1) * link.latency, time / 10);
      rates.push_back({static_cast<double>(t.bytes()), moved / moving});
    }
    link.bandwidth = best(rates);
    link.efficiency = shares(rates, link.bandwidth);
    return link;
  }

  static double best(const std::vector<Rate>& rates) {
    double most = 0;
    for (const Rate& r : rates) most = std::max(most, r.per_second);
    return rounded(most);
  }
  static Curve shares(const std::vector<Rate>& rates, double peak) {
    Curve curve{{}};
    for (const Rate& r : rates)
      curve.points.push_back({r.size, std::min(1.0, rounded(r.per_second / peak))});
    return curve;
  }

  const World& world_;
};

}  // namespace

Cluster calibrate(const World& world) { return Calibration(world)(); }

}  // namespace fusor

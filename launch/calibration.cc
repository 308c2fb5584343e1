#include "launch/calibration.h"

#include <omp.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <functional>

#include "launch/device_group.h"
#include "launch/device_work.h"
#include "ops/add.h"
#include "ops/attention.h"
#include "ops/fill.h"
#include "ops/gelu.h"
#include "ops/gemm.h"
#include "runtime/copy.h"

namespace fusor {
namespace {

using Clock = std::chrono::steady_clock;
double since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

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
struct Timed {
  double seconds;  // of a call
  Cost cost;       // of one, by its operators' own count
  bool long_enough;
};

// What is measured: sizes ascend, until one takes long.
struct Sizes {
  std::vector<std::int64_t> f64, f32, bf16;  // sides of matrix products
  std::vector<std::int64_t> seq_len;         // of attention
  std::vector<std::int64_t> stream;          // elements
  std::int64_t vector;                       // that a cache holds
  DType wide;                                // what the curves of products and attention are of
};
Sizes sizes_of(DeviceKind kind) {
  const std::vector<std::int64_t> blocks{1 << 10, 1 << 13, 1 << 16, 1 << 19, 1 << 22};
  if (kind == DeviceKind::cpu) {
    Sizes s{{192},     {16, 32, 64, 128, 256, 512, 768}, {768}, {32, 128, 512}, blocks, 1 << 16,
            DType::f32};
    s.stream.push_back(1 << 24);
    return s;
  }
  Sizes s{{}, {}, {}, {32, 128, 512, 2048, 8192}, blocks, 1 << 20, DType::bf16};
  for (std::int64_t n = 32; n <= 8192; n *= 2) {
    s.bf16.push_back(n);
    if (n <= 4096) s.f64.push_back(n), s.f32.push_back(n);
  }
  s.stream.insert(s.stream.end(), {1 << 25, 1 << 28});
  return s;
}

class Calibration {
 public:
  Calibration(const World& world, const Placement& placement)
      : world_(world),
        placement_(placement),
        sizes_(sizes_of(placement.kind())),
        device_(placement.heap()),
        group_(device_group(world, device_, TransportKind::automatic)) {}

  Cluster operator()() {
    Cluster c;
    c.name = placement_.kind() == DeviceKind::cuda
                 ? placement_.place
                 : world_.host() + ", " + std::to_string(omp_get_max_threads()) + " threads a rank";
    c.ranks_per_node = world_.local_size();
    c.memory = static_cast<double>(plannable_bytes(placement_)) / placement_.ranks;
    const std::vector<Rate> f32 = products(DType::f32, sizes_.f32),
                            bf16 = products(DType::bf16, sizes_.bf16);
    c.peak_f64 = best(products(DType::f64, sizes_.f64));
    c.peak_f32 = best(f32), c.peak_bf16 = best(bf16);
    const double peak = c.peak(sizes_.wide);
    c.gemm = shares(sizes_.wide == DType::f32 ? f32 : bf16, peak);
    c.attention = shares(attentions(), peak);
    const std::vector<Rate> copies = streams();
    c.bandwidth = best(copies);
    c.streaming = shares(copies, c.bandwidth);
    c.vector = arithmetic();
    if (placement_.kind() == DeviceKind::cuda) c.launch = c.call = issue();
    c.inside = c.between = link(c.bandwidth);
    return c;
  }

 private:
  static constexpr int kRuns = 7;
  static constexpr double kLong = 1;  // seconds of a run that are not spent again

  double of_slowest(double seconds) const {
    const Tensor slowest({1}, DType::f64);
    slowest.data<double>()[0] = seconds;
    world_.group()->all_reduce(slowest, ReduceOp::max, "calibrate").wait();
    return slowest.data<double>()[0];
  }

  // The median of a few runs that all ranks begin together, of the slowest rank.
  double median(const std::function<double()>& seconds) const {
    std::vector<double> times;
    for (double all = 0; times.size() < kRuns && all < kLong; all += times.back()) {
      world_.group()->barrier("calibrate");
      times.push_back(of_slowest(seconds()));
    }
    const auto middle = times.begin() + std::ssize(times) / 2;
    std::ranges::nth_element(times, middle);
    return *middle;
  }

  Timed time(std::int64_t times, const std::function<Work(const Device&)>& make) const {
    const DeviceWork work([&](const Device& device) { return std::vector{make(device)}; },
                          placement_, times);
    const auto all = static_cast<double>(times);
    const double seconds = median([&] { return all * work.seconds(0); });
    return {seconds / all, work.cost(0), seconds > kLong};
  }
  // How often small work is queued in a row, so that waiting for it does not count.
  std::int64_t times(std::int64_t enough, std::int64_t size) const {
    constexpr std::int64_t kOfGraph = 10;
    if (placement_.kind() == DeviceKind::cuda) return kOfGraph;
    return std::max<std::int64_t>(1, enough / size);
  }

  Tensor filled(Shape shape, DType dtype, const Device& device, double value = 1) const {
    Tensor t(std::move(shape), dtype, device);
    ops::fill(t, value);
    return t;
  }

  // The three products of a linear layer with 4 n rows and n features in and out.
  std::vector<Rate> products(DType dtype, const std::vector<std::int64_t>& sides) const {
    std::vector<Rate> rates;
    for (const std::int64_t n : sides) {
      const Timed three = time(times(1 << 24, n * n * n), [&](const Device& device) -> Work {
        const Tensor x = filled({4 * n, n}, dtype, device), w = filled({n, n}, dtype, device);
        const Tensor y({4 * n, n}, dtype, device), dw({n, n}, acc_dtype(dtype), device);
        return [=] {
          ops::gemm_nt(x, w, {}, y);
          ops::gemm_nn(y, w, x, false);
          ops::gemm_tn(y, x, dw, false);
        };
      });
      rates.push_back({three.cost.flops / 3, three.cost.flops / three.seconds});
      if (three.long_enough) break;
    }
    return rates;
  }

  // Forward and backward, of heads of 64.
  std::vector<Rate> attentions() const {
    std::vector<Rate> rates;
    for (const std::int64_t seq_len : sizes_.seq_len) {
      const AttentionShape shape{4, seq_len, 4, 4, 64};
      const Timed both = time(times(1, 1), [&](const Device& device) -> Work {
        const Tensor qkv = filled({4 * seq_len, 12 * 64}, sizes_.wide, device, 0.1),
                     dy = filled({4 * seq_len, 4 * 64}, sizes_.wide, device, 0.1);
        return [=] {
          Tape tape;
          tape.backward(attention(Var::input(qkv, &tape, true), shape), dy);
        };
      });
      rates.push_back({both.cost.flops / 2, both.cost.flops / both.seconds});
      if (both.long_enough) break;
    }
    return rates;
  }

  std::vector<Rate> streams() const {
    std::vector<Rate> rates;
    for (const std::int64_t n : sizes_.stream) {
      const Timed sum = time(times(1 << 18, n), [&](const Device& device) -> Work {
        const Tensor from = filled({n}, DType::f32, device), to = filled({n}, DType::f32, device);
        return [=] { ops::add_into(to, from, true); };
      });
      rates.push_back({sum.cost.bytes, sum.cost.bytes / sum.seconds});
      if (sum.long_enough) break;
    }
    return rates;
  }

  // flop/s of GELUs of what a cache holds.
  double arithmetic() const {
    const Timed gelus = time(times(4, 1), [&](const Device& device) -> Work {
      const Tensor x = filled({sizes_.vector}, DType::f32, device, 0.5);
      return [=] { gelu(Var::input(x)); };
    });
    return rounded(gelus.cost.flops / gelus.seconds);
  }

  // Seconds in which the host queues an operator.
  double issue() const {
    constexpr int kOperators = 200;
    const Tensor from = filled({256}, DType::f32, device_), to = filled({256}, DType::f32, device_);
    return rounded(median([&] {
      const auto begin = Clock::now();
      for (int i = 0; i < kOperators; ++i) ops::add_into(to, from, true);
      const double seconds = since(begin) / kOperators;
      synchronize(device_);
      return seconds;
    }));
  }

  // Reads bandwidth and latency off all-reduces, as CostModel will use them. A rank alone moves
  // bytes as it copies them.
  Link link(double alone) const {
    const int n = world_.size();
    Link link{.bandwidth = alone};
    if (n == 1) return link;
    std::vector<Rate> rates;
    for (std::int64_t count = 2; count <= 1 << 22; count *= 8) {
      const Tensor t = filled({count}, DType::f32, device_, 0);
      const double time = median([&] {
        const auto begin = Clock::now();
        group_->all_reduce(t, ReduceOp::sum, "calibrate").wait();
        synchronize(device_);
        return since(begin);
      });
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
  const Placement& placement_;
  Sizes sizes_;
  Device device_;
  Group group_;  // for tensors of the device
};

}  // namespace

Cluster calibrate(const World& world, const Placement& placement) {
  return Calibration(world, placement)();
}

}  // namespace fusor

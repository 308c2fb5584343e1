#include "benchmarks/tapped_transport.h"

#include <thread>

namespace fusor::benchmark {
namespace {

using Clock = Tap::Clock;

class Stopwatch {
 public:
  explicit Stopwatch(double& total) : total_(total) {}
  ~Stopwatch() { total_ += std::chrono::duration<double>(Clock::now() - begin_).count(); }
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

 private:
  double& total_;
  Clock::time_point begin_ = Clock::now();
};

// That a rank of `size` sends in a ring.
double ring_bytes(const CommCall& call, int size) {
  const double others = (size - 1.0) / size;
  switch (call.kind) {
    case CommKind::all_reduce:
      return 2 * others * static_cast<double>(call.in.bytes());
    case CommKind::all_gather:
      return others * static_cast<double>(call.out.bytes());
    case CommKind::reduce_scatter:
    case CommKind::all_to_all:
      return others * static_cast<double>(call.in.bytes());
    case CommKind::broadcast:
    case CommKind::send:
    case CommKind::recv:
      return static_cast<double>(call.in.bytes());
    case CommKind::barrier:
      break;
  }
  return 0;
}

class TappedTransport final : public Transport {
 public:
  TappedTransport(Group inner, Tap& tap)
      : Transport(inner.rank(), inner.size(), inner.name()), inner_(std::move(inner)), tap_(tap) {}

  std::unique_ptr<Transport> split(const std::vector<int>& colors, std::string name) override {
    return std::make_unique<TappedTransport>(inner_.split(colors, std::move(name)), tap_);
  }
  void progress() noexcept override {
    const Stopwatch watch(tap_.seconds.progress);
    inner_->progress();
  }

 private:
  class Flight final : public Pending::Work {
   public:
    Flight(Pending inner, Group group, Clock::time_point landing, double& seconds)
        : inner_(std::move(inner)),
          group_(std::move(group)),
          landing_(landing),
          seconds_(seconds) {}
    Flight(const Flight&) = delete;
    Flight& operator=(const Flight&) = delete;
    ~Flight() noexcept override {}  // a Pending has waited, or an exception unwinds

    bool test() override { return inner_.done() && Clock::now() >= landing_; }
    void wait() override {
      const Stopwatch watch(seconds_);
      inner_.wait();
      while (Clock::now() < landing_) {
        group_->progress();
        std::this_thread::yield();
      }
    }

   private:
    Pending inner_;
    Group group_;
    Clock::time_point landing_;
    double& seconds_;
  };

  Pending start(CommCall call) override {
    if (tap_.overlap == Overlap::left_out) return {};
    double& seconds = tap_.seconds.of_kind[static_cast<std::size_t>(call.kind)];
    Pending pending;
    {
      const Stopwatch watch(seconds);
      const Clock::time_point landing = landing_of(call);
      pending = Pending(std::make_unique<Flight>(inner_->begin(call), inner_, landing, seconds));
    }
    if (tap_.overlap == Overlap::waited) pending.wait();
    return pending;
  }

  Clock::time_point landing_of(const CommCall& call) {
    if (tap_.link.bytes_per_second == 0) return {};
    const auto after = [](Clock::time_point from, double seconds) {
      return from +
             std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
    };
    tap_.link_free = after(std::max(Clock::now(), tap_.link_free),
                           ring_bytes(call, size()) / tap_.link.bytes_per_second);
    return after(tap_.link_free, tap_.link.latency);
  }

  Group inner_;
  Tap& tap_;
};

}  // namespace

Mesh tapped(Mesh mesh, Tap& tap) {
  for (Group* group : {&mesh.data, &mesh.shard, &mesh.replicas, &mesh.expert_data})
    if (group->size() > 1) *group = Group(std::make_shared<TappedTransport>(*group, tap));
  return mesh;
}

}  // namespace fusor::benchmark

// How much of the communication of data parallelism and of ZeRO is hidden behind computing.
//
//   mpirun -np 2 overlap_bench [--section.key=value]...     the keys of a recipe
//
// Takes steps of a GPT in turn
//   as it is
//   waited    with every call over the copies of the weights complete before it returns
//   without   without these calls: what is computed is wrong, how long it takes is not
// and prints a Markdown table. The share hidden is (waited - as it is) / (waited - without): of the
// medians, and the quartiles of each round's. First over the ranks' own transport, then with a
// simulated link behind it, where a call ends no sooner than a network would end it. On one host
// the bytes are copied by the cores that compute, which nothing hides; a link's time can be.
#include <omp.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <exception>
#include <iostream>
#include <sstream>

#include "benchmarks/compare.h"
#include "benchmarks/recipe_arguments.h"
#include "benchmarks/tapped_transport.h"
#include "launch/rehearsal.h"
#include "launch/trainer.h"
#include "runtime/world.h"

namespace fusor::benchmark {
namespace {

constexpr int kRounds = 21;
constexpr Link kSlow{.latency = 20e-6, .bytes_per_second = 1e9};

Config config_of(const KeyValues& keys) {
  std::istringstream recipe(
      "[model]\npreset = gpt2-124m\nvocab_size = 512\nseq_len = 128\nlayers = 8\nwidth = 256\n"
      "heads = 4\n[train]\nmicro_batch = 4\naccumulation = 1\nsteps = 1000\n"
      "[optimizer]\nlr = 3e-4\nschedule = constant\n[parallel]\nbucket_mb = 2\n");
  return parse_recipe(recipe, "overlap_bench", keys);
}

// A training run whose calls end as `overlap` says.
class Way {
 public:
  Way(const Config& config, const RunSize& size, const MemoryPlan& memory, const World& world,
      Overlap overlap, const Link& link)
      : world_(world.group()),
        batches_(random_batches(size, config.model.vocab_size)),
        mesh_(tapped(Mesh::over(world_, size.mesh, config.parallel.sequence), tap_)),
        device_(Device::arena(memory)),
        trainer_(TextTask(config), config, size, mesh_, device_) {
    trainer_.initialize();
    tap_.overlap = overlap, tap_.link = link;
  }
  Way(const Way&) = delete;
  Way& operator=(const Way&) = delete;

  // Seconds of a step of the rank that took the longest.
  double step() {
    world_->barrier("step");
    tap_.seconds = {};
    const Tensor seconds({1}, DType::f64);
    seconds.host<double>()[0] = seconds_of([&] {
      trainer_.accumulate(step_, batches_);
      loss_ = trainer_.update(step_, {}).loss;
    });
    ++step_;
    world_->all_reduce(seconds, ReduceOp::max, "step/seconds").wait();
    return seconds.host<double>()[0];
  }
  double loss() const { return loss_; }
  // What the last step spent in its calls on this rank.
  const Tap::Seconds& in_calls() const { return tap_.seconds; }

 private:
  Tap tap_;
  Group world_;
  BatchSource batches_;
  Mesh mesh_;
  Device device_;
  Trainer trainer_;
  std::int64_t step_ = 0;
  double loss_ = 0;
};

struct Result {
  Times as_is, waited, without;
  std::array<Times, 8> calls;  // as it is: in calls of each CommKind on rank 0
  Times progress;
};

Result measure(const Config& config, const World& world, const Link& link) {
  const RunSize size = run_size(config, world.size());
  const MemoryPlan memory = rehearse(config, size, world.rank()).memory;
  Way as_is(config, size, memory, world, Overlap::as_is, link),
      waited(config, size, memory, world, Overlap::waited, link),
      without(config, size, memory, world, Overlap::left_out, link);
  Result result;
  std::array<std::pair<Way*, Times*>, 3> turns{
      {{&as_is, &result.as_is}, {&waited, &result.waited}, {&without, &result.without}}};
  for (const auto& [way, times] : turns) way->step();
  for (int round = 0; round < kRounds; ++round) {
    for (const auto& [way, times] : turns) times->seconds.push_back(way->step());
    std::ranges::rotate(turns, turns.begin() + 1);  // nobody is always the first
    for (std::size_t kind = 0; kind < result.calls.size(); ++kind)
      result.calls[kind].seconds.push_back(as_is.in_calls().of_kind[kind]);
    result.progress.seconds.push_back(as_is.in_calls().progress);
  }
  require(as_is.loss() == waited.loss(), "a step depends on when its calls are waited for");
  return result;
}

double hidden(double as_is, double waited, double without) {
  return 100 * (waited - as_is) / (waited - without);
}

void print(std::int64_t zero, const Link& link, const Result& r) {
  const double as_is = r.as_is.median(), waited = r.waited.median(), without = r.without.median();
  std::vector<double> shares;
  for (std::size_t i = 0; i < kRounds; ++i)
    shares.push_back(hidden(r.as_is.seconds[i], r.waited.seconds[i], r.without.seconds[i]));
  std::ranges::sort(shares);
  std::printf("| %lld | ", static_cast<long long>(zero));
  if (link.bytes_per_second > 0)
    std::printf("%.3g GB/s, %.3g us", link.bytes_per_second / 1e9, link.latency * 1e6);
  else
    std::printf("none");
  std::printf(" | %.1f | %.1f | %.1f | %.0f %% (%.0f-%.0f) | %.1f |", 1e3 * as_is, 1e3 * waited,
              1e3 * without, hidden(as_is, waited, without), shares[kRounds / 4],
              shares[kRounds - 1 - kRounds / 4], 1e3 * (as_is - without));
  for (std::size_t kind = 0; kind < r.calls.size(); ++kind)
    if (const double seconds = r.calls[kind].median(); seconds > 0)
      std::printf(" %s %.1f,", name_of(static_cast<CommKind>(kind)).data(), 1e3 * seconds);
  std::printf(" progress %.1f |\n", 1e3 * r.progress.median());
  std::fflush(stdout);
}

void bench(const KeyValues& keys) {
  const World world = World::join();
  omp_set_num_threads(world.threads());
  Config config = config_of(keys);
  if (world.rank() == 0)
    std::printf(
        "%.1f million parameters, %lld tokens a rank and step, buckets of %.3g MiB, ranks %d, "
        "threads of each %d, rounds %d; ms.\n\n"
        "| zero | simulated link | as it is | waited | without | hidden | exposed | in calls |\n"
        "|---|---|---|---|---|---|---|---|\n",
        static_cast<double>(num_parameters(config.model)) / 1e6,
        static_cast<long long>(run_size(config, world.size()).tokens_per_step() / world.size()),
        config.parallel.bucket_mb, world.size(), world.threads(), kRounds);
  for (const Link& link : {Link{}, kSlow})
    for (const std::int64_t zero : {0, 2, 3}) {
      config.parallel.zero = zero;
      const Result result = measure(config, world, link);
      if (world.rank() == 0) print(zero, link, result);
    }
}

}  // namespace
}  // namespace fusor::benchmark

int main(int argc, char** argv) {
  try {
    fusor::benchmark::bench(fusor::benchmark::recipe_arguments(argc, argv));
    return 0;
  } catch (const std::exception& e) {
    fusor::abort_job(std::string("overlap_bench: ") + e.what());
  }
}

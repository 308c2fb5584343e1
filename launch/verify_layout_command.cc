#include <omp.h>

#include <algorithm>
#include <iomanip>
#include <iostream>
#include <sstream>

#include "launch/commands.h"
#include "launch/layout_text.h"
#include "launch/layout_trial.h"
#include "launch/placement.h"
#include "launch/recipe.h"
#include "launch/rehearsal.h"
#include "launch/text_task.h"
#include "runtime/cuda_devices.h"

namespace fusor {
namespace {

constexpr std::int64_t kMostRanks = 1024;  // threads of this process

// What is compared must be the same samples in the same micro-batches, and whole: those of one
// rank.
Config serial_config(Config config) {
  config.parallel = parse_layout("", config.parallel);
  const RunSize size = run_size(config, 1);
  config.train.global_batch = size.global_batch;
  config.train.micro_batch = size.micro_batch;
  config.train.accumulation = 0;
  config.train.eval_every = config.train.sample_every = 0;
  return config;
}

// The same under every layout: sums within a rank are split over its threads.
int threads_of_rank(const Config& config, std::int64_t most_ranks) {
  if (config.parallel.threads > 0) return static_cast<int>(config.parallel.threads);
  return static_cast<int>(std::max<std::int64_t>(1, omp_get_num_procs() / most_ranks));
}

std::string scientific(double value) {
  std::ostringstream text;
  if (value == 0)
    text << 0;
  else
    text << std::scientific << std::setprecision(1) << value;
  return text.str();
}

// Cells as wide as their column, two blanks apart.
void print_table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths(rows.at(0).size());
  for (const auto& row : rows)
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i)
      line += row[i] + std::string(widths[i] + 2 - row[i].size(), ' ');
    std::cout << line.substr(0, line.find_last_not_of(' ') + 1) << '\n';
  }
}

std::string loss_text(const TrialOutcome& outcome) {
  std::ostringstream text;
  text << std::setprecision(7) << outcome.losses.back();
  return text.str();
}

struct Layout {
  std::string text;
  ParallelConfig parallel;
};

class LayoutComparison {
 public:
  LayoutComparison(const Config& config, std::int64_t steps, int threads,
                   const Placement& placement)
      : config_(placed(serial_config(config), placement.kind())),
        steps_(steps),
        threads_(threads),
        placement_(placement) {
    if (config.data.path.empty()) {
      task_ = std::make_shared<RandomTextTask>(config_);
      return;
    }
    const std::shared_ptr<Task> task = make_task(config_);
    task->open("train");
    task_ = task;
  }

  void run(const std::vector<Layout>& layouts) {
    for (const Layout& layout : layouts) require_possible(layout);
    const TrialOutcome serial = outcome_of({"serial", config_.parallel});
    rows_.push_back({"layout", "ranks", "last loss", "losses apart", "gradients apart", "verdict"});
    rows_.push_back({"serial", "1", loss_text(serial)});
    for (const Layout& layout : layouts) {
      const TrialOutcome outcome = outcome_of(layout);
      const TrialDifference d = difference(outcome, serial);
      const Verdict verdict = verdict_of(d, config_.train.dtype);
      differs_ = differs_ || verdict == Verdict::differs;
      rows_.push_back({layout.text, std::to_string(ranks_of(layout.parallel)), loss_text(outcome),
                       scientific(d.loss), scientific(d.gradient) + " " + d.parameter,
                       std::string(text_of(verdict))});
    }
  }

  bool differs() const { return differs_; }
  void print() const {
    std::cout << steps_ << " steps of " << serial_size_text() << "; largest differences to the "
              << "serial run, relative: of the losses, and of a parameter's gradient of the first "
                 "step. Rounding in "
              << config_.train.dtype << ": up to " << scientific(rounding_of(config_.train.dtype))
              << "\n\n";
    print_table(rows_);
    if (differs_ && config_.train.dtype != DType::f64)
      std::cout << "\n--train.dtype=f64 tells a mistake from rounding: where rounding chooses, as "
                   "between experts, it may weigh more.\n";
  }

 private:
  std::string serial_size_text() const {
    return formulas(run_size(config_, 1)).at(0) +
           (config_.data.path.empty() ? ", random tokens" : "");
  }

  Config config_of(const Layout& layout) const {
    Config config = config_;
    config.parallel = layout.parallel;
    return config;
  }

  // What a rehearsal refuses is told before the first layout has run.
  void require_possible(const Layout& layout) const try {
    const Config config = config_of(layout);
    const std::int64_t ranks = ranks_of(layout.parallel);
    const std::size_t bytes = rehearse(*task_, config, run_size(config, ranks), 0).memory.bytes;
    Placement all = placement_;
    all.ranks = ranks_where_rank_0_is(ranks);
    const std::size_t available = plannable_bytes(all);
    require(bytes <= available / static_cast<std::size_t>(all.ranks), ranks, " ranks need ",
            readable_bytes(static_cast<std::size_t>(all.ranks) * bytes), " on ", all.place,
            ", where ", readable_bytes(available),
            " are free: take fewer, or a smaller model or train.micro_batch");
  } catch (const Error& error) {
    raise("layout \"" + layout.text + "\": " + error.what());
  }

  int ranks_where_rank_0_is(std::int64_t ranks) const {
    if (placement_.gpu < 0) return static_cast<int>(ranks);
    int there = 0;
    for (int rank = 0; rank < ranks; ++rank) there += cuda_device_of(rank) == placement_.gpu;
    return there;
  }

  // On GPUs in an arena, where there is no allocating while the step runs.
  std::function<Device(const RunSize&, int)> device_for(const Config& config) const {
    if (placement_.gpu < 0) return {};
    return [&config, task = task_](const RunSize& size, int rank) {
      const int gpu = cuda_device_of(rank);
      use_cuda_device(gpu);  // which the rehearsal asks about its kernels
      return Device::cuda(gpu, rehearse(*task, config, size, rank).memory);
    };
  }

  TrialOutcome outcome_of(const Layout& layout) const try {
    const Config config = config_of(layout);
    return run_trial({.config = config,
                      .ranks = static_cast<int>(ranks_of(layout.parallel)),
                      .threads = threads_,
                      .steps = steps_,
                      .task = task_,
                      .make_device = device_for(config)});
  } catch (const Error& error) {
    raise("layout \"" + layout.text + "\": " + error.what());
  }

  Config config_;
  std::int64_t steps_;
  int threads_;
  Placement placement_;
  std::shared_ptr<const Task> task_;
  std::vector<std::vector<std::string>> rows_;
  bool differs_ = false;
};

}  // namespace

int verify_layout_command(const std::vector<std::string>& args) {
  namespace po = boost::program_options;
  std::string layouts;
  std::int64_t steps = 3, ranks = 0;
  po::options_description own("verify-layout");
  own.add_options()("layouts", po::value(&layouts)->value_name("TEXT"),
                    "keys of [parallel], layouts apart by ';': \"dp=2; tp=2,pp=2,schedule=zb_h1\"")(
      "steps", po::value(&steps)->value_name("N")->default_value(3), "optimizer steps of each")(
      "ranks", po::value(&ranks)->value_name("N")->default_value(0),
      "of each layout, whose dp follows where it is left out (0: as many as it takes)");
  const auto given = parse_recipe_arguments(
      "verify-layout",
      "Runs a few steps of the recipe under each layout, ranks as threads of this process, and "
      "compares losses\nand gradients with those of one rank. The exit status is 1 where a layout "
      "differs by more than rounding.",
      args, own);
  if (!given) return 0;
  const World world = World::join();
  require(world.size() == 1, "fusor verify-layout runs on one rank, not ", world.size(),
          ": its ranks are threads");
  const Config& config = given->config;
  require(steps > 0, "fusor verify-layout: --steps must be 1 or more, not ", steps);
  require(ranks >= 0 && ranks <= kMostRanks, "fusor verify-layout: --ranks must be 0 to ",
          kMostRanks, ", not ", ranks);
  require(given->options.contains("layouts"),
          "fusor verify-layout: no --layouts given, for example --layouts \"dp=2; tp=2,pp=2\"");
  std::vector<Layout> all;
  std::int64_t most = 1;
  for (const std::string& layout : split_layouts(layouts)) {
    all.push_back({layout, parse_layout(layout, config.parallel, ranks)});
    most = std::max(most, ranks_of(all.back().parallel));
    require(most <= kMostRanks, "layout \"", layout, "\" takes ", most,
            " ranks, but one process runs at most ", kMostRanks);
  }
  const int threads = threads_of_rank(config, most);
  omp_set_num_threads(threads);  // workspaces are per thread
  LayoutComparison comparison(config, steps, threads, place_rank(config.train.device, world));
  comparison.run(all);
  comparison.print();
  return comparison.differs() ? 1 : 0;
}

}  // namespace fusor

#include "launch/run.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <iomanip>
#include <set>
#include <sstream>

#include "io/checkpoint_folder.h"
#include "io/output_file.h"
#include "launch/device_group.h"
#include "launch/recipe.h"
#include "launch/signals.h"
#include "launch/stages.h"
#include "launch/together.h"
#include "launch/transfer.h"
#include "ops/attention_cudnn.h"
#include "runtime/host_memory.h"
#include "runtime/spans.h"

namespace fusor {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

std::string fixed(double value, int digits) {
  std::ostringstream text;
  text << std::fixed << std::setprecision(digits) << value;
  return text.str();
}

// The checkpoint's folder, or nothing for a new run.
std::string checkpoint_to_resume(const Config& config, const std::string& checkpoints) {
  const std::string& mode = config.checkpoint.resume;
  const bool saved = !saved_steps(checkpoints).empty();
  require(mode != "must" || saved, checkpoints,
          " holds no checkpoint and checkpoint.resume is must");
  require(mode != "never" || !saved, checkpoints,
          " holds checkpoints of an earlier run and checkpoint.resume is never: set log.dir to "
          "another folder");
  if (mode != "auto" && mode != "never" && mode != "must") return find_checkpoint(mode);
  return saved ? find_checkpoint(checkpoints) : "";
}

// Why a run on a GPU is slower than it might be; empty if it is not.
std::string about_attention(const Config& config, const Placement& placement) {
  if (placement.gpu < 0 || !is_half(config.train.dtype)) return "";
  const std::string why = ops::why_no_cudnn();
  return why.empty() ? "" : "warning: attention does without tensor cores: " + why;
}

// The lines of all ranks, each once.
std::vector<std::string> lines_of_all(const Group& group, const std::vector<std::string>& mine,
                                      const char* what) {
  std::string text;
  for (const std::string& line : mine) text += line + '\n';
  std::set<std::string> all;
  for (const std::string& of_rank : gather_texts(group, text, what)) {
    std::istringstream lines(of_rank);
    for (std::string line; std::getline(lines, line);) all.insert(line);
  }
  return {all.begin(), all.end()};
}

}  // namespace

Run::Run(const Task& task, const Config& config, const RunSize& size, const Placement& placement,
         const Rehearsal& rehearsal, const World& world)
    : task_(task),
      config_(config),
      size_(size),
      world_(world),
      placement_(placement),
      rates_(measure_machine(config.train.dtype, placement.heap())),
      estimated_step_seconds_(estimate_step_seconds(rehearsal.trace, rates_) / rehearsal.steps),
      flops_per_step_(task.flops_per_step(size)),
      device_(placement.arena(rehearsal.memory)),
      mesh_(Mesh::over(device_group(world, device_, config.parallel.transport), size.mesh,
                       config.parallel.sequence)),
      trainer_(task, config, size, mesh_, device_),
      sampler_(task.sampler(trainer_.model(), device_)),
      saver_(trainer_.stores(), world, config.log.dir, config.checkpoint) {
  const auto planned = gather_numbers(world.group(), {static_cast<double>(rehearsal.memory.bytes)},
                                      "set-up/planned memory");
  fullest_ = static_cast<int>(std::ranges::max_element(planned) - planned.begin());
  planned_bytes_ = static_cast<std::size_t>(planned[static_cast<std::size_t>(fullest_)][0]);
  if (flops_per_step_ == 0)
    flops_per_step_ = flops_of_steps(rehearsal.trace) / rehearsal.steps * world.size();
}

void Run::say_memory() {
  const auto bytes = gather_numbers(
      world_.group(),
      {static_cast<double>(device_.high_water()), static_cast<double>(peak_resident_bytes())},
      "end/memory");
  const auto of_fullest = [&](std::size_t what) {
    return static_cast<std::size_t>(bytes[static_cast<std::size_t>(fullest_)][what]);
  };
  say("arena peak " + std::to_string(of_fullest(0)) + " bytes, planned " +
      std::to_string(planned_bytes_) + ", of rank " + std::to_string(fullest_) +
      ", the fullest; resident peak of its process " + readable_bytes(of_fullest(1)));
}

void Run::say(const std::string& text) {
  if (log_ && !text.empty()) log_->say(text);
}

nlohmann::json Run::state_json() const {
  const Trainer::Scaling& scaling = trainer_.scaling();
  return {{"step", state_.step},
          {"samples", state_.step * size_.global_batch},
          {"data", task_.fingerprint()},
          {"loss_scale", {scaling.scale, scaling.since}},
          {"skipped", scaling.skipped},
          {"best_loss", state_.best_loss},
          {"evaluations", state_.evaluations},
          {"without_gain", state_.without_gain},
          {"recipe", to_ini(config_)}};
}

std::vector<std::string> Run::set_state(const nlohmann::json& saved, const std::string& where) try {
  std::istringstream recipe(saved.at("recipe").get<std::string>());
  const Config before = parse_recipe(recipe, where + ": recipe");
  require_resumable(before, config_, where);
  state_ = {.step = saved.at("step"),
            .best_loss = saved.at("best_loss"),
            .evaluations = saved.at("evaluations"),
            .without_gain = saved.at("without_gain")};
  const auto scale = saved.at("loss_scale").get<std::array<double, 2>>();
  trainer_.resume_scaling({scale[0], scale[1], saved.at("skipped")});
  const auto samples = saved.at("samples").get<std::int64_t>();
  require(samples == state_.step * size_.global_batch, where, " has seen ", samples, " samples in ",
          state_.step, " steps, which a global batch of ", size_.global_batch,
          " cannot go on from");
  std::vector<std::string> changes;
  for (const Difference& d : differences(before, config_))
    changes.push_back(d.key + " = " + d.after + ", before it was " + d.before);
  if (saved.at("data") != task_.fingerprint())
    changes.push_back("the data are not those that the checkpoint was trained on");
  return changes;
} catch (const nlohmann::json::exception& error) {
  raise(where + " was not saved by fusor train: " + error.what());
}

void Run::start_or_resume() {
  const std::string checkpoints = config_.log.dir + "/checkpoints";
  std::string from = "new run", where;
  std::vector<std::string> changes;  // since the checkpoint
  FreshWeights fresh;                // of this rank's stages
  together(world_, [&] {
    if (world_.rank() == 0) where = checkpoint_to_resume(config_, checkpoints);
  });
  // Rank 0's choice: the hosts of a network file system may not see the same newest one.
  where = gather_texts(world_.group(), where, "set-up/checkpoint").front();
  trainer_.initialize();
  together(world_, [&] {
    if (where.empty() && !config_.checkpoint.begin_with.empty()) {
      Checkpoint checkpoint = open_shared(config_.checkpoint.begin_with, world_);
      fresh = begin_with(checkpoint, config_.checkpoint, trainer_.stores());
      from += " with the weights of " + checkpoint.folder();
    }
    if (where.empty()) return;
    Checkpoint checkpoint = open_shared(where, world_);
    changes = set_state(checkpoint.state(), where);
    read_checkpoint(checkpoint, trainer_.stores());
    from = "resumed from " + where + " at step " + std::to_string(state_.step);
  });
  for (const ParameterStore* store : trainer_.stores()) store->publish();
  fresh = lines_of_all(world_.group(), fresh, "set-up/fresh weights");
  if (world_.rank() != 0) return;
  set_aside_after(checkpoints, state_.step);
  open_logs();
  say(from + " in " + config_.log.dir);
  say("rank 0 " + placement_.text);
  say(about_attention(config_, placement_));
  for (const std::string& change : changes) say(change);
  for (const std::string& line : fresh) say(line);
}

void Run::open_logs() {
  fs::create_directories(config_.log.dir);
  log_.emplace(config_.log.dir + "/run.log", stdout, is_terminal(stdout));
  metrics_.emplace(config_.log.dir + "/metrics.jsonl", state_.step,
                   [this](const std::string& problem) { say("warning: " + problem); });
  try {
    write_text_file(config_.log.dir + "/recipe.ini", to_ini(config_, formulas(size_)));
  } catch (const Error& error) {
    say(std::string("warning: ") + error.what());
  }
  for (const std::string& line : formulas(size_)) say(line);
  for (const std::string& line : describe_stages(task_, config_, size_)) say(line);
  say("peak memory per rank " + readable_bytes(planned_bytes_) + " as planned; step at least " +
      fixed(estimated_step_seconds_, 3) + " s by " + fixed(rates_.flops_per_second / 1e9, 0) +
      " GFLOP/s and " + fixed(rates_.bytes_per_second / 1e9, 0) + " GB/s per rank");
}

void Run::train() {
  if (!config_.log.trace.empty()) {
    record_spans();
    write_spans(config_.log.trace, world_.rank(), world_.size(), world_.host());  // can it be?
  }
  start_or_resume();
  if (state_.step < size_.steps) {
    const BatchSource batches =
        trainer_.reads_batch() ? task_.training(size_, mesh_, state_.step) : BatchSource();
    if (device_.kind() == DeviceKind::cuda)
      say(trainer_.why_not_captured().empty()
              ? "from the second on, a step is one CUDA graph"
              : "steps are no CUDA graphs: " + trainer_.why_not_captured());
    while (one_step(batches) && state_.step < size_.steps) {
    }
  }
  const Saver::Outcome end = saver_.finish();
  if (!config_.log.trace.empty())
    say("spans in " + write_spans(config_.log.trace, world_.rank(), world_.size(), world_.host()));
  say_memory();
  together(world_, [&] { require(end.saved, end.text); });
  say(end.text);
}

bool Run::one_step(const BatchSource& batches) {
  const auto begin = Clock::now();
  trainer_.accumulate(state_.step, batches);
  const double word = saver_.before_update();
  const Trainer::Step step = trainer_.update(state_.step, {word, static_cast<double>(take_wish())});
  ++state_.step;
  std::vector<int> words;
  int wish = 0;
  for (const Trainer::Flags& rank : step.flags) {
    words.push_back(static_cast<int>(rank[0]));
    wish = std::max(wish, static_cast<int>(rank[1]));
  }
  report(step, std::chrono::duration<double>(Clock::now() - begin).count());
  require_finite(step.loss, "loss");  // before a save of weights that have diverged is settled
  if (step.skipped)
    tell_of_skipped();
  else
    require_finite(step.grad_norm, "gradient norm");
  const Saver::Outcome before = saver_.settle(words);
  say(before.saved ? before.text : before.text + "; the run goes on");
  bool goes_on = true;
  if (due(config_.train.eval_every)) goes_on = evaluate();
  if (due(config_.train.sample_every) && world_.rank() == 0)
    say("sample: " + sampler_->sample(state_.step));
  const bool stop = wish == static_cast<int>(Wish::save_and_stop);
  const bool last = state_.step == size_.steps || stop || !goes_on;
  const bool asked = wish != static_cast<int>(Wish::none);
  if (due(config_.checkpoint.every) || asked || last) saver_.start(state_.step, state_json());
  if (stop)
    say("stopping at step " + std::to_string(state_.step) +
        " as asked by SIGTERM; checkpoint.resume = auto goes on from there");
  return !last;
}

void Run::require_finite(double value, const std::string& name) const {
  if (std::isfinite(value)) return;
  together(world_, [&] {
    raise("the " + name + " of step " + std::to_string(state_.step) +
          " is not finite: lower optimizer.lr, or resume from an earlier checkpoint");
  });
}

void Run::tell_of_skipped() {
  constexpr double kLeast = 0x1p-14;
  const double scale = trainer_.scaling().scale;
  const std::string step = "step " + std::to_string(state_.step);
  together(world_, [&] {
    require(scale >= kLeast, "the gradients of ", step,
            " overflow at any loss scale: use train.dtype = bf16, or lower optimizer.lr");
  });
  std::ostringstream text;
  text << step << " skipped: gradients overflowed, loss scale now " << scale;
  say(text.str());
}

bool Run::evaluate() {
  HeldOut data = task_.held_out("val", size_, mesh_);
  if (const std::int64_t batches = config_.train.eval_batches; batches > 0)
    data.count =
        std::min(data.count, batches * size_.accumulation);  // of each rank's micro-batches
  const Evaluation e = trainer_.evaluate(data);
  const double loss = e.loss / static_cast<double>(e.targets);
  require_finite(loss, "held-out loss");
  const bool gain =
      state_.evaluations++ == 0 || loss < state_.best_loss - config_.train.early_stop_min_delta;
  state_.without_gain = gain ? 0 : state_.without_gain + 1;
  if (gain) state_.best_loss = loss;
  say("step " + std::to_string(state_.step) + ": held-out " + task_.describe(e));
  if (metrics_) metrics_->write(event_of(e, loss));
  const std::int64_t patience = config_.train.early_stop_patience;
  if (patience == 0 || state_.without_gain < patience) return true;
  say("stopping early: no gain in " + std::to_string(patience) + " evaluations");
  return false;
}

MetricsEvent Run::event_of(const Evaluation& e, double loss) const {
  MetricsEvent event("eval", state_.step);
  event.add("loss", loss).add("targets", e.targets);
  const std::vector<std::string> names = trainer_.model().measures();
  for (std::size_t i = 0; i < names.size(); ++i)
    event.add(names[i], e.measures[i] / static_cast<double>(e.targets));
  return event;
}

void Run::report(const Trainer::Step& step, double seconds) {
  if (world_.rank() != 0) return;
  seconds_per_step_ = seconds_per_step_ == 0 ? seconds : 0.9 * seconds_per_step_ + 0.1 * seconds;
  const auto units = static_cast<double>(size_.units_per_step());
  if (due(config_.log.every)) {
    MetricsEvent event("train", state_.step);
    event.add("loss", step.loss).add("grad_norm", step.grad_norm).add("targets", step.targets);
    if (trainer_.scaling().scale > 0) event.add("loss_scale", trainer_.scaling().scale);
    event.add("seconds", seconds).add(size_.unit() + "_per_second", units / seconds);
    metrics_->write(event);
  }
  log_->progress({.step = state_.step,
                  .num_steps = size_.steps,
                  .loss = step.loss,
                  .seconds_per_step = seconds_per_step_,
                  .units_per_step = units,
                  .unit = size_.unit(),
                  .flops_per_step = flops_per_step_,
                  .peak_flops = rates_.flops_per_second * world_.size()});
}

}  // namespace fusor

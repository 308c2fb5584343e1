#include "launch/batch.h"

#include <algorithm>
#include <numeric>

#include "runtime/error.h"

namespace fusor {
namespace {

constexpr std::int64_t kDefaultGlobalBatch = 32, kDefaultMicroBatch = 8, kDefaultSteps = 1000;

std::int64_t round_up(std::int64_t value, std::int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

std::int64_t largest_divisor(std::int64_t value, std::int64_t at_most) {
  std::int64_t divisor = std::min(value, at_most);
  while (value % divisor != 0) --divisor;
  return divisor;
}

// "48 and 56", the multiples on either side of `value`, which is not one; "8" below the first.
std::string neighbours(std::int64_t value, std::int64_t multiple) {
  const std::int64_t above = round_up(value, multiple), below = above - multiple;
  return (below > 0 ? std::to_string(below) + " and " : "") + std::to_string(above);
}

void require_multiple(std::int64_t global, std::int64_t of, const std::string& product) {
  require(global % of == 0, "train.global_batch ", global, " is not a multiple of ", product,
          ", the nearest that are: ", neighbours(global, of));
}

std::string part(const char* name, std::int64_t value) {
  return std::string(name) + " " + std::to_string(value);
}

void divide_batch(const TrainConfig& t, RunSize& size) {
  const std::int64_t dp = size.dp;
  std::int64_t &global = size.global_batch, &micro = size.micro_batch,
               &accumulation = size.accumulation;
  global = t.global_batch, micro = t.micro_batch, accumulation = t.accumulation;
  if (global == 0 && micro == 0 && accumulation == 0)
    global = round_up(kDefaultGlobalBatch, kDefaultMicroBatch * dp);
  if (global == 0) {
    if (micro == 0) micro = kDefaultMicroBatch;
    if (accumulation == 0) accumulation = 1;
    global = micro * accumulation * dp;
  }
  require_multiple(global, dp, part("dp", dp));
  if (accumulation == 0) {
    if (micro == 0) micro = largest_divisor(global / dp, kDefaultMicroBatch);
    require_multiple(
        global, micro * dp,
        part("micro", micro) + " x " + part("dp", dp) + " = " + std::to_string(micro * dp));
    accumulation = global / dp / micro;
  }
  if (micro == 0) {
    require_multiple(global, accumulation * dp,
                     part("accumulation", accumulation) + " x " + part("dp", dp) + " = " +
                         std::to_string(accumulation * dp));
    micro = global / dp / accumulation;
  }
  require(global == micro * accumulation * dp, "train.global_batch ", global, " is not micro ",
          micro, " x accumulation ", accumulation, " x dp ", dp, " = ", micro * accumulation * dp,
          ", leave one of the three out");
}

// The steps that reach train.tokens, or train.steps as given.
std::int64_t count_steps(const TrainConfig& t, std::int64_t tokens_per_step) {
  require(t.tokens == 0 || tokens_per_step > 0, "train.tokens ", t.tokens,
          " is for language models, set train.steps");
  if (tokens_per_step == 0) return t.steps > 0 ? t.steps : kDefaultSteps;
  const std::int64_t from_tokens = round_up(t.tokens, tokens_per_step) / tokens_per_step;
  require(t.steps == 0 || t.tokens == 0 || t.steps == from_tokens, "train.steps ", t.steps,
          " and train.tokens ", t.tokens, " (", from_tokens, " steps of ", tokens_per_step,
          " tokens) disagree, leave one out");
  if (t.steps > 0) return t.steps;
  return t.tokens > 0 ? from_tokens : kDefaultSteps;
}

// "dp 2 x tp 2": the axes that are more than one rank.
std::string product_of(const MeshShape& mesh) {
  std::string text;
  const auto add = [&](const char* name, int size) {
    if (size > 1) text += (text.empty() ? "" : " x ") + part(name, size);
  };
  add("dp", mesh.dp), add("tp", mesh.tp), add("pp", mesh.pp), add("cp", mesh.cp);
  return text;
}

// The data-parallel size: what is left of the ranks.
std::int64_t data_parallel_size(const ParallelConfig& p, std::int64_t ranks) {
  const std::int64_t copy = p.tp * p.pp * p.cp;
  const auto axes = part("tp", p.tp) + " x " + part("pp", p.pp) + " x " + part("cp", p.cp);
  const std::string run = ", but " + std::to_string(ranks) + (ranks == 1 ? " runs" : " run");
  if (p.dp == 0) {
    require(ranks % copy == 0, "the layout needs a multiple of ", copy, " ranks (", axes, ")", run,
            ", the nearest that work: ", neighbours(ranks, copy));
    return ranks / copy;
  }
  require(p.dp * copy == ranks, "the layout needs ", p.dp * copy, " ranks (dp ", p.dp, " x ", axes,
          ")", run, ", the nearest that works: ",
          ranks % copy == 0 ? part("parallel.dp", ranks / copy) : part("ranks", p.dp * copy));
  return p.dp;
}

// What cp and parallel.sequence cut must divide.
void require_equal_rows(const Config& c, const RunSize& size) {
  const std::int64_t cp = size.mesh.cp, tp = size.mesh.tp, chunks = 2 * cp;
  require(cp == 1 || size.seq_len % chunks == 0, "parallel.cp ", cp, " cuts a sequence into ",
          chunks, " equal chunks, but data.seq_len is ", size.seq_len,
          ", the nearest that work: ", neighbours(size.seq_len, chunks));
  const std::int64_t rows = size.seq_len / cp;
  require(!c.parallel.sequence || size.micro_batch * rows % tp == 0,
          "parallel.sequence splits the rows of a micro-batch (", part("micro", size.micro_batch),
          " x data.seq_len ", size.seq_len, " / ", part("cp", cp), " = ", size.micro_batch * rows,
          ") evenly over ", part("tp", tp), ", the nearest train.micro_batch that works: ",
          neighbours(size.micro_batch, tp / std::gcd(rows, tp)));
}

}  // namespace

RunSize run_size(const Config& c, std::int64_t world_size) {
  const ParallelConfig& p = c.parallel;
  RunSize size{.dp = data_parallel_size(p, world_size), .seq_len = c.data.seq_len};
  const auto ranks = [](std::int64_t axis) { return static_cast<int>(axis); };
  size.mesh = {.dp = ranks(size.dp),
               .tp = ranks(p.tp),
               .pp = ranks(p.pp),
               .cp = ranks(p.cp),
               .ep = ranks(p.ep),
               .shard = ranks(p.shard)};
  divide_batch(c.train, size);
  require_equal_rows(c, size);
  size.steps = count_steps(c.train, size.tokens_per_step());
  require(c.optimizer.warmup_steps <= size.steps, "optimizer.warmup_steps ",
          c.optimizer.warmup_steps, " is longer than the run's ", size.steps, " steps");
  return size;
}

std::vector<std::string> formulas(const RunSize& s) {
  const std::string units = std::to_string(s.units_per_step());
  const std::string axes = product_of(s.mesh);
  return {part("ranks", s.mesh.size()) + (axes.empty() ? "" : " = " + axes),
          part("global batch", s.global_batch) + " = " + part("micro", s.micro_batch) + " x " +
              part("accumulation", s.accumulation) + " x " + part("dp", s.dp),
          s.unit() + " per step " + units + " = " + part("global batch", s.global_batch) +
              (s.seq_len > 0 ? " x " + part("sequence", s.seq_len) : ""),
          s.unit() + " " + std::to_string(s.units_per_step() * s.steps) + " = " +
              part("steps", s.steps) + " x " + units};
}

}  // namespace fusor

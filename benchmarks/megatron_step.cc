#include "benchmarks/megatron_step.h"

#include <map>
#include <tuple>
#include <utility>

#include "parallel/pipeline_actions.h"
#include "parallel/schedule_builder.h"

namespace fusor::benchmark {
namespace {

constexpr double kHalf = 2;                  // bytes of an f16 or bf16
constexpr std::int64_t kVocabulary = 50257;  // GPT-2's

// Split over tp it is padded to a multiple of 128 a rank, so that the shards are equal.
std::int64_t vocabulary_of(int tp) {
  const std::int64_t unit = std::int64_t{128} * tp;
  return tp == 1 ? kVocabulary : (kVocabulary + unit - 1) / unit * unit;
}

// What one pipeline rank does, kernel by kernel.
class RankScript {
 public:
  RankScript(const MegatronRun& run, int rank) : r_(run), rank_(rank) {
    const auto n = static_cast<double>(run.micro_batch * run.seq_len);
    stream_ = kHalf * n * static_cast<double>(run.width);
    scores_ = kHalf * n * static_cast<double>(run.seq_len * run.heads) / run.tp;
    rows_share_ = run.selective ? run.tp : 1;
    between_ = stream_ / rows_share_;
  }

  Script operator()(const std::vector<Action>& actions) {
    for (const Action& a : actions) script_.runs.push_back({program_of(a), a.micro});
    script_.programs.push_back({"update", {}});
    update();
    script_.runs.push_back({static_cast<int>(script_.programs.size()) - 1});
    return std::move(script_);
  }

 private:
  // All micro-batches of a stage do the same.
  int program_of(const Action& a) {
    const auto [at, fresh] = programs_.try_emplace(std::tuple(a.kind, a.phase, a.stage, a.other),
                                                   static_cast<int>(script_.programs.size()));
    if (!fresh) return at->second;
    script_.programs.push_back({name_of(a), {}});
    stage_ = a.stage;
    if (a.kind == ActionKind::compute)
      a.phase == Phase::forward ? forward() : backward();
    else
      message(a);
    return at->second;
  }
  void message(const Action& a) {
    const bool sends = a.kind == ActionKind::send || a.kind == ActionKind::wait_send;
    const CommKind kind = sends ? CommKind::send : CommKind::recv;
    std::uint64_t& id = messages_[std::tuple(kind, a.phase, a.stage)];
    if (a.kind == ActionKind::post_receive || a.kind == ActionKind::send)
      id = begin(kind, "pp", r_.pp, rank_, a.peer, rows() * r_.width / rows_share_);
    else
      wait(id);
  }
  std::vector<TraceEvent>& events() { return script_.programs.back().events; }
  std::int64_t rows() const { return r_.micro_batch * r_.seq_len; }
  int stages() const { return r_.pp * r_.chunks; }
  bool first() const { return stage_ == 0; }
  bool last() const { return stage_ == stages() - 1; }
  std::int64_t layers(int stage) const {  // where they do not divide, the first stages hold more
    return r_.layers / stages() + (stage < r_.layers % stages() ? 1 : 0);
  }

  void gemm(std::int64_t m, std::int64_t n, std::int64_t k, std::int64_t batch = 1) {
    const auto product = [&](std::int64_t a, std::int64_t b) {
      return static_cast<double>(batch * a) * static_cast<double>(b);
    };
    events().emplace_back(std::in_place_type<OpEvent>, "gemm", "",
                          Cost{.flops = 2 * product(m, n) * static_cast<double>(k),
                               .bytes = kHalf * (product(m, n) + product(m, k) + product(n, k)),
                               .aligned = n % 8 == 0 && k % 8 == 0});
  }
  void stream(const char* name, double bytes) {
    events().emplace_back(std::in_place_type<OpEvent>, name, "", Cost{.bytes = bytes});
  }
  std::uint64_t begin(CommKind kind, const char* group, int size, int place, int peer,
                      std::int64_t count) {
    if (size == 1) return 0;
    CommEvent call{.id = ++calls_,
                   .kind = kind,
                   .name = group,
                   .scope = "",
                   .group = group,
                   .group_size = size,
                   .place = place,
                   .peer = peer,
                   .dtype = DType::bf16,
                   .count = count,
                   .op = ReduceOp::sum};
    events().emplace_back(std::in_place_type<CommEvent>, std::move(call));
    return calls_;
  }
  void wait(std::uint64_t call) {
    if (call > 0) events().emplace_back(std::in_place_type<WaitEvent>, call);
  }
  void all_reduce(const char* group, int size, std::int64_t count) {
    wait(begin(CommKind::all_reduce, group, size, 0, -1, count));
  }
  std::uint64_t begin_tp(CommKind kind, std::int64_t count) {
    return begin(kind, "tp", r_.tp, 0, -1, count);
  }
  std::uint64_t begin_gather() {
    return r_.selective ? begin_tp(CommKind::all_gather, rows() * r_.width / r_.tp) : 0;
  }
  void gather() { wait(begin_gather()); }
  void join() {
    wait(begin_tp(r_.selective ? CommKind::reduce_scatter : CommKind::all_reduce,
                  rows() * r_.width));
  }

  void attention_core() {
    const std::int64_t heads = r_.micro_batch * r_.heads / r_.tp, d = r_.width / r_.heads;
    gemm(r_.seq_len, r_.seq_len, d, heads);
    stream("softmax", 2 * scores_);
    stream("dropout", 2.5 * scores_);  // and a mask of one byte an element
    gemm(r_.seq_len, d, r_.seq_len, heads);
  }
  void attention_forward() {
    gemm(rows(), 3 * r_.width / r_.tp, r_.width);
    attention_core();
    stream("permute", 2 * stream_ / r_.tp);
    gemm(rows(), r_.width, r_.width / r_.tp);
  }
  void layer_forward() {
    stream("layer_norm", 2 * between_);
    gather();
    attention_forward();
    join();
    stream("bias_dropout_add", 3.5 * between_);
    stream("layer_norm", 2 * between_);
    gather();
    gemm(rows(), 4 * r_.width / r_.tp, r_.width);
    stream("bias_gelu", 8 * stream_ / r_.tp);
    gemm(rows(), r_.width, 4 * r_.width / r_.tp);
    join();
    stream("bias_dropout_add", 3.5 * between_);
  }

  // y = x w^T: dx = dy w and dw = dy^T x. Of a row layer dy is gathered first.
  void row_backward(std::int64_t out, std::int64_t in) {
    gather();
    gemm(rows(), in, out);
    gemm(out, in, rows());
  }
  // Of a column layer x, where it was not kept whole, is gathered during the first product.
  void column_backward(std::int64_t out, std::int64_t in) {
    const std::uint64_t x = begin_gather();
    gemm(rows(), in, out);
    wait(x);
    gemm(out, in, rows());
    join();
  }
  void norm_backward() {
    stream("layer_norm_backward", 4 * between_);
    stream("layer_norm_gains", 2 * between_);
    stream("add", 3 * between_);
  }
  void dropout_backward() {
    stream("dropout_backward", 2.5 * between_);
    stream("bias_gradient", between_);
  }
  void attention_backward() {
    const std::int64_t heads = r_.micro_batch * r_.heads / r_.tp, d = r_.width / r_.heads;
    row_backward(r_.width, r_.width / r_.tp);
    stream("permute", 2 * stream_ / r_.tp);
    if (r_.selective) attention_core();
    gemm(r_.seq_len, r_.seq_len, d, heads);
    gemm(r_.seq_len, d, r_.seq_len, heads);
    stream("dropout_backward", 2.5 * scores_);
    stream("softmax_backward", 3 * scores_);
    gemm(r_.seq_len, d, r_.seq_len, heads);
    gemm(r_.seq_len, d, r_.seq_len, heads);
    stream("permute", 6 * stream_ / r_.tp);
    column_backward(3 * r_.width / r_.tp, r_.width);
  }
  void layer_backward() {
    if (!r_.selective) layer_forward();
    dropout_backward();
    row_backward(r_.width, 4 * r_.width / r_.tp);
    stream("gelu_backward", 12 * stream_ / r_.tp);
    stream("bias_gradient", 4 * stream_ / r_.tp);
    column_backward(4 * r_.width / r_.tp, r_.width);
    norm_backward();
    dropout_backward();
    attention_backward();
    norm_backward();
  }

  // The loss in f32, each step of it a kernel of its own.
  void head() {
    const std::int64_t shard = vocabulary_of(r_.tp) / r_.tp;
    const double logits = static_cast<double>(rows()) * static_cast<double>(shard);
    gather();
    gemm(rows(), shard, r_.width);
    stream("to_f32", 6 * logits);
    stream("max", 4 * logits);
    stream("subtract_exp", 8 * logits);
    stream("sum", 4 * logits);
    for (int i = 0; i < 3; ++i) all_reduce("tp", r_.tp, 2 * rows());  // max, target, sum of exp
    stream("loss_backward", 8 * logits);
    stream("to_f16", 6 * logits);
    column_backward(shard, r_.width);
  }

  void forward() {
    if (first()) stream("embedding", 4 * stream_), join();
    for (std::int64_t i = 0; i < layers(stage_); ++i) layer_forward();
    if (last()) head();
  }
  void backward() {
    for (std::int64_t i = 0; i < layers(stage_); ++i) layer_backward();
    if (first()) stream("embedding_backward", 4 * stream_);
  }

  // Adam on f32 master weights: reads them, both moments and the gradient in 16 bits, writes all
  // but the gradient and the weights in 16 bits; the gradient is read once for its norm and zeroed.
  void update() {
    const std::int64_t w = r_.width, ends = vocabulary_of(r_.tp) / r_.tp * w;
    const bool at_end = rank_ == 0 || rank_ == r_.pp - 1;
    std::int64_t weights = at_end ? ends : 0;
    for (int stage = rank_; stage < stages(); stage += r_.pp)
      weights += layers(stage) * (12 * w * w / r_.tp + 9 * w);
    all_reduce("data", r_.dp, weights);
    if (r_.pp > 1 && at_end)
      wait(begin(CommKind::all_reduce, "ends", 2, rank_ == 0 ? 0 : 1, -1, ends));
    stream("gradient_norm", 2.0 * static_cast<double>(weights));
    stream("adam", 28.0 * static_cast<double>(weights));
    stream("zero_gradients", 2.0 * static_cast<double>(weights));
  }

  MegatronRun r_;
  int rank_, stage_ = 0;
  double stream_, scores_;   // bytes of the residual stream, and of the attention scores of a layer
  std::int64_t rows_share_;  // ranks that share the rows between the split layers
  double between_;           // bytes of the residual stream there
  std::uint64_t calls_ = 0;
  std::map<std::tuple<ActionKind, Phase, int, int>, int> programs_;
  std::map<std::tuple<CommKind, Phase, int>, std::uint64_t> messages_;  // the ids of the calls
  Script script_;
};

// The first and the last stage hold a copy of the embedding each.
Communicator ends_of(const MeshShape& mesh) {
  Communicator ends{"ends", {}};
  const int stage = mesh.size() / mesh.pp;
  for (int rank = 0; rank < stage; ++rank)
    ends.groups.push_back({rank, rank + stage * (mesh.pp - 1)});
  return ends;
}

}  // namespace

Job megatron_step(const MegatronRun& run) {
  const MeshShape mesh{.dp = run.dp, .tp = run.tp, .pp = run.pp};
  Job job{.scripts = {}, .script_of_rank = {}, .communicators = communicators_of(mesh)};
  if (run.pp > 1) job.communicators.push_back(ends_of(mesh));
  const StageGraph stages = StageGraph::chain(run.pp * run.chunks);
  const Schedule schedule =
      make_schedule(run.chunks > 1 ? ScheduleKind::interleaved : ScheduleKind::one_f_one_b, stages,
                    run.pp, static_cast<int>(run.micros()));
  const std::vector<std::vector<Action>> actions = pipeline_actions(schedule, stages);
  for (int rank = 0; rank < run.pp; ++rank)
    job.scripts.push_back(RankScript(run, rank)(actions[static_cast<std::size_t>(rank)]));
  for (int rank = 0; rank < mesh.size(); ++rank)
    job.script_of_rank.push_back(place_of(mesh, rank).pp);
  return job;
}

}  // namespace fusor::benchmark

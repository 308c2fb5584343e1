#include "parallel/experts.h"

#include "ops/expert_dispatch.h"
#include "ops/expert_linear.h"
#include "ops/gelu.h"
#include "ops/router_logits.h"
#include "ops/swap_blocks.h"
#include "ops/swiglu.h"
#include "ops/top_k_router.h"
#include "parallel/collectives.h"
#include "runtime/nearest.h"

namespace fusor {
namespace {

void check(const ExpertsShape& s, const Mesh& mesh) {
  const int ep = mesh.ep.size();
  require(s.experts % ep == 0, "parallel.ep ", ep, " does not divide ", s.experts,
          " experts, the nearest that works: ", nearest_divisors(s.experts, ep));
  require(0 < s.chosen && s.chosen <= s.experts, "tokens cannot go to ", s.chosen, " of ",
          s.experts, " experts");
}

// The name of each expert that this rank holds.
std::vector<std::string> local_names(const std::string& name, const ExpertsShape& s,
                                     const Mesh& mesh) {
  const std::int64_t n = s.experts / mesh.ep.size(), first = mesh.ep.rank() * n;
  std::vector<std::string> names;
  for (std::int64_t e = first; e < first + n; ++e)
    names.push_back(name + ".expert." + std::to_string(e));
  return names;
}

Parameter make_router(const std::string& name, const ExpertsShape& s, double std) {
  Parameter router(name + ".router.weight", {s.experts, s.width}, {.std = std});
  router.partial_over_tp = true;  // the gradient of its weights comes through the tp shares of y
  return router;
}

Parameter make_up(const std::string& name, const ExpertsShape& s, double std, const Mesh& mesh) {
  const std::int64_t hidden = TensorRegion(mesh).share(s.hidden, "the experts' hidden width");
  const std::int64_t first = mesh.tp.rank() * hidden;
  std::vector<Piece> pieces;
  for (const std::string& expert : local_names(name, s, mesh)) {
    if (s.gated) pieces.push_back({expert + ".gate.weight", hidden, first, s.hidden});
    pieces.push_back({expert + ".up.weight", hidden, first, s.hidden});
  }
  const auto rows = static_cast<std::int64_t>(pieces.size()) * hidden;
  Parameter up(std::move(pieces), {rows, s.width}, {.std = std});
  up.expert = true;
  return up;
}

Parameter make_down(const std::string& name, const ExpertsShape& s, double std, const Mesh& mesh) {
  const std::int64_t hidden = TensorRegion(mesh).share(s.hidden, "the experts' hidden width");
  std::vector<Piece> pieces;
  for (const std::string& expert : local_names(name, s, mesh))
    pieces.push_back({expert + ".down.weight", s.width});
  const auto rows = static_cast<std::int64_t>(pieces.size()) * s.width;
  Parameter down(std::move(pieces), {rows, hidden}, {.std = std});
  down.first_column = mesh.tp.rank() * hidden;
  down.whole_columns = s.hidden;
  down.expert = true;
  return down;
}

}  // namespace

Experts::Experts(const std::string& name, const ExpertsShape& s, double up_std, double down_std,
                 const Mesh& m)
    : shape((check(s, m), s)),
      region(m),
      cp(m.cp),
      ep(m.ep),
      router(make_router(name, s, up_std)),
      up(make_up(name, s, up_std, m)),
      down(make_down(name, s, down_std, m)) {}

Var Experts::operator()(const Var& x, const RowMap& part, bool drop,
                        const Tensor& loss_scale) const {
  const Var rows = region.enter(x);
  RowMap map = part;
  map.first_row = 0;
  const std::int64_t n = rows.value().dim(0);
  const std::int64_t capacity =
      expert_capacity(drop ? shape.capacity_factor : 0, n / map.local_len * map.seq_len,
                      shape.chosen, shape.experts);
  const Var logits = router_logits(rows, router);
  const Tensor choices = top_k(logits.value(), shape.chosen);
  const Tensor all = all_reduced(global_choices(choices, map), cp, "choices", ReduceOp::max);
  const Routing routing = route_tokens(all, n, map, shape.experts, capacity);
  // What flows back to the logits is a share of each rank of tp, and so is the balance's pull.
  const Balance balance{routing.counts, shape.balance_loss / region.tp.size(), loss_scale};
  const Var weights = router_weights(logits, choices, balance);
  Var y = expert_combine(run(expert_dispatch(rows, routing)), weights, routing);
  return region.leave(std::move(y));
}

Var Experts::run(const Var& buffer) const {
  const std::int64_t local = local_experts(), ranks = ep.size();
  // [ranks that send, local, slots, width] -> [local, ranks * slots, width]
  const Var x = swap_blocks(exchange(buffer, ep), ranks, local);
  const Var h = expert_linear(x, up, local);
  const Var y = expert_linear(shape.gated ? swiglu(h) : gelu(h), down, local);
  return exchange(swap_blocks(y, local, ranks), ep);
}

}  // namespace fusor

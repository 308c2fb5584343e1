#include "models/pipeline.h"

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "ops/fill.h"

namespace fusor {
namespace {

std::size_t at(int index) { return static_cast<std::size_t>(index); }

bool computes(const Action& a, Phase phase) {
  return a.kind == ActionKind::compute && a.phase == phase;
}

std::string_view verb(ActionKind kind) {
  constexpr std::array<std::string_view, 5> kVerbs{"", "receive", "received", "send", "sent"};
  return kVerbs[static_cast<std::size_t>(kind)];
}

}  // namespace

Pipeline::Pipeline(Model& model, const StageLayout& layout, const StoreOptions& options,
                   const RecomputePlan& recompute, const Mesh& mesh, const Device& device)
    : model_(model),
      parts_(model.parts()),
      layout_(layout),
      compute_(options.compute),
      recompute_(recompute),
      mesh_(mesh),
      device_(device) {
  require(layout_.schedule.num_ranks() == mesh.pp.size(), "a schedule of ",
          layout_.schedule.num_ranks(), " pipeline ranks on ", mesh.pp.size());
  for (int stage = 0; stage < layout_.graph.size(); ++stage)
    if (layout_.schedule.rank_of[at(stage)] == mesh.place.pp) add_stage(stage, options);
  plan_actions(layout_.actions[at(mesh.place.pp)]);
  const Scope scope(device, "pipeline");
  one_ = Tensor({1}, DType::f64, device);
  eval_loss_ = Tensor({1 + std::ssize(model.measures())}, DType::f64, device);
  ops::fill(one_, 1);
}

void Pipeline::add_stage(int index, const StoreOptions& options) {
  auto stage = std::make_unique<Stage>(index, layout_.parts_of(index));
  const std::vector<std::vector<Parameter*>> of_all = parameters_by_part(model_);
  std::vector<std::vector<Parameter*>> parameters;
  for (const int part : stage->parts) parameters.push_back(of_all[at(part)]);
  const std::vector<std::vector<int>> readers = layout_.graph.readers();
  for (const int part : stage->parts) {
    const auto reads = [&](int reader) {
      const std::vector<int> read = crossing(index, reader);
      return std::ranges::find(read, part) != read.end();
    };
    if (part + 1 == std::ssize(parts_) || std::ranges::any_of(readers[at(index)], reads))
      stage->outputs.push_back(part);
  }
  StoreOptions own = options;
  own.ties = ties_of(index);
  stage->store = std::make_unique<ParameterStore>(parameters, own, mesh_, device_);
  stages_.push_back(std::move(stage));
}

// The weights that a stage of another rank has too.
std::vector<Tie> Pipeline::ties_of(int stage) {
  std::map<const Parameter*, int> stage_of;
  std::vector<Parameter*> twins;
  for (int s = 0; s < layout_.graph.size(); ++s)
    for (const int part : layout_.parts_of(s))
      model_.visit(part, [&](Parameter& p) {
        stage_of[&p] = s;
        if (p.twin_of) twins.push_back(&p);
      });
  std::vector<Tie> ties;
  for (Parameter* twin : twins) {
    const int main_stage = stage_of.at(twin->twin_of), twin_stage = stage_of.at(twin);
    if (main_stage == twin_stage) continue;
    const auto place = [&](int s) { return layout_.schedule.rank_of[at(s)]; };
    if (stage == main_stage) ties.push_back({twin->twin_of, place(twin_stage)});
    if (stage == twin_stage) ties.push_back({twin, place(main_stage)});
  }
  return ties;
}

// Where the B of a stage follows its F at once in every micro-batch, the two share a program, so
// that what lives between them is packed with the rest. What stands between them does not need the
// F.
void Pipeline::plan_actions(const std::vector<Action>& actions) {
  const auto b_after = [&](std::size_t i) {  // its index, or that of the F itself
    std::size_t next = i + 1;
    while (next < actions.size() && (actions[next].kind == ActionKind::post_receive ||
                                     actions[next].kind == ActionKind::wait_send))
      ++next;
    return next < actions.size() && computes(actions[next], Phase::backward) &&
                   actions[next].stage == actions[i].stage &&
                   actions[next].micro == actions[i].micro
               ? next
               : i;
  };
  std::set<int> apart;  // stages with an F whose B comes later
  for (std::size_t i = 0; i < actions.size(); ++i)
    if (computes(actions[i], Phase::forward) && b_after(i) == i) apart.insert(actions[i].stage);
  for (std::size_t i = 0; i < actions.size(); ++i) {
    const Action& a = actions[i];
    const bool fused = computes(a, Phase::forward) && !apart.contains(a.stage);
    if (!fused) {
      actions_.push_back({a, false});
      continue;
    }
    for (const std::size_t b = b_after(i++); i < b; ++i) actions_.push_back({actions[i], false});
    actions_.push_back({a, true});
  }
}

Pipeline::Stage* Pipeline::stage_at(int index) const {
  const auto found = std::ranges::find(stages_, index, [](const auto& s) { return s->index; });
  return found == stages_.end() ? nullptr : found->get();
}

bool Pipeline::reads_batch() const {
  return std::ranges::any_of(stages_, [this](const auto& s) { return reads_batch(*s); });
}

bool Pipeline::reads_batch(const Stage& stage) const {
  return std::ranges::any_of(stage.parts, [this](int p) { return parts_[at(p)].reads_batch; });
}

bool Pipeline::has_loss() const { return stage_at(layout_.graph.size() - 1) != nullptr; }

std::vector<ParameterStore*> Pipeline::stores() const {
  std::vector<ParameterStore*> all;
  for (const auto& stage : stages_) all.push_back(stage->store.get());
  return all;
}

// The first micro-batch writes gradients, the others add to them, the last sends them.
std::string Pipeline::program_of(const Planned& planned, const Step& step) const {
  const Action& a = planned.action;
  const int micros = layout_.schedule.micros;
  const std::string shape = step.shape(a.micro).suffix();
  const std::string turn = (a.micro + 1 == micros ? ".last" : a.micro == 0 ? ".first" : "") + shape;
  if (planned.fused && layout_.graph.size() == 1) return "micro" + turn;
  const std::string stage = "stage." + std::to_string(a.stage);
  if (planned.fused) return stage + ".FB" + turn;
  if (a.kind != ActionKind::compute)
    return stage + "." + std::string(verb(a.kind)) + "." + letter_of(a.phase) + "." +
           std::to_string(a.other) + shape;
  return stage + "." + letter_of(a.phase) + (a.phase == Phase::forward ? shape : turn);
}

void Pipeline::run(const Step& step) {
  for (const Planned& planned : actions_) {
    const Action& a = planned.action;
    const std::string program = program_of(planned, step);
    const bool repeats = a.micro > 2 && a.micro + 1 < layout_.schedule.micros;
    if (device_.kind() == DeviceKind::meta && repeats) {
      device_.backend().program_again(program, a.micro);
      continue;
    }
    const Program running(device_, program, a.micro);
    if (a.kind == ActionKind::compute) stage_at(a.stage)->turns = planned.fused;
    play(a, step);
    if (planned.fused) backward(*stage_at(a.stage), a.micro, step);
  }
}

void Pipeline::play(const Action& a, const Step& step) {
  const MessageKey key{a.phase, a.stage, a.other, a.micro, a.kind == ActionKind::wait_receive};
  switch (a.kind) {
    case ActionKind::compute: {
      Stage& stage = *stage_at(a.stage);
      if (a.phase == Phase::forward) return forward(stage, a.micro, step);
      return a.phase == Phase::backward ? backward(stage, a.micro, step) : weights(stage, a.micro);
    }
    case ActionKind::post_receive:
      return post_receive(a, step.shape(a.micro));
    case ActionKind::send:
      return send(a);
    case ActionKind::wait_receive:
      for (Pending& pending : messages_.at(key).pending) pending.wait();
      return;
    case ActionKind::wait_send:
      for (Pending& pending : messages_.at(key).pending) pending.wait();
      messages_.erase(key);
  }
}

void Pipeline::forward(Stage& stage, int micro, const Step& step) {
  Flight& flight = stage.flights[micro];
  Pass pass = step.pass;
  pass.tape = &flight.tape;
  pass.first_sample = (step.first_micro + micro) * step.shape(micro).samples;
  std::map<int, Var> values;
  for (auto& [part, value] : take_values(stage, micro, step.shape(micro))) {
    values[part] = Var::input(std::move(value), &flight.tape, /*wants_grad=*/true);
    flight.inputs[part] = values[part].grad();
  }
  run_stage(stage, values, batch_for(stage, micro, step), pass);
  for (const int part : stage.outputs)
    if (!model_.idle(part, step.shape(micro))) flight.outputs[part] = values[part].grad();
  hand_on_outputs(stage, micro, step.shape(micro), values, step.losses);
}

void Pipeline::backward(Stage& stage, int micro, const Step& step) {
  Flight& flight = stage.flights.at(micro);
  std::vector<Tape::Root> roots;
  for (const auto& [part, grad] : flight.outputs) {
    const Tensor dy = gradient_of(stage, part, micro, step);
    if (grad.wanted()) roots.push_back({grad, dy});  // not where all before it is frozen
  }
  flight.outputs.clear();
  if (roots.empty()) flight.tape.unwind();
  if (layout_.schedule.split) {
    if (!roots.empty()) flight.tape.backward_inputs(std::move(roots));
  } else {
    stage.store->begin_micro(micro);
    if (!roots.empty()) flight.tape.backward(std::move(roots));
    stage.store->end_micro(micro);
  }
  std::map<int, Tensor> gradients;
  for (const auto& [part, grad] : std::exchange(flight.inputs, {})) gradients[part] = grad.tensor();
  hand_on(stage, Phase::backward, micro, step.shape(micro), gradients);
  if (!layout_.schedule.split) stage.flights.erase(micro);
}

void Pipeline::weights(Stage& stage, int micro) {
  stage.store->begin_micro(micro);
  stage.flights.at(micro).tape.backward_weights();
  stage.store->end_micro(micro);
  stage.flights.erase(micro);
}

void Pipeline::run_stage(Stage& stage, std::map<int, Var>& values, const Batch& batch,
                         const Pass& pass) {
  run_parts(parts_, stage.parts, stage.outputs, values,
            [&](int part, const std::vector<Var>& inputs) {
              return run_part(stage, part, inputs, batch, pass);
            });
}

// The part's weights are here while it runs, and while its backward pass does; between the two only
// where nothing else is.
Var Pipeline::run_part(Stage& stage, int part, const std::vector<Var>& inputs, const Batch& batch,
                       const Pass& pass) {
  const Part& p = parts_[at(part)];
  const Scope scope(device_, p.name);
  ParameterStore* const store = stage.store.get();
  const int i = part - stage.parts.front(), last = static_cast<int>(stage.parts.size()) - 1;
  const bool stays = pass.tape && stage.turns && i == last;
  store->fetch(i);
  if (i < last) store->prefetch(i + 1);
  if (pass.tape) pass.tape->on_backward([=] { store->release(i); });
  Batch own = batch;
  if (!p.reads_batch) own.values.clear();
  const bool recomputes = recompute_.layers == 0 || part <= recompute_.layers;
  Pass here = pass;
  here.recompute_attention = recomputes && recompute_.kind == Recompute::selective;
  const auto run = [this, part, own, here](const std::vector<Var>& in) {
    return model_.run(part, in, own, here);
  };
  const bool idle = model_.idle(part, batch.shape);
  const bool again = !idle && pass.tape && recomputes && recompute_.kind == Recompute::full &&
                     part + 1 < std::ssize(parts_);
  Var y = again ? Tape::recompute(inputs, run) : idle ? Var() : run(inputs);
  if (pass.tape)
    pass.tape->on_backward([=] {
      if (!stays) store->fetch(i);
      if (i > 0) store->prefetch(i - 1);
    });
  if (!stays) store->release(i);
  return y;
}

// Micro-batches come in ascending order; each stays until all stages here that read it have.
Batch Pipeline::batch_for(const Stage& stage, int micro, const Step& step) {
  if (!reads_batch(stage)) return {step.shape(micro), {}};
  const auto readers =
      std::ranges::count_if(stages_, [this](const auto& other) { return reads_batch(*other); });
  if (!batches_.contains(micro)) batches_[micro] = {step.next_batch(), readers};
  auto& [batch, left] = batches_.at(micro);
  if (--left > 0) return batch;
  const Batch mine = std::move(batch);
  batches_.erase(micro);
  return mine;
}

}  // namespace fusor

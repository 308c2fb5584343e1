// What the stages of a pipeline pass to each other: within a rank, and between ranks.
#include <algorithm>

#include "models/pipeline.h"
#include "ops/add.h"

namespace fusor {
namespace {

std::size_t at(int index) { return static_cast<std::size_t>(index); }

}  // namespace

std::vector<int> Pipeline::crossing(int from, int to) const {
  std::vector<std::vector<int>> inputs;
  for (const Part& part : parts_) inputs.push_back(part.inputs);
  return parts_between(layout_.split, inputs, from, to);
}

std::vector<int> Pipeline::crossing(int from, int to, const BatchShape& shape) const {
  std::vector<int> parts = crossing(from, to);
  std::erase_if(parts, [&](int part) { return model_.idle(part, shape); });
  return parts;
}

std::map<int, Tensor> Pipeline::take_values(const Stage& stage, int micro,
                                            const BatchShape& shape) {
  std::map<int, Tensor> values;
  for (const int source : layout_.graph.inputs[at(stage.index)]) {
    Message received;
    if (auto node = messages_.extract({Phase::forward, stage.index, source, micro, true}); node)
      received = std::move(node.mapped());
    std::size_t next = 0;
    for (const int part : crossing(source, stage.index, shape))
      values[part] = stage_at(source)
                         ? local_.extract({Phase::forward, stage.index, part, micro}).mapped()
                         : received.tensors.at(next++);
  }
  return values;
}

// The sum over the stages that read the value, the last first: the bits of one tape, unless a stage
// before the last has several parts that read it, whose sum comes as one number.
Tensor Pipeline::gradient_of(const Stage& stage, int part, int micro, const Step& step) {
  if (part + 1 == std::ssize(parts_))
    return step.pass.loss_scale.defined() ? step.pass.loss_scale : one_;
  Tensor sum;
  const std::vector<int> readers = layout_.graph.readers()[at(stage.index)];
  for (auto reader = readers.rbegin(); reader != readers.rend(); ++reader) {
    const std::vector<int> read = crossing(stage.index, *reader, step.shape(micro));
    const auto place = std::ranges::find(read, part);
    if (place == read.end()) continue;
    Tensor dy;
    if (stage_at(*reader)) {
      dy = local_.extract({Phase::backward, *reader, part, micro}).mapped();
    } else {
      Message& message = messages_.at({Phase::backward, stage.index, *reader, micro, true});
      dy = std::exchange(message.tensors.at(at(static_cast<int>(place - read.begin()))), {});
    }
    if (!sum.defined()) {
      sum = std::move(dy);
      continue;
    }
    if (!sum.unique()) {  // it is the gradient of another part too
      const Tensor shared = std::exchange(sum, empty_like(sum));
      ops::add_into(sum, shared, false);
    }
    ops::add_into(sum, dy, true);
  }
  return sum;
}

// Leaves values for the stages that read them, or gradients for those that the values came from.
void Pipeline::hand_on(const Stage& stage, Phase phase, int micro, const BatchShape& shape,
                       const std::map<int, Tensor>& values) {
  const bool ahead = phase == Phase::forward;
  const std::vector<int> others =
      ahead ? layout_.graph.readers()[at(stage.index)] : layout_.graph.inputs[at(stage.index)];
  for (const int other : others) {
    const std::vector<int> parts =
        ahead ? crossing(stage.index, other, shape) : crossing(other, stage.index, shape);
    for (const int part : parts)
      if (stage_at(other))
        local_[{phase, ahead ? other : stage.index, part, micro}] = values.at(part);
      else
        messages_[{phase, stage.index, other, micro, false}].tensors.push_back(values.at(part));
  }
  if (ahead) return;
  std::erase_if(messages_, [&](const auto& entry) {  // the gradients that went in
    const auto& [p, s, other, m, incoming] = entry.first;
    return p == phase && s == stage.index && m == micro && incoming;
  });
}

// What a forward pass has computed; the loss goes to `losses`.
void Pipeline::hand_on_outputs(const Stage& stage, int micro, const BatchShape& shape,
                               std::map<int, Var>& values, const Tensor& losses) {
  std::map<int, Tensor> outputs;
  for (const int part : stage.outputs)
    if (!model_.idle(part, shape)) outputs[part] = values[part].value();
  if (const auto loss = outputs.find(static_cast<int>(parts_.size()) - 1); loss != outputs.end())
    ops::add_into(losses.slice(micro * loss->second.size(), loss->second.shape()), loss->second,
                  false);
  hand_on(stage, Phase::forward, micro, shape, outputs);
}

void Pipeline::post_receive(const Action& a, const BatchShape& shape) {
  const Scope scope(device_, "pipeline");
  Message& message = messages_[{a.phase, a.stage, a.other, a.micro, true}];
  const bool ahead = a.phase == Phase::forward;
  for (const int part :
       ahead ? crossing(a.other, a.stage, shape) : crossing(a.stage, a.other, shape)) {
    message.tensors.emplace_back(model_.output_shape(part, shape), compute_, device_);
    message.pending.push_back(mesh_.pp->recv(message.tensors.back(), a.peer, name_of(a)));
  }
}

void Pipeline::send(const Action& a) {
  const Scope scope(device_, "pipeline");
  Message& message = messages_[{a.phase, a.stage, a.other, a.micro, false}];
  for (const Tensor& tensor : message.tensors)
    message.pending.push_back(mesh_.pp->send(tensor, a.peer, name_of(a)));
}

Tensor Pipeline::evaluate(const BatchShape& shape, const std::function<Batch()>& next) {
  const Program program(device_, "eval" + shape.suffix());
  const Batch batch = next();
  for (const Action& a : layout_.forward[at(mesh_.place.pp)])
    if (a.kind == ActionKind::compute)
      infer(*stage_at(a.stage), batch);
    else
      play(a, {.pass = {},
               .shape = [&](int) -> const BatchShape& { return shape; },
               .next_batch = {},
               .losses = {}});
  return has_loss() ? eval_loss_ : Tensor();
}

void Pipeline::infer(Stage& stage, const Batch& batch) {
  std::map<int, Var> values;
  for (auto& [part, value] : take_values(stage, 0, batch.shape))
    values[part] = Var::input(std::move(value));
  run_stage(stage, values, batch, {});
  hand_on_outputs(stage, 0, batch.shape, values, eval_loss_);
}

}  // namespace fusor

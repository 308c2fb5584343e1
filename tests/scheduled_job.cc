#include "tests/scheduled_job.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "parallel/pipeline_actions.h"
#include "runtime/launch.h"

namespace fusor::testing {
namespace {

// "F/stage 0 -> 1": an action but for its micro-batch.
std::string program_of(const Action& a) {
  constexpr const char* kVerbs[] = {"", "receive ", "received ", "send ", "sent "};
  const std::string name = name_of(a);
  return kVerbs[static_cast<std::size_t>(a.kind)] + name.substr(0, name.rfind('/'));
}

// The actions of one micro-batch on one rank, on the meta device.
class RankOfSchedule {
 public:
  RankOfSchedule(const Schedule& schedule, const StageGraph& graph, const MeshShape& shape,
                 int rank)
      : split_(schedule.split),
        inputs_(graph.inputs),
        readers_(graph.readers()),
        meta_(Device::meta(trace_)),
        mesh_(Mesh::over(meta_group(trace_, rank, shape.size(), "world"), shape)) {}

  Script script(const std::vector<Action>& actions) {
    for (const Action& a : actions)
      if (a.micro == 0) {
        const std::string name = program_of(a);
        const Program program(meta_, name, 0);
        play(a);
      }
    const Script once = script_of(trace_);
    Script script{.programs = once.programs, .runs = {}, .arena = 0};
    for (const Action& a : actions) {
      const auto found = std::ranges::find(script.programs, program_of(a), &TraceProgram::name);
      script.runs.push_back({static_cast<int>(found - script.programs.begin()), a.micro});
    }
    return script;
  }

 private:
  using Edge = std::tuple<Phase, int, int, bool>;  // this stage, the other, incoming
  struct Message {
    Tensor value;
    Pending pending;
  };

  Tensor tensor() const { return Tensor({8}, DType::f32, meta_); }

  void play(const Action& a) {
    const Edge incoming{a.phase, a.stage, a.other, true},
        outgoing{a.phase, a.stage, a.other, false};
    const std::string name = name_of(a);
    switch (a.kind) {
      case ActionKind::compute:
        return compute(a);
      case ActionKind::post_receive: {
        const Tensor value = tensor();
        messages_[incoming] = {value, mesh_.pp->recv(value, a.peer, name)};
        return;
      }
      case ActionKind::wait_receive:
        messages_.at(incoming).pending.wait();
        return;
      case ActionKind::send: {
        Message& message = messages_[outgoing];
        message.value = values_.extract({a.phase, a.stage, a.other}).mapped();
        message.pending = mesh_.pp->send(message.value, a.peer, name);
        return;
      }
      case ActionKind::wait_send:
        messages_.at(outgoing).pending.wait();
        messages_.erase(outgoing);
    }
  }
  // A pass makes what is sent; the last pass of a stage frees what the others have kept.
  void compute(const Action& a) {
    const bool last = a.phase == (split_ ? Phase::weight : Phase::backward);
    const double flops = a.phase == Phase::backward && !split_ ? 2 : 1;
    const std::string scope_name = "stage." + std::to_string(a.stage);
    const Scope scope(meta_, scope_name);
    launch(meta_, "work", {.flops = flops, .bytes = 1}, [](auto) {});
    const auto at = static_cast<std::size_t>(a.stage);
    if (a.phase == Phase::backward)
      for (const int reader : readers_[at]) values_.erase({Phase::backward, reader, a.stage});
    if (a.phase != Phase::weight) {
      // Each edge has its own: which of several is done with last is another with each micro-batch.
      for (const int to : a.phase == Phase::forward ? readers_[at] : inputs_[at])
        values_[{a.phase, a.stage, to}] = tensor();
      kept_[a.stage].push_back(tensor());
      if (mesh_.tp.size() > 1)
        mesh_.tp->all_reduce(kept_[a.stage].back(), ReduceOp::sum, "join").wait();
    }
    if (last) release(a.stage);
  }
  void release(int stage) {
    kept_.erase(stage);
    for (const int input : inputs_[static_cast<std::size_t>(stage)])
      values_.erase({Phase::forward, input, stage});
    std::erase_if(messages_, [stage](const auto& message) {
      const auto& [phase, mine, other, incoming] = message.first;
      return mine == stage && incoming;
    });
  }

  bool split_;
  std::vector<std::vector<int>> inputs_, readers_;  // by stage
  Trace trace_;
  Device meta_;
  Mesh mesh_;
  std::map<std::tuple<Phase, int, int>, Tensor> values_;  // of a stage, for another
  std::map<int, std::vector<Tensor>> kept_;
  std::map<Edge, Message> messages_;
};

}  // namespace

Job scheduled_job(const Schedule& schedule, const StageGraph& graph, const MeshShape& shape) {
  Job job{.scripts = {}, .script_of_rank = {}, .communicators = communicators_of(shape)};
  const std::vector<std::vector<Action>> actions = pipeline_actions(schedule, graph);
  for (int rank = 0; rank < shape.size(); ++rank) {
    const auto place = static_cast<std::size_t>(place_of(shape, rank).pp);
    job.script_of_rank.push_back(rank);
    job.scripts.push_back(RankOfSchedule(schedule, graph, shape, rank).script(actions[place]));
  }
  return job;
}

}  // namespace fusor::testing

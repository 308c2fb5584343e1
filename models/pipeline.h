#pragma once
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "models/stage_layout.h"
#include "parallel/parameter_store.h"

namespace fusor {

// Which activations are not kept for the backward pass but computed again in it.
enum class Recompute : std::uint8_t {
  none,
  selective,  // of attention
  full        // of each part between the first and the last: only what it reads is kept
};

struct RecomputePlan {
  Recompute kind = Recompute::none;
  int layers = 0;  // only in so many parts after the first; 0: in all
};

// This rank's stages of a model. Walks the rank's actions of a step: runs stages on micro-batches,
// each on a tape of its own, and passes values on to other stages and gradients back. Serial
// training is a pipeline of one stage.
//
// Every action is a program (runtime/device.h), one for each shape of micro-batches. On a meta
// device the micro-batches between the second and the last are not played: they repeat the second.
class Pipeline {
 public:
  // Collective. The model must outlive the pipeline and stay where it is.
  Pipeline(Model& model, const StageLayout& layout, const StoreOptions& options,
           const RecomputePlan& recompute, const Mesh& mesh, const Device& device);
  Pipeline(const Pipeline&) = delete;
  Pipeline& operator=(const Pipeline&) = delete;

  struct Step {
    Pass pass;                     // first_sample follows from the micro-batch
    std::int64_t first_micro = 0;  // of this rank's, within the step's global batch
    std::function<const BatchShape&(int micro)> shape;  // of this rank's micro-batches
    // The micro-batches, ascending, on a rank where reads_batch().
    std::function<Batch()> next_batch;
    Tensor losses;  // f64 [micros]; written where has_loss()
  };
  void run(const Step& step);
  // The loss of the next micro-batch, of this shape, and its measures, as the model gives them
  // without a tape; undefined where not has_loss().
  Tensor evaluate(const BatchShape& shape, const std::function<Batch()>& next);

  bool reads_batch() const;
  bool has_loss() const;  // the last stage is here
  std::vector<ParameterStore*> stores() const;

 private:
  struct Flight {  // a micro-batch between the forward and the backward pass of a stage
    Tape tape;
    std::map<int, Grad> inputs, outputs;  // by the part whose value it is of
  };
  struct Stage {
    int index;
    std::vector<int> parts, outputs;  // outputs: those that other stages read, or the loss
    std::unique_ptr<ParameterStore> store;
    std::map<int, Flight> flights{};  // by micro-batch
    bool turns = false;               // the backward pass follows the forward pass at once

    Stage(int index, std::vector<int> parts) : index(index), parts(std::move(parts)) {}
  };
  struct Message {  // the values of parts on their way, and the calls that move them
    std::vector<Tensor> tensors{};
    std::vector<Pending> pending{};
  };
  struct Planned {
    Action action;
    bool fused;  // the F and the B of a micro-batch, in one program
  };

  void add_stage(int index, const StoreOptions& options);
  std::vector<Tie> ties_of(int stage);
  void plan_actions(const std::vector<Action>& actions);
  Stage* stage_at(int index) const;
  bool reads_batch(const Stage&) const;
  std::string program_of(const Planned&, const Step&) const;
  void play(const Action&, const Step&);

  void forward(Stage&, int micro, const Step&);
  void infer(Stage&, const Batch&);
  void backward(Stage&, int micro, const Step&);
  void weights(Stage&, int micro);
  void post_receive(const Action&, const BatchShape& shape);
  void send(const Action&);

  Batch batch_for(const Stage&, int micro, const Step&);
  std::map<int, Tensor> take_values(const Stage&, int micro, const BatchShape&);
  void hand_on(const Stage&, Phase, int micro, const BatchShape&,
               const std::map<int, Tensor>& values);
  void hand_on_outputs(const Stage&, int micro, const BatchShape&, std::map<int, Var>& values,
                       const Tensor& losses);
  Tensor gradient_of(const Stage&, int part, int micro, const Step&);
  void run_stage(Stage&, std::map<int, Var>& values, const Batch&, const Pass&);
  Var run_part(Stage&, int part, const std::vector<Var>&, const Batch&, const Pass&);
  // The parts of a stage that another reads; of those, the ones that such batches give a value.
  std::vector<int> crossing(int from, int to) const;
  std::vector<int> crossing(int from, int to, const BatchShape&) const;

  // A value or a gradient that a stage here has for a stage here, or for or from another rank.
  using LocalKey = std::tuple<Phase, int, int, int>;          // reading stage, part, micro-batch
  using MessageKey = std::tuple<Phase, int, int, int, bool>;  // stage, other, micro-batch, incoming

  Model& model_;
  std::vector<Part> parts_;
  StageLayout layout_;
  DType compute_;
  RecomputePlan recompute_;
  Mesh mesh_;
  Device device_;
  std::vector<Planned> actions_;
  std::vector<std::unique_ptr<Stage>> stages_;  // ascending
  Tensor one_;                                  // f64 [1]
  Tensor eval_loss_;                            // f64 [1 + measures]
  std::map<LocalKey, Tensor> local_;
  std::map<MessageKey, Message> messages_;
  std::map<int, std::pair<Batch, int>> batches_;  // and the stages that still read it
};

}  // namespace fusor

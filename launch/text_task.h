#pragma once
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>

#include "io/dataset.h"
#include "io/loader.h"
#include "launch/task.h"
#include "models/gpt.h"

namespace fusor {

// Language models on streams of tokens: the micro-batches are windows of data.seq_len tokens, each
// with the token after it as its target.
class TextTask : public Task {
 public:
  explicit TextTask(const Config& config) : config_(config) {}

  std::unique_ptr<Model> model(const Mesh& mesh = {}) const override;
  Inputs inputs(const RunSize& size, const Mesh& mesh) const override;
  void open(const std::string& split) override;
  std::string fingerprint() const override;
  BatchSource training(const RunSize& size, const Mesh& mesh, std::int64_t step) const override;
  HeldOut held_out(const std::string& split, const RunSize& size, const Mesh& mesh) const override;
  std::string describe(const Evaluation&) const override;
  // See flops_per_token().
  double flops_per_step(const RunSize& size) const override;
  std::unique_ptr<Sampler> sampler(const Model& model, const Device& device) const override;

 protected:
  const Config& config() const { return config_; }

 private:
  Config config_;
  std::map<std::string, Dataset> splits_;
};

// The same on tokens that are a function of the seed, the step and the place in its global batch.
class RandomTextTask final : public TextTask {
 public:
  using TextTask::TextTask;
  BatchSource training(const RunSize& size, const Mesh& mesh, std::int64_t step) const override;
};

// Writes the next micro-batch of whole samples: tokens and targets [samples * seq_len], some of
// which may be kIgnoredTarget.
using TextSource =
    std::function<void(std::span<std::int32_t> tokens, std::span<std::int32_t> targets)>;
// The tokens of each sample that a rank takes.
RowMap rows_of(const RunSize& size, const Mesh& mesh);
// Writes these alone. A token that is not below `vocab` is refused with an Error.
BatchSource text_batches(TextSource next, const RowMap& rows, std::int64_t vocab);

// The peak of the model's own work: floating-point operations of forward and backward a token,
// 6 N + 6 L C T, with N the parameters that a token meets, L layers, C the width and T the sequence
// length (the causal half of attention's 12 L C T). The formula of llm.c and of the PaLM paper's
// appendix B.
double flops_per_token(const GptConfig& config, std::int64_t seq_len);

}  // namespace fusor

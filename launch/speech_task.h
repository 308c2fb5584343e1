#pragma once
#include <map>
#include <memory>
#include <string>

#include "io/log_mel.h"
#include "launch/record_feed.h"
#include "launch/task.h"

namespace fusor {

// Models that write down what is said, on datasets as fusor data speech makes them. A loss is told
// per sound. All micro-batches have room for data.max_seconds and data.max_labels.
class SpeechTask final : public Task {
 public:
  explicit SpeechTask(const Config& config) : config_(config) {}

  std::unique_ptr<Model> model(const Mesh& mesh = {}) const override;
  Inputs inputs(const RunSize& size, const Mesh& mesh) const override;
  void open(const std::string& split) override;
  std::string fingerprint() const override;
  BatchSource training(const RunSize& size, const Mesh& mesh, std::int64_t step) const override;
  HeldOut held_out(const std::string& split, const RunSize& size, const Mesh& mesh) const override;
  std::string describe(const Evaluation&) const override;

 private:
  BatchShape shape(const RunSize& size) const;
  RecordFeed feed(const std::string& split, const RunSize& size, bool varied) const;

  Config config_;
  std::map<std::string, std::shared_ptr<const RecordDataset>> splits_;
};

}  // namespace fusor

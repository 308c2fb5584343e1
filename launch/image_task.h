#pragma once
#include <map>
#include <memory>
#include <string>

#include "launch/record_feed.h"
#include "launch/task.h"
#include "models/image_classes.h"

namespace fusor {

// Models that tell the class of images, on datasets of records with the fields "image" and "label".
class ImageTask final : public Task {
 public:
  explicit ImageTask(const Config& config);

  std::unique_ptr<Model> model(const Mesh& mesh = {}) const override;
  Inputs inputs(const RunSize& size, const Mesh& mesh) const override;
  void open(const std::string& split) override;
  std::string fingerprint() const override;
  BatchSource training(const RunSize& size, const Mesh& mesh, std::int64_t step) const override;
  HeldOut held_out(const std::string& split, const RunSize& size, const Mesh& mesh) const override;
  std::string describe(const Evaluation&) const override;

 private:
  BatchShape shape(const RunSize& size) const;
  RecordFeed feed(const std::string& split, const RunSize& size) const;

  Config config_;
  ImageClasses classes_;  // of the recipe
  std::map<std::string, std::shared_ptr<const RecordDataset>> splits_;
};

}  // namespace fusor

#pragma once
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "io/dataset.h"
#include "io/loader.h"
#include "io/masking.h"
#include "io/token_field.h"
#include "launch/record_feed.h"
#include "launch/task.h"

namespace fusor {

// BERT: predicting masked words of a stream of word pieces (fusor data text) or of documents (fusor
// data documents), and telling the classes of documents. A sample is [CLS] and what fits of a
// document, then [SEP], or [CLS] and a window of the stream.
class BertTask final : public Task {
 public:
  explicit BertTask(const Config& config) : config_(config) {}

  std::unique_ptr<Model> model(const Mesh& mesh = {}) const override;
  Inputs inputs(const RunSize& size, const Mesh& mesh) const override;
  void open(const std::string& split) override;
  std::string fingerprint() const override;
  BatchSource training(const RunSize& size, const Mesh& mesh, std::int64_t step) const override;
  HeldOut held_out(const std::string& split, const RunSize& size, const Mesh& mesh) const override;
  std::string describe(const Evaluation&) const override;

 private:
  // One of the two kinds of datasets.
  struct Split {
    std::shared_ptr<const Dataset> stream;
    std::shared_ptr<const RecordDataset> documents;
    std::shared_ptr<const TokenField> tokens;  // of documents
    std::shared_ptr<const WordPiece> vocab;
  };
  Split open_stream(const std::string& split) const;
  Split open_documents(const std::string& split) const;
  bool predicts_words() const { return config_.bert.head == BertHead::masked_words; }
  BatchShape shape(const RunSize& size) const;
  std::shared_ptr<const Masking> masking(const Split& split) const;
  RecordFeed feed(const Split& split, const RunSize& size) const;
  BatchSource stream_batches(const Split& split, const LoaderConfig& loader) const;

  Config config_;
  std::map<std::string, Split> splits_;
};

}  // namespace fusor

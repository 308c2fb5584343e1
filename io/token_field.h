#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "io/record_dataset.h"
#include "io/wordpiece.h"

namespace fusor {

// A field of token ids in a dataset of records, as io/document_builder.h writes it. The dataset
// must outlive it; any number of threads may read.
class TokenField {
 public:
  // Throws Error when there is no such field, or it does not hold word pieces of the vocabulary in
  // the dataset's folder.
  TokenField(const RecordDataset& data, const std::string& folder, const std::string& name);

  const WordPiece& vocab() const { return vocab_; }
  // The ids of a row, at most `most`.
  std::vector<std::int32_t> read(std::int64_t row, std::int64_t most) const;

 private:
  const RecordDataset& data_;
  std::string name_;
  std::size_t field_;
  WordPiece vocab_;
};

}  // namespace fusor

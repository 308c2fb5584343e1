#include "io/token_field.h"

#include <algorithm>

#include "io/stored_vocab.h"
#include "runtime/error.h"

namespace fusor {

TokenField::TokenField(const RecordDataset& data, const std::string& folder,
                       const std::string& name)
    : data_(data),
      name_(folder + ": field '" + name + "'"),
      field_(data.index_of(name)),
      vocab_(read_vocab(folder, vocab_of_attributes(data.field(field_).attributes, name_))) {
  const FieldInfo& field = data.field(field_);
  require(field.ragged && field.shape.empty() && field.type == token_type_of(vocab_), name_,
          " does not hold token ids of a vocabulary of ", vocab_.size());
}

std::vector<std::int32_t> TokenField::read(std::int64_t row, std::int64_t most) const {
  std::vector<std::int32_t> ids;
  if (data_.field(field_).type == ElementType::u16) {
    const auto stored = data_.read<std::uint16_t>(field_, row);
    ids.assign(stored.begin(), stored.end());
  } else {
    ids = data_.read<std::int32_t>(field_, row);
  }
  const std::int64_t vocab = vocab_.size();
  for (const std::int32_t id : ids)
    require(0 <= id && id < vocab, name_, " of row ", row, " holds token id ", id,
            ", outside the vocabulary of ", vocab);
  if (std::ssize(ids) > most) ids.resize(static_cast<std::size_t>(most));
  return ids;
}

}  // namespace fusor

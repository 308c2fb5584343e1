#include "io/image_field.h"

#include <string>

#include "runtime/error.h"

namespace fusor {
namespace {

std::int64_t channels_of(const RecordDataset& data, const FieldInfo& field) {
  const std::string what = data.folder() + ": field '" + field.name + "'";
  require(field.type == ElementType::u8, what, " holds ", name_of(field.type), ", not images");
  if (!field.ragged) {
    require(field.shape.size() == 3, what, " of shape ", field.shape, " holds no images");
    return field.shape[2];
  }
  const auto found = field.attributes.find("channels");
  require(found != field.attributes.end() && (found->second == "1" || found->second == "3"), what,
          " does not say as how many channels its images are read");
  return found->second == "1" ? 1 : 3;
}

}  // namespace

ImageField::ImageField(const RecordDataset& data, std::string_view field)
    : data_(data), field_(data.index_of(field)), channels_(channels_of(data, data.field(field_))) {}

Image ImageField::read(std::int64_t row) const {
  const FieldInfo& field = data_.field(field_);
  if (!field.ragged) {
    Image image(field.shape[0], field.shape[1], field.shape[2]);
    data_.read<std::uint8_t>(field_, row, image.pixels);
    return image;
  }
  std::vector<std::byte> file(static_cast<std::size_t>(data_.size(field_, row)));
  data_.read_stored(field_, row, file);
  return decode_image(file, channels_,
                      data_.folder() + " " + data_.split() + " row " + std::to_string(row));
}

}  // namespace fusor

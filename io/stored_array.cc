#include "io/stored_array.h"

#include <algorithm>
#include <array>

#include "io/hdf5.h"
#include "runtime/error.h"

namespace fusor {
namespace {

constexpr std::size_t kMaxDims = H5S_MAX_RANK;

std::int64_t bytes_of_row(const Shape& shape, std::int64_t type, const std::string& what) {
  auto bytes = static_cast<std::int64_t>(H5Tget_size(type));
  for (std::size_t dim = 1; dim < shape.size(); ++dim)
    require(shape[dim] > 0 && !__builtin_mul_overflow(bytes, shape[dim], &bytes), what,
            " has a row of no size");
  return bytes;
}

}  // namespace

std::int64_t hdf5_type(ElementType type) {
  switch (type) {
    case ElementType::u8:
      return H5T_STD_U8LE;
    case ElementType::u16:
      return H5T_STD_U16LE;
    case ElementType::i16:
      return H5T_STD_I16LE;
    case ElementType::i32:
      return H5T_STD_I32LE;
    case ElementType::i64:
      return H5T_STD_I64LE;
    case ElementType::f32:
      return H5T_IEEE_F32LE;
  }
  raise("no such element type");
}

StoredArray::StoredArray(const File& file, std::int64_t hdf5_file, std::string name,
                         std::int64_t type, std::string_view type_name)
    : name_(std::move(name)) {
  const Hdf5Dataset dataset = open_dataset(hdf5_file, file.path(), name_.c_str(), type, type_name);
  shape_ = shape_of(dataset.get());
  const std::string what = file.path() + ": dataset '" + name_ + "'";
  require(!shape_.empty(), what, " must have one dim or more");
  row_bytes_ = bytes_of_row(shape_, type, what);
  if (shape_[0] > 0) find_extents(file, dataset.get());
  for (const Extent& extent : extents_)
    require(extent.file_offset <= file.size() &&
                static_cast<std::uint64_t>(extent.count) <=
                    (file.size() - extent.file_offset) / static_cast<std::uint64_t>(row_bytes_),
            what, " reaches beyond the end of the file");
}

void StoredArray::find_extents(const File& file, std::int64_t dataset) {
  const Hdf5List layout(H5Dget_create_plist(dataset));
  check_hdf5(layout.get(), "cannot read the layout of " + file.path());
  require(H5Pget_nfilters(layout.get()) == 0 && H5Pget_external_count(layout.get()) == 0,
          file.path(), ": dataset '", name_,
          "' is compressed, filtered or external; store it plainly");
  if (H5Pget_layout(layout.get()) == H5D_CHUNKED)
    return find_chunks(file, dataset, chunk_rows(file, layout.get()));
  const haddr_t address = H5Dget_offset(dataset);
  require(address != HADDR_UNDEF, file.path(), ": dataset '", name_,
          "' must be stored contiguous or in chunks");
  extents_ = {{0, num_rows(), address}};
}

// Rows of a chunk, which must hold them whole.
std::int64_t StoredArray::chunk_rows(const File& file, std::int64_t layout) const {
  std::array<hsize_t, kMaxDims> chunk{};
  check_hdf5(H5Pget_chunk(layout, static_cast<int>(shape_.size()), chunk.data()),
             "cannot read the layout of " + file.path());
  for (std::size_t dim = 1; dim < shape_.size(); ++dim)
    require(std::cmp_equal(chunk[dim], shape_[dim]), file.path(), ": dataset '", name_,
            "' is stored in chunks that cut its rows");
  return static_cast<std::int64_t>(chunk[0]);
}

void StoredArray::find_chunks(const File& file, std::int64_t dataset, std::int64_t chunk_rows) {
  const Hdf5Space space(H5Dget_space(dataset));
  hsize_t num_chunks = 0;
  check_hdf5(H5Dget_num_chunks(dataset, space.get(), &num_chunks),
             "cannot count the chunks of " + file.path());
  for (hsize_t i = 0; i < num_chunks; ++i) {
    std::array<hsize_t, kMaxDims> first{};
    hsize_t bytes = 0;
    unsigned skipped_filters = 0;
    haddr_t address = HADDR_UNDEF;
    check_hdf5(H5Dget_chunk_info(dataset, space.get(), i, first.data(), &skipped_filters, &address,
                                 &bytes),
               "cannot locate a chunk of " + file.path());
    const auto begin = static_cast<std::int64_t>(first[0]);
    extents_.push_back({begin, std::min(chunk_rows, num_rows() - begin), address});
  }
  std::ranges::sort(extents_, {}, &Extent::first);
  require(static_cast<std::int64_t>(num_chunks) == (num_rows() + chunk_rows - 1) / chunk_rows,
          file.path(), ": some chunks of dataset '", name_, "' were never written");
}

void StoredArray::read(const File& file, std::int64_t first, std::span<std::byte> out) const {
  if (out.empty()) return;
  const std::int64_t end = first + std::ssize(out) / row_bytes_;
  require(first >= 0 && end <= num_rows(), file.path(), ": dataset '", name_, "' has no rows ",
          first, " to ", end);
  auto extent = std::prev(std::ranges::upper_bound(extents_, first, {}, &Extent::first));
  for (; first < end; ++extent) {
    const std::int64_t skipped = first - extent->first;
    const std::int64_t n = std::min(end - first, extent->count - skipped);
    const auto part = out.first(static_cast<std::size_t>(n * row_bytes_));
    file.read(part, extent->file_offset + static_cast<std::uint64_t>(skipped * row_bytes_));
    out = out.subspan(part.size());
    first += n;
  }
}

}  // namespace fusor

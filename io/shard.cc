#include "io/shard.h"

#include <algorithm>
#include <array>
#include <bit>
#include <filesystem>
#include <functional>

#include "io/checksum.h"
#include "io/hdf5.h"
#include "io/output_file.h"
#include "runtime/error.h"

namespace fusor {

static_assert(std::endian::native == std::endian::little, "shards are little-endian");

namespace {

constexpr const char* kTokens = "tokens";
constexpr const char* kOffsets = "offsets";

hid_t stored_type(TokenType type) {
  switch (type) {
    case TokenType::u8:
      return H5T_STD_U8LE;
    case TokenType::u16:
      return H5T_STD_U16LE;
    case TokenType::i32:
      return H5T_STD_I32LE;
  }
  raise("no such token type");
}

std::string path_of(const std::string& folder, const ShardInfo& info) {
  return (std::filesystem::path(folder) / info.file).string();
}

// What can be told without HDF5, the cheap first.
void check_file(const File& file, const ShardInfo& info, bool verify) {
  const auto expected = static_cast<std::uint64_t>(info.bytes);
  const std::uint64_t size = file.size();
  require(size >= expected, file.path(), " is truncated: it has ", size,
          " bytes, its manifest says ", expected);
  require(size == expected, file.path(), " has ", size, " bytes, its manifest says ", expected);
  if (!verify) return;
  const std::uint64_t found = checksum_file(file.path());
  require(found == info.checksum, file.path(), " is damaged: its checksum is ",
          checksum_text(found), ", its manifest says ", checksum_text(info.checksum));
}

void check_count(const std::string& path, const char* what, std::int64_t found,
                 std::int64_t expected) {
  require(found == expected, path, " holds ", found, " ", what, ", its manifest says ", expected);
}

// Calls f with a value of the C++ type of a token.
template <class F>
auto with_type(TokenType type, F&& f) {
  switch (type) {
    case TokenType::u8:
      return f(std::uint8_t{});
    case TokenType::u16:
      return f(std::uint16_t{});
    case TokenType::i32:
      return f(std::int32_t{});
  }
  raise("no such token type");
}

template <class Token>
std::span<const Token> as(std::span<const std::byte> stored) {
  return {reinterpret_cast<const Token*>(stored.data()), stored.size() / sizeof(Token)};
}

}  // namespace

void widen(TokenType type, std::span<const std::byte> stored, std::span<std::int32_t> out) {
  with_type(type, [&](auto token) { std::ranges::copy(as<decltype(token)>(stored), out.begin()); });
}

ShardInfo write_text_shard(const std::string& folder, const std::string& name, TokenType type,
                           std::span<const std::byte> tokens,
                           std::span<const std::int64_t> offsets) {
  const Hdf5Quiet quiet;
  ShardInfo info{name, std::ssize(tokens) / size_of(type), std::ssize(offsets) - 1};
  Hdf5Image image(tokens.size() + offsets.size_bytes() + 4096);
  image.add_vector(kTokens, stored_type(type), tokens.data(), info.tokens);
  image.add_vector(kOffsets, H5T_STD_I64LE, offsets.data(), std::ssize(offsets));
  const std::span<const std::byte> bytes = image.bytes();
  OutputFile file(path_of(folder, info));
  file.write(bytes);
  file.finish();
  info.bytes = std::ssize(bytes);
  info.checksum = checksum(bytes);
  return info;
}

TextShard::TextShard(const std::string& folder, const ShardInfo& info, const Manifest& manifest,
                     bool verify)
    : file_(path_of(folder, info)),
      type_(manifest.token_type),
      vocab_size_(manifest.vocab_size),
      num_tokens_(info.tokens) {
  check_file(file_, info, verify);
  const Hdf5Quiet quiet;
  const Hdf5File file = open_hdf5(file_.path());
  const Hdf5Dataset tokens =
      open_vector(file.get(), file_.path(), kTokens, stored_type(type_), fusor::name_of(type_));
  check_count(file_.path(), "tokens", length_of(tokens.get()), info.tokens);
  const Hdf5Dataset offsets = open_vector(file.get(), file_.path(), kOffsets, H5T_STD_I64LE, "i64");
  check_count(file_.path(), "documents", length_of(offsets.get()) - 1, info.documents);
  extents_ = find_extents(tokens.get());
  for (const Extent& extent : extents_)
    require(extent.file_offset + static_cast<std::uint64_t>(extent.count * size_of(type_)) <=
                file_.size(),
            file_.path(), ": dataset 'tokens' reaches beyond the end of the file");
}

std::vector<TextShard::Extent> TextShard::find_extents(std::int64_t dataset) const {
  const Hdf5List layout(H5Dget_create_plist(dataset));
  check_hdf5(layout.get(), "cannot read the layout of " + file_.path());
  require(H5Pget_nfilters(layout.get()) == 0 && H5Pget_external_count(layout.get()) == 0,
          file_.path(), ": dataset 'tokens' is compressed, filtered or external; store it plainly");
  if (hsize_t chunk = 0; H5Pget_layout(layout.get()) == H5D_CHUNKED) {
    check_hdf5(H5Pget_chunk(layout.get(), 1, &chunk), "cannot read the layout of " + file_.path());
    return find_chunks(dataset, static_cast<std::int64_t>(chunk));
  }
  const haddr_t address = H5Dget_offset(dataset);
  require(address != HADDR_UNDEF, file_.path(),
          ": dataset 'tokens' must be stored contiguous or in chunks");
  return {{0, num_tokens_, address}};
}

std::vector<TextShard::Extent> TextShard::find_chunks(std::int64_t dataset,
                                                      std::int64_t chunk) const {
  const Hdf5Space space(H5Dget_space(dataset));
  hsize_t num_chunks = 0;
  check_hdf5(H5Dget_num_chunks(dataset, space.get(), &num_chunks),
             "cannot count the chunks of " + file_.path());
  std::vector<Extent> extents;
  for (hsize_t i = 0; i < num_chunks; ++i) {
    hsize_t first = 0, bytes = 0;
    unsigned skipped_filters = 0;
    haddr_t address = HADDR_UNDEF;
    check_hdf5(
        H5Dget_chunk_info(dataset, space.get(), i, &first, &skipped_filters, &address, &bytes),
        "cannot locate a chunk of " + file_.path());
    const auto begin = static_cast<std::int64_t>(first);
    extents.push_back({begin, std::min(chunk, num_tokens_ - begin), address});
  }
  std::sort(extents.begin(), extents.end(),
            [](const Extent& a, const Extent& b) { return a.first < b.first; });
  require(static_cast<std::int64_t>(num_chunks) == (num_tokens_ + chunk - 1) / chunk, file_.path(),
          ": some chunks of dataset 'tokens' were never written");
  return extents;
}

void TextShard::read(std::int64_t first, std::span<std::int32_t> out) const {
  alignas(std::int32_t) std::array<std::byte, 8192> block;  // on the stack, widened while in cache
  const auto width = static_cast<std::size_t>(size_of(type_));
  while (!out.empty()) {
    const std::size_t n = std::min(out.size(), block.size() / width);
    const auto stored = std::span(block).first(n * width);
    read_stored(first, stored);
    widen(type_, stored, out.first(n));
    out = out.subspan(n);
    first += static_cast<std::int64_t>(n);
  }
}

void TextShard::read_stored(std::int64_t first, std::span<std::byte> out) const {
  const std::int64_t width = size_of(type_);
  const std::int64_t end = first + std::ssize(out) / width;
  require(first >= 0 && end <= num_tokens_, file_.path(), ": no tokens ", first, " to ", end);
  auto extent = std::prev(std::upper_bound(
      extents_.begin(), extents_.end(), first,
      [](std::int64_t token, const Extent& candidate) { return token < candidate.first; }));
  for (; first < end; ++extent) {
    const std::int64_t skipped = first - extent->first;
    const std::int64_t n = std::min(end - first, extent->count - skipped);
    const auto part = out.first(static_cast<std::size_t>(n * width));
    file_.read(part, extent->file_offset + static_cast<std::uint64_t>(skipped * width));
    check_ids(part);
    out = out.subspan(part.size());
    first += n;
  }
}

void TextShard::check_ids(std::span<const std::byte> tokens) const {
  if (type_ != TokenType::i32 && vocab_size_ >> (8 * size_of(type_)) > 0) return;  // none can be
  const std::uint32_t largest = with_type(type_, [&](auto token) {
    std::uint32_t max = 0;
    for (const auto t : as<decltype(token)>(tokens))
      max = std::max(max, static_cast<std::uint32_t>(t));
    return max;
  });
  require(largest < vocab_size_, file_.path(), " holds token id ",
          static_cast<std::int32_t>(largest), ", outside the vocabulary of ", vocab_size_);
}

std::vector<std::int64_t> read_offsets(const std::string& folder, const ShardInfo& info) {
  const std::string path = path_of(folder, info);
  const Hdf5Quiet quiet;
  const Hdf5File file = open_hdf5(path);
  const Hdf5Dataset dataset = open_vector(file.get(), path, kOffsets, H5T_STD_I64LE, "i64");
  std::vector<std::int64_t> offsets(static_cast<std::size_t>(length_of(dataset.get())));
  check_hdf5(H5Dread(dataset.get(), H5T_STD_I64LE, H5S_ALL, H5S_ALL, H5P_DEFAULT, offsets.data()),
             "cannot read dataset 'offsets' of " + path);
  check_count(path, "documents", static_cast<std::int64_t>(offsets.size()) - 1, info.documents);
  require(offsets.front() == 0 && offsets.back() == info.tokens &&
              std::is_sorted(offsets.begin(), offsets.end(), std::less_equal<>()),
          path, ": dataset 'offsets' must rise from 0 to ", info.tokens, " without a repeat");
  return offsets;
}

void verify_text_shard(const std::string& folder, const ShardInfo& info, const Manifest& manifest) {
  const TextShard shard(folder, info, manifest, true);
  read_offsets(folder, info);
  std::vector<std::int32_t> block(std::size_t{1} << 16);
  for (std::int64_t at = 0; at < info.tokens; at += std::ssize(block))
    shard.read(at, std::span(block).first(static_cast<std::size_t>(
                       std::min<std::int64_t>(std::ssize(block), info.tokens - at))));
}

}  // namespace fusor

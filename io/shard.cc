#include "io/shard.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <functional>

#include "io/hdf5.h"
#include "io/shard_file.h"
#include "runtime/error.h"

namespace fusor {

namespace {

constexpr const char* kTokens = "tokens";
constexpr const char* kOffsets = "offsets";

std::string path_of(const std::string& folder, const ShardInfo& info) {
  return (std::filesystem::path(folder) / info.file).string();
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
    default:
      raise("tokens are not stored as " + std::string(name_of(type)));
  }
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
  image.add(kTokens, hdf5_type(type), tokens.data(), {info.tokens});
  image.add(kOffsets, H5T_STD_I64LE, offsets.data(), {std::ssize(offsets)});
  const ShardFile written = write_shard_file(path_of(folder, info), image.bytes());
  info.bytes = written.bytes;
  info.checksum = written.checksum;
  return info;
}

TextShard::TextShard(const std::string& folder, const ShardInfo& info, const Manifest& manifest,
                     bool verify)
    : file_(path_of(folder, info)), type_(manifest.token_type), vocab_size_(manifest.vocab_size) {
  check_shard_file(file_, {info.bytes, info.checksum}, verify);
  const Hdf5Quiet quiet;
  const Hdf5File file = open_hdf5(file_.path());
  tokens_ = StoredArray(file_, file.get(), kTokens, hdf5_type(type_), fusor::name_of(type_));
  require(tokens_.shape().size() == 1, file_.path(), ": dataset '", kTokens, "' must have one dim");
  check_count(file_.path(), "tokens", tokens_.num_rows(), info.tokens);
  const Hdf5Dataset offsets = open_vector(file.get(), file_.path(), kOffsets, H5T_STD_I64LE, "i64");
  check_count(file_.path(), "documents", shape_of(offsets.get())[0] - 1, info.documents);
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
  tokens_.read(file_, first, out);
  check_ids(out);
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
  std::vector<std::int64_t> offsets(static_cast<std::size_t>(shape_of(dataset.get())[0]));
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

#include "io/safetensors.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "runtime/error.h"
#include "runtime/nearest.h"

namespace fusor {

static_assert(std::endian::native == std::endian::little, "safetensors are little-endian");

namespace {

using nlohmann::json;

constexpr std::size_t kLengthBytes = 8;
constexpr std::size_t kDataAlignment = 64;
constexpr std::array<std::pair<DType, std::string_view>, 7> kDTypes = {{{DType::f64, "F64"},
                                                                        {DType::f32, "F32"},
                                                                        {DType::bf16, "BF16"},
                                                                        {DType::f16, "F16"},
                                                                        {DType::i64, "I64"},
                                                                        {DType::i32, "I32"},
                                                                        {DType::u8, "U8"}}};

// Receives the header's JSON event by event and accepts the format's one shape only, so that no
// input can make it build a deep or large tree.
class HeaderReader : public nlohmann::json_sax<json> {
 public:
  HeaderReader(const std::string& file, SafetensorsHeader& header) : file_(file), out_(header) {}

  bool start_object(std::size_t) override {
    if (at_ == At::start) return to(At::top);
    if (at_ == At::tensor_start) return to(At::tensor);
    if (at_ == At::metadata_start) return to(At::metadata);
    return unexpected("an object");
  }
  bool end_object() override {
    if (at_ == At::top) return to(At::end);
    if (at_ == At::tensor) finish_tensor();
    return to(At::top);
  }
  bool key(string_t& name) override {
    if (at_ == At::top) {
      require(names_.insert(name).second, file_, " has two tensors named \"", name, '"');
      if (name == "__metadata__") return to(At::metadata_start);
      tensor_ = {};
      tensor_.name = name;
      seen_ = {};
      return to(At::tensor_start);
    }
    if (at_ == At::metadata) return enter_metadata(name);
    if (name == "dtype") return enter_field(0, At::dtype, name);
    if (name == "shape") return enter_field(1, At::shape_start, name);
    require(name == "data_offsets", what(), " has an unknown field \"", name, '"');
    return enter_field(2, At::offsets_start, name);
  }
  bool start_array(std::size_t) override {
    if (at_ == At::shape_start) return to(At::shape);
    if (at_ == At::offsets_start) return to(At::offsets);
    return unexpected("an array");
  }
  bool end_array() override {
    require(at_ != At::offsets || num_offsets_ == 2, what(), " has ", num_offsets_,
            " data_offsets, not 2");
    return to(At::tensor);
  }
  bool string(string_t& value) override {
    if (at_ == At::dtype) {
      tensor_.dtype = parse_safetensors_dtype(value, what());
      return to(At::tensor);
    }
    if (at_ != At::metadata_value) return unexpected("a string");
    out_.metadata[metadata_key_] = value;
    return to(At::metadata);
  }
  bool number_unsigned(number_unsigned_t value) override {
    if (at_ == At::shape) {
      require(value <= INT64_MAX, what(), " has a dim of ", value);
      tensor_.shape.push_back(static_cast<std::int64_t>(value));
      return true;
    }
    if (at_ != At::offsets) return unexpected("a number");
    require(num_offsets_ < 2, what(), " has more than 2 data_offsets");
    (num_offsets_++ == 0 ? tensor_.begin : tensor_.end) = value;
    return true;
  }
  bool number_integer(number_integer_t value) override {
    return unexpected("the number " + std::to_string(value));
  }
  bool number_float(number_float_t, const string_t& text) override {
    return unexpected("the number " + text);
  }
  bool null() override { return unexpected("null"); }
  bool boolean(bool) override { return unexpected("a boolean"); }
  bool binary(binary_t&) override { return unexpected("binary data"); }
  bool parse_error(std::size_t position, const std::string&, const json::exception&) override {
    raise(file_ + ": the header is not JSON at its byte " + std::to_string(position));
  }

 private:
  enum class At {
    start,
    top,
    end,
    metadata_start,
    metadata,
    metadata_value,
    tensor_start,
    tensor,
    dtype,
    shape_start,
    shape,
    offsets_start,
    offsets
  };

  std::string what() const { return file_ + ": tensor \"" + tensor_.name + '"'; }
  bool to(At next) {
    at_ = next;
    return true;
  }
  bool unexpected(const std::string& value) {
    const bool in_tensor = at_ >= At::tensor_start;
    raise((in_tensor ? what() : file_ + ": the header") + " has " + value + " out of place");
  }
  bool enter_field(std::size_t field, At next, const std::string& name) {
    require(!std::exchange(seen_[field], true), what(), " has \"", name, "\" twice");
    num_offsets_ = 0;
    return to(next);
  }
  bool enter_metadata(const std::string& name) {
    require(!out_.metadata.contains(name), file_, " has \"", name, "\" twice in its metadata");
    metadata_key_ = name;
    return to(At::metadata_value);
  }
  void finish_tensor() {
    require(seen_[0] && seen_[1] && seen_[2], what(), " lacks its dtype, shape or data_offsets");
    out_.tensors.push_back(std::move(tensor_));
  }

  const std::string& file_;
  SafetensorsHeader& out_;
  At at_ = At::start;
  std::set<std::string> names_;
  std::string metadata_key_;
  SafetensorsEntry tensor_;
  std::array<bool, 3> seen_{};  // dtype, shape, data_offsets of tensor_
  int num_offsets_ = 0;
};

// The tensors must tile [0, data_bytes) and each must have the bytes its shape asks for.
void check_ranges(SafetensorsHeader& header, std::uint64_t data_bytes, const std::string& file) {
  std::ranges::sort(header.tensors, [](const SafetensorsEntry& a, const SafetensorsEntry& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  std::uint64_t reached = 0;
  for (const SafetensorsEntry& tensor : header.tensors) {
    const std::string what = file + ": tensor \"" + tensor.name + '"';
    require(tensor.begin <= tensor.end, what, " ends at byte ", tensor.end, " before its begin ",
            tensor.begin);
    require(tensor.begin == reached, what, " begins at byte ", tensor.begin,
            " of the data, not at ", reached, " where the one before it ends");
    const std::uint64_t expected = num_bytes(tensor.dtype, tensor.shape, what);
    require(tensor.end - tensor.begin == expected, what, " has ", tensor.end - tensor.begin,
            " bytes; ", tensor.dtype, ' ', tensor.shape, " takes ", expected);
    reached = tensor.end;
  }
  require(reached <= data_bytes, file, " is truncated: its tensors take ", reached, " bytes and ",
          data_bytes, " are there");
  require(reached == data_bytes, file, " has ", data_bytes - reached,
          " bytes behind its last tensor");
}

// Bytes of the header, from the 8 bytes before it.
std::uint64_t header_length(std::span<const std::byte> start, std::uint64_t file_bytes,
                            const std::string& file) {
  require(start.size() == kLengthBytes, file, " is truncated: ", file_bytes,
          " bytes are too few for a safetensors file");
  std::uint64_t length;
  std::memcpy(&length, start.data(), kLengthBytes);
  require(length <= kMaxSafetensorsHeader, file, " is no safetensors file: a header of ", length,
          " bytes exceeds the format's ", kMaxSafetensorsHeader);
  require(length <= file_bytes - kLengthBytes, file, " is truncated: its header has ", length,
          " bytes and ", file_bytes - kLengthBytes, " are there");
  return length;
}

SafetensorsHeader parse_header(std::string_view text, std::uint64_t file_bytes,
                               const std::string& file) {
  require(text.starts_with('{'), file, " is no safetensors file: its header does not begin with {");
  // The JSON reader would take a zero byte for the end of its input.
  require(text.find('\0') == text.npos, file, ": the header has a zero byte in it");
  SafetensorsHeader header;
  header.data_start = kLengthBytes + text.size();
  HeaderReader reader(file, header);
  json::sax_parse(text, &reader);
  check_ranges(header, file_bytes - header.data_start, file);
  return header;
}

SafetensorsHeader read_header(const File& file) {
  const std::uint64_t size = file.size();
  std::vector<std::byte> start(std::min<std::uint64_t>(size, kLengthBytes));
  file.read(start, 0);
  std::string text(header_length(start, size, file.path()), '\0');
  file.read(std::as_writable_bytes(std::span(text)), kLengthBytes);
  return parse_header(text, size, file.path());
}

// The entry's `"name":{"dtype":...}` in the header.
std::string json_text(const SafetensorsEntry& tensor) {
  const nlohmann::ordered_json fields = {
      {"dtype", safetensors_name(tensor.dtype)},
      {"shape", static_cast<const std::vector<std::int64_t>&>(tensor.shape)},
      {"data_offsets", {tensor.begin, tensor.end}}};
  try {
    return json(tensor.name).dump() + ':' + fields.dump();
  } catch (const json::exception&) {
    raise("safetensors: a tensor's name is not UTF-8");
  }
}

}  // namespace

std::uint64_t num_bytes(DType dtype, const Shape& shape, const std::string& what) {
  std::uint64_t bytes = size_of(dtype);
  bool fits = true;
  for (const std::int64_t dim : shape) {
    require(dim >= 0, what, " has the shape ", shape);
    fits &= !__builtin_mul_overflow(bytes, static_cast<std::uint64_t>(dim), &bytes);
  }
  const bool empty = std::ranges::find(shape, 0) != shape.end();
  require(empty || (fits && bytes <= INT64_MAX), what, " has the shape ", shape,
          ", more bytes than a file can hold");
  return empty ? 0 : bytes;
}

std::string_view safetensors_name(DType dtype) {
  return std::ranges::find(kDTypes, dtype, &std::pair<DType, std::string_view>::first)->second;
}

DType parse_safetensors_dtype(std::string_view name, const std::string& what) {
  const auto found = std::ranges::find(kDTypes, name, &std::pair<DType, std::string_view>::second);
  require(found != kDTypes.end(), what, " has the dtype \"", name,
          "\", which is none of F64 F32 BF16 F16 I64 I32 U8");
  return found->first;
}

SafetensorsHeader parse_safetensors(std::span<const std::byte> bytes, const std::string& file) {
  const auto start = bytes.first(std::min(bytes.size(), kLengthBytes));
  const std::uint64_t length = header_length(start, bytes.size(), file);
  const auto text = bytes.subspan(kLengthBytes, length);
  return parse_header({reinterpret_cast<const char*>(text.data()), text.size()}, bytes.size(),
                      file);
}

std::string layout_safetensors(std::vector<SafetensorsEntry>& tensors,
                               const std::map<std::string, std::string>& metadata) {
  std::ranges::stable_sort(tensors, std::greater(),
                           [](const SafetensorsEntry& t) { return size_of(t.dtype); });
  std::string text = "{";
  if (!metadata.empty()) text += "\"__metadata__\":" + json(metadata).dump() + ',';
  std::uint64_t reached = 0;
  std::set<std::string_view> names;
  for (SafetensorsEntry& tensor : tensors) {
    require(names.insert(tensor.name).second && tensor.name != "__metadata__",
            "safetensors: two tensors are named \"", tensor.name, '"');
    tensor.begin = reached;
    tensor.end = reached += num_bytes(tensor.dtype, tensor.shape, "tensor \"" + tensor.name + '"');
    text += json_text(tensor) + ',';
  }
  if (text.ends_with(',')) text.pop_back();
  text += '}';
  text.append(-(kLengthBytes + text.size()) % kDataAlignment, ' ');
  require(text.size() <= kMaxSafetensorsHeader, "safetensors: the names and shapes of ",
          tensors.size(), " tensors exceed a header's ", kMaxSafetensorsHeader, " bytes");
  const std::uint64_t length = text.size();
  return std::string(reinterpret_cast<const char*>(&length), kLengthBytes) + text;
}

SafetensorsFile::SafetensorsFile(std::string path)
    : file_(std::move(path)), header_(read_header(file_)) {
  for (std::size_t i = 0; i < header_.tensors.size(); ++i) index_[header_.tensors[i].name] = i;
}

const SafetensorsEntry* SafetensorsFile::find(std::string_view name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &header_.tensors[found->second];
}

const SafetensorsEntry& SafetensorsFile::at(const std::string& name) const {
  const SafetensorsEntry* tensor = find(name);
  if (tensor) return *tensor;
  std::vector<std::string> names;
  for (const SafetensorsEntry& other : header_.tensors) names.push_back(other.name);
  raise(path() + " has no tensor \"" + name + '"' + did_you_mean(name, names));
}

void SafetensorsFile::read(const SafetensorsEntry& tensor, std::uint64_t offset,
                           std::span<std::byte> to) const {
  const std::uint64_t size = tensor.end - tensor.begin;
  require(offset <= size && to.size() <= size - offset, path(), ": tensor \"", tensor.name,
          "\" has ", size, " bytes; [", offset, ", ", offset + to.size(), ") were asked for");
  file_.read(to, header_.data_start + tensor.begin + offset);
}

}  // namespace fusor

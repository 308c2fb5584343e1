#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/file.h"
#include "runtime/dtype.h"
#include "runtime/shape.h"

// The safetensors format (github.com/huggingface/safetensors, "Format"): 8 bytes with the length of
// the header, little-endian; the header, a JSON object that gives each tensor's dtype, shape and
// byte range and may end in spaces; then the tensors' bytes, row-major, little-endian, with no
// holes and no overlap. Reading refuses whatever departs from that with an Error of one sentence
// that names the file and, where there is one, the tensor.
namespace fusor {

inline constexpr std::uint64_t kMaxSafetensorsHeader = 100'000'000;  // bytes, the format's limit

struct SafetensorsEntry {
  std::string name;
  DType dtype;
  Shape shape;              // [] for a scalar; a dim may be 0
  std::uint64_t begin = 0;  // bytes from the start of the data
  std::uint64_t end = 0;
};

struct SafetensorsHeader {
  std::vector<SafetensorsEntry> tensors;        // in the order of their bytes
  std::map<std::string, std::string> metadata;  // "__metadata__"
  std::uint64_t data_start = 0;                 // the data's first byte in the file
};

// A whole file in memory; `file` is its name in errors.
SafetensorsHeader parse_safetensors(std::span<const std::byte> bytes, const std::string& file);

// Bytes of a tensor; throws Error with `what` in front when the count does not fit in 63 bits.
std::uint64_t num_bytes(DType dtype, const Shape& shape, const std::string& what);

// The name the format has for a dtype ("BF16"), and back; an unknown one throws Error.
std::string_view safetensors_name(DType dtype);
DType parse_safetensors_dtype(std::string_view name, const std::string& what);

// The start of a file of these tensors, up to the data: sets every begin and end and sorts the
// tensors, largest element first, so that each is aligned to its element; the data itself starts at
// a multiple of 64 bytes. Throws Error on a name used twice or not UTF-8.
std::string layout_safetensors(std::vector<SafetensorsEntry>& tensors,
                               const std::map<std::string, std::string>& metadata = {});

// A safetensors file on disk, open for reading from any number of threads.
class SafetensorsFile {
 public:
  explicit SafetensorsFile(std::string path);
  const std::string& path() const { return file_.path(); }
  const SafetensorsHeader& header() const { return header_; }
  const SafetensorsEntry* find(std::string_view name) const;  // null when there is none
  const SafetensorsEntry& at(const std::string& name) const;  // throws Error, nearest name in it
  // Fills `to` from byte `offset` of the tensor.
  void read(const SafetensorsEntry& tensor, std::uint64_t offset, std::span<std::byte> to) const;

 private:
  File file_;
  SafetensorsHeader header_;
  std::map<std::string, std::size_t, std::less<>> index_;  // name -> place in header_.tensors
};

}  // namespace fusor

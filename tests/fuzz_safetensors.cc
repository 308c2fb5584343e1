#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

#include "io/safetensors.h"
#include "runtime/error.h"

namespace {

// The tensors of an accepted file tile its data, and survive being laid out and read again.
void check_file(const std::string& file) {
  auto header = fusor::parse_safetensors(std::as_bytes(std::span(file)), "input");
  std::uint64_t reached = header.data_start;
  for (const fusor::SafetensorsEntry& tensor : header.tensors) {
    if (header.data_start + tensor.begin != reached) __builtin_trap();
    reached = header.data_start + tensor.end;
  }
  if (reached != file.size()) __builtin_trap();
  const std::string again = fusor::layout_safetensors(header.tensors, header.metadata) +
                            std::string(file.size() - header.data_start, 'x');
  if (fusor::parse_safetensors(std::as_bytes(std::span(again)), "again").tensors.size() !=
      header.tensors.size())
    __builtin_trap();
}

void check_or_refuse(const std::string& file) {
  try {
    check_file(file);
  } catch (const fusor::Error&) {
  }
}

}  // namespace

// Any bytes are a safetensors file or an Error: first as they come, then as two bytes that say how
// much data follows a header made of the rest, which gets the fuzzer past the length in front.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  check_or_refuse(bytes);
  if (size < 2) return 0;
  const std::uint64_t length = size - 2;
  check_or_refuse(std::string(reinterpret_cast<const char*>(&length), 8) + bytes.substr(2) +
                  std::string(data[0] + 256 * data[1], 'x'));
  return 0;
}

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  if (*argc < 2) return 0;
  const std::filesystem::path corpus = (*argv)[1];
  std::filesystem::create_directories(corpus);
  std::vector<fusor::SafetensorsEntry> tensors = {{"w", fusor::DType::bf16, {2, 3}},
                                                  {"scalar", fusor::DType::f64, {}},
                                                  {"none", fusor::DType::i32, {0, 7}}};
  const std::string head = fusor::layout_safetensors(tensors, {{"format", "pt"}});
  std::ofstream(corpus / "file") << head << std::string(20, 'x');
  std::ofstream(corpus / "header") << std::string("\x14\0", 2) << head.substr(8);
  std::ofstream(corpus / "empty") << std::string("\0\0{}", 4);
  return 0;
}

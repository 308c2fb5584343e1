#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string_view>

#include "io/record_manifest.h"
#include "runtime/error.h"

// Any bytes are either a manifest of records, which then survives writing and reading again, or an
// Error.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using fusor::parse_record_manifest;
  try {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const std::string written = to_text(parse_record_manifest(text, "manifest.json"));
    if (to_text(parse_record_manifest(written, "manifest.json")) != written) __builtin_trap();
  } catch (const fusor::Error&) {
  }
  return 0;
}

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  using fusor::ElementType;
  if (*argc < 2) return 0;
  const std::filesystem::path corpus = (*argv)[1];
  std::filesystem::create_directories(corpus);
  fusor::RecordManifest manifest;
  manifest.fields = {
      {.name = "sound", .type = ElementType::i16, .ragged = true, .attributes = {{"rate", "8000"}}},
      {.name = "pixels", .shape = {2, 3, 3}},
      {.name = "label", .type = ElementType::i32, .names = {"yes", "no"}}};
  manifest.splits = {{"train",
                      {{"a.h5", 10, {50, 0, 0}, {{7, 6}, {4, 4}}, {4000, 1}},
                       {"b.h5", 2, {0, 0, 0}, {{4, 2}}, {3000, 2}}}},
                     {"val", {{"c.h5", 1, {9, 0, 0}, {{7, 1}}, {2000, 3}}}}};
  std::ofstream(corpus / "whole") << fusor::to_text(manifest);
  return 0;
}

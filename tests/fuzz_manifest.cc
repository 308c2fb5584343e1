#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string_view>

#include "io/manifest.h"
#include "runtime/error.h"

// Any bytes are either a manifest, which then survives writing and reading again, or an Error.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const std::string written = fusor::to_text(fusor::parse_manifest(text, "manifest.json"));
    if (fusor::to_text(fusor::parse_manifest(written, "manifest.json")) != written)
      __builtin_trap();
  } catch (const fusor::Error&) {
  }
  return 0;
}

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  if (*argc < 2) return 0;
  const std::filesystem::path corpus = (*argv)[1];
  std::filesystem::create_directories(corpus);
  fusor::Manifest manifest;
  std::ofstream(corpus / "empty") << fusor::to_text(manifest);
  manifest.separator = "\n\n";
  manifest.token_type = fusor::TokenType::u16;
  manifest.splits = {{"train", {{"a.h5", 10, 2, 4000, 1}, {"b.h5", 7, 1, 3000, 2}}},
                     {"val", {{"c.h5", 5, 5, 2000, 3}}}};
  std::ofstream(corpus / "whole") << fusor::to_text(manifest);
  return 0;
}

#pragma once
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "io/dataset.h"
#include "io/text_builder.h"
#include "runtime/error.h"
#include "tests/temporary_folder.h"
#include "tests/thrown_by.h"

// What the tests of datasets share: a fresh folder per test, and short ways to make and read files.
namespace fusor::testing {

class FolderTest : public ::testing::Test {
 protected:
  std::string path(const std::string& name) const { return folder_.path() + "/" + name; }

  std::string write(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories(std::filesystem::path(path(name)).parent_path());
    std::ofstream(path(name), std::ios::binary) << text;
    return path(name);
  }
  std::string read(const std::string& name) const {
    std::ifstream file(path(name), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void replace(const std::string& name, const std::string& from, const std::string& to) const {
    std::string text = read(name);
    const auto at = text.find(from);
    ASSERT_NE(at, std::string::npos) << from << " is not in " << name;
    write(name, text.replace(at, from.size(), to));
  }

 private:
  TemporaryFolder folder_;
};

// `documents` numbered texts of different lengths, each ended by a blank line.
inline std::string numbered_documents(int documents) {
  std::string text;
  for (int d = 0; d < documents; ++d) {
    text += "document " + std::to_string(d) + ":";
    for (int word = 0; word < d * 7 % 23; ++word) text += " " + std::to_string(word * d);
    text += "\n\n";
  }
  return text;
}

// All tokens of a split of byte tokens, as bytes.
inline std::string text_of(const Dataset& dataset) {
  std::vector<std::int32_t> tokens(static_cast<std::size_t>(dataset.num_tokens()));
  dataset.read(0, tokens);
  return {tokens.begin(), tokens.end()};
}

}  // namespace fusor::testing

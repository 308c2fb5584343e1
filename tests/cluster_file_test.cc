#include "launch/cluster_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "runtime/error.h"

namespace fusor {
namespace {

using testing::HasSubstr;

std::string message_of(const std::string& text) {
  std::istringstream ini(text);
  try {
    parse_cluster(ini, "my.ini");
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

std::string with(const std::string& key, const std::string& line) {
  std::string text = to_ini(read_cluster(FUSOR_CLUSTERS "/h100.ini"));
  const std::size_t at = text.find("\n" + key + " = ") + 1;
  return text.replace(at, text.find('\n', at) - at, line);
}

TEST(ClusterFile, EveryShippedFileReadsAndIsWrittenBack) {
  int files = 0;
  for (const auto& file : std::filesystem::directory_iterator(FUSOR_CLUSTERS)) {
    const Cluster cluster = read_cluster(file.path());
    std::istringstream ini(to_ini(cluster));
    EXPECT_EQ(parse_cluster(ini, "again"), cluster) << file.path();
    ++files;
  }
  EXPECT_GE(files, 4);
}

TEST(ClusterFile, MistakesAreNamed) {
  EXPECT_THAT(message_of(with("memory", "memmory = 1")),
              HasSubstr("my.ini: unknown key \"rank.memmory\", did you mean \"rank.memory\"?"));
  EXPECT_THAT(message_of(with("unaligned", "")), HasSubstr("my.ini: rank.unaligned is missing"));
  EXPECT_THAT(message_of(with("peak_bf16", "peak_bf16 = 0")),
              HasSubstr("rank.peak_bf16 = 0 must be"));
  EXPECT_THAT(message_of(with("bandwidth", "bandwidth = fast")),
              HasSubstr("rank.bandwidth = fast is not a number"));
  for (const char* curve : {"1e9", "1e9:0.5 1e8:0.6", "1e9:1.5", "1e9:0", "x:0.5", ""})
    EXPECT_THAT(message_of(with("gemm", "gemm = " + std::string(curve))),
                HasSubstr("is not a curve: size:share pairs"))
        << curve;
  EXPECT_THAT(
      [] { read_cluster("/nowhere/x.ini"); },
      testing::ThrowsMessage<Error>(HasSubstr("/nowhere/x.ini: No such file or directory")));
}

}  // namespace
}  // namespace fusor

#include "runtime/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>

#include "tests/small_disk.h"
#include "tests/temporary_folder.h"

namespace fusor {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<nlohmann::json> lines_of(const std::string& path) {
  std::vector<nlohmann::json> lines;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) lines.push_back(nlohmann::json::parse(line));
  return lines;
}

std::vector<std::int64_t> steps_of(const std::string& path) {
  std::vector<std::int64_t> steps;
  for (const auto& line : lines_of(path)) steps.push_back(line["step"]);
  return steps;
}

void no_report(const std::string& problem) { ADD_FAILURE() << problem; }

TEST(Metrics, ALineIsAJsonObject) {
  const auto event = MetricsEvent("train", 12)
                         .add("loss", 0.1)
                         .add("text", "a \"b\"\\\n\t\x01 ü")
                         .add("tokens", std::size_t{1} << 40)
                         .add("nan", NAN);
  EXPECT_TRUE(event.json(1767225600.125)
                  .starts_with(R"({"kind":"train","step":12,"time":1767225600.125,"loss":0.1,)"));
  const auto line = nlohmann::json::parse(event.json(0));
  EXPECT_EQ(line["text"], "a \"b\"\\\n\t\x01 ü");
  EXPECT_EQ(line["tokens"], std::int64_t{1} << 40);
  EXPECT_TRUE(line["nan"].is_null());
}

TEST(Metrics, DoublesReadBackToTheSameBits) {
  std::mt19937_64 bits(7);
  for (int i = 0; i < 10000; ++i) {
    const auto value = std::bit_cast<double>(bits());
    if (!std::isfinite(value)) continue;
    ASSERT_EQ(nlohmann::json::parse(json_number(value)).get<double>(), value);
  }
  EXPECT_EQ(json_number(INFINITY), "null");
}

TEST(Metrics, AResumedRunDropsLaterStepsAndTornLines) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/metrics.jsonl";
  {
    MetricsFile file(path, 0, no_report);
    file.write(MetricsEvent("start", 0));
    for (int step = 1; step <= 20; ++step) file.write(MetricsEvent("train", step));
  }
  std::ofstream(path, std::ios::app) << R"({"kind":"train","step":2)";  // killed within a line
  { MetricsFile resumed(path, 20, no_report); }
  EXPECT_EQ(steps_of(path).size(), 21u);
  MetricsFile(path, 3, no_report).write(MetricsEvent("train", 4));
  EXPECT_THAT(steps_of(path), ElementsAre(0, 1, 2, 3, 4));
  { MetricsFile fresh(path, -1, no_report); }
  EXPECT_THAT(steps_of(path), IsEmpty());
}

TEST(Metrics, AFullDiskLosesWholeLinesAndIsReportedOnce) {
  const SmallDisk disk(1);
  if (!disk.mounted()) GTEST_SKIP() << "mounting a small tmpfs takes root";
  const std::string path = disk.path() + "/metrics.jsonl";
  std::vector<std::string> reports;
  MetricsFile file(path, 0, [&](const std::string& problem) { reports.push_back(problem); });
  {
    std::ofstream filler(disk.path() + "/filler");
    filler << std::string((1 << 20) - 8192, 'x');
  }
  for (int step = 1; step < 500; ++step) file.write(MetricsEvent("train", step).add("loss", 0.5));
  ASSERT_EQ(reports.size(), 1u);
  EXPECT_THAT(reports[0], HasSubstr("cannot write " + path + ": No space left on device"));
  const std::size_t lines_before = lines_of(path).size();  // throws on a torn line
  std::filesystem::remove(disk.path() + "/filler");
  file.write(MetricsEvent("train", 500));
  EXPECT_EQ(lines_of(path).size(), lines_before + 1);
  EXPECT_EQ(lines_of(path).back()["step"], 500);
}

}  // namespace
}  // namespace fusor

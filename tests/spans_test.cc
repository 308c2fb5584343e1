#include "runtime/spans.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "runtime/error.h"

namespace fusor {
namespace {

class Spans : public testing::Test {
 protected:
  void TearDown() override { std::filesystem::remove_all(folder_); }
  nlohmann::json written(int rank, int size) {
    std::filesystem::create_directories(folder_);
    std::ifstream in(write_spans(folder_ / "trace.json", rank, size, "n01"));
    return nlohmann::json::parse(in).at("traceEvents");
  }
  std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() / ("spans_test." + std::to_string(getpid()));
};

TEST_F(Spans, NestAndNameTheirThread) {
  { const Span off("before recording"); }
  record_spans();
  {
    const Span step("step");
    const Span sum("all_reduce \"bucket.0\"");
    std::thread([] { const Span read("read"); }).join();
  }
  const auto events = written(3, 4);
  ASSERT_EQ(events.size(), 4);
  EXPECT_EQ(events[0]["args"]["name"], "rank 3 on n01");
  const auto &read = events[1], &sum = events[2], &step = events[3];
  EXPECT_EQ(read["name"], "read");
  EXPECT_EQ(sum["name"], "all_reduce \"bucket.0\"");
  EXPECT_EQ(step["name"], "step");
  EXPECT_NE(read["tid"], sum["tid"]);
  EXPECT_EQ(step["tid"], sum["tid"]);
  EXPECT_EQ(step["pid"], 3);
  const auto end = [](const auto& e) {
    return e["ts"].template get<double>() + e["dur"].template get<double>();
  };
  EXPECT_LE(step["ts"], sum["ts"]);
  EXPECT_LE(sum["ts"], read["ts"]);
  EXPECT_LE(end(read), end(sum) + 1);  // microseconds since 1970 are rounded
  EXPECT_LE(end(sum), end(step) + 1);
}

TEST_F(Spans, KeepTheLatestAndCutLongNames) {
  record_spans(2);
  const std::string names[] = {"one", "two", std::string(100, 'x')};
  for (const std::string& name : names) const Span span(name);
  const auto events = written(0, 1);
  ASSERT_EQ(events.size(), 3);
  EXPECT_EQ(events[1]["name"], "two");
  EXPECT_EQ(events[2]["name"], std::string(47, 'x'));
}

TEST_F(Spans, OneFileARank) {
  record_spans(2);
  std::filesystem::create_directories(folder_);
  EXPECT_EQ(write_spans(folder_ / "t.json", 0, 1, "n"), folder_ / "t.json");
  EXPECT_EQ(write_spans(folder_ / "t.json", 1, 2, "n"), folder_ / "t.rank1.json");
  EXPECT_THROW(write_spans(folder_ / "none" / "t.json", 0, 1, "n"), Error);
}

}  // namespace
}  // namespace fusor

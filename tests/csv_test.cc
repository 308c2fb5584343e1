#include "io/csv.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/thrown_by.h"

namespace fusor {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string error_of(const std::string& text) {
  return thrown_by([&] { parse_csv(text, "t.csv"); });
}

TEST(Csv, FieldsQuotesAndLineBreaks) {
  const CsvTable table = parse_csv(
      "\xef\xbb\xbf"
      "a,b\r\n1,\"x, \"\"y\"\"\nz\"\n\n,3 \"4\"\r\n5,",
      "t.csv");
  EXPECT_THAT(table.columns, ElementsAre("a", "b"));
  ASSERT_EQ(table.rows.size(), 3u);
  EXPECT_THAT(table.rows[0].fields, ElementsAre("1", "x, \"y\"\nz"));
  EXPECT_THAT(table.rows[1].fields, ElementsAre("", "3 \"4\""));
  EXPECT_THAT(table.rows[2].fields, ElementsAre("5", ""));
  EXPECT_EQ(table.rows[0].line, 2);
  EXPECT_EQ(table.rows[1].line, 5);
  EXPECT_EQ(table.column("b", "t.csv"), 1u);
}

TEST(Csv, MistakesNameTheLine) {
  EXPECT_EQ(error_of("a,b\n1,2\n3\n"), "t.csv line 3 has 1 fields, the first line names 2");
  EXPECT_EQ(error_of("a\n\"1\n"), "t.csv line 2: a quote is not closed");
  EXPECT_EQ(error_of("a\n\"1\"2\n"), "t.csv line 2: something follows a field's closing quote");
  EXPECT_EQ(error_of(""), "t.csv is empty");
  EXPECT_THAT(error_of("a,b\n"), HasSubstr("has no row"));
  EXPECT_EQ(thrown_by([] { parse_csv("a,b\n1,2", "t.csv").column("c", "t.csv"); }),
            "t.csv has no column 'c'; it has a, b");
}

TEST(Csv, TabsNeedNoQuotes) {
  const CsvTable table = parse_tsv("a\tb\r\n\n\"x\t\r\n\ty, z", "t.tsv");
  EXPECT_THAT(table.columns, ElementsAre("a", "b"));
  ASSERT_EQ(table.rows.size(), 2u);
  EXPECT_THAT(table.rows[0].fields, ElementsAre("\"x", ""));
  EXPECT_EQ(table.rows[0].line, 3);
  EXPECT_THAT(table.rows[1].fields, ElementsAre("", "y, z"));
  EXPECT_EQ(thrown_by([] { parse_tsv("a\tb\n1\n", "t.tsv"); }),
            "t.tsv line 2 has 1 fields, the first line names 2");
}

}  // namespace
}  // namespace fusor

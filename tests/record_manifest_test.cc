#include "io/record_manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "io/manifest.h"
#include "runtime/error.h"
#include "tests/thrown_by.h"

namespace fusor {
namespace {

using ::testing::HasSubstr;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

RecordManifest example() {
  RecordManifest manifest;
  manifest.fields = {{.name = "sound",
                      .type = ElementType::i16,
                      .ragged = true,
                      .attributes = {{"sample_rate", "8000"}}},
                     {.name = "pixels", .shape = {2, 3, 3}},
                     {.name = "label", .type = ElementType::i32, .names = {"yes", "no"}}};
  manifest.splits = {{"train",
                      {{"train-00000.h5", 10, {50, 0, 0}, {{7, 6}, {4, 4}}, {4000, 17}},
                       {"train-00001.h5", 2, {0, 0, 0}, {{4, 2}}, {3000, 2}}}},
                     {"val", {{"val-00000.h5", 1, {9, 0, 0}, {{7, 1}}, {2000, 3}}}}};
  return manifest;
}

std::string error_of(const std::string& text) {
  return thrown_by([&] { parse_record_manifest(text, "d/manifest.json"); });
}

std::string with(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(RecordManifest, ReadsWhatItWrites) {
  const RecordManifest manifest = parse_record_manifest(to_text(example()), "m");
  EXPECT_EQ(to_text(manifest), to_text(example()));
  EXPECT_EQ(manifest.fields[0].attributes.at("sample_rate"), "8000");
  EXPECT_EQ(manifest.fields[2].names[1], "no");
  EXPECT_EQ(manifest.index_of("label"), 2u);
  EXPECT_EQ(manifest.fields[1].item_bytes(), 18);
  const RecordSplit* const train = manifest.find("train");
  EXPECT_EQ(train->num_rows(), 12);
  EXPECT_EQ(train->num_items(0), 50);
  EXPECT_THAT(train->sets(), UnorderedElementsAre(Pair(7, 6), Pair(4, 6)));
  EXPECT_EQ(manifest.find("test"), nullptr);
  EXPECT_THAT(thrown_by([&] { manifest.index_of("image"); }),
              HasSubstr("no field 'image'; it has sound, pixels, label"));
}

TEST(RecordManifest, EachMistakeIsOneSentenceWithFileAndKey) {
  struct Case {
    std::string from, to, message;
  };
  const std::string good = to_text(example());
  for (const Case& c : {
           Case{"\"records\"", "\"text\"", "key 'schema' is 'text', but 'records' is wanted here"},
           Case{"\"records\"", "\"rows\"", "key 'schema' is 'rows'"},
           Case{"\"i16\"", "\"i12\"", "'fields[0].dtype' is 'i12', not u8, u16, i16"},
           Case{"\"ragged\": true", "\"ragged\": 1", "'fields[0].ragged' must be true or false"},
           Case{"\"pixels\"", "\"Pixels\"", "'Pixels' cannot name a field"},
           Case{"\"pixels\"", "\"group\"", "'group' cannot name a field"},
           Case{"\"pixels\"", "\"sound_offsets\"", "'sound_offsets' cannot name a field"},
           Case{"\"pixels\"", "\"sound\"", "key 'fields': field 'sound' is given twice"},
           Case{"2,\n        3,\n        3", "0, 3, 3", "field 'pixels' cannot have the shape"},
           Case{"2,\n        3,\n        3", "4294967296, 4294967296, 3", "cannot have the shape"},
           Case{"\"i32\"", "\"f32\"", "field 'label' of f32 cannot have names"},
           Case{"\"yes\"", "3", "'fields[2].names' must hold strings, not number"},
           Case{"\"sound\": 50", "\"sound\": 4001", "'splits.train[0].items.sound' is 4001, more"},
           Case{"\"sound\": 50", "\"pixels\": 50", "'splits.train[0].items.sound' is missing"},
           Case{"\"sound\": 50", "\"sound\": 50, \"label\": 0", "counts a field that is not"},
           Case{"\"4\": 4", "\"4\": 5", "'splits.train[0].sets.7' is 6, which 10 rows cannot hold"},
           Case{"\"4\": 4", "\"4\": 3", "'splits.train[0].rows' is 10, its sets say 9"},
           Case{"\"4\": 4", "\"8\": 4", "'splits.train[0].sets.8' is not a set of the 3 fields"},
           Case{"\"4\": 4", "\"04\": 4", "'splits.train[0].sets.04' is not a set"},
           Case{"\"rows\": 10", "\"rows\": 9223372036854775807", "more than a file of 4000 bytes"},
           Case{"train-00001.h5", "val-00000.h5", "names val-00000.h5 a second time"},
           Case{"\"splits\"", "\"extra\": 1, \"splits\"", "key 'extra' is not known"},
       })
    EXPECT_THAT(error_of(with(good, c.from, c.to)), HasSubstr(c.message));
}

TEST(RecordManifest, EachKindOfDatasetIsToldFromTheOther) {
  EXPECT_THAT(thrown_by([] { parse_manifest(to_text(example()), "d/manifest.json"); }),
              HasSubstr("'schema' is 'records', but 'text' is wanted here"));
}

TEST(RecordManifest, NamesMustBeUtf8) {
  RecordManifest manifest = example();
  manifest.fields[2].names = {"\xff"};
  EXPECT_THAT(thrown_by([&] { to_text(manifest); }), HasSubstr("must be UTF-8"));
}

}  // namespace
}  // namespace fusor

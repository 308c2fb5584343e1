#include "io/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "io/output_file.h"
#include "runtime/error.h"
#include "tests/temporary_folder.h"
#include "tests/thrown_by.h"

namespace fusor {
namespace {

using ::testing::HasSubstr;

// A file with this header text and so many bytes of data.
std::string file_of(const std::string& header, std::size_t data_bytes) {
  const std::uint64_t length = header.size();
  return std::string(reinterpret_cast<const char*>(&length), 8) + header +
         std::string(data_bytes, 'x');
}

SafetensorsHeader parse(const std::string& file) {
  return parse_safetensors(std::as_bytes(std::span(file)), "x.safetensors");
}

std::string refusal(const std::string& file) {
  return thrown_by([&] { parse(file); });
}

TEST(Safetensors, ReadsTensorsInTheOrderOfTheirBytes) {
  const auto header = parse(file_of(
      R"({"b":{"dtype":"BF16","shape":[2,3],"data_offsets":[4,16]},"__metadata__":{"a":"1"},)"
      R"("a":{"data_offsets":[0,4],"dtype":"F32","shape":[]}}   )",
      16));
  ASSERT_EQ(header.tensors.size(), 2u);
  EXPECT_EQ(header.tensors[0].name, "a");
  EXPECT_EQ(header.tensors[0].shape, Shape{});
  EXPECT_EQ(header.tensors[1].dtype, DType::bf16);
  EXPECT_EQ(header.tensors[1].shape, (Shape{2, 3}));
  EXPECT_EQ(header.metadata.at("a"), "1");
}

TEST(Safetensors, AllowsNoTensorsAndEmptyTensors) {
  EXPECT_TRUE(parse(file_of("{}", 0)).tensors.empty());
  const auto header = parse(
      file_of(R"({"e":{"dtype":"I64","shape":[0,9223372036854775807],"data_offsets":[0,0]}})", 0));
  EXPECT_EQ(header.tensors[0].end, 0u);
}

struct Malformed {
  std::string header;
  std::size_t data_bytes;
  std::string reason;
};

TEST(Safetensors, RefusesWhatTheFormatForbids) {
  const auto tensor = [](const std::string& shape, const std::string& offsets) {
    return R"("t":{"dtype":"F32","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
  };
  const std::vector<Malformed> cases = {
      {"[]", 0, "does not begin with {"},
      {" {}", 0, "does not begin with {"},
      {"{", 0, "not JSON"},
      {"{} {}", 0, "not JSON"},
      {std::string("{}\0x", 4), 0, "zero byte"},
      {R"({"t":1})", 0, "a number out of place"},
      {R"({"t":{}})", 0, "\"t\" lacks"},
      {R"({"t":{"dtype":"F8","shape":[],"data_offsets":[0,1]}})", 1, "\"F8\""},
      {R"({"t":{"x":1}})", 0, "unknown field \"x\""},
      {R"({"t":{"dtype":"F32","dtype":"F32"}})", 0, "\"dtype\" twice"},
      {R"({"t":{"dtype":"F32","shape":[[1]]}})", 0, "an array out of place"},
      {R"({"__metadata__":{"a":1}})", 0, "a number out of place"},
      {R"({"__metadata__":{"a":"1","a":"2"}})", 0, "\"a\" twice"},
      {"{" + tensor("[1]", "[0,4]") + "," + tensor("[1]", "[4,8]") + "}", 8, "two tensors named"},
      {"{" + tensor("[1]", "[0]") + "}", 4, "1 data_offsets"},
      {"{" + tensor("[1]", "[0,4,8]") + "}", 4, "more than 2"},
      {"{" + tensor("[-1]", "[0,4]") + "}", 4, "the number -1"},
      {"{" + tensor("[1.0]", "[0,4]") + "}", 4, "the number 1.0"},
      {"{" + tensor("[2]", "[0,4]") + "}", 4, "f32 [2] takes 8"},
      {"{" + tensor("[1]", "[4,0]") + "}", 4, "before its begin"},
      {"{" + tensor("[1]", "[4,8]") + "}", 8, "begins at byte 4"},
      {"{" + tensor("[1]", "[0,4]") + "}", 3, "truncated"},
      {"{" + tensor("[1]", "[0,4]") + "}", 5, "1 bytes behind"},
      {"{" + tensor("[4294967296,4294967296]", "[0,0]") + "}", 0,
       "more bytes than a file can hold"},
      {"{" + tensor("[4611686018427387904]", "[0,0]") + "}", 0, "more bytes than a file can hold"},
      {R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},)"
       R"("b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})",
       3, "begins at byte 1"},
  };
  for (const Malformed& c : cases) {
    const std::string reason = refusal(file_of(c.header, c.data_bytes));
    EXPECT_THAT(reason, HasSubstr(c.reason)) << c.header;
    EXPECT_THAT(reason, HasSubstr("x.safetensors")) << c.header;
    EXPECT_EQ(reason.find('\n'), reason.npos) << c.header;
  }
}

TEST(Safetensors, RefusesHeaderLengthsThatLie) {
  EXPECT_THAT(refusal(""), HasSubstr("truncated"));
  EXPECT_THAT(refusal("1234567"), HasSubstr("truncated"));
  EXPECT_THAT(refusal(std::string(16, '\xff')), HasSubstr("exceeds the format's"));
  EXPECT_THAT(refusal(std::string("\3\0\0\0\0\0\0\0{}", 10)), HasSubstr("truncated"));
}

TEST(Safetensors, WritesAlignedFilesItReadsBack) {
  const TemporaryFolder folder;
  std::vector<SafetensorsEntry> tensors = {{.name = "u\"8", .dtype = DType::u8, .shape = {3}},
                                           {.name = "f64", .dtype = DType::f64, .shape = {2, 1}},
                                           {.name = "none", .dtype = DType::f32, .shape = {0}}};
  const std::string start = layout_safetensors(tensors, {{"format", "pt"}});
  EXPECT_EQ(start.size() % 64, 0u);
  EXPECT_EQ(tensors[0].name, "f64");  // the widest element first
  const std::string data = "0123456789abcdefxyz";
  write_text_file(folder.path() + "/a.safetensors", start + data);

  const SafetensorsFile file(folder.path() + "/a.safetensors");
  EXPECT_EQ(file.header().metadata.at("format"), "pt");
  std::string bytes(2, ' ');
  file.read(file.at("u\"8"), 1, std::as_writable_bytes(std::span(bytes)));
  EXPECT_EQ(bytes, "yz");
  EXPECT_THROW(file.read(file.at("u\"8"), 2, std::as_writable_bytes(std::span(bytes))), Error);
  EXPECT_EQ(file.find("f32"), nullptr);
  try {
    file.at("f46");
    FAIL() << "found a tensor that is not there";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("did you mean \"f64\"?"));
  }
}

TEST(Safetensors, RefusesToWriteOneNameTwice) {
  std::vector<SafetensorsEntry> tensors = {{.name = "a", .dtype = DType::u8, .shape = {3}},
                                           {.name = "a", .dtype = DType::f64, .shape = {2}}};
  EXPECT_THROW(layout_safetensors(tensors), Error);
}

}  // namespace
}  // namespace fusor

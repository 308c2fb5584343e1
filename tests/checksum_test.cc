#include "io/checksum.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <string>

#include "runtime/error.h"

namespace fusor {
namespace {

TEST(Checksum, IsXxh3OfTheSpecification) {
  EXPECT_EQ(checksum_text(checksum("", 0)), "2d06800538d394c2");
  EXPECT_EQ(checksum_text(0xab), "00000000000000ab");
}

TEST(Checksum, StreamAndFileAgreeWithMemory) {
  std::string bytes(3'000'000, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * i >> 3);
  ChecksumStream stream;
  for (std::size_t at = 0, step = 1; at < bytes.size(); at += step, step = step * 3 + 1)
    stream.update(bytes.data() + at, std::min(step, bytes.size() - at));
  EXPECT_EQ(stream.value(), checksum(bytes.data(), bytes.size()));

  const std::string path = testing::TempDir() + "checksum_test.bin";
  std::ofstream(path, std::ios::binary) << bytes;
  EXPECT_EQ(checksum_file(path), stream.value());
  EXPECT_EQ(checksum_file(path, 7, 2'000'000), checksum(bytes.data() + 7, 2'000'000));
  EXPECT_THROW(checksum_file(path, 7, bytes.size()), Error);
  EXPECT_THROW(checksum_file(path + ".missing"), Error);
}

}  // namespace
}  // namespace fusor

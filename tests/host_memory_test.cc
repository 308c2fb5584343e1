#include "runtime/host_memory.h"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/temporary_folder.h"

namespace fusor {
namespace {

// A container's limit, as the files of its cgroup tell it.
TEST(HostMemory, EndsWhereTheContainersLimitDoes) {
  const TemporaryFolder folder;
  const auto available = [&] { return available_host_memory(folder.path()); };
  const auto write = [&](const char* name, const char* text) {
    std::ofstream(folder.path() + '/' + name) << text;
  };
  const std::size_t host = available();  // there is no limit yet
  EXPECT_GT(host, 10'000u);
  write("memory.current", "7000\n");
  write("memory.max", "max\n");
  EXPECT_GT(available(), 10'000u);
  write("memory.max", "9000\n");
  EXPECT_EQ(available(), 2000u);
  write("memory.stat", "anon 4000\nfile 3000\ninactive_file 2500\nactive_file 500\n");
  EXPECT_EQ(available(), 4500u);
  write("memory.max", "4000\n");
  EXPECT_EQ(available(), 0u);
}

}  // namespace
}  // namespace fusor

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "runtime/world.h"

// A job whose last rank fails while the others sit in a sum: failing_job throw|kill|exit|none.
int main(int argc, char** argv) {
  const std::string_view how = argc > 1 ? argv[1] : "none";
  try {
    fusor::World world = fusor::World::join();
    const fusor::Group half =
        world.group().split(std::vector<int>(static_cast<std::size_t>(world.size()), 0), "half");
    const fusor::Tensor t({1000}, fusor::DType::f32);
    const fusor::Pending early = half->all_reduce(t, fusor::ReduceOp::max, "early");
    if (world.rank() == world.size() - 1) {
      fusor::require(how != "throw", "the data of shard 7 is\nbad");
      if (how == "kill") std::raise(SIGKILL);
      if (how == "exit") std::_Exit(0);
    }
    world.group()->all_reduce(t, fusor::ReduceOp::sum, "sum").wait();
    if (world.rank() == 0) std::puts("all is well");
  } catch (const std::exception& error) {
    fusor::abort_job(error.what());
  }
}

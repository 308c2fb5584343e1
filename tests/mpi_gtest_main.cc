#include <gtest/gtest.h>

#include <cstdio>
#include <exception>

#include "runtime/world.h"
#include "tests/mpi_world.h"

namespace {

fusor::World* joined = nullptr;

// What ranks other than 0 print: their failures.
class FailurePrinter final : public testing::EmptyTestEventListener {
  void OnTestPartResult(const testing::TestPartResult& result) override {
    if (!result.failed()) return;
    std::fprintf(stderr, "rank %d: %s:%d: %s\n", joined->rank(), result.file_name(),
                 result.line_number(), result.message());
  }
};

}  // namespace

fusor::World& fusor::test_world() { return *joined; }

// Every rank runs every test in the same order and prints its own failures; the exit status is the
// worst of all ranks. A test that throws would leave the others waiting: it ends the job.
int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  testing::FLAGS_gtest_catch_exceptions = false;
  try {
    fusor::World world = fusor::World::join();
    joined = &world;
    if (world.rank() != 0) {
      auto& listeners = testing::UnitTest::GetInstance()->listeners();
      delete listeners.Release(listeners.default_result_printer());
      listeners.Append(new FailurePrinter);
    }
    const int failed = RUN_ALL_TESTS();
    fusor::Tensor worst({1}, fusor::DType::i32);
    worst.host<std::int32_t>()[0] = failed;
    world.group()->all_reduce(worst, fusor::ReduceOp::max, "test status").wait();
    return worst.host<std::int32_t>()[0];
  } catch (const std::exception& error) {
    fusor::abort_job(error.what());
  }
}

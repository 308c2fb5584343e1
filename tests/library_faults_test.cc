#include "runtime/library_faults.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fusor {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(LibraryFaults, AVersionIsRefusedFromTheFirstToTheLast) {
  EXPECT_THAT(fault_of("cuDNN", 90905, "attention"), IsEmpty());
  EXPECT_THAT(fault_of("cuDNN", 91000, "attention"),
              AllOf(HasSubstr("cuDNN"), HasSubstr("9.10.0")));
  EXPECT_THAT(fault_of("cuDNN", 91001, "attention"), HasSubstr("9.10.1"));
  EXPECT_THAT(fault_of("cuDNN", 91002, "attention"), IsEmpty());
}

TEST(LibraryFaults, AUseThatIsSoundIsAllowed) {
  EXPECT_THAT(fault_of("cuDNN", 91000, "convolution"), IsEmpty());
  EXPECT_THAT(fault_of("cuDNN", 91400, "attention"), IsEmpty());
  EXPECT_THAT(fault_of("cuDNN", 91400, "sliding-window attention"), HasSubstr("1,024"));
}

TEST(LibraryFaults, AFaultOfEveryUseIsOneOfAny) {
  EXPECT_THAT(fault_of("NCCL", 21801, "transport"), HasSubstr("2.18.1"));
  EXPECT_THAT(fault_of("NCCL", 22809, "transport"), IsEmpty());
  EXPECT_THAT(fault_of("cuBLAS", 21801, "transport"), IsEmpty());
}

TEST(LibraryFaults, EveryRowHasAReasonAndARange) {
  for (const LibraryFault& fault : library_faults()) {
    EXPECT_LE(fault.first, fault.last) << fault.library;
    EXPECT_THAT(std::string(fault.reason), testing::Not(IsEmpty()));
    EXPECT_THAT(fault_of(fault.library, fault.last, fault.what),
                HasSubstr(std::string(fault.library)));
  }
}

}  // namespace
}  // namespace fusor

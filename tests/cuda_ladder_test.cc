#include <gmock/gmock.h>

#include "tests/cuda_gpu.h"
#include "tests/ladder_cases.h"

namespace fusor::ladder {
namespace {

class CudaLadder : public OnCuda, public testing::WithParamInterface<Case> {};
TEST_P(CudaLadder, Climbs) { EXPECT_THAT(complaints_on_cuda(GetParam()), testing::IsEmpty()); }
INSTANTIATE_TEST_SUITE_P(, CudaLadder, testing::ValuesIn(cases()),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace fusor::ladder

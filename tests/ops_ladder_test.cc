#include <gmock/gmock.h>
#include <omp.h>

#include "ops/add.h"
#include "tests/ladder_cases.h"
#include "tests/near.h"

namespace fusor::ladder {
namespace {

class OpsLadder : public testing::TestWithParam<Case> {};
TEST_P(OpsLadder, Climbs) { EXPECT_THAT(complaints(GetParam()), testing::IsEmpty()); }
INSTANTIATE_TEST_SUITE_P(, OpsLadder, testing::ValuesIn(cases()),
                         [](const auto& test) { return test.param.name; });

// The ladder itself: y = 2 x with one fault in each, which the named rung has to find.
struct Fault {
  const char* rung;
  double slope = 2;                // what backward believes the slope to be
  bool overwrites = false;         // where it should accumulate
  bool leaves_last = false;        // of the gradient's elements unwritten
  bool departs_from_meta = false;  // by an allocation
  bool depends_on_threads = false;
};

void backward(const Fault& fault, const Tensor& dy, const Tensor& dx, bool add) {
  const bool meta = dy.device().kind() == DeviceKind::meta;
  if (fault.departs_from_meta && !meta) const Tensor unplanned({7}, DType::f32, dy.device());
  if (meta) return;
  const double nudge = fault.depends_on_threads ? 1e-12 * omp_get_max_threads() : 0;
  for (std::int64_t i = 0; i < dx.size() - fault.leaves_last; ++i)
    set(dx, i, (add && !fault.overwrites ? at(dx, i) : 0) + (fault.slope + nudge) * at(dy, i));
}

Case faulty(const Fault& fault) {
  return {"", {activation({3, 7})}, [fault](const std::vector<Var>& v) {
            const Var x = Var::input(v[0].value());  // off the tape
            return record(add(x, x).value(), {v[0]}, [fault, dx = v[0].grad()](const Tensor& dy) {
              dx.accumulate([&](const Tensor& to, bool add) { backward(fault, dy, to, add); });
            });
          }};
}

TEST(Ladder, PassesAnOperatorWithoutFault) {
  EXPECT_THAT(complaints(faulty({})), testing::IsEmpty());
}

TEST(Ladder, FindsEachFaultOnItsRung) {
  for (const Fault& fault : {Fault{.rung = "finite differences", .slope = -2},
                             Fault{.rung = "finite differences", .slope = 2 + 1e-6},
                             Fault{.rung = "finite differences", .leaves_last = true},
                             Fault{.rung = "two backward passes", .overwrites = true},
                             Fault{.rung = "did not plan", .departs_from_meta = true},
                             Fault{.rung = "two threads", .depends_on_threads = true}})
    EXPECT_THAT(complaints(faulty(fault)), testing::Contains(testing::HasSubstr(fault.rung)));
}

}  // namespace
}  // namespace fusor::ladder

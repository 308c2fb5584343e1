#include "parallel/ledger.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

namespace fusor {
namespace {

using testing::HasSubstr;

TEST(Ledger, TellsOwnersAtTheFullestMoment) {
  Trace trace;
  const Device meta = Device::meta(trace);
  const auto tensor = [&](Owner owner, std::int64_t n) {
    const Owned owned(meta, owner);
    return Tensor({n}, DType::f32, meta);
  };
  const Tensor weights = tensor(Owner::weights, 16);
  {
    const Program program(meta, "step");
    const Scope layer(meta, "block.1");
    const Tensor kept = tensor(Owner::activations, 100);
    { const Tensor passing = tensor(Owner::workspace, 50); }
    const Tensor sent = tensor(Owner::communication, 20);
  }
  const Ledger ledger = make_ledger(trace, plan_memory(trace));
  const auto at = [](const Ledger::Bytes& b, Owner o) { return b[static_cast<std::size_t>(o)]; };
  EXPECT_EQ(at(ledger.persistent, Owner::weights), 64);
  ASSERT_EQ(ledger.programs.size(), 1);
  EXPECT_EQ(at(ledger.programs[0].at_peak, Owner::activations), 400);
  EXPECT_EQ(at(ledger.programs[0].at_peak, Owner::workspace), 200);
  EXPECT_EQ(at(ledger.programs[0].at_peak, Owner::communication), 0);  // after the workspace
  EXPECT_EQ(ledger.programs[0].layers[0].scope, "block.1");
  EXPECT_EQ(ledger.arena, 64 + 448 + 200);
  std::ostringstream text;
  text << ledger;
  EXPECT_THAT(text.str(), HasSubstr("peak per rank: 712 bytes (712 B)"));
  EXPECT_EQ(readable_bytes(3 << 29), "1.50 GiB");
}

}  // namespace
}  // namespace fusor

#include "parallel/ring_attention.h"

#include <gmock/gmock.h>

#include <sstream>
#include <variant>

#include "ops/add.h"
#include "ops/row_map.h"
#include "runtime/trace.h"
#include "tests/mpi_world.h"
#include "tests/near.h"

namespace fusor {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

std::int64_t columns(const AttentionShape& s) { return (s.heads + 2 * s.kv_heads) * s.head_dim; }

// y and the gradient of qkv, which two uses of qkv add up.
struct Answer {
  Tensor y, dqkv;
};
template <class Attend>
Answer answer(const Tensor& qkv, const Tensor& dy, Attend&& attend) {
  Tape tape;
  const Var x = Var::input(qkv, &tape, /*wants_grad=*/true);
  const Var y = add(attend(x), attend(x));
  tape.backward(y, dy);
  return {y.value(), x.grad().tensor()};
}

AttentionShape local_of(AttentionShape s, int cp) {
  s.seq_len /= cp;
  return s;
}

// How far a rank's rows of ring_attention are from those of attention(), and their gradients.
double distance_to_serial(const Group& cp, const AttentionShape& s, DType dtype) {
  const Tensor qkv = noise({s.batch * s.seq_len, columns(s)}, dtype, 1);
  const Tensor dy = noise({s.batch * s.seq_len, s.heads * s.head_dim}, dtype, 2);
  const Answer want = answer(qkv, dy, [&](const Var& x) { return attention(x, s); });

  const RowMap map = RowMap::zigzag(0, s.seq_len, cp.rank(), cp.size());
  std::vector<std::int64_t> rows;
  for (std::int64_t r = 0; r < s.batch * map.local_len; ++r) rows.push_back(map.global_row(r));
  const Device poisoned = Device::heap(/*poison=*/true);
  const Answer got =
      answer(rows_of(qkv, rows, poisoned), rows_of(dy, rows, poisoned),
             [&](const Var& x) { return ring_attention(x, local_of(s, cp.size()), cp); });
  return std::max(distance(got.y, rows_of(want.y, rows)),
                  distance(got.dqkv, rows_of(want.dqkv, rows)));
}

// batch, seq_len, heads, kv_heads, head_dim: odd chunks, grouped heads, several tiles
const AttentionShape kShapes[] = {{2, 24, 2, 2, 3}, {3, 72, 6, 2, 5}, {1, 576, 2, 1, 16}};

void expect_serial(const Group& cp) {
  for (const AttentionShape& s : kShapes) {
    SCOPED_TRACE("seq_len " + std::to_string(s.seq_len) + " on rank " + std::to_string(cp.rank()));
    EXPECT_LT(distance_to_serial(cp, s, DType::f64), 1e-13);
    EXPECT_LT(distance_to_serial(cp, s, DType::f32), 2e-6);
    EXPECT_LT(distance_to_serial(cp, s, DType::bf16), 1e-2);
  }
}

class RingOfRanks : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(, RingOfRanks, testing::Values(1, 2, 3, 4));

TEST_P(RingOfRanks, IsAttention) {
  run_ranks(GetParam(), [](World& world) { expect_serial(world.group()); });
}

TEST(RingAttention, IsAttentionOverMpi) { expect_serial(test_world().group()); }

// Passes calls on to another transport and writes them down as a rehearsal does.
class Listener final : public Transport {
 public:
  Listener(Group to, std::vector<std::string>& calls)
      : Transport(to.rank(), to.size(), to.name()), to_(std::move(to)), calls_(calls) {}
  std::unique_ptr<Transport> split(const std::vector<int>&, std::string) override {
    raise("not to be split");
  }

 private:
  Pending start(CommCall call) override {
    calls_.push_back(line(call.kind, call.what, call.peer, call.in.dtype(), call.in.size()));
    if (call.kind == CommKind::send) return to_->send(call.in, call.peer, call.what);
    return to_->recv(call.out, call.peer, call.what);
  }

 public:
  static std::string line(CommKind kind, std::string_view what, int peer, DType dtype,
                          std::int64_t count) {
    std::ostringstream text;
    text << name_of(kind) << ' ' << what << ' ' << peer << ' ' << dtype << ' ' << count;
    return text.str();
  }

 private:
  Group to_;
  std::vector<std::string>& calls_;
};

// One forward and backward pass of a rank.
void pass(const Group& cp, const AttentionShape& local, const Device& device) {
  const auto zeros = [&](std::int64_t cols) {
    Tensor t({local.batch * local.seq_len, cols}, DType::bf16, device);
    if (device.kind() == DeviceKind::cpu) fill(t, [](std::size_t) { return 0; });
    return t;
  };
  const Scope layer(device, "layer");
  Tape tape;
  const Var y = ring_attention(Var::input(zeros(columns(local)), &tape, true), local, cp);
  tape.backward(y, zeros(local.heads * local.head_dim));
}

Trace rehearsed(int rank, int size, const AttentionShape& local) {
  Trace trace;
  pass(meta_group(trace, rank, size, "cp"), local, Device::meta(trace));
  return trace;
}

TEST(RingAttention, CallsWhatItsRehearsalPlans) {
  const AttentionShape local{2, 12, 4, 2, 8};
  run_ranks(3, [&](World& world) {
    std::vector<std::string> planned, called;
    for (const TraceEvent& event : rehearsed(world.rank(), 3, local).events)
      if (const auto* c = std::get_if<CommEvent>(&event))
        planned.push_back(Listener::line(c->kind, c->name, c->peer, c->dtype, c->count));
    pass(Group(std::make_shared<Listener>(world.group(), called)), local, Device());
    EXPECT_EQ(called, planned);
    if (world.rank() == 1) {
      EXPECT_THAT(planned,
                  ElementsAre("send layer/ring kv.1 2 bf16 768", "recv layer/ring kv.1 0 bf16 768",
                              "send layer/ring kv.2 2 bf16 768",
                              "recv layer/ring kv.2 0 bf16 768",  // backward:
                              "send layer/ring_backward kv.1 2 bf16 768",
                              "recv layer/ring_backward kv.1 0 bf16 768",
                              "send layer/ring_backward dkv.1 2 f32 768",
                              "recv layer/ring_backward dkv.1 0 f32 768",
                              "send layer/ring_backward kv.2 2 bf16 768",
                              "recv layer/ring_backward kv.2 0 bf16 768",
                              "send layer/ring_backward dkv.2 2 f32 768",
                              "recv layer/ring_backward dkv.2 0 f32 768",
                              "send layer/ring_backward dkv.3 2 f32 768",
                              "recv layer/ring_backward dkv.3 0 f32 768"));
    }
  });
}

// The work and memory of every rank are the same, and together the serial work.
TEST(RingAttention, IsTheSameWorkOnEveryRank) {
  const AttentionShape s{2, 96, 4, 2, 8};
  const auto describe = [](const Trace& trace) {
    std::ostringstream text;
    for (const TraceEvent& event : trace.events)
      if (const auto* op = std::get_if<OpEvent>(&event))
        text << op->op << ' ' << op->cost.flops << ' ' << op->cost.bytes << '\n';
      else if (const auto* alloc = std::get_if<AllocEvent>(&event))
        text << alloc->bytes << ' ' << name_of(alloc->owner) << '\n';
    return text.str();
  };
  const auto attention_flops = [](const Trace& trace) {
    double sum = 0;
    for (const TraceEvent& event : trace.events)
      if (const auto* op = std::get_if<OpEvent>(&event))
        if (op->op.starts_with("attention")) sum += op->cost.flops;
    return sum;
  };
  const Trace first = rehearsed(0, 4, local_of(s, 4));
  for (int rank = 1; rank < 4; ++rank)
    EXPECT_EQ(describe(rehearsed(rank, 4, local_of(s, 4))), describe(first)) << rank;
  EXPECT_DOUBLE_EQ(4 * attention_flops(first), attention_flops(rehearsed(0, 1, s)));
}

TEST(RingAttention, OfOneRankIsAttentionToTheBit) {
  const AttentionShape s{2, 13, 4, 2, 8};
  const Tensor qkv = noise({26, columns(s)}, DType::bf16, 1);
  EXPECT_EQ(doubles(ring_attention(Var::input(qkv), s, Group()).value()),
            doubles(attention(Var::input(qkv), s).value()));
}

TEST(RingAttention, RefusesRowsThatAreNoTwoChunks) {
  EXPECT_THAT(([] {
                rehearsed(0, 2, {1, 5, 2, 2, 4});
              }),
              ThrowsMessage<Error>(HasSubstr("two chunks of each sequence, not 5 tokens")));
}

}  // namespace
}  // namespace fusor

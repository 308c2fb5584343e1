#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <vector>

#include "ops/attention_cudnn_rules.h"

namespace fusor::ops {
namespace {

using kernels::AttentionGradient;
using kernels::AttentionResult;
using kernels::Qkv;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr auto kForward = AttentionPass::forward, kBackward = AttentionPass::backward;
constexpr CudnnSetup kHopper{91900, 90}, kBlackwell{91900, 100};
constexpr AttentionShape kGpt{8, 1024, 12, 12, 64}, kLlama{2, 8192, 32, 8, 128};

TEST(CudnnRules, TakesWhatModelsAskFor) {
  for (const CudnnSetup& on : {CudnnSetup{91900, 80}, kHopper, kBlackwell})
    for (const AttentionShape& s : {kGpt, kLlama})
      for (const AttentionPass pass : {kForward, kBackward})
        EXPECT_THAT(cudnn_refuses(on, s, pass), IsEmpty()) << on.capability << ' ' << s.seq_len;
}

TEST(CudnnRules, VersionsAtFault) {
  EXPECT_THAT(cudnn_refuses(kHopper), IsEmpty());
  EXPECT_THAT(cudnn_refuses(CudnnSetup{90600, 90}), HasSubstr("older"));
  EXPECT_THAT(cudnn_refuses(CudnnSetup{91000, 90}), HasSubstr("wrong results"));
  EXPECT_THAT(cudnn_refuses({90600, 90}, kGpt, kForward), HasSubstr("older"));
  EXPECT_THAT(cudnn_refuses({91001, 90}, kGpt, kForward), HasSubstr("wrong results"));
  EXPECT_THAT(cudnn_refuses({91001, 90}, kGpt, kBackward), HasSubstr("wrong results"));
  const AttentionShape uneven{8, 1000, 12, 12, 64};
  EXPECT_THAT(cudnn_refuses({91500, 90}, uneven, kBackward), HasSubstr("128"));
  EXPECT_THAT(cudnn_refuses({91501, 90}, uneven, kBackward), IsEmpty());
  EXPECT_THAT(cudnn_refuses({91500, 90}, uneven, kForward), IsEmpty());
  EXPECT_THAT(cudnn_refuses({91500, 90}, kGpt, kBackward), IsEmpty());
  EXPECT_THAT(cudnn_refuses({91800, 100}, kGpt, kBackward), HasSubstr("bits"));
  EXPECT_THAT(cudnn_refuses({91801, 100}, kGpt, kBackward), IsEmpty());
  EXPECT_THAT(cudnn_refuses({91800, 100}, kGpt, kForward), IsEmpty());
}

TEST(CudnnRules, ShapesWithoutAKernel) {
  EXPECT_THAT(cudnn_refuses(kHopper, {8, 1024, 4, 4, 20}, kForward), HasSubstr("20"));
  EXPECT_THAT(cudnn_refuses(kHopper, {8, 1024, 4, 4, 264}, kForward), HasSubstr("256"));
  EXPECT_THAT(cudnn_refuses(kHopper, {8, 1, 4, 4, 64}, kForward), HasSubstr("one position"));
  EXPECT_THAT(cudnn_refuses(kHopper, {8, 1024, 4, 4, 64, false, 1}, kForward),
              HasSubstr("one position"));
  EXPECT_THAT(cudnn_refuses({91900, 120}, kGpt, kForward), IsEmpty());
  EXPECT_THAT(cudnn_refuses({91900, 120}, kGpt, kBackward), HasSubstr("same bits"));
  const AttentionShape too_long{1, 32768, 32, 8, 128};
  EXPECT_THAT(cudnn_refuses(kHopper, too_long, kBackward), HasSubstr("32768"));
  EXPECT_THAT(cudnn_refuses(kHopper, too_long, kForward), IsEmpty());
  EXPECT_THAT(cudnn_refuses(kBlackwell, too_long, kBackward), IsEmpty());
}

constexpr AttentionShape kSmall{2, 128, 4, 2, 8};

// An attention and its tensors; gradients lie in the tensors themselves, since nothing is computed.
struct Call {
  std::vector<bf16> qkv_data = std::vector<bf16>(2 * 128 * 64), y_data = qkv_data;
  std::vector<float> sums = std::vector<float>(2 * 4 * 128);
  Visible visible = Visible::causal(0, kSmall.seq_len);
  Qkv<const bf16> qkv = kernels::qkv_heads<const bf16>(kSmall, qkv_data.data());
  AttentionResult<bf16, bf16> to{
      kernels::y_heads(kSmall, y_data.data()), {sums.data(), 1, 4 * 128, 128}, false};
  AttentionGradient<bf16, bf16> gradient{qkv,
                                         kernels::y_heads<const bf16>(kSmall, y_data.data()),
                                         kernels::y_heads<const bf16>(kSmall, y_data.data()),
                                         {sums.data(), 1, 4 * 128, 128},
                                         kernels::qkv_heads(kSmall, qkv_data.data()),
                                         kSmall.seq_len,
                                         false,
                                         false};

  std::string forward() const { return cudnn_refuses(kSmall, visible, qkv, to); }
  std::string backward() const { return cudnn_refuses(kSmall, visible, gradient); }
};

TEST(CudnnRules, CallsThatAreWhatTheGraphsSay) {
  Call call;
  EXPECT_THAT(call.forward(), IsEmpty());
  EXPECT_THAT(call.backward(), IsEmpty());
  call.to.log_sum_exp.data = nullptr;
  EXPECT_THAT(call.forward(), IsEmpty());
}

TEST(CudnnRules, CallsThatAreNot) {
  const auto reason = [](const std::function<void(Call&)>& change) {
    Call call;
    change(call);
    return std::pair(call.forward(), call.backward());
  };
  const std::int32_t lengths[2] = {};
  for (const std::int32_t* Visible::*bound :
       {&Visible::lengths, &Visible::kv_lengths, &Visible::offsets}) {
    const auto [forward, backward] = reason([&](Call& c) { c.visible.*bound = lengths; });
    EXPECT_THAT(forward, HasSubstr("end early"));
    EXPECT_THAT(backward, HasSubstr("end early"));
  }
  for (const Visible visible :
       {Visible::causal(5, 128), Visible::all(128), Visible::all(64), Visible::causal(0, 64)}) {
    const auto [forward, backward] = reason([&](Call& c) { c.visible = visible; });
    EXPECT_THAT(forward, HasSubstr("whole sequences"));
    EXPECT_THAT(backward, HasSubstr("whole sequences"));
  }
  EXPECT_THAT(reason([](Call& c) { c.to.drops.p = 0.1; }).first, HasSubstr("counters"));
  EXPECT_THAT(reason([](Call& c) { c.gradient.drops.p = 0.1; }).second, HasSubstr("counters"));
  EXPECT_THAT(reason([](Call& c) { c.to.merge = true; }).first, HasSubstr("merge"));
  EXPECT_THAT(reason([](Call& c) { c.gradient.add_q = true; }).second, HasSubstr("add"));
  EXPECT_THAT(reason([](Call& c) { c.gradient.add_kv = true; }).second, HasSubstr("add"));
  for (const auto& change : std::vector<std::function<void(Call&)>>{
           [](Call& c) { c.qkv.k.row += 8; }, [](Call& c) { c.qkv.v.batch += 8; },
           [](Call& c) { c.qkv.q.head *= 2; }, [](Call& c) { ++c.qkv.q.data; },
           [](Call& c) { c.to.y.row += 8; }, [](Call& c) { c.to.log_sum_exp.head += 1; }})
    EXPECT_THAT(reason(change).first, HasSubstr("dense"));
  for (const auto& change : std::vector<std::function<void(Call&)>>{
           [](Call& c) { c.gradient.qkv.k.row += 8; }, [](Call& c) { c.gradient.kv_rows += 1; },
           [](Call& c) { c.gradient.dqkv.v.batch += 8; }, [](Call& c) { ++c.gradient.dqkv.q.data; },
           [](Call& c) { c.gradient.y.row += 8; }, [](Call& c) { c.gradient.dy.head += 8; },
           [](Call& c) { c.gradient.log_sum_exp.batch += 1; }})
    EXPECT_THAT(reason(change).second, HasSubstr("dense"));
}

TEST(CudnnRules, AttentionBothWaysSeesAllKeys) {
  constexpr AttentionShape kVit{2, 128, 4, 2, 8, /*causal=*/false};
  const Call call;
  EXPECT_THAT(cudnn_refuses(kVit, Visible::all(128), call.qkv, call.to), IsEmpty());
  EXPECT_THAT(cudnn_refuses(kVit, Visible::all(128), call.gradient), IsEmpty());
  EXPECT_THAT(cudnn_refuses(kVit, Visible::causal(0, 128), call.qkv, call.to),
              HasSubstr("whole sequences"));
}

TEST(CudnnRules, CrossAttentionReadsTwoTensors) {
  constexpr AttentionShape kCross{2, 128, 4, 2, 8, /*causal=*/false, /*kv_seq_len=*/64};
  Call call;
  std::vector<bf16> kv(2 * 64 * 32);
  const auto heads = [](auto* data, std::int64_t rows, std::int64_t columns) {
    return kernels::Heads{data, columns, rows * columns, std::int64_t{8}};
  };
  const bf16* const from = kv.data();
  call.gradient.qkv =
      call.qkv = {heads(call.qkv.q.data, 128, 32), heads(from, 64, 32), heads(from + 16, 64, 32)};
  call.gradient.dqkv = {heads(call.qkv_data.data(), 128, 32), heads(kv.data(), 64, 32),
                        heads(kv.data() + 16, 64, 32)};
  call.gradient.kv_rows = 64;
  EXPECT_THAT(cudnn_refuses(kCross, Visible::all(64), call.qkv, call.to), IsEmpty());
  EXPECT_THAT(cudnn_refuses(kCross, Visible::all(64), call.gradient), IsEmpty());
  EXPECT_THAT(cudnn_refuses(kCross, Visible::all(63), call.qkv, call.to),
              HasSubstr("whole sequences"));
  call.qkv.k.batch = 128 * 32;
  EXPECT_THAT(cudnn_refuses(kCross, Visible::all(64), call.qkv, call.to), HasSubstr("dense"));
}

bool is(const AttentionPart& part, std::int64_t sequences, std::int64_t kv_heads) {
  return part.sequences == sequences && part.kv_heads == kv_heads;
}

TEST(CudnnRules, BackwardIsCutWhereTheScoresAreManyBytes) {
  EXPECT_TRUE(is(cudnn_part(kHopper, kGpt, kBackward), 8, 12));
  const AttentionShape wide{96, 1024, 12, 12, 64};  // 24 MiB a sequence
  EXPECT_TRUE(is(cudnn_part(kHopper, wide, kBackward), 48, 12));
  EXPECT_TRUE(is(cudnn_part(kHopper, wide, kForward), 96, 12));
  EXPECT_TRUE(is(cudnn_part(kBlackwell, wide, kBackward), 96, 12));
  EXPECT_TRUE(is(cudnn_part(kHopper, kLlama, kBackward), 1, 4));  // 4 GiB a sequence
  EXPECT_TRUE(is(cudnn_part(kHopper, {1, 32768, 32, 32, 128}, kBackward), 1, 1));
}

// As cuDNN 9.19 itself says for an H200.
TEST(CudnnRules, EstimatesAreWhatCudnnAsksFor) {
  struct Row {
    AttentionShape shape;
    std::size_t bytes;
  };
  for (const Row& row :
       {Row{kGpt, 201720064}, Row{{2, 1000, 8, 2, 128}, 41810688}, Row{{2, 77, 4, 1, 64}, 422560},
        Row{kLlama, 2215117056}, Row{{1, 16384, 32, 8, 128}, 2181300480},
        Row{{1, 130, 4, 2, 8}, 412192}, Row{{1, 32768, 32, 8, 128}, 0}})
    EXPECT_EQ(estimated_cudnn_workspace(row.shape, kBackward), row.bytes) << row.shape.seq_len;
  const std::size_t log_sum_exp = 8 * 12 * 1024 * sizeof(float);
  EXPECT_EQ(estimated_cudnn_workspace(kGpt, kForward), 256 + log_sum_exp);
}

}  // namespace
}  // namespace fusor::ops

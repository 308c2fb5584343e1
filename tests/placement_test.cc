#include "launch/placement.h"

#include <gmock/gmock.h>

#include "runtime/cuda_devices.h"
#include "tests/thrown_by.h"

namespace fusor {
namespace {

using testing::HasSubstr;

const OwnGpu kNone{.why_none = "no NVIDIA driver is installed on this host"};

OwnGpu gpu(int index, const std::string& uuid) {
  return {.index = index, .name = "NVIDIA H200", .uuid = uuid};
}

// Ranks as threads of one host that have found such GPUs, by rank.
std::vector<Placement> place(TrainDevice wish, const std::vector<OwnGpu>& found) {
  std::vector<Placement> all(found.size());
  run_ranks(static_cast<int>(found.size()), [&](World& world) {
    const auto rank = static_cast<std::size_t>(world.rank());
    all[rank] = place_rank(wish, found[rank], world);
  });
  return all;
}

std::string refusal(TrainDevice wish, const std::vector<OwnGpu>& found) {
  return thrown_by([&] { place(wish, found); });
}

TEST(Placement, IsTheCpuWhereThereIsNoGpu) {
  for (const Placement& p : place(TrainDevice::automatic, {kNone, kNone})) {
    EXPECT_EQ(p.kind(), DeviceKind::cpu);
    EXPECT_EQ(p.ranks, 2);
    EXPECT_EQ(p.text, "computes on the CPU: no NVIDIA driver is installed on this host");
  }
}

TEST(Placement, IsTheCpuWhereThatIsAskedFor) {
  const OwnGpu own = find_gpu(TrainDevice::cpu, 0);  // asks for no GPU
  EXPECT_EQ(own.index, -1);
  EXPECT_EQ(place(TrainDevice::cpu, {own})[0].text, "computes on the CPU");
}

TEST(Placement, CountsTheRanksOfAGpu) {
  for (const TrainDevice wish : {TrainDevice::automatic, TrainDevice::cuda}) {
    const auto all = place(wish, {gpu(0, "GPU-a"), gpu(1, "GPU-b"), gpu(0, "GPU-a")});
    EXPECT_EQ(all[0].kind(), DeviceKind::cuda);
    EXPECT_EQ(all[0].ranks, 2);
    EXPECT_THAT(all[2].text, HasSubstr("computes on GPU 0 (NVIDIA H200) of host "));
    EXPECT_THAT(all[2].text, HasSubstr(", which 2 ranks share"));
    EXPECT_EQ(all[1].gpu, 1);
    EXPECT_EQ(all[1].ranks, 1);
    EXPECT_EQ(all[1].text.find("share"), std::string::npos);
  }
  // Each rank sees one GPU, its own, as GPU 0.
  EXPECT_EQ(place(TrainDevice::cuda, {gpu(0, "GPU-a"), gpu(0, "GPU-b")})[0].ranks, 1);
}

TEST(Placement, RefusesAGpuThatIsNotThere) {
  const std::string refused = refusal(TrainDevice::cuda, {gpu(0, "GPU-a"), kNone});
  EXPECT_THAT(refused, HasSubstr("train.device is cuda, but rank 1 on host "));
  EXPECT_THAT(refused, HasSubstr(" has no GPU for it: no NVIDIA driver is installed on this host"));
  EXPECT_THAT(refusal(TrainDevice::cuda, {kNone}), HasSubstr("but rank 0 on host "));
}

TEST(Placement, NamesTheRankWithoutAGpuAmongOthers) {
  const std::string refused =
      refusal(TrainDevice::automatic, {gpu(0, "GPU-a"), gpu(1, "GPU-b"), kNone});
  EXPECT_THAT(refused, HasSubstr("rank 2 on host "));
  EXPECT_THAT(refused, HasSubstr(" has no GPU (no NVIDIA driver is installed on this host), but "
                                 "rank 0 on host "));
  EXPECT_THAT(refused, HasSubstr(" has one: train.device = cpu computes on the CPU"));
}

TEST(Placement, DoesNotLeaveAGpuThatIsTakenForTheCpu) {
  const OwnGpu taken{.why_none = "GPU 0 (NVIDIA H200) is taken by another process",
                     .refused = true};
  EXPECT_THAT(refusal(TrainDevice::automatic, {kNone, taken}),
              HasSubstr("GPU 0 (NVIDIA H200) is taken by another process: train.device = cpu "
                        "computes on the CPU"));
}

TEST(Placement, RefusesARunThatDoesNotFit) {
  const Placement host{.ranks = 2, .place = "host n01"};
  EXPECT_EQ(thrown_by([&] { require_memory(1, "", host); }), "no error");
  const std::string refused =
      thrown_by([&] { require_memory(std::size_t{1} << 60, "more than ", host); });
  EXPECT_THAT(refused, HasSubstr("this run needs more than "));
  EXPECT_THAT(refused, HasSubstr(" x 2 ranks on host n01, where "));
  EXPECT_THAT(refused, HasSubstr(" are free: use more hosts, a smaller train.micro_batch"));
}

TEST(Placement, PlansForWhatFusorWasBuiltFor) {
  EXPECT_EQ(planned_kind(TrainDevice::cpu), DeviceKind::cpu);
  const bool here = cuda_device_of(0) >= 0;
  EXPECT_EQ(planned_kind(TrainDevice::automatic), here ? DeviceKind::cuda : DeviceKind::cpu);
  if (has_cuda_backend())
    EXPECT_EQ(planned_kind(TrainDevice::cuda), DeviceKind::cuda);
  else
    EXPECT_EQ(thrown_by([] { planned_kind(TrainDevice::cuda); }),
              "train.device is cuda, but what its kernels need cannot be planned: Fusor was built "
              "without CUDA (FUSOR_CUDA=OFF)");
}

}  // namespace
}  // namespace fusor

#include "launch/placement.h"

#include <algorithm>

#include "parallel/ledger.h"
#include "runtime/cuda_devices.h"
#include "runtime/host_memory.h"

namespace fusor {
namespace {

// What a rank tells the others of its GPU.
struct Told {
  std::string host, uuid, why_none;
  bool has = false, refused = false;
};

constexpr char kEnd = '\n';  // of a field; sentences and hosts are of one line

std::string to_text(const OwnGpu& own, const std::string& host) {
  const char* const state = own.index >= 0 ? "has" : own.refused ? "refused" : "none";
  return host + kEnd + state + kEnd + own.why_none + kEnd + own.uuid;
}

Told parse(const std::string& text) {
  std::size_t at = 0;
  const auto field = [&] {
    const std::size_t end = text.find(kEnd, at), begin = std::exchange(at, end + 1);
    return text.substr(begin, end - begin);
  };
  Told told;
  told.host = field();
  const std::string state = field();
  told.why_none = field();
  told.uuid = text.substr(at);
  told.has = state == "has", told.refused = state == "refused";
  return told;
}

std::string name_of(std::size_t rank, const Told& told) {
  return "rank " + std::to_string(rank) + " on host " + told.host;
}

// Throws Error unless all ranks have a GPU, or none has and none need have.
void require_agreement(TrainDevice wish, const std::vector<Told>& all) {
  const auto has = [](const Told& told) { return told.has; };
  const auto without = std::ranges::find_if_not(all, has);
  if (without == all.end()) return;
  const auto who = name_of(static_cast<std::size_t>(without - all.begin()), *without);
  const std::string cpu = ": train.device = cpu computes on the CPU";
  require(wish != TrainDevice::cuda, "train.device is cuda, but ", who,
          " has no GPU for it: ", without->why_none);
  const auto refused = std::ranges::find_if(all, &Told::refused);
  require(refused == all.end(), refused == all.end() ? "" : refused->why_none, cpu);
  const auto with = std::ranges::find_if(all, has);
  if (with == all.end()) return;
  raise(who + " has no GPU (" + without->why_none + "), but " +
        name_of(static_cast<std::size_t>(with - all.begin()), *with) + " has one" + cpu);
}

std::string on_host(const World& world) { return "host " + world.host(); }

Placement on_cpu(const World& world, const std::string& why) {
  return {.ranks = world.local_size(),
          .place = on_host(world),
          .text = "computes on the CPU" + (why.empty() ? "" : ": " + why)};
}

// Beside its arena a rank has CUDA's context and NCCL's buffers on the GPU. This much is left to
// them, of a small GPU less.
std::size_t outside_arena(const CudaDevices::Gpu& gpu) {
  constexpr std::size_t kMost = std::size_t{1} << 30;
  return std::min(kMost, gpu.bytes / 16);
}

const CudaDevices::Gpu& gpu_of(const Placement& placement) {
  return cuda_devices().gpus.at(static_cast<std::size_t>(placement.gpu));
}

}  // namespace

Device Placement::heap() const { return gpu < 0 ? Device() : Device::cuda(gpu); }

Device Placement::arena(const MemoryPlan& plan) const {
  return gpu < 0 ? Device::arena(plan) : Device::cuda(gpu, plan);
}

OwnGpu find_gpu(TrainDevice wish, int local_rank) {
  OwnGpu own;
  if (wish == TrainDevice::cpu) return own;
  const CudaDevices& devices = cuda_devices();
  const int index = cuda_device_of(local_rank);
  if (index < 0) {
    own.why_none = devices.gpus.empty() ? devices.why_none : devices.gpus[0].refused;
    return own;
  }
  try {
    use_cuda_device(index);
  } catch (const Error& error) {
    own.why_none = error.what();
    own.refused = true;
    return own;
  }
  const CudaDevices::Gpu& gpu = devices.gpus[static_cast<std::size_t>(index)];
  return {.index = index, .name = gpu.name, .uuid = gpu.uuid};
}

Placement place_rank(TrainDevice wish, const OwnGpu& own, const World& world) {
  std::vector<Told> all;
  for (const std::string& text :
       gather_texts(world.group(), to_text(own, world.host()), "set-up/devices"))
    all.push_back(parse(text));
  if (wish == TrainDevice::cpu) return on_cpu(world, "");
  require_agreement(wish, all);
  if (own.index < 0) return on_cpu(world, own.why_none);
  const auto shares = [&](const Told& told) {
    return told.host == world.host() && told.uuid == own.uuid;
  };
  Placement placement{
      .gpu = own.index,
      .ranks = static_cast<int>(std::ranges::count_if(all, shares)),
      .place = "GPU " + std::to_string(own.index) + " (" + own.name + ") of " + on_host(world)};
  placement.text = "computes on " + placement.place;
  if (placement.ranks > 1)
    placement.text += ", which " + std::to_string(placement.ranks) + " ranks share";
  return placement;
}

Placement place_rank(TrainDevice wish, const World& world) {
  return place_rank(wish, find_gpu(wish, world.local_rank()), world);
}

DeviceKind planned_kind(TrainDevice wish) {
  require(wish != TrainDevice::cuda || has_cuda_backend(),
          "train.device is cuda, but what its kernels need cannot be planned: ",
          cuda_devices().why_none);
  const bool here = wish == TrainDevice::automatic && cuda_device_of(0) >= 0;
  return here || wish == TrainDevice::cuda ? DeviceKind::cuda : DeviceKind::cpu;
}

std::size_t plannable_bytes(const Placement& placement) {
  if (placement.gpu < 0) return available_host_memory();
  const std::size_t free = free_cuda_memory(placement.gpu);
  const std::size_t kept =
      outside_arena(gpu_of(placement)) * static_cast<std::size_t>(placement.ranks);
  return free - std::min(free, kept);
}

void require_memory(std::size_t bytes, const std::string& about, const Placement& placement) {
  const auto ranks = static_cast<std::size_t>(placement.ranks);
  const std::size_t available = plannable_bytes(placement);
  const std::string beside = placement.gpu < 0
                                 ? ""
                                 : ", " + readable_bytes(outside_arena(gpu_of(placement))) +
                                       " a rank for CUDA and NCCL left out";
  require(bytes <= available / ranks, "this run needs ", about, readable_bytes(bytes), " x ", ranks,
          " ranks on ", placement.place, ", where ", readable_bytes(available), " are free", beside,
          ": use more ", placement.gpu < 0 ? "hosts" : "GPUs",
          ", a smaller train.micro_batch or model, or split it by parallel.zero, tp or pp");
}

Config placed(Config config, DeviceKind kind) {
  config.train.device = kind == DeviceKind::cuda ? TrainDevice::cuda : TrainDevice::cpu;
  return config;
}

}  // namespace fusor

#include "launch/device_group.h"

#include <algorithm>
#include <map>
#include <sstream>

#include "runtime/cuda_devices.h"
#include "runtime/nccl_transport.h"
#include "runtime/staged_transport.h"

namespace fusor {
namespace {

// Why these ranks cannot use NCCL, and the first of them that cannot; empty where they can.
std::string first_obstacle(const std::vector<RankDevice>& ranks) {
  std::map<std::string, std::size_t> owner;  // of each GPU
  for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
    const auto& [host, gpu, no_nccl] = ranks[rank];
    const std::string who = "rank " + std::to_string(rank) + " on host " + host;
    if (gpu.empty()) return who + " has no GPU, which NCCL needs";
    if (!no_nccl.empty()) return who + " cannot use NCCL: " + no_nccl;
    const auto [other, own] = owner.emplace(gpu, rank);
    if (!own)
      return "ranks " + std::to_string(other->second) + " and " + std::to_string(rank) +
             " on host " + host + " share " + gpu + ", which NCCL does not allow";
  }
  return "";
}

std::string to_text(const RankDevice& rank) {
  return rank.host + '\n' + rank.gpu + '\n' + rank.no_nccl;
}

RankDevice parse_rank_device(const std::string& text) {
  RankDevice rank;
  std::istringstream lines(text);
  std::getline(lines, rank.host);
  std::getline(lines, rank.gpu);
  std::getline(lines, rank.no_nccl);
  return rank;
}

RankDevice describe(const World& world, const Device& device) {
  RankDevice mine{.host = world.host(), .gpu = "", .no_nccl = ""};
  if (device.kind() != DeviceKind::cuda) return mine;
  mine.gpu = cuda_devices().gpus.at(static_cast<std::size_t>(device.backend().gpu())).uuid;
  mine.no_nccl = why_no_nccl();
  std::ranges::replace(mine.no_nccl, '\n', ' ');
  return mine;
}

}  // namespace

TransportKind choose_transport(TransportKind asked, const std::vector<RankDevice>& ranks) {
  if (asked == TransportKind::mpi) return asked;
  const std::string problem = first_obstacle(ranks);
  require(asked == TransportKind::automatic || problem.empty(), problem,
          "; parallel.transport = mpi works");
  return problem.empty() && ranks.size() > 1 ? TransportKind::nccl : TransportKind::mpi;
}

Group device_group(const World& world, const Device& device, TransportKind asked) {
  std::vector<RankDevice> ranks;
  for (const std::string& text :
       gather_texts(world.group(), to_text(describe(world, device)), "set-up/devices"))
    ranks.push_back(parse_rank_device(text));
  const TransportKind kind = choose_transport(asked, ranks);
  if (device.kind() != DeviceKind::cuda) return world.group();
  return kind == TransportKind::nccl ? nccl_group(world.group(), device)
                                     : staged(world.group(), device);
}

}  // namespace fusor

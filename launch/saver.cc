#include "launch/saver.h"

#include <algorithm>

#include "parallel/ledger.h"
#include "runtime/host_memory.h"

namespace fusor {

Saver::Saver(std::vector<ParameterStore*> stores, const World& world, const std::string& run_folder,
             const CheckpointConfig& config)
    : stores_(std::move(stores)),
      world_(world),
      config_(config),
      writer_(run_folder + "/checkpoints", world.rank(), world.size()) {
  std::size_t bytes = 0;
  for (const StateBox& part : share())
    if (part.tensor.device().kind() != DeviceKind::cpu) bytes += part.tensor.bytes();
  const auto ranks = static_cast<std::size_t>(world.local_size());
  const std::size_t available = available_host_memory();
  require(bytes <= available / ranks, "a checkpoint leaves the GPU through ", readable_bytes(bytes),
          " x ", ranks, " ranks of memory of host ", world.host(), ", where ",
          readable_bytes(available), " are free: use more hosts, or parallel.zero");
}

std::vector<StateBox> Saver::share() const {
  std::vector<StateBox> all;
  for (const ParameterStore* store : stores_)
    for (StateBox& part : store->share_of_state(/*optimizer=*/true)) all.push_back(std::move(part));
  return all;
}

void Saver::start(std::int64_t step, nlohmann::json state) {
  const std::vector<StateBox> parts = share();
  std::vector<Tensor> tensors;
  for (const StateBox& part : parts) tensors.push_back(part.tensor);
  const std::vector<std::span<const std::byte>> bytes = room_.read(tensors);
  std::vector<TensorSlice> slices;
  for (std::size_t i = 0; i < parts.size(); ++i) slices.push_back({parts[i].box, bytes[i]});
  state_ = std::move(state);
  writer_.start(step, std::move(slices));
}

int Saver::before_update() {
  switch (writer_.wait()) {
    case CheckpointWriter::Status::done:
      return 1;
    case CheckpointWriter::Status::failed:
      return 2;
    default:
      return 0;
  }
}

Saver::Outcome Saver::settle(const std::vector<int>& words) {
  if (std::ranges::all_of(words, [](int word) { return word == 0; })) return {};
  const std::string checkpoint = "checkpoint of step " + std::to_string(writer_.step());
  if (std::ranges::any_of(words, [](int word) { return word != 1; })) {
    const std::string failure = failure_of_ranks();
    writer_.discard();
    return {false, checkpoint + " not saved: " + failure};
  }
  try {
    writer_.commit(state_, {config_.keep_last, config_.keep_every});
    return {true, checkpoint + " saved"};
  } catch (const Error& error) {
    return {false, checkpoint + " not saved: " + error.what()};
  }
}

std::string Saver::failure_of_ranks() {
  const bool failed = writer_.status() == CheckpointWriter::Status::failed;
  for (const std::string& why : gather_texts(
           world_.group(), failed ? writer_.failure() : std::string(), "checkpoint/failures"))
    if (!why.empty()) return why;
  return "no reason given";
}

Saver::Outcome Saver::finish() {
  std::vector<int> words;
  for (const std::string& word :
       gather_texts(world_.group(), std::to_string(before_update()), "checkpoint/end"))
    words.push_back(std::stoi(word));
  return settle(words);
}

Checkpoint open_shared(const std::string& path, const World& world) {
  Checkpoint checkpoint = Checkpoint::open(path, Verify::manifest);
  for (auto shard = static_cast<std::size_t>(world.rank()); shard < checkpoint.num_shards();
       shard += static_cast<std::size_t>(world.size()))
    checkpoint.verify_shard(shard, Verify::checksums);
  return checkpoint;
}

void read_checkpoint(Checkpoint& checkpoint, const std::vector<ParameterStore*>& stores) {
  HostRoom room;
  for (const ParameterStore* store : stores)
    for (const StateBox& part : store->state(/*optimizer=*/true))
      room.fill(part.tensor, [&](std::span<std::byte> to) { checkpoint.read(part.box, to); });
}

}  // namespace fusor

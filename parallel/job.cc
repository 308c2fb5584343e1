#include "parallel/job.h"

#include <map>

namespace fusor {
namespace {

// Takes down how a world is split, in place of communicating.
class Recorder final : public Transport {
 public:
  Recorder(int size, std::vector<Communicator>& splits)
      : Transport(0, size, "world"), splits_(splits) {}

  std::unique_ptr<Transport> split(const std::vector<int>& colors, std::string name) override {
    std::map<int, std::vector<int>> groups;
    for (int rank = 0; rank < size(); ++rank)
      groups[colors[static_cast<std::size_t>(rank)]].push_back(rank);
    Communicator& made = splits_.emplace_back(Communicator{name, {}});
    for (auto& [color, ranks] : groups) made.groups.push_back(std::move(ranks));
    return self_transport(std::move(name));
  }

 private:
  Pending start(CommCall call) override {
    raise(describe(call) + ": only splits can be taken down");
  }

  std::vector<Communicator>& splits_;
};

}  // namespace

std::vector<Communicator> communicators_of(const MeshShape& shape) {
  std::vector<Communicator> all;
  if (shape.size() == 1) return all;
  all.push_back({"world", {{}}});
  for (int rank = 0; rank < shape.size(); ++rank) all[0].groups[0].push_back(rank);
  Mesh::over(Group(std::make_shared<Recorder>(shape.size(), all)), shape);
  return all;
}

}  // namespace fusor

#include <algorithm>

#include "runtime/trace.h"
#include "runtime/transport.h"

namespace fusor {
namespace {

// Keeps operands alive until waited for, so that the plan gives them no other use before.
class Held final : public Pending::Work {
 public:
  Held(Tensor in, Tensor out) : in_(std::move(in)), out_(std::move(out)) {}
  bool test() override { return true; }
  void wait() override {}

 private:
  Tensor in_, out_;
};

class MetaTransport final : public Transport {
 public:
  MetaTransport(Trace& trace, int rank, int size, std::string name)
      : Transport(rank, size, std::move(name)), trace_(trace) {}

  std::unique_ptr<Transport> split(const std::vector<int>& colors, std::string name) override {
    const std::vector<int> members = same_color(colors);
    const auto at = std::ranges::find(members, rank()) - members.begin();
    return std::make_unique<MetaTransport>(trace_, static_cast<int>(at),
                                           static_cast<int>(members.size()), std::move(name));
  }

 private:
  Pending start(CommCall call) override {
    const bool empty = !call.in.defined();
    trace_.events.push_back(CommEvent{.kind = std::string(name_of(call.kind)),
                                      .name = std::string(call.what),
                                      .group = name(),
                                      .dtype = empty ? DType::u8 : call.in.dtype(),
                                      .count = empty ? 0 : call.in.size(),
                                      .peer = call.peer});
    return Pending(std::make_unique<Held>(std::move(call.in), std::move(call.out)));
  }

  Trace& trace_;
};

}  // namespace

Group meta_group(Trace& trace, int rank, int size, std::string name) {
  require(size > 0 && rank >= 0 && rank < size, "no rank ", rank, " among ", size);
  return Group(std::make_shared<MetaTransport>(trace, rank, size, std::move(name)));
}

}  // namespace fusor

#include <algorithm>

#include "runtime/trace.h"
#include "runtime/transport.h"

namespace fusor {
namespace {

// Keeps operands alive until waited for, so that the plan gives them no other use before.
class Held final : public Pending::Work {
 public:
  Held(Trace& trace, std::uint64_t id, Tensor in, Tensor out)
      : trace_(trace), id_(id), in_(std::move(in)), out_(std::move(out)) {}
  bool test() override { return true; }
  void wait() override { trace_.events.emplace_back(WaitEvent{id_}); }

 private:
  Trace& trace_;
  std::uint64_t id_;
  Tensor in_, out_;
};

class MetaTransport final : public Transport {
 public:
  MetaTransport(Trace& trace, int rank, int size, std::string name)
      : Transport(rank, size, std::move(name)), trace_(trace) {}

  std::unique_ptr<Transport> split(const std::vector<int>& colors, std::string name) override {
    const std::vector<int> members = same_color(colors);
    const auto at = std::ranges::find(members, rank()) - members.begin();
    if (members.size() == 1) return self_transport(std::move(name));
    return std::make_unique<MetaTransport>(trace_, static_cast<int>(at),
                                           static_cast<int>(members.size()), std::move(name));
  }

 private:
  Pending start(CommCall call) override {
    const Tensor& in = call.in;
    trace_.events.push_back(
        CommEvent{.id = ++trace_.calls,
                  .kind = call.kind,
                  .name = std::string(call.what),
                  .scope = in.defined() ? in.device().backend().scope() : std::string(),
                  .group = name(),
                  .group_size = size(),
                  .place = rank(),
                  .peer = call.peer,
                  .dtype = in.defined() ? in.dtype() : DType::u8,
                  .count = in.defined() ? in.size() : 0,
                  .op = call.op,
                  .in = in.allocation(),
                  .out = call.out.allocation()});
    return Pending(
        std::make_unique<Held>(trace_, trace_.calls, std::move(call.in), std::move(call.out)));
  }

  Trace& trace_;
};

}  // namespace

Group meta_group(Trace& trace, int rank, int size, std::string name) {
  require(size > 0 && rank >= 0 && rank < size, "no rank ", rank, " among ", size);
  if (size == 1) return Group(self_transport(std::move(name)));
  return Group(std::make_shared<MetaTransport>(trace, rank, size, std::move(name)));
}

}  // namespace fusor

#include "runtime/transport.h"

#include <algorithm>
#include <array>
#include <deque>
#include <exception>

#include "runtime/copy.h"

namespace fusor {
namespace {

void copy_unless_same(const Tensor& in, const Tensor& out) {
  if (in.device().kind() != DeviceKind::meta && in.raw() != out.raw()) copy(in, out);
}

// A group of one. What it sends to itself it must send before it receives.
class SelfTransport final : public Transport {
 public:
  explicit SelfTransport(std::string name) : Transport(0, 1, std::move(name)) {}

  std::unique_ptr<Transport> split(const std::vector<int>& colors, std::string name) override {
    same_color(colors);
    return self_transport(std::move(name));
  }

 private:
  Pending start(CommCall call) override {
    switch (call.kind) {
      case CommKind::all_gather:
      case CommKind::reduce_scatter:
      case CommKind::all_to_all:
        copy_unless_same(call.in, call.out);
        break;
      case CommKind::send:
        sent_.push_back(empty_like(call.in));
        copy_unless_same(call.in, sent_.back());
        break;
      case CommKind::recv:
        receive(call);
        break;
      case CommKind::all_reduce:
      case CommKind::broadcast:
      case CommKind::barrier:
        break;
    }
    return {};
  }
  void receive(const CommCall& call) {
    require(!sent_.empty(), describe(call), ": this rank has sent itself nothing");
    const Tensor from = std::move(sent_.front());
    sent_.pop_front();
    require(from.size() == call.out.size() && from.dtype() == call.out.dtype(), describe(call),
            ": sent ", from.size(), ' ', from.dtype(), ", received as ", call.out.size(), ' ',
            call.out.dtype());
    copy_unless_same(from, call.out);
  }

  std::deque<Tensor> sent_;
};

}  // namespace

std::string_view name_of(CommKind kind) {
  static constexpr std::array<std::string_view, 8> kNames = {
      "all_reduce", "all_gather", "reduce_scatter", "all_to_all",
      "broadcast",  "send",       "recv",           "barrier"};
  return kNames[static_cast<std::size_t>(kind)];
}

Pending& Pending::operator=(Pending&& other) {
  if (this == &other) return *this;
  wait();
  work_ = std::move(other.work_);
  return *this;
}

Pending::~Pending() noexcept(false) {
  if (std::uncaught_exceptions() == 0) wait();
}

bool Pending::done() { return !work_ || work_->test(); }

void Pending::wait() {
  if (!work_) return;
  const std::unique_ptr<Work> work = std::move(work_);  // an error is thrown once
  work->wait();
}

std::string Transport::describe(const CommCall& call) const {
  std::string text(name_of(call.kind));
  return text.append(" \"").append(call.what).append("\" over ").append(name_);
}

std::vector<int> Transport::same_color(const std::vector<int>& colors) const {
  require(colors.size() == static_cast<std::size_t>(size_), "split of ", name_, ": ", colors.size(),
          " colors for ", size_, " ranks");
  std::vector<int> members;
  for (int r = 0; r < size_; ++r)
    if (colors[static_cast<std::size_t>(r)] == colors[static_cast<std::size_t>(rank_)])
      members.push_back(r);
  return members;
}

Pending Transport::begin(CommCall call) {
  if (call.kind == CommKind::barrier) return start(std::move(call));
  const auto must = [&](bool ok, const auto&... what) {
    if (!ok) require(false, describe(call), ": ", what...);
  };
  must(call.in.defined() && call.out.defined(), "an operand is not defined");
  const std::int64_t in = call.in.size(), out = call.out.size();
  must(call.in.dtype() == call.out.dtype(), "in is ", call.in.dtype(), ", out ", call.out.dtype());
  switch (call.kind) {
    case CommKind::all_gather:
      must(out == in * size_, "out holds ", out, " elements, not ", size_, " x ", in);
      break;
    case CommKind::reduce_scatter:
      must(in == out * size_, "in holds ", in, " elements, not ", size_, " x ", out);
      break;
    case CommKind::all_to_all:
      must(in == out && in % size_ == 0, "in holds ", in, " and out ", out, " elements, not ",
           size_, " equal blocks");
      break;
    case CommKind::broadcast:
    case CommKind::send:
    case CommKind::recv:
      must(call.peer >= 0 && call.peer < size_, "no rank ", call.peer, " among ", size_);
      break;
    case CommKind::all_reduce:
    case CommKind::barrier:
      break;
  }
  return start(std::move(call));
}

Pending Transport::all_reduce(Tensor t, ReduceOp op, std::string_view what) {
  return begin({.kind = CommKind::all_reduce, .in = t, .out = t, .op = op, .what = what});
}

Pending Transport::all_gather(Tensor in, Tensor out, std::string_view what) {
  return begin({.kind = CommKind::all_gather, .in = in, .out = out, .what = what});
}

Pending Transport::reduce_scatter(Tensor in, Tensor out, std::string_view what) {
  return begin({.kind = CommKind::reduce_scatter, .in = in, .out = out, .what = what});
}

Pending Transport::all_to_all(Tensor in, Tensor out, std::string_view what) {
  return begin({.kind = CommKind::all_to_all, .in = in, .out = out, .what = what});
}

Pending Transport::broadcast(Tensor t, int root, std::string_view what) {
  return begin({.kind = CommKind::broadcast, .in = t, .out = t, .peer = root, .what = what});
}

Pending Transport::send(Tensor t, int peer, std::string_view what) {
  return begin({.kind = CommKind::send, .in = t, .out = t, .peer = peer, .what = what});
}

Pending Transport::recv(Tensor t, int peer, std::string_view what) {
  return begin({.kind = CommKind::recv, .in = t, .out = t, .peer = peer, .what = what});
}

void Transport::barrier(std::string_view what) {
  begin({.kind = CommKind::barrier, .in = {}, .out = {}, .what = what}).wait();
}

Group::Group() : transport_(self_transport("self")) {}

std::unique_ptr<Transport> self_transport(std::string name) {
  return std::make_unique<SelfTransport>(std::move(name));
}

std::vector<std::string> gather_texts(const Group& group, const std::string& mine,
                                      std::string_view what) {
  const auto length = static_cast<std::int64_t>(mine.size());
  Tensor lengths({group.size()}, DType::i64);
  Tensor longest({1}, DType::i64), own({1}, DType::i64);
  own.host<std::int64_t>()[0] = longest.host<std::int64_t>()[0] = length;
  group->all_gather(own, lengths, what).wait();
  group->all_reduce(longest, ReduceOp::max, what).wait();
  const std::int64_t width = longest.host<std::int64_t>()[0];

  // Texts padded to the longest one: bytes [width], all [size, width].
  Tensor bytes({width}, DType::u8), all({group.size(), width}, DType::u8);
  std::fill_n(bytes.host<std::uint8_t>().begin(), width, std::uint8_t{0});
  std::copy(mine.begin(), mine.end(), bytes.host<std::uint8_t>().begin());
  group->all_gather(bytes, all, what).wait();

  std::vector<std::string> texts;
  for (int r = 0; r < group.size(); ++r) {
    const auto from = all.host<std::uint8_t>().begin() + r * width;
    texts.emplace_back(from, from + lengths.host<std::int64_t>()[static_cast<std::size_t>(r)]);
  }
  return texts;
}

}  // namespace fusor

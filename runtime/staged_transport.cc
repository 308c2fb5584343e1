#include "runtime/staged_transport.h"

#include <algorithm>
#include <deque>

#include "runtime/copy.h"

namespace fusor {
namespace {

// Host memory of one device's copies. What is copied back is read by the device some time after
// wait(), and must not be written before: a buffer is clean once the device has been waited for.
class Staging {
 public:
  explicit Staging(const Device& device) : device_(device), memory_(Device::staging(device)) {}

  ~Staging() {  // what is copied back still reads the buffers
    try {
      synchronize();
    } catch (const Error&) {  // of a device that has failed
    }
  }
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  const Device& device() const { return device_; }
  // A buffer of n elements. The host may write it.
  Tensor take(std::int64_t n, DType dtype) {
    const auto fits = [&](const Spare& spare) {
      return spare.buffer.dtype() == dtype && spare.buffer.size() >= n &&
             spare.buffer.size() <= 2 * n;
    };
    const auto dirty = std::ranges::count_if(spares_, fits);
    const auto clean = [&](const Spare& s) { return fits(s) && s.returned <= synchronized_; };
    auto found = std::ranges::find_if(spares_, clean);
    if (found == spares_.end() && dirty >= kMostDirty) {
      synchronize();
      found = std::ranges::find_if(spares_, fits);
    }
    if (found == spares_.end()) return Tensor({n}, dtype, memory_);
    const Tensor buffer = found->buffer;
    spares_.erase(found);
    return buffer;
  }
  void give_back(Tensor buffer) { spares_.push_back({std::move(buffer), ++returned_}); }
  void synchronize() {
    fusor::synchronize(device_);
    synchronized_ = returned_;
  }

 private:
  struct Spare {
    Tensor buffer;
    std::uint64_t returned;  // when, counted in buffers
  };
  static constexpr std::int64_t kMostDirty = 4;  // of a size
  Device device_, memory_;
  std::deque<Spare> spares_;
  std::uint64_t returned_ = 0, synchronized_ = 0;
};

// A call whose operands lie in host memory for now.
class StagedWork final : public Pending::Work {
 public:
  StagedWork(std::shared_ptr<Staging> staging, Pending inner, std::vector<Tensor> buffers)
      : staging_(std::move(staging)), buffers_(std::move(buffers)), inner_(std::move(inner)) {}
  StagedWork(const StagedWork&) = delete;
  StagedWork& operator=(const StagedWork&) = delete;
  ~StagedWork() noexcept override {}  // a Pending has waited, or an exception unwinds
  void copy_back(Tensor from, Tensor to) { from_ = std::move(from), to_ = std::move(to); }

  bool test() override {
    if (!inner_.done()) return false;
    finish();
    return true;
  }
  void wait() override {
    inner_.wait();
    finish();
  }

 private:
  void finish() {
    if (to_.defined()) copy(from_, to_);
    to_ = {};
    for (Tensor& buffer : buffers_) staging_->give_back(std::move(buffer));
    buffers_.clear();
  }

  std::shared_ptr<Staging> staging_;
  std::vector<Tensor> buffers_;
  Tensor from_, to_;
  Pending inner_;  // lets go of its operands first
};

class StagedTransport final : public Transport {
 public:
  StagedTransport(Group host, std::shared_ptr<Staging> staging)
      : Transport(host.rank(), host.size(), host.name()),
        host_(std::move(host)),
        staging_(std::move(staging)) {}

  std::unique_ptr<Transport> split(const std::vector<int>& colors, std::string name) override {
    Group part = host_.split(colors, name);
    if (part.size() == 1) return self_transport(std::move(name));
    return std::make_unique<StagedTransport>(std::move(part), staging_);
  }
  void progress() noexcept override { host_->progress(); }
  void require_peers() const override { host_->require_peers(); }

 private:
  bool on_device(const Tensor& t) const { return t.defined() && t.device() == staging_->device(); }

  Pending start(CommCall call) override {
    if (!on_device(call.in) && !on_device(call.out)) return host_->begin(std::move(call));
    require(on_device(call.in) && on_device(call.out), describe(call),
            ": one operand is on the device, the other is not");
    // One buffer for both operands where the smaller may be a block of the larger one.
    const bool exchange = call.kind == CommKind::all_to_all;
    const std::int64_t in_size = call.in.size(), out_size = call.out.size();
    const std::int64_t size = std::max(in_size, out_size);
    std::vector<Tensor> buffers;
    const auto take = [&](std::int64_t n) {
      buffers.push_back(staging_->take(n, call.in.dtype()));
      return buffers.back().slice(0, {n});
    };
    const Tensor whole = take(size);
    const auto part = [&](std::int64_t n) {
      return n == size ? whole : whole.slice(rank() * n, {n});
    };
    const Tensor in = part(in_size), out = exchange ? take(out_size) : part(out_size);
    if (reads(call)) {
      copy(call.in, in);
      staging_->synchronize();
    }
    CommCall through_host = call;
    through_host.in = in, through_host.out = out;
    auto work = std::make_unique<StagedWork>(staging_, host_->begin(through_host), buffers);
    if (writes(call)) work->copy_back(out, call.out);
    return Pending(std::move(work));
  }

  bool reads(const CommCall& call) const {
    return call.kind != CommKind::recv && (call.kind != CommKind::broadcast || call.peer == rank());
  }
  bool writes(const CommCall& call) const {
    return call.kind != CommKind::send && (call.kind != CommKind::broadcast || call.peer != rank());
  }

  Group host_;
  std::shared_ptr<Staging> staging_;
};

}  // namespace

Group staged(const Group& host, const Device& device) {
  if (host.size() == 1) return Group(self_transport(host.name()));
  return Group(std::make_shared<StagedTransport>(host, std::make_shared<Staging>(device)));
}

}  // namespace fusor

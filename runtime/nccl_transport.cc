#include "runtime/nccl_transport.h"

#include <exception>
#include <map>
#include <thread>
#include <utility>

#include "runtime/nccl_channel.h"
#include "runtime/spans.h"

namespace fusor {
namespace {

using Use = NcclChannel::Use;

class NcclWork final : public Pending::Work {
 public:
  NcclWork(std::shared_ptr<NcclJob> job, std::shared_ptr<NcclCall> call)
      : job_(std::move(job)), call_(std::move(call)) {}
  NcclWork(const NcclWork&) = delete;
  NcclWork& operator=(const NcclWork&) = delete;
  // Not waited for, since an exception unwinds: the GPU must not meet freed operands.
  ~NcclWork() override {
    if (call_) job_->abandon();
  }

  bool test() override {
    job_->look_after();
    return call_->complete;
  }
  // The device's stream waits; the host does only until the call is there to be waited for.
  void wait() override {
    const Span waiting(call_->label);
    for (; !call_->issued; std::this_thread::yield()) job_->look_after();
    job_->guard([&] {
      if (!call_->complete)
        check_cuda(cudaStreamWaitEvent(job_->compute(), call_->end.get(), 0), call_->label);
    });
    call_->call.in = call_->call.out = {};
    call_.reset();
  }

 private:
  std::shared_ptr<NcclJob> job_;
  std::shared_ptr<NcclCall> call_;
};

// A communicator for the collectives of the group, and one for each pair of ranks and direction in
// which messages go: over one of them calls run in order, so that a receive that is posted early
// would hold up what its sender waits for. Each is made when it is first used.
class NcclTransport final : public Transport {
 public:
  NcclTransport(Group host, std::shared_ptr<NcclJob> job)
      : Transport(host.rank(), host.size(), host.name()),
        host_(std::move(host)),
        job_(std::move(job)),
        self_(self_transport(name())) {}
  // Collective, but for a rank on which an exception unwinds.
  ~NcclTransport() override {
    if (std::uncaught_exceptions() > 0) {
      job_->abandon();
      return;
    }
    try {
      job_->guard([&] {
        for (auto& [ends, channel] : channels_) channel->begin_finish();
        for (auto& [ends, channel] : channels_) channel->finish();
      });
    } catch (...) {  // aborted by guard
    }
  }
  NcclTransport(const NcclTransport&) = delete;
  NcclTransport& operator=(const NcclTransport&) = delete;

  std::unique_ptr<Transport> split(const std::vector<int>& colors, std::string name) override {
    Group part = host_.split(colors, name);
    if (part.size() == 1) return self_transport(std::move(name));
    return std::make_unique<NcclTransport>(std::move(part), job_);
  }
  bool queues() const override { return true; }
  void progress() noexcept override {
    host_->progress();
    job_->advance();
  }
  void require_peers() const override { host_->require_peers(); }

 private:
  using Ends = std::pair<int, int>;  // of messages: the ranks they go from and to
  static constexpr Ends kAll{-1, -1};

  bool on_device(const Tensor& t) const { return t.defined() && t.device() == job_->device(); }

  Pending start(CommCall call) override {
    if (!on_device(call.in) && !on_device(call.out)) {
      require(!job_->capturing(), describe(call), ": the host's values cannot be part of a graph");
      return host_->begin(std::move(call));
    }
    require(on_device(call.in) && on_device(call.out), describe(call),
            ": one operand is on the device, the other is not");
    if (call.in.bytes() == 0 && call.out.bytes() == 0) return {};
    const bool message = call.kind == CommKind::send || call.kind == CommKind::recv;
    if (message && call.peer == rank()) {
      call.peer = 0;
      return self_->begin(std::move(call));
    }
    const bool sends = call.kind == CommKind::send;
    const Ends ends = !message ? kAll : sends ? Ends(rank(), call.peer) : Ends(call.peer, rank());
    const auto made = std::make_shared<NcclCall>();
    job_->guard([&] {
      made->label = describe(call);
      made->call = std::move(call);
      made->begin = job_->take_event();
      check_cuda(cudaEventRecord(made->begin.get(), job_->compute()), made->label);
      channel(ends).post(made);
    });
    return Pending(std::make_unique<NcclWork>(job_, made));
  }

  NcclChannel& channel(Ends ends) {
    std::unique_ptr<NcclChannel>& channel = channels_[ends];
    if (channel) return *channel;
    const auto [from, to] = ends;
    const bool collective = ends == kAll;
    const bool names = collective ? rank() == 0 : rank() == from;
    const Tensor id({static_cast<std::int64_t>(sizeof(ncclUniqueId))}, DType::u8);
    if (names) {
      ncclUniqueId fresh;
      check_nccl(job_->library().get_unique_id(&fresh), job_->library(), "ncclGetUniqueId");
      std::copy_n(fresh.internal, sizeof fresh, reinterpret_cast<char*>(id.raw()));
    }
    constexpr std::string_view kWhat = "set-up/nccl";
    Pending exchange = collective ? host_->broadcast(id, 0, kWhat)
                       : names    ? host_->send(id, to, kWhat)
                                  : host_->recv(id, from, kWhat);
    channel =
        std::make_unique<NcclChannel>(job_, collective ? Use::collectives : Use::messages, name(),
                                      collective ? rank()
                                      : names    ? 0
                                                 : 1,
                                      collective ? size() : 2, id, std::move(exchange));
    return *channel;
  }

  Group host_;
  std::shared_ptr<NcclJob> job_;
  std::unique_ptr<Transport> self_;
  std::map<Ends, std::unique_ptr<NcclChannel>> channels_;
};

}  // namespace

std::string why_no_nccl() {
  try {
    nccl_library();
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

Group nccl_group(const Group& host, const Device& device, const NcclLibrary& library,
                 std::chrono::duration<double> patience) {
  if (host.size() == 1) return Group(self_transport(host.name()));
  const auto job = std::make_shared<NcclJob>(library, host, device, patience);
  device.backend().while_waiting = [weak = std::weak_ptr(job),
                                    before = device.backend().while_waiting] {
    if (before) before();
    if (const auto it = weak.lock()) it->look_after();
  };
  return Group(std::make_shared<NcclTransport>(host, job));
}

Group nccl_group(const Group& host, const Device& device) {
  constexpr std::chrono::minutes kPatience{10};
  return nccl_group(host, device, nccl_library(), kPatience);
}

}  // namespace fusor

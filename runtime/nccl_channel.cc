#include "runtime/nccl_channel.h"

#include <algorithm>
#include <cstring>
#include <mutex>
#include <sstream>
#include <thread>
#include <utility>

namespace fusor {
namespace {

// A receive that was posted early holds its thread blocks until the sender comes: a few.
constexpr int kMessageBlocks = 4;

ncclDataType_t nccl_type(DType dtype) {
  switch (dtype) {
    case DType::f64:
      return ncclFloat64;
    case DType::f32:
      return ncclFloat32;
    case DType::bf16:
      return ncclBfloat16;
    case DType::f16:
      return ncclFloat16;
    case DType::i64:
      return ncclInt64;
    case DType::i32:
      return ncclInt32;
    case DType::u8:
      break;
  }
  return ncclUint8;
}

ncclRedOp_t nccl_op(ReduceOp op) {
  return op == ReduceOp::max ? ncclMax : op == ReduceOp::min ? ncclMin : ncclSum;
}

// Whether the work before the event is done.
bool is_done(const CudaEvent& event) {
  const cudaError_t status = cudaEventQuery(event.get());
  if (status == cudaErrorNotReady) {
    cudaGetLastError();  // no error, but kept as one
    return false;
  }
  check_cuda(status, "cudaEventQuery");
  return true;
}

// An exchange that nobody will wait for: the host transport may still write its operand.
void keep_for_ever(Pending exchange) {
  static auto& mutex = *new std::mutex;
  static auto& kept = *new std::vector<Pending>;
  const std::lock_guard lock(mutex);
  kept.push_back(std::move(exchange));
}

}  // namespace

NcclChannel::NcclChannel(std::shared_ptr<NcclJob> job, Use use, std::string name, int rank,
                         int size, Tensor id, Pending exchange)
    : job_(std::move(job)),
      use_(use),
      name_(std::move(name)),
      rank_(rank),
      size_(size),
      id_(std::move(id)),
      exchange_(std::move(exchange)) {
  job_->channels_.push_back(this);
}

NcclChannel::~NcclChannel() {
  if (ncclComm_t comm = give_up()) job_->library().comm_abort(comm);
  std::erase(job_->channels_, this);
}

void NcclChannel::post(std::shared_ptr<NcclCall> call) {
  queued_.push_back(std::move(call));
  advance();
}

void NcclChannel::advance() {
  if (state_ == State::naming || state_ == State::joining) join();
  while (state_ == State::ready && !queued_.empty()) {
    if (!issuing_) issue(*queued_.front());
    if (status() == ncclInProgress) return;
    settle();
  }
}

void NcclChannel::join() {
  const NcclLibrary& nccl = job_->library();
  if (state_ == State::naming) {
    if (!exchange_.done()) return;
    exchange_.wait();
    ncclUniqueId id;
    std::memcpy(&id, id_.raw(), sizeof id);
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    config.commName = name_.c_str();
    if (use_ == Use::messages) config.maxCTAs = kMessageBlocks;
    check_nccl(nccl.comm_init_rank_config(&comm_, size_, id, rank_, &config), nccl, what_runs());
    state_ = State::joining;
    since_ = Clock::now();
  }
  if (status() == ncclSuccess) state_ = State::ready;
}

void NcclChannel::issue(const NcclCall& call) {
  issuing_ = true;
  since_ = Clock::now();
  check_cuda(cudaStreamWaitEvent(stream_.get(), call.begin.get(), 0), call.label);
  check_nccl(queue(call.call), job_->library(), call.label);
}

ncclResult_t NcclChannel::queue(const CommCall& call) const {
  const NcclLibrary& nccl = job_->library();
  void *const in = call.in.raw(), *const out = call.out.raw();
  const auto type = nccl_type(call.in.dtype());
  const auto count = [](const Tensor& t) { return static_cast<std::size_t>(t.size()); };
  switch (call.kind) {
    case CommKind::all_reduce:
      return nccl.all_reduce(in, out, count(call.in), type, nccl_op(call.op), comm_, stream_.get());
    case CommKind::all_gather:
      return nccl.all_gather(in, out, count(call.in), type, comm_, stream_.get());
    case CommKind::reduce_scatter:
      return nccl.reduce_scatter(in, out, count(call.out), type, nccl_op(call.op), comm_,
                                 stream_.get());
    case CommKind::all_to_all:
      return all_to_all(call);
    case CommKind::broadcast:
      return nccl.broadcast(in, out, count(call.in), type, call.peer, comm_, stream_.get());
    case CommKind::send:
      return nccl.send(in, count(call.in), type, 1 - rank_, comm_, stream_.get());
    case CommKind::recv:
      return nccl.recv(out, count(call.out), type, 1 - rank_, comm_, stream_.get());
    case CommKind::barrier:
      break;
  }
  return ncclInvalidArgument;
}

// One kernel, in which all sends and receives proceed together.
ncclResult_t NcclChannel::all_to_all(const CommCall& call) const {
  const NcclLibrary& nccl = job_->library();
  const std::size_t bytes = call.in.bytes() / static_cast<std::size_t>(size_);
  ncclResult_t first = nccl.group_start();
  const auto also = [&](ncclResult_t status) {
    if (first == ncclSuccess || first == ncclInProgress) first = status;
  };
  for (int peer = 0; peer < size_; ++peer) {
    const std::size_t at = static_cast<std::size_t>(peer) * bytes;
    also(nccl.send(call.in.raw() + at, bytes, ncclUint8, peer, comm_, stream_.get()));
    also(nccl.recv(call.out.raw() + at, bytes, ncclUint8, peer, comm_, stream_.get()));
  }
  also(nccl.group_end());
  return first;
}

// The first of queued_ is on the stream. In a capture nothing can be asked of its events.
void NcclChannel::settle() {
  const std::shared_ptr<NcclCall> call = std::move(queued_.front());
  queued_.pop_front();
  issuing_ = false;
  call->end = job_->take_event();
  check_cuda(cudaEventRecord(call->end.get(), stream_.get()), call->label);
  call->issued = true;
  if (job_->capturing())
    job_->is_part_of_graph();
  else
    issued_.push_back(call);
}

void NcclChannel::watch() {
  land();
  if (comm_) status();
  if (state_ == State::joining || issuing_) require_patience(since_, what_runs());
  if (issued_.empty()) return;
  const NcclCall& first = *issued_.front();
  if (!begun_ && is_done(first.begin)) begun_ = Clock::now();
  if (begun_) require_patience(*begun_, first.label);
}

// Forgets the calls that are complete.
void NcclChannel::land() {
  while (!issued_.empty() && is_done(issued_.front()->end)) {
    NcclCall& call = *issued_.front();
    call.complete = true;
    job_->give_back(std::move(call.begin));
    job_->give_back(std::move(call.end));
    issued_.pop_front();
    begun_.reset();
  }
}

ncclResult_t NcclChannel::status() const {
  const NcclLibrary& nccl = job_->library();
  ncclResult_t state = ncclSuccess;
  check_nccl(nccl.comm_get_async_error(comm_, &state), nccl, what_runs());
  check_nccl(state, nccl, what_runs());
  return state;
}

std::string NcclChannel::what_runs() const {
  if (issuing_ || issued_.empty())
    return queued_.empty() ? "the communicator of " + name_ : queued_.front()->label;
  return issued_.front()->label;
}

void NcclChannel::require_patience(Clock::time_point since, const std::string& what) const {
  if (Clock::now() - since < job_->patience()) return;
  std::ostringstream text;
  text << what << ": not all of its " << size_ << " ranks came within " << job_->patience().count()
       << " s";
  throw PeerFailed(text.str(), std::source_location::current());
}

ncclComm_t NcclChannel::give_up() noexcept {
  if (state_ == State::naming) keep_for_ever(std::move(exchange_));
  state_ = State::ended;
  return std::exchange(comm_, nullptr);
}

void NcclChannel::begin_finish() {
  if (comm_) check_nccl(job_->library().comm_finalize(comm_), job_->library(), what_runs());
  since_ = Clock::now();
}

void NcclChannel::finish() {
  if (!comm_) return;
  while (status() == ncclInProgress) {
    require_patience(since_, what_runs());
    std::this_thread::yield();
  }
  state_ = State::ended;
  const NcclLibrary& nccl = job_->library();
  check_nccl(nccl.comm_destroy(std::exchange(comm_, nullptr)), nccl, what_runs());
}

}  // namespace fusor

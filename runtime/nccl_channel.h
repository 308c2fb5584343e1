#pragma once
#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "runtime/nccl_job.h"

// Inside of the nccl transport: one communicator with its stream.
namespace fusor {

// One call. It waits for `begin`, which is on the device's own stream; `end` is on the channel's.
struct NcclCall {
  CommCall call;      // holds the operands until waited for
  std::string label;  // 'all_reduce "gradients/bucket.3" over dp'
  CudaEvent begin, end{};
  bool issued = false;    // `end` is recorded
  bool complete = false;  // and has been seen; the events are no more
};

// A communicator and the calls over it, first in, first out. It is made while calls queue up, so
// that nobody who posts one waits for other ranks: ranks may post in any order that would do if
// communicators were always there. The ranks of a channel make and destroy it together.
class NcclChannel {
 public:
  enum class Use { collectives, messages };
  // name: of the group. id: u8 [sizeof(ncclUniqueId)] on the host, there when `exchange` is done.
  NcclChannel(std::shared_ptr<NcclJob> job, Use use, std::string name, int rank, int size,
              Tensor id, Pending exchange);
  NcclChannel(const NcclChannel&) = delete;
  NcclChannel& operator=(const NcclChannel&) = delete;
  ~NcclChannel();  // aborts unless finish() or give_up() was called

  // These throw Error where the communicator has failed.
  void post(std::shared_ptr<NcclCall> call);
  void advance();  // issues what can be issued
  void watch();    // looks after what is issued; not while work is captured
  bool idle() const { return state_ == State::ready && queued_.empty(); }

  // The end of a channel that has failed: the communicator, null if there is none, for
  // ncclCommAbort.
  ncclComm_t give_up() noexcept;
  // A destruction without failure, in two halves. A rank begins it on all its channels before it
  // finishes any, so that no ranks wait for each other in a ring.
  void begin_finish();
  void finish();

 private:
  using Clock = std::chrono::steady_clock;
  enum class State { naming, joining, ready, ended };

  void join();
  void issue(const NcclCall& call);
  ncclResult_t queue(const CommCall& call) const;
  ncclResult_t all_to_all(const CommCall& call) const;
  void settle();
  void land();
  ncclResult_t status() const;  // ncclSuccess or ncclInProgress; throws at others
  std::string what_runs() const;
  void require_patience(Clock::time_point since, const std::string& what) const;

  std::shared_ptr<NcclJob> job_;
  Use use_;
  std::string name_;
  int rank_, size_;
  Tensor id_;
  Pending exchange_;
  CudaStream stream_ = make_stream();
  ncclComm_t comm_ = nullptr;
  State state_ = State::naming;
  std::deque<std::shared_ptr<NcclCall>> queued_, issued_;
  bool issuing_ = false;                    // NCCL is at work on the first of queued_
  Clock::time_point since_;                 // it is, or the communicator is joined
  std::optional<Clock::time_point> begun_;  // when the first of issued_ was seen to be on the GPU
};

}  // namespace fusor

#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/tensor.h"

// The one door between ranks. Transports: mpi, threads (ranks as threads of one process), nccl and
// staged (tensors of a GPU; they wrap one of these), meta (records to the rehearsal's trace), self
// (a group of one).
namespace fusor {

enum class ReduceOp : std::uint8_t { sum, max, min };

enum class CommKind : std::uint8_t {
  all_reduce,
  all_gather,
  reduce_scatter,
  all_to_all,
  broadcast,
  send,
  recv,
  barrier
};
std::string_view name_of(CommKind);  // "all_reduce"

// Communication in flight. Its operands stay alive until wait() has returned; until then the
// buffers must not be written, nor results read.
class Pending {
 public:
  // Destroyed before it is complete, a Work sees to it that nothing touches freed operands.
  class Work {
   public:
    virtual ~Work() = default;
    virtual bool test() = 0;  // moves on without blocking; true when complete
    virtual void wait() = 0;
  };
  Pending() = default;  // complete
  explicit Pending(std::unique_ptr<Work> work) : work_(std::move(work)) {}
  Pending(Pending&&) noexcept = default;
  Pending& operator=(Pending&&);  // waits for what it held
  ~Pending() noexcept(false);     // waits, but not while an exception unwinds

  bool done();
  void wait();

 private:
  std::unique_ptr<Work> work_;
};

// What a rank gets from a call that cannot complete because another rank failed.
class PeerFailed : public Error {
  using Error::Error;
};

// One call through the door, as a value.
struct CommCall {
  CommKind kind;
  Tensor in, out;  // the same tensor where the call is in place; none for a barrier
  ReduceOp op = ReduceOp::sum;
  int peer = -1;  // of send and recv; the root of broadcast
  std::string_view what;
};

// Every call is made by all ranks of the transport in the same order (send and recv: by their two
// ranks), and returns before it is complete. `what` names layer and purpose ("gradients/bucket.3")
// in traces and messages. Tensors are of the same dtype and size on every rank; counts may exceed
// 2^31. Throws Error, on every rank and in a rehearsal too, where sizes, dtypes or peers are wrong.
class Transport {
 public:
  virtual ~Transport() = default;
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;

  int rank() const { return rank_; }
  int size() const { return size_; }
  const std::string& name() const { return name_; }  // "world", "dp": for traces and messages

  // The ranks of this rank's color, in rank order. colors [size()] is the same on every rank, so
  // that a rehearsal, which has no other rank to ask, can split too. Collective.
  virtual std::unique_ptr<Transport> split(const std::vector<int>& colors, std::string name) = 0;

  // Reductions: bf16 and f16 are summed in f32, but mpi rounds all_reduce, and nccl each sum, at
  // every hop.
  Pending all_reduce(Tensor t, ReduceOp op, std::string_view what);  // in place
  // out: size() x in. `in` may be this rank's block of `out`.
  Pending all_gather(Tensor in, Tensor out, std::string_view what);
  // Sums in rank order, nccl in one of its own. in: size() x out. `out` may be this rank's block of
  // `in`.
  Pending reduce_scatter(Tensor in, Tensor out, std::string_view what);
  Pending all_to_all(Tensor in, Tensor out, std::string_view what);  // block i goes to rank i
  Pending broadcast(Tensor t, int root, std::string_view what);
  Pending send(Tensor t, int peer,
               std::string_view what);  // complete when the buffer is free again
  Pending recv(Tensor t, int peer, std::string_view what);
  void barrier(std::string_view what);  // blocks
  // Any of these, as a value: for transports that wrap one. A barrier is complete when all came.
  Pending begin(CommCall call);

  // Whether calls for tensors of a device are queued there as its operators are, so that they can
  // be part of work that is captured, once each has been made before.
  virtual bool queues() const { return false; }
  // Moves what is in flight on; cheap. MPI's non-blocking calls advance only inside MPI. Devices
  // call it between operators: an error is thrown by the wait() for the call that met it.
  virtual void progress() noexcept {}
  // Throws PeerFailed where another rank is known to have failed: for those who wait for something
  // else than a call of this transport. Cheap.
  virtual void require_peers() const {}

 protected:
  Transport(int rank, int size, std::string name)
      : rank_(rank), size_(size), name_(std::move(name)) {}
  // Begins a call whose operands have been checked.
  virtual Pending start(CommCall call) = 0;
  // The ranks of this rank's color, ascending.
  std::vector<int> same_color(const std::vector<int>& colors) const;
  // 'all_reduce "gradients/bucket.3" over dp', to begin a message with.
  std::string describe(const CommCall&) const;

 private:
  int rank_, size_;
  std::string name_;
};

// Some ranks that can talk to each other; a copyable name for them. A group of one copies where a
// value must move and else does nothing, so serial code is parallel code on groups of one.
class Group {
 public:
  Group();  // this rank alone, as "self"
  explicit Group(std::shared_ptr<Transport> transport) : transport_(std::move(transport)) {}

  int rank() const { return transport_->rank(); }
  int size() const { return transport_->size(); }
  const std::string& name() const { return transport_->name(); }
  Group split(const std::vector<int>& colors, std::string name) const {
    return Group(transport_->split(colors, std::move(name)));
  }
  Transport* operator->() const { return transport_.get(); }

 private:
  std::shared_ptr<Transport> transport_;
};

// Every rank's text, by rank: for messages and for comparing plans. Collective, blocking. Not in a
// rehearsal, where no other rank exists to answer.
std::vector<std::string> gather_texts(const Group&, const std::string& mine, std::string_view what);

std::unique_ptr<Transport> self_transport(std::string name);  // a group of one

// A rank of a group of `size` that exists only in a rehearsal: calls are appended to the trace,
// which must outlive the group. Operands live until waited for, as in a run.
Group meta_group(Trace& trace, int rank, int size, std::string name);

}  // namespace fusor

#pragma once
#include <memory>
#include <string>
#include <string_view>

#include "runtime/tensor.h"

// The one door between ranks. Transports: mpi, threads (ranks as threads of one process), meta
// (records to the rehearsal's trace), self (a group of one).
namespace fusor {

enum class ReduceOp : std::uint8_t { sum, max, min };

// Communication in flight. Its operands stay alive until wait() has returned; the buffers must not
// be written before, nor results read.
class Pending {
 public:
  class Work {
   public:
    virtual ~Work() = default;
    virtual bool test() = 0;  // moves on without blocking; true when complete
    virtual void wait() = 0;
  };
  Pending() = default;  // complete
  explicit Pending(std::unique_ptr<Work> work) : work_(std::move(work)) {}
  Pending(Pending&&) noexcept = default;
  Pending& operator=(Pending&&) noexcept = default;
  ~Pending() noexcept(false);  // waits, but not while an exception unwinds

  bool done();
  void wait();

 private:
  std::unique_ptr<Work> work_;
};

// Every call is made by all ranks of the transport in the same order, and returns before it is
// complete. `what` names layer and purpose ("gradients/bucket.3") in traces and messages.
// Tensors are contiguous and of the same dtype on every rank; counts may exceed 2^31.
class Transport {
 public:
  virtual ~Transport() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  virtual const std::string& name() const = 0;  // "world", "dp": for traces and messages

  // The ranks that pass the same color, ordered by key. Collective.
  virtual std::unique_ptr<Transport> split(int color, int key, std::string name) = 0;

  virtual Pending all_reduce(Tensor t, ReduceOp op, std::string_view what) = 0;  // in place
  virtual Pending all_gather(Tensor in, Tensor out, std::string_view what) = 0;  // out: size() x in
  virtual Pending reduce_scatter(Tensor in, Tensor out,
                                 std::string_view what) = 0;  // sums; in: size() x out
  virtual Pending all_to_all(Tensor in, Tensor out,
                             std::string_view what) = 0;  // block i goes to rank i
  virtual Pending broadcast(Tensor t, int root, std::string_view what) = 0;
  virtual Pending send(Tensor t, int peer, std::string_view what) = 0;
  virtual Pending recv(Tensor t, int peer, std::string_view what) = 0;
  virtual void barrier(std::string_view what) = 0;  // blocks

  // Moves what is in flight on; cheap. MPI's non-blocking calls advance only inside MPI.
  virtual void progress() {}
};

// Some ranks that can talk to each other; a copyable name for them. A group of one copies where a
// value must move and else does nothing, so serial code is parallel code on groups of one.
class Group {
 public:
  Group();  // this rank alone
  explicit Group(std::shared_ptr<Transport> transport) : transport_(std::move(transport)) {}

  int rank() const { return transport_->rank(); }
  int size() const { return transport_->size(); }
  const std::string& name() const { return transport_->name(); }
  Group split(int color, int key, std::string name) const {
    return Group(std::shared_ptr<Transport>(transport_->split(color, key, std::move(name))));
  }
  Transport* operator->() const { return transport_.get(); }

 private:
  std::shared_ptr<Transport> transport_;
};

// Every rank's text, by rank: for messages and for comparing plans. Collective, blocking.
std::vector<std::string> gather_texts(const Group&, const std::string& mine, std::string_view what);

// A rank of a group of `size` that exists only in a rehearsal: calls are appended to the trace.
Group meta_group(Trace& trace, int rank, int size, std::string name);

}  // namespace fusor

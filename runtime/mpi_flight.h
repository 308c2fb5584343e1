#pragma once
#include <mpi.h>

#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "runtime/transport.h"

// Inside of the mpi transport: what is in flight, and datatypes that MPI does not have.
namespace fusor {

// One call in flight: its requests, its operands and what is left to do once the bytes are there.
class MpiFlight final : public Pending::Work {
 public:
  // The flights of one transport that are not complete, oldest first. Testing the oldest moves all
  // on: each MPI_Test runs the whole of MPI's progress engine.
  using Airborne = std::vector<MpiFlight*>;

  MpiFlight(std::shared_ptr<Airborne> airborne, CommCall call, std::string label);
  MpiFlight(const MpiFlight&) = delete;
  MpiFlight& operator=(const MpiFlight&) = delete;
  // MPI may still read and write the operands of an incomplete flight: they are kept for ever.
  ~MpiFlight() override;

  bool test() override;
  void wait() override;
  // test() from where nothing may be thrown: test() or wait() throws the error that it met.
  void advance() noexcept;

  const std::string& label() const { return label_; }
  const CommCall& call() const { return call_; }
  MPI_Request* new_request();  // valid until the next one is asked for
  std::byte* new_staging(std::size_t bytes);
  void when_complete(std::function<void()> finish) { finish_ = std::move(finish); }

 private:
  void land();
  void check_received(const MPI_Status&) const;

  std::shared_ptr<Airborne> airborne_;
  CommCall call_;
  std::string label_;
  std::vector<MPI_Request> requests_;
  std::size_t complete_ = 0;  // requests[0, complete) are
  std::unique_ptr<std::byte[]> staging_;
  std::function<void()> finish_;
  std::exception_ptr failure_;  // of advance()
  bool landed_ = false;
};

// `count` of `type` are that many contiguous bytes, also beyond what an int can count.
class MpiBytes {
 public:
  MpiBytes(std::size_t bytes, int max_count);
  MpiBytes(const MpiBytes&) = delete;
  MpiBytes& operator=(const MpiBytes&) = delete;
  ~MpiBytes();
  MPI_Datatype type = MPI_BYTE;
  int count = 0;
};

// The type and operation of a reduction. bf16 and f16 are MPI_UINT16_T under operations
// of our own.
struct MpiReduction {
  MPI_Datatype type;
  MPI_Op op;
};
MpiReduction mpi_reduction(DType, ReduceOp);

}  // namespace fusor

#pragma once
#include <cstddef>
#include <memory>
#include <vector>

#include "nccl.h"

// Inside of the emulated NCCL: one call, as its ranks meet in it.
namespace fusor::emulator {

enum class NcclKind { all_reduce, all_gather, reduce_scatter, broadcast, message };

struct NcclOp {
  NcclKind kind;
  const void* in;
  void* out;
  std::size_t count;  // as NCCL counts for this kind
  ncclDataType_t type;
  ncclRedOp_t op = ncclSum;
  int peer = -1;  // the root; of a message the other rank
};

std::size_t bytes_of(ncclDataType_t);

// Of a message the seats are the sender's and the receiver's, else those of all ranks.
struct NcclMeeting {
  explicit NcclMeeting(std::size_t size) : seats(size) {}
  // Takes the seat. Returns false where the call is not that of those who sit.
  bool arrive(std::size_t seat, const NcclOp& op);

  std::vector<std::unique_ptr<const NcclOp>> seats;
  std::size_t arrived = 0;
  bool complete = false;

 private:
  void run() const;
  void reduce(std::size_t first, std::size_t count, std::byte* out) const;
};

}  // namespace fusor::emulator

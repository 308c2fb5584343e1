#include "tests/emulator/nccl_meeting.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "cuda_bf16.h"
#include "cuda_fp16.h"
#include "tests/emulator/machine.h"

namespace fusor::emulator {
namespace {

// out[i] = x[0][i] op x[1][i] op ..., accumulated as Acc. An x may be out.
template <class T, class Acc>
void reduce_as(ncclRedOp_t op, const std::vector<const std::byte*>& x, std::size_t n,
               std::byte* out) {
  const auto at = [&](std::size_t rank, std::size_t i) {
    T value;
    std::memcpy(&value, x[rank] + i * sizeof(T), sizeof(T));
    return static_cast<Acc>(value);
  };
  for (std::size_t i = 0; i < n; ++i) {
    Acc sum = at(0, i);
    for (std::size_t rank = 1; rank < x.size(); ++rank) {
      const Acc next = at(rank, i);
      sum = static_cast<Acc>(op == ncclMax   ? std::max(sum, next)
                             : op == ncclMin ? std::min(sum, next)
                                             : sum + next);
    }
    const T result = static_cast<T>(sum);
    std::memcpy(out + i * sizeof(T), &result, sizeof(T));
  }
}

const std::byte* bytes(const void* p) { return static_cast<const std::byte*>(p); }
std::byte* bytes(void* p) { return static_cast<std::byte*>(p); }

}  // namespace

std::size_t bytes_of(ncclDataType_t type) {
  switch (type) {
    case ncclUint8:
      return 1;
    case ncclFloat16:
    case ncclBfloat16:
      return 2;
    case ncclInt32:
    case ncclFloat32:
      return 4;
    case ncclInt64:
    case ncclFloat64:
      break;
  }
  return 8;
}

bool NcclMeeting::arrive(std::size_t seat, const NcclOp& op) {
  for (const auto& other : seats)
    if (other && (other->kind != op.kind || other->count != op.count || other->type != op.type ||
                  other->op != op.op || (op.kind == NcclKind::broadcast && other->peer != op.peer)))
      return false;
  seats[seat] = std::make_unique<const NcclOp>(op);
  if (++arrived == seats.size()) {
    run();
    complete = true;
  }
  return true;
}

void NcclMeeting::run() const {
  const NcclOp& first = *seats.front();
  const std::size_t block = first.count * bytes_of(first.type);
  std::vector<std::byte> sum(block);
  for (std::size_t rank = 0; rank < seats.size(); ++rank) {
    const NcclOp& own = *seats[rank];
    switch (own.kind) {
      case NcclKind::all_reduce:
        if (rank == 0) reduce(0, own.count, sum.data());
        break;
      case NcclKind::reduce_scatter:
        reduce(rank * own.count, own.count, bytes(own.out));
        break;
      case NcclKind::all_gather:
        for (std::size_t from = 0; from < seats.size(); ++from)
          std::memmove(bytes(own.out) + from * block, seats[from]->in, block);
        break;
      case NcclKind::broadcast:
        std::memmove(own.out, seats[static_cast<std::size_t>(own.peer)]->in, block);
        break;
      case NcclKind::message:
        if (rank == 1) std::memmove(own.out, first.in, block);
        break;
    }
  }
  if (first.kind == NcclKind::all_reduce)
    for (const auto& own : seats) std::memcpy(own->out, sum.data(), block);
}

void NcclMeeting::reduce(std::size_t begin, std::size_t count, std::byte* out) const {
  const NcclOp& first = *seats.front();
  std::vector<const std::byte*> x;
  for (const auto& own : seats) x.push_back(bytes(own->in) + begin * bytes_of(first.type));
  switch (first.type) {
    case ncclUint8:
      return reduce_as<std::uint8_t, std::uint8_t>(first.op, x, count, out);
    case ncclInt32:
      return reduce_as<std::int32_t, std::int32_t>(first.op, x, count, out);
    case ncclInt64:
      return reduce_as<std::int64_t, std::int64_t>(first.op, x, count, out);
    case ncclFloat32:
      return reduce_as<float, float>(first.op, x, count, out);
    case ncclFloat64:
      return reduce_as<double, double>(first.op, x, count, out);
    case ncclBfloat16:
      return reduce_as<__nv_bfloat16, float>(first.op, x, count, out);
    case ncclFloat16:
      return reduce_as<__half, float>(first.op, x, count, out);
  }
}

}  // namespace fusor::emulator

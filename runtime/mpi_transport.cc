#include "runtime/mpi_transport.h"

#include <algorithm>
#include <exception>

#include "runtime/handle.h"
#include "runtime/mpi_flight.h"
#include "runtime/reduce.h"

namespace fusor {
namespace {

// Freeing a communicator is itself a collective. While an exception unwinds this rank the others
// may never join it, so leak: the catch in main ends the whole job.
void release(MPI_Comm comm) noexcept {
  int finalized = 0;
  MPI_Finalized(&finalized);
  if (!finalized && std::uncaught_exceptions() == 0) MPI_Comm_free(&comm);
}
using MpiComm = Handle<MPI_Comm, release>;

int rank_of(MPI_Comm comm) {
  int rank = 0;
  check_mpi(MPI_Comm_rank(comm, &rank));
  return rank;
}

int num_ranks(MPI_Comm comm) {
  int size = 0;
  check_mpi(MPI_Comm_size(comm, &size));
  return size;
}

class MpiTransport final : public Transport {
 public:
  MpiTransport(MpiComm comm, std::string name, int max_count)
      : Transport(rank_of(comm.get()), num_ranks(comm.get()), std::move(name)),
        comm_(std::move(comm)),
        max_count_(max_count) {
    check_mpi(MPI_Comm_set_errhandler(comm_.get(), MPI_ERRORS_RETURN));
  }

  std::unique_ptr<Transport> split(const std::vector<int>& colors, std::string name) override {
    const bool alone = same_color(colors).size() == 1;
    const int color = alone ? MPI_UNDEFINED : colors[static_cast<std::size_t>(rank())];
    MPI_Comm part = MPI_COMM_NULL;
    check_mpi(MPI_Comm_split(comm_.get(), color, rank(), &part), "split of " + this->name());
    if (alone) return self_transport(std::move(name));
    return std::make_unique<MpiTransport>(MpiComm(part), std::move(name), max_count_);
  }

  void progress() noexcept override {
    if (!airborne_->empty()) airborne_->front()->advance();
  }

 private:
  Pending start(CommCall call) override {
    require(!call.in.defined() || (call.in.device().kind() == DeviceKind::cpu &&
                                   call.out.device().kind() == DeviceKind::cpu),
            describe(call), ": MPI moves host tensors only");
    std::string label = describe(call);
    auto flight = std::make_unique<MpiFlight>(airborne_, std::move(call), std::move(label));
    check_mpi(post(*flight), flight->label());
    return Pending(std::move(flight));
  }

  int post(MpiFlight& flight) {
    const CommCall& call = flight.call();
    switch (call.kind) {
      case CommKind::all_reduce:
        return all_reduce(flight);
      case CommKind::all_gather:
        return all_gather(flight);
      case CommKind::reduce_scatter:
        return reduce_scatter(flight);
      case CommKind::all_to_all: {
        const MpiBytes block(call.in.bytes() / ranks(), max_count_);
        return MPI_Ialltoall(call.in.raw(), block.count, block.type, call.out.raw(), block.count,
                             block.type, comm_.get(), flight.new_request());
      }
      case CommKind::broadcast: {
        const MpiBytes all(call.in.bytes(), max_count_);
        return MPI_Ibcast(call.in.raw(), all.count, all.type, call.peer, comm_.get(),
                          flight.new_request());
      }
      case CommKind::send: {
        const MpiBytes all(call.in.bytes(), max_count_);
        return MPI_Isend(call.in.raw(), all.count, all.type, call.peer, kTag, comm_.get(),
                         flight.new_request());
      }
      case CommKind::recv: {
        const MpiBytes all(call.out.bytes(), max_count_);
        return MPI_Irecv(call.out.raw(), all.count, all.type, call.peer, kTag, comm_.get(),
                         flight.new_request());
      }
      case CommKind::barrier:
        break;
    }
    return MPI_Ibarrier(comm_.get(), flight.new_request());
  }

  int all_reduce(MpiFlight& flight) {
    const CommCall& call = flight.call();
    const auto [type, op] = mpi_reduction(call.in.dtype(), call.op);
    const std::int64_t n = call.in.size();
    const std::size_t width = size_of(call.in.dtype());
    for (std::int64_t begin = 0; begin < n; begin += max_count_) {
      const auto count = static_cast<int>(std::min<std::int64_t>(max_count_, n - begin));
      std::byte* const piece = call.in.raw() + static_cast<std::size_t>(begin) * width;
      const int status =
          MPI_Iallreduce(MPI_IN_PLACE, piece, count, type, op, comm_.get(), flight.new_request());
      if (status != MPI_SUCCESS) return status;
    }
    return MPI_SUCCESS;
  }

  int all_gather(MpiFlight& flight) {
    const CommCall& call = flight.call();
    const MpiBytes block(call.in.bytes(), max_count_);
    const bool in_place =
        call.in.raw() == call.out.raw() + static_cast<std::size_t>(rank()) * call.in.bytes();
    return MPI_Iallgather(in_place ? MPI_IN_PLACE : call.in.raw(), block.count, block.type,
                          call.out.raw(), block.count, block.type, comm_.get(),
                          flight.new_request());
  }

  // Exchanges the blocks, then sums them here: faster than MPI_Ireduce_scatter_block, in rank
  // order, and 16-bit types are rounded once.
  int reduce_scatter(MpiFlight& flight) {
    const CommCall& call = flight.call();
    std::byte* const parts = flight.new_staging(call.in.bytes());
    flight.when_complete([this_size = ranks(), parts, &call] {
      std::vector<const std::byte*> blocks;
      for (std::size_t r = 0; r < this_size; ++r) blocks.push_back(parts + r * call.out.bytes());
      std::byte* const out[] = {call.out.raw()};
      reduce_in_order(call.out.dtype(), call.op, blocks, out, call.out.size());
    });
    const MpiBytes block(call.out.bytes(), max_count_);
    return MPI_Ialltoall(call.in.raw(), block.count, block.type, parts, block.count, block.type,
                         comm_.get(), flight.new_request());
  }

  std::size_t ranks() const { return static_cast<std::size_t>(size()); }

  static constexpr int kTag = 0;  // one: messages of two ranks match in order
  MpiComm comm_;
  int max_count_;
  std::shared_ptr<MpiFlight::Airborne> airborne_ = std::make_shared<MpiFlight::Airborne>();
};

}  // namespace

void check_mpi(int status, const std::string& what, std::source_location at) {
  if (status == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING];
  int length = 0;
  MPI_Error_string(status, text, &length);
  raise(what + ": " + std::string(text, static_cast<std::size_t>(length)), at);
}

std::unique_ptr<Transport> mpi_transport(MPI_Comm comm, std::string name, int max_count) {
  MPI_Comm own = MPI_COMM_NULL;
  check_mpi(MPI_Comm_dup(comm, &own));
  return std::make_unique<MpiTransport>(MpiComm(own), std::move(name), max_count);
}

}  // namespace fusor

#include "nccl.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <utility>

#include "emulated/nccl_control.h"
#include "tests/emulator/machine.h"
#include "tests/emulator/nccl_meeting.h"

namespace fusor::emulator {
namespace {

constexpr int kPolls = 3;  // of the asynchronous error, before what was asked for is done

// What the ranks of a communicator share.
struct Clique {
  std::size_t size = 0, joined = 0, finalized = 0;
  ncclResult_t error = ncclSuccess;                 // of all ranks
  using Key = std::tuple<int, int, std::uint64_t>;  // from and to, -1 of collectives; which one
  std::map<Key, std::shared_ptr<NcclMeeting>> open;
};

}  // namespace
}  // namespace fusor::emulator

using namespace fusor::emulator;

struct ncclComm : std::enable_shared_from_this<ncclComm> {
  std::shared_ptr<Clique> clique;
  int rank = 0;
  bool finalized = false, aborted = false;
  int polls = kPolls;                                         // left
  std::vector<std::function<void()>> waiting;                 // what goes on a stream after them
  std::map<std::tuple<int, int, bool>, std::uint64_t> calls;  // come to, by from, to, sends
};

namespace fusor::emulator {
namespace {

// All under the machine's lock.
struct Library {
  int ids = 0;
  std::map<std::string, std::weak_ptr<Clique>> cliques;  // by id
  std::map<ncclComm*, std::shared_ptr<ncclComm>> comms;
  NcclCounts counts;
};
Library& library() {
  static auto& it = *new Library;
  return it;
}

thread_local ncclResult_t injected = ncclSuccess;
thread_local const char* last_error = "";
struct Grouped {
  int depth = 0;
  ncclComm_t comm = nullptr;
  cudaStream_t stream = nullptr;
  std::vector<NcclOp> ops;
};
thread_local Grouped grouped;

ncclResult_t refused(const char* why, ncclResult_t result = ncclInvalidUsage) {
  last_error = why;
  return result;
}

template <class F>
ncclResult_t with_comm(ncclComm_t comm, F&& f) {
  ncclResult_t result = ncclSuccess;
  const cudaError_t status = call(During::allowed, [&](Machine& m) {
    const auto found = library().comms.find(comm);
    result = found == library().comms.end() ? refused("a communicator that does not exist")
                                            : f(m, *found->second);
  });
  return status == cudaSuccess ? result : ncclUnhandledCudaError;
}

// What lies on a stream: done when all its ranks have come, or when the communicator is aborted.
class Step {
 public:
  Step(std::shared_ptr<ncclComm> comm, std::vector<NcclOp> ops)
      : comm_(std::move(comm)), ops_(std::move(ops)) {}
  bool operator()() {
    if (comm_->aborted) return true;
    if (comm_->clique->error != ncclSuccess) return false;
    if (meetings_.empty())
      for (const NcclOp& op : ops_) arrive(op);
    if (!std::ranges::all_of(meetings_, [](const auto& meeting) { return meeting->complete; }))
      return false;
    meetings_.clear();  // a graph runs it again
    return true;
  }

 private:
  void arrive(const NcclOp& op) {
    const bool message = op.kind == NcclKind::message;
    const int rank = comm_->rank;
    const auto ends = !message ? std::pair(-1, -1)
                      : op.in  ? std::pair(rank, op.peer)
                               : std::pair(op.peer, rank);
    Clique& clique = *comm_->clique;
    const Clique::Key key(ends.first, ends.second,
                          comm_->calls[{ends.first, ends.second, op.in != nullptr}]++);
    auto& meeting = clique.open[key];
    if (!meeting) meeting = std::make_shared<NcclMeeting>(message ? 2 : clique.size);
    meetings_.push_back(meeting);
    const std::size_t seat = message ? (op.in ? 0 : 1) : static_cast<std::size_t>(rank);
    NcclOp seated = op;
    if (message) seated.peer = -1;
    if (!meetings_.back()->arrive(seat, seated)) clique.error = ncclInvalidUsage;
    if (meetings_.back()->complete) clique.open.erase(key);
  }

  std::shared_ptr<ncclComm> comm_;
  std::vector<NcclOp> ops_;
  std::vector<std::shared_ptr<NcclMeeting>> meetings_;
};

ncclResult_t issue(ncclComm_t comm, cudaStream_t stream, std::vector<NcclOp> ops) {
  return with_comm(comm, [&](Machine& m, ncclComm& c) {
    if (c.polls > 0) return refused("a call on a communicator that is busy");
    if (c.finalized) return refused("a call on a communicator that is finalized");
    for (const NcclOp& op : ops)
      if (op.peer >= static_cast<int>(c.clique->size)) return refused("no such rank");
    stream_of(m, stream);
    c.polls = kPolls;
    c.waiting.push_back([=, &m, step = Step(c.shared_from_this(), std::move(ops))] {
      queue_meeting(stream_of(m, stream), step);
    });
    return ncclInProgress;
  });
}

ncclResult_t issue_or_group(ncclComm_t comm, cudaStream_t stream, const NcclOp& op) {
  if (grouped.depth == 0) return issue(comm, stream, {op});
  if (!grouped.ops.empty() && (grouped.comm != comm || grouped.stream != stream))
    return refused("a group over several communicators or streams is not emulated");
  grouped.comm = comm, grouped.stream = stream;
  grouped.ops.push_back(op);
  return ncclInProgress;
}

}  // namespace

void fail_nccl(ncclResult_t error) { injected = error; }
NcclCounts nccl_counts() {
  NcclCounts counts;
  call(During::allowed, [&](Machine&) { counts = library().counts; });
  return counts;
}

}  // namespace fusor::emulator

const char* ncclGetErrorString(ncclResult_t result) {
  switch (result) {
    case ncclSuccess:
      return "no error";
    case ncclUnhandledCudaError:
      return "unhandled cuda error";
    case ncclSystemError:
      return "unhandled system error";
    case ncclInternalError:
      return "internal error";
    case ncclInvalidArgument:
      return "invalid argument";
    case ncclInvalidUsage:
      return "invalid usage";
    case ncclRemoteError:
      return "remote process exited or there was a network error";
    case ncclInProgress:
      return "NCCL operation in progress";
  }
  return "unknown result code";
}
const char* ncclGetLastError(ncclComm_t) { return last_error; }

ncclResult_t ncclGetVersion(int* version) {
  *version = 22809;
  return ncclSuccess;
}

ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  *id = {};
  const cudaError_t status = call(During::allowed, [=](Machine&) {
    std::snprintf(id->internal, sizeof id->internal, "id %d", ++library().ids);
  });
  return status == cudaSuccess ? ncclSuccess : ncclUnhandledCudaError;
}

ncclResult_t ncclCommInitRankConfig(ncclComm_t* comm, int size, ncclUniqueId id, int rank,
                                    ncclConfig_t* config) {
  if (config->magic != kNcclConfigMagic || config->blocking != 0)
    return refused("only communicators that do not block are emulated");
  ncclResult_t result = ncclInProgress;
  const cudaError_t status = call(During::allowed, [&](Machine&) {
    std::weak_ptr<Clique>& known = library().cliques[id.internal];
    auto clique = known.lock();
    if (!clique) known = clique = std::make_shared<Clique>();
    clique->size = static_cast<std::size_t>(size);
    if (rank < 0 || rank >= size || ++clique->joined > clique->size)
      result = refused("a rank that is not among those of the communicator");
    auto made = std::make_shared<ncclComm>();
    made->clique = std::move(clique);
    made->rank = rank;
    *comm = made.get();
    library().comms[made.get()] = made;
    ++library().counts.made;
  });
  return status == cudaSuccess ? result : ncclUnhandledCudaError;
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t* state) {
  return with_comm(comm, [&](Machine&, ncclComm& c) {
    const Clique& clique = *c.clique;
    *state = injected != ncclSuccess ? injected : clique.error;
    if (*state != ncclSuccess) return ncclSuccess;
    const bool others =
        clique.joined < clique.size || (c.finalized && clique.finalized < clique.size);
    if (!others && c.polls > 0 && --c.polls == 0)
      for (const auto& put : std::exchange(c.waiting, {})) put();
    *state = others || c.polls > 0 ? ncclInProgress : ncclSuccess;
    return ncclSuccess;
  });
}

ncclResult_t ncclCommFinalize(ncclComm_t comm) {
  return with_comm(comm, [](Machine&, ncclComm& c) {
    if (c.polls > 0) return refused("ncclCommFinalize of a communicator that is busy");
    c.finalized = true;
    c.polls = kPolls;
    ++c.clique->finalized;
    return ncclInProgress;
  });
}

ncclResult_t ncclCommDestroy(ncclComm_t comm) {
  return with_comm(comm, [](Machine&, ncclComm& c) {
    if (!c.finalized || c.polls > 0)
      return refused("ncclCommDestroy before ncclCommFinalize is done");
    ++library().counts.destroyed;
    library().comms.erase(&c);
    return ncclSuccess;
  });
}

ncclResult_t ncclCommAbort(ncclComm_t comm) {
  return with_comm(comm, [](Machine&, ncclComm& c) {
    c.aborted = true;
    c.waiting.clear();  // which holds the communicator
    c.clique->error = ncclRemoteError;
    ++library().counts.aborted;
    library().comms.erase(&c);
    return ncclSuccess;
  });
}

ncclResult_t ncclAllReduce(const void* in, void* out, std::size_t count, ncclDataType_t type,
                           ncclRedOp_t op, ncclComm_t comm, cudaStream_t stream) {
  return issue_or_group(comm, stream, {NcclKind::all_reduce, in, out, count, type, op});
}
ncclResult_t ncclAllGather(const void* in, void* out, std::size_t count, ncclDataType_t type,
                           ncclComm_t comm, cudaStream_t stream) {
  return issue_or_group(comm, stream, {NcclKind::all_gather, in, out, count, type});
}
ncclResult_t ncclReduceScatter(const void* in, void* out, std::size_t count, ncclDataType_t type,
                               ncclRedOp_t op, ncclComm_t comm, cudaStream_t stream) {
  return issue_or_group(comm, stream, {NcclKind::reduce_scatter, in, out, count, type, op});
}
ncclResult_t ncclBroadcast(const void* in, void* out, std::size_t count, ncclDataType_t type,
                           int root, ncclComm_t comm, cudaStream_t stream) {
  return issue_or_group(comm, stream, {NcclKind::broadcast, in, out, count, type, ncclSum, root});
}
ncclResult_t ncclSend(const void* in, std::size_t count, ncclDataType_t type, int peer,
                      ncclComm_t comm, cudaStream_t stream) {
  return issue_or_group(comm, stream, {NcclKind::message, in, nullptr, count, type, ncclSum, peer});
}
ncclResult_t ncclRecv(void* out, std::size_t count, ncclDataType_t type, int peer, ncclComm_t comm,
                      cudaStream_t stream) {
  return issue_or_group(comm, stream,
                        {NcclKind::message, nullptr, out, count, type, ncclSum, peer});
}

ncclResult_t ncclGroupStart() {
  ++grouped.depth;
  return ncclSuccess;
}
ncclResult_t ncclGroupEnd() {
  if (grouped.depth == 0) return refused("ncclGroupEnd without ncclGroupStart");
  if (--grouped.depth > 0 || grouped.ops.empty()) return ncclSuccess;
  return issue(grouped.comm, grouped.stream, std::exchange(grouped.ops, {}));
}

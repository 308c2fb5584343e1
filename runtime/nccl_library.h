#pragma once
#include <nccl.h>

#include <source_location>
#include <string>

// NCCL as far as Fusor uses it. Included by sources of the CUDA build alone.
namespace fusor {

// The library's functions. A table, so that tests can put others in their place.
struct NcclLibrary {
  std::string file;
  int version = 0;  // as NCCL counts: 22809 is 2.28.9
  decltype(&ncclGetUniqueId) get_unique_id = nullptr;
  decltype(&ncclCommInitRankConfig) comm_init_rank_config = nullptr;
  decltype(&ncclCommGetAsyncError) comm_get_async_error = nullptr;
  decltype(&ncclCommFinalize) comm_finalize = nullptr;
  decltype(&ncclCommDestroy) comm_destroy = nullptr;
  decltype(&ncclCommAbort) comm_abort = nullptr;
  decltype(&ncclGetErrorString) get_error_string = nullptr;
  decltype(&ncclGetLastError) get_last_error = nullptr;
  decltype(&ncclAllReduce) all_reduce = nullptr;
  decltype(&ncclAllGather) all_gather = nullptr;
  decltype(&ncclReduceScatter) reduce_scatter = nullptr;
  decltype(&ncclBroadcast) broadcast = nullptr;
  decltype(&ncclSend) send = nullptr;
  decltype(&ncclRecv) recv = nullptr;
  decltype(&ncclGroupStart) group_start = nullptr;
  decltype(&ncclGroupEnd) group_end = nullptr;
};

NcclLibrary load_nccl();  // as nccl_library(), but each time anew

// The process's, loaded at the first call. Throws Error where there is none, or one that is too old
// or has a known fault.
const NcclLibrary& nccl_library();

// Why a library of this version is not to be used; empty if it may be.
std::string nccl_refusal(int version);

// Throws Error with NCCL's own text unless status is ncclSuccess or, of a call that goes on in the
// background, ncclInProgress; `what` leads the message. PeerFailed where another rank is the cause.
void check_nccl(ncclResult_t status, const NcclLibrary& library, const std::string& what,
                std::source_location at = std::source_location::current());

}  // namespace fusor

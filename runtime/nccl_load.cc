#include "runtime/error.h"
#include "runtime/nccl_library.h"
#include "runtime/shared_library.h"

namespace fusor {

NcclLibrary load_nccl() {
  const SharedLibrary library({"libnccl.so.2"});
  NcclLibrary to;
  to.file = library.file();
  const auto find = [&]<class F>(F*& function, const char* name) {
    function = library.function<F>(name);
  };
  decltype(&ncclGetVersion) get_version = nullptr;
  find(get_version, "ncclGetVersion");
  check_nccl(get_version(&to.version), to, "ncclGetVersion");
  const std::string refusal = nccl_refusal(to.version);
  if (!refusal.empty()) raise(to.file + ": " + refusal);
  find(to.get_unique_id, "ncclGetUniqueId");
  find(to.comm_init_rank_config, "ncclCommInitRankConfig");
  find(to.comm_get_async_error, "ncclCommGetAsyncError");
  find(to.comm_finalize, "ncclCommFinalize");
  find(to.comm_destroy, "ncclCommDestroy");
  find(to.comm_abort, "ncclCommAbort");
  find(to.get_error_string, "ncclGetErrorString");
  find(to.get_last_error, "ncclGetLastError");
  find(to.all_reduce, "ncclAllReduce");
  find(to.all_gather, "ncclAllGather");
  find(to.reduce_scatter, "ncclReduceScatter");
  find(to.broadcast, "ncclBroadcast");
  find(to.send, "ncclSend");
  find(to.recv, "ncclRecv");
  find(to.group_start, "ncclGroupStart");
  find(to.group_end, "ncclGroupEnd");
  return to;
}

}  // namespace fusor

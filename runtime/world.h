#pragma once
#include <functional>
#include <string>

#include "runtime/transport.h"

namespace fusor {

// All ranks of the run, and this one's place among them.
class World {
 public:
  // Joins the job that mpirun or srun --mpi=pmix started, or stands alone (without touching MPI)
  // when started bare. To be called once, early, by the thread that will communicate: it sets what
  // MPI and OpenMP read at start-up, unless the user already has (see launcher.h). Throws Error
  // with the cause if this is one of many tasks that MPI cannot join.
  static World join();
  // Rank `rank` of `size` that are threads of this process: see run_ranks.
  World(Group group, std::string host, int local_rank, int local_size);
  World(World&&) noexcept;
  World& operator=(World&&) = delete;
  // Leaves MPI, which waits for all ranks; while unwinding it does not, since the others may never
  // come. Groups that outlive the world cannot communicate.
  ~World();

  const Group& group() const { return group_; }
  int rank() const { return group_.rank(); }
  int size() const { return group_.size(); }
  const std::string& host() const { return host_; }
  int local_rank() const { return local_rank_; }  // among the ranks of this host
  int local_size() const { return local_size_; }
  // OpenMP threads for this rank: OMP_NUM_THREADS if set, else usable cores / ranks of this host.
  int threads() const { return threads_; }

 private:
  World() = default;
  Group group_;
  std::string host_;
  int local_rank_ = 0, local_size_ = 1, threads_ = 1;
  bool owns_mpi_ = false;
};

// Runs main(world) on `size` threads, each a rank. When one throws, the others are released from
// whatever they wait for; rethrows the first error, its message led by "rank R: ".
void run_ranks(int size, const std::function<void(World&)>& main);

// Prints one line, "fusor: rank 3 on host n01: MESSAGE" ("fusor: MESSAGE" when alone), to stderr
// and ends every rank of the job with exit status 1.
[[noreturn]] void abort_job(const std::string& message) noexcept;

}  // namespace fusor

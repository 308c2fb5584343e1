#pragma once
#include <functional>
#include <vector>

// What the launcher tells a rank by its environment, before MPI is up, and the cores it may use.
namespace fusor {

using Environment = std::function<const char*(const char*)>;  // as std::getenv

struct Launch {
  bool mpi = false;  // one rank of a job; else alone
  // What is known before MPI is up: 0 where the launcher does not say.
  int size = 1, local_size = 1;
  int local_rank = 0;
  bool one_host = true;
  bool default_binding = false;  // mpirun chose this rank's cores, not the user
};

// By mpirun, srun --mpi=pmix, or nothing. Throws Error if this is one of several tasks of a
// launcher that gives MPI nothing to join by: each would run alone.
Launch detect_launch(const Environment&);

// Sets what makes MPI start fast and run at full speed, where the environment does not say
// otherwise. Ranks of one host need shared memory only (without probing networks a job starts in
// half the time). A rank yields its core while it waits: where there is other work for the core,
// the rank that is waited for runs sooner (else a small all-reduce takes the scheduler's time
// slice, 8 ms, instead of 10 us), and where there is none, it costs nothing that can be measured.
void prepare_mpi(const Launch&);

// The cores that all ranks of this host share: of the launcher rather than of this rank, which may
// be bound to one of them.
std::vector<int> host_cores();

// mpirun binds two ranks to one core each even where each could have half of many. A rank so bound
// by default takes its share of the host's cores. Threads made later inherit it.
void widen_binding(const Launch&, const std::vector<int>& host_cores);

// OMP_NUM_THREADS if set, else this rank's share of the host's cores, or the cores it is bound to
// where they are fewer. How idle threads wait is left to libgomp, which reads OMP_WAIT_POLICY when
// it is loaded: its default suits ranks that do not share their cores, as these do not.
int threads_per_rank(int local_size, int host_cores);

}  // namespace fusor

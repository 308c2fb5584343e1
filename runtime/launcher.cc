#include "runtime/launcher.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <string_view>
#include <utility>

#include "runtime/error.h"

namespace fusor {
namespace {

// A number from the environment; `otherwise` where there is none.
int number(const Environment& env, const char* name, int otherwise) {
  const char* text = env(name);
  if (text == nullptr) return otherwise;
  const std::string_view digits(text);
  int value = otherwise;
  std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return value;
}

Launch from_mpirun(const Environment& env) {
  Launch launch;
  launch.size = number(env, "OMPI_COMM_WORLD_SIZE", 1);
  launch.mpi = launch.size > 1;
  launch.local_size = number(env, "OMPI_COMM_WORLD_LOCAL_SIZE", launch.size);
  launch.local_rank = number(env, "OMPI_COMM_WORLD_LOCAL_RANK", 0);
  launch.one_host = launch.local_size == launch.size;
  launch.default_binding = env("OMPI_MCA_orte_bound_at_launch") != nullptr &&
                           env("OMPI_MCA_hwloc_base_binding_policy") == nullptr;
  return launch;
}

Launch from_pmix(const Environment& env) {
  const int nodes = number(env, "SLURM_STEP_NUM_NODES", 0);
  Launch launch;
  launch.mpi = true;
  launch.size = number(env, "SLURM_STEP_NUM_TASKS", 0);
  launch.one_host = nodes == 1;
  launch.local_size = nodes > 0 ? (launch.size + nodes - 1) / nodes : 0;
  launch.local_rank = number(env, "SLURM_LOCALID", 0);
  return launch;
}

std::vector<int> cores_of(pid_t process) {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> cores;
  if (sched_getaffinity(process, sizeof set, &set) != 0) return cores;
  for (int core = 0; core < CPU_SETSIZE; ++core)
    if (CPU_ISSET(core, &set)) cores.push_back(core);
  return cores;
}

// Cores' worth of time that a container may use: "200000 100000" in cpu.max is 2, "max" no limit.
int quota_cores() {
  std::ifstream file("/sys/fs/cgroup/cpu.max");
  double quota = 0, period = 0;
  if (!(file >> quota >> period) || period <= 0) return CPU_SETSIZE;
  return std::max(1, static_cast<int>(quota / period + 0.5));
}

void set_default(const char* name, const char* value) { setenv(name, value, /*overwrite=*/0); }

}  // namespace

Launch detect_launch(const Environment& env) {
  if (env("OMPI_COMM_WORLD_SIZE") != nullptr) return from_mpirun(env);
  if (env("PMIX_RANK") != nullptr) return from_pmix(env);
  // Set by srun for its tasks, but not for a batch script, which may well run a program alone.
  const int tasks = number(env, "SLURM_STEP_NUM_TASKS", 1);
  require(tasks <= 1, "started by srun without --mpi=pmix: each of the ", tasks,
          " tasks would run alone; use srun --mpi=pmix or mpirun");
  const int processes = number(env, "PMI_SIZE", 1);
  require(processes <= 1, "started by a launcher of another MPI: each of the ", processes,
          " processes would run alone; use Open MPI's mpirun or srun --mpi=pmix");
  return {};
}

void prepare_mpi(const Launch& launch) {
  if (launch.one_host) {
    set_default("OMPI_MCA_pml", "ob1");
    set_default("OMPI_MCA_btl", "self,vader");
  }
  set_default("OMPI_MCA_mpi_yield_when_idle", "1");
}

std::vector<int> host_cores() {
  std::vector<int> cores = cores_of(0), launchers = cores_of(getppid());
  if (launchers.size() > cores.size()) cores = std::move(launchers);
  const int limit = std::min(quota_cores(), number(std::getenv, "SLURM_CPUS_ON_NODE", CPU_SETSIZE));
  if (std::cmp_less(limit, cores.size()))
    cores.resize(static_cast<std::size_t>(std::max(limit, 1)));
  return cores;
}

void widen_binding(const Launch& launch, const std::vector<int>& host_cores) {
  if (!launch.default_binding || launch.local_size < 1) return;
  const std::size_t share = host_cores.size() / static_cast<std::size_t>(launch.local_size);
  if (share <= cores_of(0).size()) return;
  cpu_set_t set;
  CPU_ZERO(&set);
  for (std::size_t i = 0; i < share; ++i)
    CPU_SET(host_cores[static_cast<std::size_t>(launch.local_rank) * share + i], &set);
  check_errno(sched_setaffinity(0, sizeof set, &set) == 0, "cannot widen the cores of this rank");
}

int threads_per_rank(int local_size, int host_cores) {
  const int set = number(std::getenv, "OMP_NUM_THREADS", 0);
  if (set > 0) return set;
  const auto bound = static_cast<int>(cores_of(0).size());
  return std::max(1, std::min(bound, host_cores / std::max(local_size, 1)));
}

}  // namespace fusor

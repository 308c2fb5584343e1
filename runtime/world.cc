#include "runtime/world.h"

#include <mpi.h>
#include <omp.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <thread>
#include <tuple>
#include <utility>

#include "runtime/launcher.h"
#include "runtime/mpi_transport.h"
#include "runtime/threads_transport.h"

namespace fusor {
namespace {

std::string host_name() {
  char name[256] = {};
  check_errno(gethostname(name, sizeof name - 1) == 0, "cannot read the name of this host");
  return name;
}

// Who speaks in abort_job: set once by World::join.
struct Speaker {
  std::mutex mutex;
  std::string prefix = "fusor: ";
};
Speaker& speaker() {
  static auto& one = *new Speaker;
  return one;
}

void start_mpi() {
  int provided = MPI_THREAD_SINGLE;
  check_mpi(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_MULTIPLE, &provided), "MPI cannot start");
  check_mpi(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN));
  require(provided >= MPI_THREAD_FUNNELED, "this MPI does not allow programs with threads");
}

// This rank's place among those that share its memory: {rank, size}.
std::pair<int, int> place_on_host() {
  MPI_Comm local = MPI_COMM_NULL;
  check_mpi(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &local));
  int rank = 0, size = 1;
  check_mpi(MPI_Comm_rank(local, &rank));
  check_mpi(MPI_Comm_size(local, &size));
  check_mpi(MPI_Comm_free(&local));
  return {rank, size};
}

// The failure of a job whose ranks are threads: the first, but one caused by another only if there
// is no other.
class FirstFailure {
 public:
  void record(int rank, std::exception_ptr error, bool caused) {
    const std::lock_guard lock(mutex_);
    if (error_ && !(caused_ && !caused)) return;
    rank_ = rank, error_ = std::move(error), caused_ = caused;
  }
  void rethrow() const {
    if (!error_) return;
    const std::string prefix = "rank " + std::to_string(rank_) + ": ";
    try {
      std::rethrow_exception(error_);
    } catch (const Error& error) {
      raise(prefix + error.what(), error.where());
    } catch (const std::exception& error) {
      raise(prefix + error.what());
    }
  }

 private:
  std::mutex mutex_;
  int rank_ = -1;
  std::exception_ptr error_;
  bool caused_ = false;
};

}  // namespace

World World::join() {
  static std::atomic<bool> joined = false;
  require(!joined.exchange(true), "a process joins its job once");
  const Launch launch = detect_launch(std::getenv);
  const std::vector<int> cores = host_cores();
  const auto num_cores = static_cast<int>(cores.size());
  widen_binding(launch, cores);
  World world;
  world.host_ = host_name();
  if (launch.mpi) {
    prepare_mpi(launch);
    start_mpi();
    world.owns_mpi_ = true;
    world.group_ = Group(mpi_transport(MPI_COMM_WORLD, "world"));
    std::tie(world.local_rank_, world.local_size_) = place_on_host();
    const std::lock_guard lock(speaker().mutex);
    speaker().prefix =
        "fusor: rank " + std::to_string(world.rank()) + " on host " + world.host_ + ": ";
  } else {
    world.group_ = Group(self_transport("world"));
  }
  world.threads_ = threads_per_rank(world.local_size_, num_cores);
  omp_set_num_threads(world.threads_);
  return world;
}

World::World(Group group, std::string host, int local_rank, int local_size)
    : group_(std::move(group)),
      host_(std::move(host)),
      local_rank_(local_rank),
      local_size_(local_size),
      threads_(threads_per_rank(local_size, static_cast<int>(host_cores().size()))) {}

World::World(World&& other) noexcept
    : group_(std::move(other.group_)),
      host_(std::move(other.host_)),
      local_rank_(other.local_rank_),
      local_size_(other.local_size_),
      threads_(other.threads_),
      owns_mpi_(std::exchange(other.owns_mpi_, false)) {}

World::~World() {
  if (!owns_mpi_ || std::uncaught_exceptions() != 0) return;
  group_ = Group();
  MPI_Finalize();
}

void run_ranks(int size, const std::function<void(World&)>& main) {
  const ThreadRanks ranks(size);
  const std::string host = host_name();
  FirstFailure failure;
  const auto body = [&](int rank) {
    try {
      World world(Group(ranks.transport(rank)), host, rank, size);
      omp_set_num_threads(world.threads());
      main(world);
      return;
    } catch (const PeerFailed&) {
      failure.record(rank, std::current_exception(), true);
    } catch (...) {
      failure.record(rank, std::current_exception(), false);
    }
    ranks.fail();
  };
  {
    std::vector<std::jthread> threads;
    for (int rank = 0; rank < size; ++rank) threads.emplace_back(body, rank);
  }
  failure.rethrow();
}

void abort_job(const std::string& message) noexcept {
  std::string line;
  {
    const std::lock_guard lock(speaker().mutex);
    line = speaker().prefix + message;
  }
  std::ranges::replace(line, '\n', ' ');
  line += '\n';
  std::fflush(nullptr);
  // One write, so that the lines of several ranks do not mix.
  [[maybe_unused]] const auto written = write(STDERR_FILENO, line.data(), line.size());
  int initialized = 0, finalized = 0;
  MPI_Initialized(&initialized);
  MPI_Finalized(&finalized);
  if (initialized && !finalized) MPI_Abort(MPI_COMM_WORLD, 1);
  std::_Exit(1);
}

}  // namespace fusor

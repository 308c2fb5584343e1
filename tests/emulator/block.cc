#include "tests/emulator/block.h"

#include <boost/context/fiber.hpp>
#include <boost/context/protected_fixedsize_stack.hpp>
#include <cstring>
#include <deque>
#include <exception>
#include <memory>
#include <sstream>
#include <utility>
#include <vector>

#include "tests/emulator/sanitizer.h"

constinit thread_local uint3 threadIdx{}, blockIdx{};
constinit thread_local dim3 blockDim, gridDim;

namespace fusor::ops::cuda {
inline constexpr std::size_t kBehind = 256;  // bytes behind what a block asked for, watched
alignas(
    128) constinit thread_local unsigned char dynamic_shared_bytes[emulator::kMostShared + kBehind];
}  // namespace fusor::ops::cuda

namespace fusor::emulator {
namespace {

using Fiber = boost::context::fiber;
struct Abandoned {};  // unwinds a fiber whose block has failed

class Worker;
enum class State { unstarted, running, at_block, at_warp, finished };
struct Thread {
  uint3 index;
  State state;
  const char* what;  // it waits for
  unsigned mask;     // of lanes it waits for
  void* payload;
  Complete complete;
  Worker* worker;
};

// Memory of a stack is as new when it is given back: frames that never return leave traces in the
// sanitizer's books.
class Stacks {
 public:
  boost::context::stack_context allocate() { return pages_.allocate(); }
  void deallocate(boost::context::stack_context& stack) {
    allow(static_cast<char*>(stack.sp) - stack.size, stack.size);
    pages_.deallocate(stack);
  }

 private:
  boost::context::protected_fixedsize_stack pages_{256 << 10};
};

// A fiber that runs threads of blocks, one after the other while they meet nobody.
class Worker {
 public:
  Worker();
  ~Worker();
  void resume();   // called by the scheduler
  void suspend();  // called on the fiber
  bool closing = false;

 private:
  Fiber main(Fiber&& scheduler);
  Stacks stacks_;
  boost::context::stack_context stack_ = stacks_.allocate();
  Fiber self_, scheduler_;
  FiberSwitch switch_;
};

class Scheduler {
 public:
  void run(const std::function<void()>& body, bool reversed);
  void work(Worker&);  // on a fiber: starts threads until one has to wait
  void meet_block(const char* what, void* payload, void (*complete)(void* const*, int));
  void meet_warp(const char* what, unsigned mask, void* payload, Complete);
  int lane() const { return current_ % 32; }

 private:
  void begin(int thread);
  void wait();
  bool met(int first, unsigned mask) const;
  void abandon();
  std::string deadlock() const;
  std::string described(int thread) const;

  const std::function<void()>* body_ = nullptr;
  bool reversed_ = false, abandoning_ = false;
  int count_ = 0, started_ = 0, finished_ = 0, at_block_ = 0, current_ = 0;
  std::vector<Thread> threads_;
  std::vector<unsigned> waiting_;  // of each warp: lanes that wait for lanes
  std::vector<void*> payloads_;
  std::deque<int> ready_;
  std::exception_ptr fault_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<Worker*> idle_;
};
thread_local Scheduler scheduler;

Worker::Worker()
    : self_(std::allocator_arg, boost::context::preallocated(stack_.sp, stack_.size, stack_),
            stacks_, [this](Fiber&& from) { return main(std::move(from)); }),
      switch_(static_cast<char*>(stack_.sp) - stack_.size, stack_.size) {}
Worker::~Worker() {
  closing = true;
  resume();
}
void Worker::resume() {
  switch_.enter();
  self_ = std::move(self_).resume();
  switch_.entered_back();
}
void Worker::suspend() {
  switch_.leave();
  scheduler_ = std::move(scheduler_).resume();
  switch_.returned();
}
Fiber Worker::main(Fiber&& from) {
  switch_.returned();
  scheduler_ = std::move(from);
  while (!closing) {
    scheduler.work(*this);
    suspend();
  }
  switch_.leave_for_good();
  return std::move(scheduler_);
}

void Scheduler::run(const std::function<void()>& body, bool reversed) {
  body_ = &body;
  reversed_ = reversed;
  count_ = static_cast<int>(blockDim.x * blockDim.y * blockDim.z);
  started_ = finished_ = at_block_ = 0;
  threads_.resize(static_cast<std::size_t>(count_));
  waiting_.assign(static_cast<std::size_t>(count_ + 31) / 32, 0);
  for (int i = 0; i < count_; ++i) {
    const unsigned n = static_cast<unsigned>(i);
    threads_[n] = {};
    threads_[n].index = {n % blockDim.x, n / blockDim.x % blockDim.y, n / blockDim.x / blockDim.y};
  }
  while (finished_ < count_ && !fault_) {
    if (!ready_.empty()) {
      begin(ready_.front());
      ready_.pop_front();
      threads_[static_cast<std::size_t>(current_)].worker->resume();
    } else if (started_ < count_) {
      if (idle_.empty()) idle_.push_back(workers_.emplace_back(std::make_unique<Worker>()).get());
      Worker* const worker = idle_.back();
      idle_.pop_back();
      worker->resume();
    } else {
      fault_ = std::make_exception_ptr(KernelFault(deadlock()));
    }
  }
  if (fault_) abandon();
}

void Scheduler::begin(int thread) {
  Thread& t = threads_[static_cast<std::size_t>(thread)];
  current_ = thread;
  t.state = State::running;
  threadIdx = t.index;
}

void Scheduler::work(Worker& worker) {
  while (started_ < count_ && ready_.empty() && !fault_) {
    const int thread = reversed_ ? count_ - 1 - started_ : started_;
    ++started_;
    threads_[static_cast<std::size_t>(thread)].worker = &worker;
    begin(thread);
    try {
      (*body_)();
    } catch (const Abandoned&) {
      break;
    } catch (...) {
      fault_ = std::current_exception();
      break;
    }
    threads_[static_cast<std::size_t>(current_)].state = State::finished;
    ++finished_;
  }
  idle_.push_back(&worker);
}

// Lets the others run until somebody has released the current thread.
void Scheduler::wait() {
  Worker& worker = *threads_[static_cast<std::size_t>(current_)].worker;
  worker.suspend();
  if (abandoning_) throw Abandoned();
}

void Scheduler::meet_block(const char* what, void* payload, void (*complete)(void* const*, int)) {
  Thread& mine = threads_[static_cast<std::size_t>(current_)];
  mine.state = State::at_block, mine.what = what, mine.payload = payload;
  if (++at_block_ < count_) return wait();
  payloads_.clear();
  for (const Thread& t : threads_) {
    if (std::strcmp(t.what, what) != 0)
      throw KernelFault("threads of a block meet, some at " + std::string(t.what) +
                        " and some at " + what);
    payloads_.push_back(t.payload);
  }
  if (complete) complete(payloads_.data(), count_);
  at_block_ = 0;
  mine.state = State::running;
  for (int i = 0; i < count_; ++i)
    if (const int t = reversed_ ? count_ - 1 - i : i; t != current_) ready_.push_back(t);
}

// Whether all lanes of the warp that begins at thread `first` are there for the same.
bool Scheduler::met(int first, unsigned mask) const {
  const Thread& mine = threads_[static_cast<std::size_t>(current_)];
  if ((waiting_[static_cast<std::size_t>(first / 32)] & mask) != mask) return false;
  for (int i = 0; i < 32; ++i) {
    if (!(mask >> i & 1)) continue;
    const Thread& t = threads_[static_cast<std::size_t>(first + i)];
    if (t.mask != mask || t.complete != mine.complete || std::strcmp(t.what, mine.what) != 0)
      throw KernelFault(described(current_) + ", but " + described(first + i));
  }
  return true;
}

void Scheduler::meet_warp(const char* what, unsigned mask, void* payload, Complete complete) {
  const int first = current_ / 32 * 32;
  Thread& mine = threads_[static_cast<std::size_t>(current_)];
  mine.state = State::at_warp, mine.what = what, mine.mask = mask;
  mine.payload = payload, mine.complete = complete;
  if (!(mask >> lane() & 1)) throw KernelFault(described(current_) + " and is none of them");
  if (count_ - first < 32 && mask >> (count_ - first))
    throw KernelFault(described(current_) + ", but the block has only " + std::to_string(count_) +
                      " threads");
  unsigned& waiting = waiting_[static_cast<std::size_t>(first / 32)];
  waiting |= 1u << lane();
  if (!met(first, mask)) return wait();
  void* payloads[32] = {};
  for (int i = 0; i < 32; ++i)
    if (mask >> i & 1) payloads[i] = threads_[static_cast<std::size_t>(first + i)].payload;
  complete(payloads, mask);
  waiting &= ~mask;
  mine.state = State::running;
  for (int i = 0; i < 32; ++i) {  // before other warps: each goes as far ahead of them as it can
    const int l = reversed_ ? i : 31 - i;
    if ((mask >> l & 1) && first + l != current_) ready_.push_front(first + l);
  }
}

// Unwinds the fibers of a block that failed, so that they can serve the next.
void Scheduler::abandon() {
  abandoning_ = true;
  ready_.clear();
  for (Thread& t : threads_)
    if (t.state == State::at_block || t.state == State::at_warp) {
      bool busy = t.worker != nullptr;
      for (const Worker* idle : idle_) busy = busy && idle != t.worker;
      if (busy) t.worker->resume();
    }
  abandoning_ = false;
  std::rethrow_exception(std::exchange(fault_, nullptr));
}

std::string Scheduler::described(int thread) const {
  const Thread& t = threads_[static_cast<std::size_t>(thread)];
  std::ostringstream text;
  text << "thread " << thread;
  if (t.state == State::finished) text << " has exited";
  if (t.state == State::at_block) text << " waits for its block at " << t.what;
  if (t.state == State::at_warp)
    text << " waits for lanes 0x" << std::hex << t.mask << " at " << t.what;
  return text.str();
}

std::string Scheduler::deadlock() const {
  int waits = 0, missing = 0;
  while (threads_[static_cast<std::size_t>(waits)].state == State::finished) ++waits;
  const Thread& t = threads_[static_cast<std::size_t>(waits)];
  const auto is_missing = [&](int i) {
    const Thread& other = threads_[static_cast<std::size_t>(i)];
    if (t.state == State::at_block) return other.state != State::at_block;
    return i / 32 == waits / 32 && (t.mask >> i % 32 & 1) && other.state != State::at_warp;
  };
  while (missing < count_ && !is_missing(missing)) ++missing;
  if (missing == count_) return described(waits) + ", which wait for others";
  return described(waits) + ", but " + described(missing);
}

}  // namespace

void meet_block(const char* what, void* payload, void (*complete)(void* const*, int)) {
  scheduler.meet_block(what, payload, complete);
}
void meet_warp(const char* what, unsigned mask, void* payload, Complete complete) {
  scheduler.meet_warp(what, mask, payload, complete);
}
int lane() { return scheduler.lane(); }
void refuse_source(int lane, int source, unsigned mask) {
  std::ostringstream text;
  text << "lane " << lane << " reads lane " << source << ", which is none of lanes 0x" << std::hex
       << mask;
  throw KernelFault(text.str());
}

namespace {

// The shared memory of one block: poisoned, and watched behind its end.
class Shared {
 public:
  explicit Shared(std::size_t bytes) : bytes_(bytes) {
    std::memset(memory_, 0xff, bytes_ + ops::cuda::kBehind);
    forbid(memory_ + bytes_, sizeof(ops::cuda::dynamic_shared_bytes) - bytes_);
  }
  ~Shared() { allow(memory_, sizeof(ops::cuda::dynamic_shared_bytes)); }
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;
  void check() const {
    allow(memory_ + bytes_, ops::cuda::kBehind);
    for (std::size_t i = 0; i < ops::cuda::kBehind; ++i)
      if (memory_[bytes_ + i] != 0xff)
        throw KernelFault("it writes behind its " + std::to_string(bytes_) +
                          " bytes of dynamic shared memory");
  }

 private:
  unsigned char* memory_ = ops::cuda::dynamic_shared_bytes;
  std::size_t bytes_;
};

}  // namespace

void run_grid(dim3 blocks, dim3 threads, std::size_t shared, const std::function<void()>& thread,
              bool reversed) {
  gridDim = blocks, blockDim = threads;
  const std::uint64_t count = std::uint64_t{blocks.x} * blocks.y * blocks.z;
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t block = reversed ? count - 1 - i : i;
    blockIdx = {static_cast<unsigned>(block % blocks.x),
                static_cast<unsigned>(block / blocks.x % blocks.y),
                static_cast<unsigned>(block / blocks.x / blocks.y)};
    const Shared memory(shared);
    scheduler.run(thread, reversed);
    memory.check();
  }
}

}  // namespace fusor::emulator

#pragma once
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "cuda_runtime.h"
#include "tests/emulator/device_memory.h"

// What lies behind the calls: devices with their memory, queues of work, captures. One lock guards
// all of it and is held while work runs, since the ranks of a test may be threads.
namespace fusor::emulator {

// Thrown within a call; the call returns the code, and cudaGetErrorString gives the text.
struct Fault {
  cudaError_t code;
  std::string text;
};

// Thrown by work that waits for what another rank has not queued yet. A call that meets it lets all
// streams of all devices go as far as they can, as they do by themselves on a GPU, and goes on
// later; a query says that the work is not done.
struct NotReady {};

// One recording of an event.
struct Record {
  std::shared_ptr<CUstream_st> on;
  bool done = false;
};

// One piece of work of a stream; one of them is set.
struct Item {
  std::function<void()> run;
  std::function<bool()> meet;      // asked until true: work that several ranks do together
  std::shared_ptr<Record> record;  // is done now
  std::shared_ptr<Record> wait;    // must be done before
};

// Work that was recorded instead of run, in the order of the calls.
struct Node {
  std::function<void()> run;
  std::function<bool()> meet;   // as of an Item; only one of the two is set
  std::set<std::size_t> after;  // earlier nodes that must be done
};

struct Capture {
  CUstream_st* origin;
  cudaStreamCaptureMode mode;
  std::thread::id thread;
  std::vector<Node> nodes;
  std::vector<CUstream_st*> streams;
  bool valid = true;
};

struct Gpu {
  std::size_t capacity = 0, used = 0;
  DeviceMemory memory;
  std::shared_ptr<CUstream_st> null_stream;
  std::vector<std::shared_ptr<CUstream_st>> streams;  // destroyed ones too, while they hold work
  std::optional<Fault> broken;                        // by a kernel, until the reset
};

struct Machine {
  Machine();
  MachineLock lock;
  std::deque<Gpu> gpus;
  std::set<CUstream_st*> streams;
  std::set<CUevent_st*> events;
  std::set<CUgraph_st*> graphs;
  std::set<CUgraphExec_st*> graph_execs;
  std::map<std::uintptr_t, std::size_t> host;           // page-locked memory
  std::vector<std::shared_ptr<Capture>> captures;       // going on
  std::map<const void*, std::size_t> shared_of_kernel;  // bytes it asked for
  std::size_t most_shared;                              // bytes that a block can ask for
  bool reversed = false;
};
Machine& machine();

// What a call does to a capture that the calling thread must not disturb.
enum class During { allowed, refused };

// Every call: takes the lock, returns the error of a device that is broken, turns a Fault into its
// code and remembers both.
cudaError_t call(During, const std::function<void(Machine&)>& body);
cudaError_t remembered(const Fault&);
[[noreturn]] void fail(cudaError_t, const std::string& text);
void expect(bool ok, const std::string& text);  // else cudaErrorInvalidValue

Gpu& current_gpu(Machine&);
int current_device();
CUstream_st& stream_of(Machine&, cudaStream_t);   // a null one is the current device's
void queue(CUstream_st&, std::function<void()>);  // or recorded by its capture
void queue_meeting(CUstream_st&, std::function<bool()> meet);
void free_all(Gpu&);
void check_range(const Machine&, const void*, std::size_t bytes);

// Runs work that is queued; may throw NotReady.
void run_one(CUstream_st&);
void run_all(CUstream_st&);
void run_until(const Record&);
void run_device(Gpu&);
void run_what_can(Machine&);

void invalidate(Capture&);
// Throws if the stream is recording, and invalidates that.
void refuse_capturing(CUstream_st&, const char* what);

}  // namespace fusor::emulator

struct CUstream_st : std::enable_shared_from_this<CUstream_st> {
  int device = 0;
  std::deque<fusor::emulator::Item> items;
  std::shared_ptr<fusor::emulator::Capture> capture;  // null: not recording
  std::set<std::size_t> last;                         // its nodes that nothing of it follows
};
struct CUevent_st {
  int device = 0;
  bool timed = false;
  std::shared_ptr<fusor::emulator::Record> record;    // the last; null: none
  std::shared_ptr<fusor::emulator::Capture> capture;  // where it was recorded, if in one
  std::set<std::size_t> after;                        // nodes of that capture
};
struct CUgraph_st {
  std::vector<fusor::emulator::Node> nodes;
};
struct CUgraphExec_st {
  std::shared_ptr<const std::vector<fusor::emulator::Node>> nodes;
};

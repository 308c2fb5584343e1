#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iosfwd>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

// A device is where tensors live and operators run. The backends differ in where bytes come from:
//   heap    host memory, one allocation a tensor: tests and tools
//   arena   host memory, every allocation at the offset a rehearsal assigned it: runs
//   meta    no bytes at all; what is asked for and done is written to a trace: the rehearsal
//   cuda    memory of a GPU, one allocation a tensor or, given a plan, one arena
// Operators of a cuda device are queued on its one stream and run there in order; the host goes on.
struct CUstream_st;

namespace fusor {

struct Trace;       // runtime/trace.h
struct MemoryPlan;  // runtime/memory_plan.h

enum class DeviceKind : std::uint8_t { cpu, cuda, meta };
std::ostream& operator<<(std::ostream&, DeviceKind);

// What an allocation is for: a row of the ledger.
enum class Owner : std::uint8_t {
  weights,
  gradients,
  optimizer,
  activations,
  communication,
  workspace,
  input
};
inline constexpr int kNumOwners = 7;
std::string_view name_of(Owner);

// The work of one operator call: floating-point operations, and bytes that have to move when every
// operand is read once and every result written once.
struct Cost {
  double flops = 0, bytes = 0;
  bool aligned = true;  // matrix products: every row of an operand begins at 16 bytes
};

// Time that operators of a device have taken, for "time outside kernels" and rates.
struct KernelClock {
  double seconds = 0;
  double flops = 0;
  std::uint64_t calls = 0;
};

// Work of a device that can be queued again as it stands, as a CUDA graph: with the arguments and
// the addresses it was captured with, on what these addresses hold then.
class Captured {
 public:
  virtual ~Captured() = default;
  virtual void queue() = 0;
  virtual std::size_t size() const = 0;  // operators and copies
};

// One rank's backend. Not thread-safe: a rank drives its device from one thread.
class DeviceBackend {
 public:
  virtual ~DeviceBackend() = default;
  virtual DeviceKind kind() const = 0;

  struct Block {
    std::byte* data = nullptr;  // null on meta
    std::uint64_t id = 0;
    std::size_t bytes = 0;
  };
  virtual Block allocate(std::size_t bytes) = 0;
  virtual void release(const Block&) noexcept = 0;

  // Called around each operator; scope() tells the layer.
  virtual void op_begin(std::string_view op, const Cost&) = 0;
  virtual void op_end() {}

  // A program is a piece of the run that repeats with the same allocations ("micro", "update",
  // "eval"). What is allocated outside any program lives as long as the device. What a program
  // leaves behind is carried by its micro-batch, and later programs release it.
  virtual void program_begin(std::string_view /*name*/, int /*micro*/) {}
  virtual void program_end() {}
  // On meta, instead of a program that has been run for another micro-batch.
  virtual void program_again(std::string_view /*name*/, int /*micro*/) {}
  virtual std::size_t high_water() const { return 0; }  // see Device::high_water

  virtual int gpu() const { return -1; }  // its place in cuda_devices().gpus; -1: none
  virtual CUstream_st* stream() const { return nullptr; }  // null: operators run at the call
  // See runtime/copy.h. One of the two lies on this device.
  virtual void copy(std::byte* to, const std::byte* from, std::size_t bytes) = 0;
  virtual void synchronize() {}
  // Runs queue(), whose operators and copies are kept instead of queued. Throws Error that says why
  // that cannot be, or what queue() throws; nothing has run then.
  virtual std::unique_ptr<Captured> capture(const std::function<void()>& queue);

  // Called again and again while the host waits for the device. Throws Error where the wait would
  // not end, since the device waits for another rank that is gone.
  std::function<void()> while_waiting;
  // Called often while a rank computes, so that transports without a progress thread move on.
  void (*progress)(void*) = nullptr;
  void* progress_arg = nullptr;

  std::string scope() const;  // "block.3/attn"
  // A copy of a scope's name that lives as long as the backend, since tapes remember scopes.
  std::string_view kept(std::string_view name);
  Owner owner = Owner::activations;
  std::vector<std::string_view> scopes;
  KernelClock clock;

 private:
  std::set<std::string, std::less<>> names_;
};

// A copyable name for a backend.
class Device {
 public:
  Device();  // the process's heap device

  static Device heap(bool poison = false);  // poison: fresh memory holds NaN bits, for tests
  // `like`: the kind whose kernels, and so whose workspaces, the rehearsal stands for.
  static Device meta(Trace& trace, DeviceKind like = DeviceKind::cpu);
  static Device arena(const MemoryPlan& plan);
  // GPU `index` of this process (runtime/cuda_devices.h tells which there are). Throws Error that
  // says why it cannot be used, or that it lacks the memory.
  static Device cuda(int index, bool poison = false);
  static Device cuda(int index, const MemoryPlan& plan);
  // Host memory from and to which copies of `device` run while the host goes on: page-locked for
  // cuda, the heap for others.
  static Device staging(const Device& device);

  DeviceKind kind() const { return backend_->kind(); }
  DeviceBackend& backend() const { return *backend_; }
  DeviceKind like() const { return like_; }  // kind(), but what it stands for on meta
  friend bool operator==(const Device&, const Device&) = default;

  // Bytes above which no allocation of an arena has reached; 0 on other devices.
  std::size_t high_water() const;

 private:
  Device(std::shared_ptr<DeviceBackend> backend, DeviceKind like)
      : backend_(std::move(backend)), like_(like) {}
  std::shared_ptr<DeviceBackend> backend_;
  DeviceKind like_;
};

// Names the layer that runs, for ledgers, messages and profiles.
class Scope {
 public:
  Scope(const Device& device, std::string_view name) : backend_(device.backend()) {
    backend_.scopes.push_back(backend_.kept(name));
  }
  ~Scope() { backend_.scopes.pop_back(); }
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

 private:
  DeviceBackend& backend_;
};

// Names what the allocations within are for.
class Owned {
 public:
  Owned(const Device& device, Owner owner) : backend_(device.backend()), before_(backend_.owner) {
    backend_.owner = owner;
  }
  ~Owned() { backend_.owner = before_; }
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;

 private:
  DeviceBackend& backend_;
  Owner before_;
};

// One run of a program; see DeviceBackend::program_begin. Programs do not nest.
class Program {
 public:
  // micro: the micro-batch that carries what the program leaves behind; -1: none, or only one.
  Program(const Device& device, std::string_view name, int micro = -1)
      : backend_(device.backend()) {
    backend_.program_begin(name, micro);
  }
  ~Program() noexcept(false);
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

 private:
  DeviceBackend& backend_;
};

}  // namespace fusor

#include <utility>

#include "runtime/backends.h"
#include "runtime/error.h"
#include "runtime/trace.h"

namespace fusor {
namespace {

// The trace must outlive every tensor of the device.
class MetaBackend final : public DeviceBackend {
 public:
  explicit MetaBackend(Trace& trace) : trace_(trace) {}
  DeviceKind kind() const override { return DeviceKind::meta; }

  Block allocate(std::size_t bytes) override {
    trace_.events.emplace_back(AllocEvent{++last_id_, bytes, owner, scope()});
    return {.id = last_id_, .bytes = bytes};
  }
  void release(const Block& block) noexcept override {
    trace_.events.emplace_back(ReleaseEvent{block.id});
  }
  void op_begin(std::string_view op, const Cost& cost) override {
    trace_.events.emplace_back(OpEvent{std::string(op), scope(), cost});
  }
  void copy(std::byte*, const std::byte*, std::size_t bytes) override {
    trace_.events.emplace_back(OpEvent{"copy", scope(), {.bytes = static_cast<double>(bytes)}});
  }
  void program_begin(std::string_view name, int micro) override {
    require(program_.empty(), "program '", name, "' begins inside program '", program_, "'");
    program_ = name, micro_ = micro;
    trace_.events.emplace_back(ProgramEvent{program_, true, micro});
  }
  void program_end() override {
    trace_.events.emplace_back(ProgramEvent{std::exchange(program_, {}), false, micro_});
  }
  void program_again(std::string_view name, int micro) override {
    trace_.events.emplace_back(RepeatEvent{std::string(name), micro});
  }

 private:
  Trace& trace_;
  std::uint64_t last_id_ = 0;
  std::string program_;
  int micro_ = -1;
};

}  // namespace

std::shared_ptr<DeviceBackend> make_meta_backend(Trace& trace) {
  return std::make_shared<MetaBackend>(trace);
}

}  // namespace fusor

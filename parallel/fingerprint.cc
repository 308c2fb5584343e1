#include <string_view>

#include "io/checksum.h"
#include "parallel/job_index.h"

namespace fusor {
namespace {

// Hashes the events of a script, a field after the other.
class Hasher {
 public:
  void add(std::uint64_t n) { hash_.update(&n, sizeof n); }
  void add(int n) { add(static_cast<std::uint64_t>(n)); }
  void add(double x) { hash_.update(&x, sizeof x); }
  void add(std::string_view text) {
    add(text.size());
    hash_.update(text.data(), text.size());
  }
  std::uint64_t value() const { return hash_.value(); }

  void operator()(const AllocEvent& e) {
    add(e.id), add(e.bytes), add(static_cast<int>(e.owner)), add(e.scope);
  }
  void operator()(const ReleaseEvent& e) { add(e.id); }
  void operator()(const OpEvent& e) {
    add(e.op), add(e.scope), add(e.cost.flops), add(e.cost.bytes);
  }
  void operator()(const CommEvent& e) {
    add(e.id), add(static_cast<int>(e.kind)), add(e.name), add(e.scope), add(e.group);
    add(e.group_size), add(is_transfer(e.kind) ? offset_of(e) : e.peer);
    add(static_cast<int>(e.dtype)), add(static_cast<std::uint64_t>(e.count));
    add(static_cast<int>(e.op)), add(e.in), add(e.out);
  }
  void operator()(const WaitEvent& e) { add(e.id); }
  void operator()(const ProgramEvent& e) { add(e.name), add(static_cast<int>(e.begin)); }
  void operator()(const RepeatEvent& e) { add(e.name), add(e.micro); }

 private:
  ChecksumStream hash_;
};

}  // namespace

std::uint64_t fingerprint(const Script& script) {
  Hasher hasher;
  hasher.add(script.arena);
  for (const TraceProgram& program : script.programs) {
    hasher.add(program.name);
    for (const TraceEvent& event : program.events) {
      hasher.add(event.index());
      std::visit(hasher, event);
    }
  }
  for (const ProgramRun& run : script.runs) hasher.add(run.program), hasher.add(run.micro);
  return hasher.value();
}

}  // namespace fusor

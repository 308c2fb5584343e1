#include "parallel/ledger.h"

#include <algorithm>
#include <iomanip>
#include <map>
#include <numeric>
#include <optional>
#include <ostream>
#include <sstream>
#include <unordered_map>

namespace fusor {
namespace {

std::size_t sum(const Ledger::Bytes& bytes) {
  return std::accumulate(bytes.begin(), bytes.end(), std::size_t{0});
}

std::vector<Ledger::Layer> largest_first(const std::map<std::string, std::size_t>& bytes) {
  std::vector<Ledger::Layer> layers;
  for (const auto& [scope, n] : bytes) layers.push_back({scope, n});
  std::ranges::stable_sort(layers, std::ranges::greater{}, &Ledger::Layer::bytes);
  return layers;
}

// What is carried from program to program, of all micro-batches in flight.
std::optional<Ledger::Program> in_flight(const MemoryPlan& plan) {
  Ledger::Program all{.name = "in flight"};
  std::map<std::string, std::size_t> layers;
  for (const MemoryPlan::Program& program : plan.programs) {
    const auto lanes = static_cast<std::size_t>(program.lanes);
    for (const MemoryPlan::Slot& slot : program.slots) {
      if (!slot.carried) continue;
      all.at_peak[static_cast<std::size_t>(slot.owner)] += lanes * slot.bytes;
      all.end = std::max(all.end, slot.offset + (lanes - 1) * program.lane_bytes + slot.bytes);
      if (slot.owner == Owner::activations) layers[slot.scope] += lanes * slot.bytes;
    }
  }
  all.layers = largest_first(layers);
  return all.end > 0 ? std::optional(std::move(all)) : std::nullopt;
}

// Follows what is alive through a trace, and keeps the picture of each program's fullest moment.
class Reader {
 public:
  Reader(Ledger& ledger, const MemoryPlan& plan) : ledger_(ledger), plan_(plan) {}

  void operator()(const AllocEvent& e) {
    const auto owner = static_cast<std::size_t>(e.owner);
    if (!program_) {
      ledger_.persistent[owner] += e.bytes;
      return;
    }
    if (planned_->slots[next_slot_++].carried) return;
    alive_[e.id] = &e;
    now_[owner] += e.bytes;
    if (sum(now_) > sum(program_->at_peak)) {
      program_->at_peak = now_;
      peak_.clear();
      for (const auto& [id, alloc] : alive_) peak_.push_back(alloc);
    }
  }
  void operator()(const ReleaseEvent& e) {
    const auto found = alive_.find(e.id);
    if (found == alive_.end()) return;
    now_[static_cast<std::size_t>(found->second->owner)] -= found->second->bytes;
    alive_.erase(found);
  }
  void operator()(const ProgramEvent& e) {
    if (e.begin) {
      program_.emplace().name = e.name;
      planned_ = &*std::ranges::find(plan_.programs, e.name, &MemoryPlan::Program::name);
      next_slot_ = 0;
      return;
    }
    if (std::ranges::find(ledger_.programs, e.name, &Ledger::Program::name) ==
        ledger_.programs.end()) {
      program_->layers = layers();
      program_->end = planned_->end;
      ledger_.programs.push_back(std::move(*program_));
    }
    program_.reset();
    peak_.clear();
    alive_.clear();
    now_ = {};
  }
  void operator()(const RepeatEvent&) {}
  void operator()(const OpEvent&) {}
  void operator()(const CommEvent&) {}
  void operator()(const WaitEvent&) {}

 private:
  std::vector<Ledger::Layer> layers() const {
    std::map<std::string, std::size_t> bytes;
    for (const AllocEvent* e : peak_)
      if (e->owner == Owner::activations) bytes[e->scope] += e->bytes;
    return largest_first(bytes);
  }

  Ledger& ledger_;
  const MemoryPlan& plan_;
  std::optional<Ledger::Program> program_;
  const MemoryPlan::Program* planned_ = nullptr;
  std::size_t next_slot_ = 0;
  std::unordered_map<std::uint64_t, const AllocEvent*> alive_;
  std::vector<const AllocEvent*> peak_;
  Ledger::Bytes now_{};
};

}  // namespace

Ledger make_ledger(const Trace& trace, const MemoryPlan& plan) {
  Ledger ledger;
  ledger.arena = plan.bytes;
  if (auto carried = in_flight(plan)) ledger.programs.push_back(std::move(*carried));
  Reader reader(ledger, plan);
  for (const TraceEvent& event : trace.events) std::visit(reader, event);
  return ledger;
}

std::string readable_bytes(std::size_t bytes) {
  constexpr std::array<const char*, 5> kUnits{"B", "KiB", "MiB", "GiB", "TiB"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; value >= 1024 && unit + 1 < kUnits.size(); ++unit) value /= 1024;
  std::ostringstream text;
  text << std::fixed << std::setprecision(unit == 0 ? 0 : 2) << value << ' ' << kUnits[unit];
  return text.str();
}

std::ostream& operator<<(std::ostream& out, const Ledger& ledger) {
  constexpr int kColumn = 14;
  std::size_t name_width = std::string_view("all the run").size();
  for (const Ledger::Program& p : ledger.programs) name_width = std::max(name_width, p.name.size());
  // Owners that hold nothing anywhere have no column, programs that hold nothing no row.
  std::vector<std::size_t> owners;
  for (std::size_t owner = 0; owner < kNumOwners; ++owner)
    if (ledger.persistent[owner] > 0 ||
        std::ranges::any_of(ledger.programs, [&](const auto& p) { return p.at_peak[owner] > 0; }))
      owners.push_back(owner);
  const auto row = [&](std::string_view name, auto&& cell, std::string_view end) {
    out << std::left << std::setw(static_cast<int>(name_width)) << name << std::right;
    for (const std::size_t owner : owners) out << std::setw(kColumn) << cell(owner);
    out << std::setw(kColumn) << end << '\n';
  };
  const auto bytes_row = [&](std::string_view name, const Ledger::Bytes& bytes, std::size_t end) {
    const auto cell = [&](std::size_t owner) {
      return bytes[owner] ? readable_bytes(bytes[owner]) : std::string("-");
    };
    row(name, cell, readable_bytes(end));
  };
  row(
      "", [](std::size_t owner) { return name_of(static_cast<Owner>(owner)); }, "packed up to");
  bytes_row("all the run", ledger.persistent, sum(ledger.persistent));
  for (const Ledger::Program& p : ledger.programs)
    if (sum(p.at_peak) > 0) bytes_row(p.name, p.at_peak, p.end);
  for (const Ledger::Program& p : ledger.programs) {
    if (p.layers.empty() || (p.end < ledger.arena && p.name != "in flight")) continue;
    out << "largest activations in '" << p.name << "':";
    for (std::size_t i = 0; i < std::min<std::size_t>(p.layers.size(), 3); ++i)
      out << (i ? ", " : " ") << p.layers[i].scope << ' ' << readable_bytes(p.layers[i].bytes);
    out << '\n';
  }
  return out << "peak per rank: " << ledger.arena << " bytes (" << readable_bytes(ledger.arena)
             << ")\n";
}

}  // namespace fusor

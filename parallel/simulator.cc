#include "parallel/simulator.h"

#include <algorithm>
#include <iomanip>
#include <map>
#include <ostream>

#include "parallel/ledger.h"

namespace fusor {

double ClusterClock::issue_seconds(const TraceEvent& event) {
  if (std::holds_alternative<OpEvent>(event)) return model_.cluster().launch;
  return std::holds_alternative<CommEvent>(event) ? model_.cluster().call : 0;
}

double ClusterClock::comm_seconds(const CommEvent& event, std::span<const int> ranks) {
  return model_.seconds(
      event.kind, static_cast<double>(event.count) * static_cast<double>(size_of(event.dtype)),
      layout_of(ranks, model_.cluster().ranks_per_node));
}

std::uint64_t ClusterClock::likeness(std::span<const int> ranks) {
  const GroupLayout layout = layout_of(ranks, model_.cluster().ranks_per_node);
  return static_cast<std::uint64_t>(layout.size) << 32 | static_cast<unsigned>(layout.per_node);
}

StepReport report(const Played& played, const StepWork& work, double peak) {
  struct Sum {
    double exposed = 0, seconds = 0, bytes = 0;
  };
  StepReport r{.seconds = played.seconds, .work = work, .peak = peak};
  std::map<std::string, Sum> sums;
  double all = 0;
  for (const PlayedRank& rank : played.ranks) {
    const double n = rank.num_ranks;
    all += n * played.seconds;
    r.compute += n * rank.compute;
    r.launch += n * rank.launch;
    r.bubble += n * (played.seconds - rank.seconds);
    for (const PlayedComm& c : rank.comms) {
      const bool stages = c.kind == CommKind::send || c.kind == CommKind::recv;
      (stages ? r.bubble : r.skew) += n * c.skew;
      Sum& sum = sums[std::string(name_of(c.kind)) + " over " + c.group];
      sum.exposed += n * c.exposed;
      sum.seconds += n * c.seconds;
      sum.bytes = std::max(sum.bytes, c.bytes);
    }
  }
  for (double* share : {&r.compute, &r.launch, &r.bubble, &r.skew}) *share /= all;
  for (const auto& [what, s] : sums)
    r.comms.push_back(
        {what, s.exposed / all, s.seconds > 0 ? 1 - s.exposed / s.seconds : 1, s.bytes});
  std::ranges::stable_sort(r.comms, std::ranges::greater{}, &StepReport::Comm::exposed);
  return r;
}

StepReport simulate(const Job& job, const CostModel& model, const StepWork& work) {
  ClusterClock clock(model);
  return report(play(job, &clock), work, model.peak() * job.size());
}

std::ostream& operator<<(std::ostream& out, const StepReport& r) {
  const auto percent = [](double share) { return 100 * share; };
  const auto flags = out.flags();
  const auto precision = out.precision(4);
  out << "step " << r.seconds << " s: " << r.tokens_per_second() << " tokens/s\nMFU "
      << percent(r.mfu()) << " % = " << r.work.flops << " flop of the model / (" << r.seconds
      << " s x " << r.peak << " flop/s of all ranks)\n";
  const auto row = [&](const std::string& what, double share) {
    out << "  " << std::left << std::setw(36) << what << std::right << std::fixed
        << std::setprecision(2) << std::setw(7) << percent(share) << " %";
    out.flags(flags);
    out.precision(4);
  };
  out << "where the ranks' time goes:\n";
  row("operators", r.compute), out << '\n';
  row("launching operators", r.launch), out << '\n';
  row("bubble of the pipeline", r.bubble), out << '\n';
  row("waiting for slower partners", r.skew), out << '\n';
  for (const StepReport::Comm& c : r.comms) {
    row(c.what + ", exposed", c.exposed);
    out << "  (" << percent(c.hidden) << " % of it hidden, "
        << readable_bytes(static_cast<std::size_t>(c.bytes)) << ")\n";
  }
  out.precision(precision);
  return out;
}

}  // namespace fusor

#include "launch/layout_search.h"

#include <algorithm>
#include <cmath>
#include <iomanip>
#include <numeric>
#include <ostream>
#include <set>

#include "launch/planned_job.h"
#include "launch/values.h"

namespace fusor {
namespace {

std::vector<std::int64_t> divisors(std::int64_t n, std::int64_t most) {
  std::vector<std::int64_t> all;
  for (std::int64_t d = 1; d <= std::min(n, most); ++d)
    if (n % d == 0) all.push_back(d);
  return all;
}

class Search {
 public:
  Search(const Config& config, std::int64_t ranks, const CostModel& model,
         const std::function<void(std::size_t)>& progress)
      : config_(config), ranks_(ranks), model_(model), progress_(progress) {
    if (config.train.global_batch == 0)
      config_.train.global_batch = run_size(config, ranks).global_batch;
    config_.train.accumulation = 0;
    config_.train.eval_every = config_.train.sample_every = 0;
    config_.parallel.split.clear();
    config_.parallel.shard = 0;
  }

  std::vector<Layout> operator()() {
    for (const Layout& l : splits()) try_layout(l);
    require(!found_.empty(), "no layout of this recipe on ", ranks_, " ranks can be built");
    sort();
    constexpr std::size_t kRefined = 5;
    const std::vector<Layout> best(
        found_.begin(),
        found_.begin() + static_cast<std::ptrdiff_t>(std::min(kRefined, found_.size())));
    for (const Layout& l : best)
      for (const Layout& v : variants(l)) try_layout(v);
    sort();
    const auto same = std::ranges::unique(found_, alike);
    found_.erase(same.begin(), same.end());
    return std::move(found_);
  }

 private:
  // tp, cp and pp that divide the model and the ranks; dp is what is left.
  std::vector<Layout> splits() const {
    std::vector<Layout> all;
    const GptConfig& m = config_.model;
    const std::int64_t node = model_.cluster().ranks_per_node;
    for (const std::int64_t tp : divisors(std::gcd(m.kv_heads, ranks_), node))
      for (const std::int64_t cp :
           divisors(ranks_ / tp, std::max<std::int64_t>(1, config_.data.seq_len / kLeastChunk)))
        for (const std::int64_t pp : divisors(ranks_ / tp / cp, m.layers)) {
          if (m.layers % pp != 0) continue;
          Layout l{.parallel = config_.parallel, .micro_batch = 0, .peak = 0, .report = {}};
          l.parallel.tp = tp, l.parallel.cp = cp, l.parallel.pp = pp;
          l.parallel.dp = ranks_ / tp / cp / pp;
          l.parallel.sequence = tp > 1;
          l.parallel.stages = 1, l.parallel.schedule = ScheduleKind::one_f_one_b;
          l.parallel.zero = l.parallel.dp > 1 ? 1 : 0;
          if (config_.train.global_batch % l.parallel.dp != 0) continue;
          const std::int64_t experts = std::max<std::int64_t>(1, m.experts);
          for (const std::int64_t ep : divisors(std::gcd(experts, l.parallel.dp), experts)) {
            l.parallel.ep = ep;
            add_batches(l, all);
          }
        }
    return all;
  }
  void add_batches(Layout l, std::vector<Layout>& all) const {
    for (const std::int64_t micro :
         divisors(config_.train.global_batch / l.parallel.dp, kMostMicro))
      for (const Recompute recompute : {Recompute::none, Recompute::selective, Recompute::full}) {
        l.micro_batch = micro, l.parallel.recompute = recompute;
        all.push_back(l);
      }
  }
  std::vector<Layout> variants(const Layout& best) const {
    std::vector<Layout> all;
    const auto with = [&](auto&& change) {
      Layout l = best;
      l.report.reset();
      change(l.parallel);
      all.push_back(l);
    };
    if (best.parallel.dp > 1)
      for (const std::int64_t zero : {0, 2, 3}) with([&](ParallelConfig& p) { p.zero = zero; });
    if (best.parallel.pp == 1) return all;
    with([](ParallelConfig& p) { p.schedule = ScheduleKind::zero_bubble; });
    with([](ParallelConfig& p) { p.schedule = ScheduleKind::zero_bubble_v, p.stages = 2; });
    for (const std::int64_t stages : {2, 3, 4})
      if (config_.model.layers % (best.parallel.pp * stages) == 0)
        with([&](ParallelConfig& p) { p.schedule = ScheduleKind::interleaved, p.stages = stages; });
    return all;
  }

  // Weights in the compute dtype, gradients and the optimizer's three copies, before activations.
  bool hopeless(const Layout& l) const {
    const ParallelConfig& p = l.parallel;
    const auto weights = static_cast<double>(num_parameters(config_.model)) /
                         static_cast<double>(p.tp * p.pp * p.ep);
    const auto data = static_cast<double>(p.dp * p.cp);
    const auto wide = static_cast<double>(size_of(acc_dtype(config_.train.dtype)));
    const auto narrow = static_cast<double>(size_of(config_.train.dtype));
    const double bytes = narrow / (p.zero >= 3 ? data : 1) + wide / (p.zero >= 2 ? data : 1) +
                         3 * wide / (p.zero >= 1 ? data : 1);
    return weights * bytes > 2 * model_.cluster().memory;
  }

  void try_layout(Layout l) {
    if (hopeless(l)) return;
    Config config = config_;
    config.parallel = l.parallel;
    config.train.micro_batch = l.micro_batch;
    try {
      config = resolve(config);
      const RunSize size = run_size(config, ranks_);
      const PlannedJob planned = plan_job(config, size);
      l.peak = planned.fullest.memory.bytes;
      if (static_cast<double>(l.peak) <= model_.cluster().memory)
        l.report = simulate(planned.step, model_, work_of(config, size));
      found_.push_back(std::move(l));
    } catch (const Error&) {
      return;  // the model or the schedule cannot be split so
    }
    if (progress_) progress_(found_.size());
  }

  // The same work on the same memory: one of them tells enough.
  static bool alike(const Layout& a, const Layout& b) {
    return a.report && b.report && a.report->seconds == b.report->seconds && a.peak == b.peak;
  }
  void sort() {
    std::ranges::stable_sort(found_, [](const Layout& a, const Layout& b) {
      if (a.report && b.report) return a.report->seconds < b.report->seconds;
      return a.report.has_value() != b.report.has_value() ? a.report.has_value() : a.peak < b.peak;
    });
  }

  static constexpr std::int64_t kMostMicro = 8, kLeastChunk = 4096;
  Config config_;
  std::int64_t ranks_;
  const CostModel& model_;
  const std::function<void(std::size_t)>& progress_;
  std::vector<Layout> found_;
};

// Where a step's seconds go.
std::vector<std::pair<std::string, double>> seconds_of(const StepReport& r) {
  double exposed = 0;
  for (const StepReport::Comm& c : r.comms) exposed += c.exposed;
  return {{"operators", r.compute * r.seconds},
          {"launching", r.launch * r.seconds},
          {"bubble", r.bubble * r.seconds},
          {"exposed communication", exposed * r.seconds},
          {"slower partners", r.skew * r.seconds}};
}

// "bubble +12 %, operators -3 %": what makes up most of the difference, in per cent of the first.
std::string losses(const StepReport& r, const StepReport& first) {
  std::string text;
  const auto mine = seconds_of(r), best = seconds_of(first);
  for (std::size_t i = 0; i < mine.size(); ++i) {
    const double percent = 100 * (mine[i].second - best[i].second) / first.seconds;
    if (std::abs(percent) < 0.5) continue;
    text += (text.empty() ? "" : ", ") + mine[i].first + (percent > 0 ? " +" : " ") +
            to_text(std::round(10 * percent) / 10) + " %";
  }
  return text;
}

}  // namespace

std::string name_of(const Layout& l) {
  const ParallelConfig& p = l.parallel;
  std::string text = "tp " + to_text(p.tp) + " cp " + to_text(p.cp) + " pp " + to_text(p.pp) +
                     " dp " + to_text(p.dp);
  if (p.ep > 1) text += " ep " + to_text(p.ep);
  text += ", micro " + to_text(l.micro_batch);
  if (p.pp > 1) text += ", " + to_text(p.schedule);
  if (p.stages > 1) text += " of " + to_text(p.stages);
  return text + ", recompute " + to_text(p.recompute) + ", zero " + to_text(p.zero);
}

std::vector<Layout> search_layouts(const Config& config, std::int64_t ranks, const CostModel& model,
                                   const std::function<void(std::size_t)>& progress) {
  return Search(config, ranks, model, progress)();
}

void print_layouts(std::ostream& out, const std::vector<Layout>& layouts, std::size_t rows,
                   double memory) {
  const Layout& first = layouts.at(0);
  out << std::setw(9) << "step, s" << std::setw(7) << "MFU, %" << std::setw(12) << "memory"
      << "  layout; what it loses against the first\n";
  for (std::size_t i = 0; i < std::min(rows, layouts.size()); ++i) {
    const Layout& l = layouts[i];
    if (l.report)
      out << std::setprecision(4) << std::setw(9) << l.report->seconds << std::setprecision(3)
          << std::setw(7) << 100 * l.report->mfu();
    else
      out << std::setw(9) << "-" << std::setw(7) << "-";
    out << std::setw(12) << readable_bytes(l.peak) << "  " << name_of(l);
    if (!l.report)
      out << "; lacks " << readable_bytes(l.peak - static_cast<std::size_t>(memory));
    else if (i > 0)
      out << "; " << losses(*l.report, *first.report);
    out << '\n';
  }
  const auto fit =
      std::ranges::count_if(layouts, [](const Layout& l) { return l.report.has_value(); });
  out << fit << " of " << layouts.size() << " layouts fit into "
      << readable_bytes(static_cast<std::size_t>(memory)) << " a rank\n";
}

}  // namespace fusor

#include "launch/timeline.h"

#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "io/output_file.h"

namespace fusor {
namespace {

constexpr std::size_t kMostSpans = 400'000;  // a viewer grows slow beyond

using Json = nlohmann::json;

class Timeline {
 public:
  Timeline(const Job& job, const Played& played) : job_(job), played_(played) {
    std::size_t spans = 0;
    for (const PlayedRank& rank : played.ranks) spans += rank.timeline.size();
    operators_ = spans <= kMostSpans;
  }

  Json events() {
    for (const PlayedRank& rank : played_.ranks) add(rank);
    return std::move(events_);
  }

 private:
  void name(const char* what, int process, int track, const std::string& text) {
    events_.push_back({{"ph", "M"},
                       {"name", what},
                       {"pid", process},
                       {"tid", track},
                       {"args", {{"name", text}}}});
  }
  void span(int process, int track, const std::string& text, double begin, double end) {
    events_.push_back({{"ph", "X"},
                       {"name", text},
                       {"pid", process},
                       {"tid", track},
                       {"ts", 1e6 * begin},
                       {"dur", 1e6 * (end - begin)}});
  }

  static std::string text_of(const PlayedSpan& s) {
    if (const auto* op = std::get_if<OpEvent>(s.event))
      return op->scope.empty() ? op->op : op->scope + "/" + op->op;
    const auto& call = std::get<CommEvent>(*s.event);
    return std::string(name_of(call.kind)) + ' ' + call.name;
  }
  int track_of(const PlayedRank& rank, const std::string& group) {
    const int track = tracks_.try_emplace(group, kFirstGroup + tracks_.size()).first->second;
    if (named_.emplace(rank.rank, track).second) name("thread_name", rank.rank, track, group);
    return track;
  }

  // Consecutive spans of a run of a program.
  struct Piece {
    int program = -1, micro = -1;
    double begin = 0, end = 0;
  };
  void flush(const PlayedRank& rank, Piece& piece) {
    if (piece.program < 0) return;
    const auto script = job_.script_of_rank[static_cast<std::size_t>(rank.rank)];
    const TraceProgram& program = job_.scripts[static_cast<std::size_t>(script)]
                                      .programs[static_cast<std::size_t>(piece.program)];
    const std::string micro = piece.micro < 0 ? "" : "." + std::to_string(piece.micro);
    span(rank.rank, kPrograms, program.name + micro, piece.begin, piece.end);
    piece = {};
  }

  void add(const PlayedRank& rank) {
    name("process_name", rank.rank, 0,
         "rank " + std::to_string(rank.rank) + " (" + std::to_string(rank.num_ranks) + " alike)");
    name("thread_name", rank.rank, kPrograms, "programs");
    if (operators_) name("thread_name", rank.rank, kOperators, "operators");
    name("thread_name", rank.rank, kWaits, "waiting");
    Piece piece;
    for (const PlayedSpan& s : rank.timeline) {
      if (s.kind == PlayedSpan::Kind::comm) {
        if (operators_)
          span(rank.rank, track_of(rank, std::get<CommEvent>(*s.event).group), text_of(s), s.begin,
               s.end);
        continue;
      }
      if (s.kind == PlayedSpan::Kind::wait) {
        if (operators_) span(rank.rank, kWaits, text_of(s), s.begin, s.end);
        continue;
      }
      if (piece.program != s.program || piece.micro != s.micro) flush(rank, piece);
      if (piece.program < 0) piece = {s.program, s.micro, s.begin, s.end};
      piece.end = s.end;
      if (operators_) span(rank.rank, kOperators, text_of(s), s.begin, s.end);
    }
    flush(rank, piece);
  }

  static constexpr int kPrograms = 1, kOperators = 2, kWaits = 3, kFirstGroup = 4;
  const Job& job_;
  const Played& played_;
  bool operators_ = false;
  std::map<std::string, int> tracks_;      // of communicators
  std::set<std::pair<int, int>> named_{};  // processes and tracks
  Json events_ = Json::array();
};

}  // namespace

void write_timeline(const std::string& file, const Job& job, const Played& played) {
  const Json trace = {{"traceEvents", Timeline(job, played).events()}, {"displayTimeUnit", "ms"}};
  write_text_file(file, trace.dump());
}

}  // namespace fusor

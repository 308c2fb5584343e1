#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "parallel/job_index.h"
#include "runtime/error.h"

namespace fusor {
namespace {

using Key = std::vector<std::uint64_t>;

// Numbers keys from 0 in the order they first come.
class Numbers {
 public:
  std::uint64_t operator()(Key key) {
    return numbers_.try_emplace(std::move(key), numbers_.size()).first->second;
  }
  std::size_t size() const { return numbers_.size(); }

 private:
  std::map<Key, std::uint64_t> numbers_;
};

// A way in which a script communicates, and so what a rank of it may be told apart by.
struct Use {
  enum class Kind : std::uint8_t { collective, root, send, recv } kind;
  int communicator;
  int place;  // a broadcast's root; of a transfer, how many places further its other end is
  auto operator<=>(const Use&) const = default;
};
using Uses = std::map<Use, const CommEvent*>;  // each with one call that shows it

Uses uses_of(const Script& script, const JobIndex& index) {
  Uses uses;
  for (const TraceProgram& program : script.programs)
    for (const TraceEvent& event : program.events) {
      const auto* e = std::get_if<CommEvent>(&event);
      if (!e) continue;
      const int c = index.find(e->group);
      if (is_transfer(e->kind)) {
        const auto kind = e->kind == CommKind::send ? Use::Kind::send : Use::Kind::recv;
        uses.emplace(Use{kind, c, offset_of(*e)}, e);
        continue;
      }
      uses.emplace(Use{Use::Kind::collective, c, 0}, e);
      if (e->kind == CommKind::broadcast) uses.emplace(Use{Use::Kind::root, c, e->peer}, e);
    }
  return uses;
}

class Refiner {
 public:
  Refiner(const Job& job, const Likeness& likeness) : job_(job), likeness_(likeness), index_(job) {
    Numbers numbers;
    std::vector<int> same;
    for (const Script& script : job.scripts)
      same.push_back(static_cast<int>(numbers({fingerprint(script)})));
    for (const int script : job.script_of_rank)
      color_.push_back(same[static_cast<std::size_t>(script)]);
    for (const Script& script : job.scripts) uses_.push_back(uses_of(script, index_));
    for (int rank = 0; rank < job.size(); ++rank) check(rank);
    group_likeness_.resize(job.communicators.size());
    groups_.resize(job.communicators.size());
  }

  Colors refine() {
    for (std::size_t before = 0, now = number_of_colors(); now != before;) {
      before = now;
      now = step();
    }
    return result();
  }

 private:
  const Uses& uses(int rank) const {
    return uses_[static_cast<std::size_t>(job_.script_of_rank[static_cast<std::size_t>(rank)])];
  }
  std::uint64_t color(int rank) const {
    return static_cast<std::uint64_t>(color_[static_cast<std::size_t>(rank)]);
  }
  std::size_t number_of_colors() const {
    return std::set<int>(color_.begin(), color_.end()).size();
  }

  void check(int rank) const {
    for (const auto& [use, e] : uses(rank)) {
      const bool known = use.communicator >= 0 && index_.group(use.communicator, rank) >= 0;
      require(known, "rank ", rank, " calls ", name_of(e->kind), " \"", e->name, "\" over ",
              e->group, ", but is in no such group");
      const std::size_t members = index_.members(use.communicator, rank).size();
      require(members == static_cast<std::size_t>(e->group_size), "rank ", rank, " plans ",
              name_of(e->kind), " \"", e->name, "\" over ", e->group, " of ", e->group_size,
              " ranks, but its group has ", members);
    }
  }

  // Numbers the groups of every communicator by what its ranks can be told apart by.
  void number_groups() {
    for (std::size_t c = 0; c < groups_.size(); ++c) {
      const auto& groups = job_.communicators[c].groups;
      if (group_likeness_[c].empty())
        for (const std::vector<int>& ranks : groups)
          group_likeness_[c].push_back(likeness_ ? likeness_(ranks) : 0);
      Numbers numbers;
      groups_[c].clear();
      for (std::size_t g = 0; g < groups.size(); ++g) {
        std::set<std::uint64_t> colors;
        for (const int rank : groups[g]) colors.insert(color(rank));
        Key key{group_likeness_[c][g], groups[g].size()};
        key.insert(key.end(), colors.begin(), colors.end());
        groups_[c].push_back(numbers(std::move(key)));
      }
    }
  }

  void add(Key& key, const Use& use, int rank) const {
    const auto c = static_cast<std::size_t>(use.communicator);
    const int mine = index_.place(use.communicator, rank);
    const std::vector<int>& ranks = index_.members(use.communicator, rank);
    const auto at = [&](int place) {
      return ranks[static_cast<std::size_t>(place) % ranks.size()];
    };
    switch (use.kind) {
      case Use::Kind::collective:
        key.push_back(groups_[c][static_cast<std::size_t>(index_.group(use.communicator, rank))]);
        return;
      case Use::Kind::root:
        key.push_back(color(at(use.place)));
        key.push_back(mine == use.place ? 1 : 0);
        return;
      case Use::Kind::send:
      case Use::Kind::recv: {
        const int other = at(mine + use.place);
        const bool sends = use.kind == Use::Kind::send;
        const std::array<int, 2> ends = {sends ? rank : other, sends ? other : rank};
        key.push_back(color(other));
        key.push_back(likeness_ ? likeness_(ends) : 0);
      }
    }
  }

  // Returns the number of colors.
  std::size_t step() {
    number_groups();
    Numbers numbers;
    std::vector<int> next;
    for (int rank = 0; rank < job_.size(); ++rank) {
      Key key{color(rank)};
      for (const auto& [use, e] : uses(rank)) add(key, use, rank);
      next.push_back(static_cast<int>(numbers(std::move(key))));
    }
    color_ = std::move(next);
    return numbers.size();
  }

  Colors result() {
    Colors colors{.of_rank = color_, .first = {}, .num_ranks = {}};
    for (int rank = 0; rank < job_.size(); ++rank) {
      const auto c = static_cast<std::size_t>(color(rank));
      if (c == colors.first.size()) {
        colors.first.push_back(rank);
        colors.num_ranks.push_back(0);
      }
      ++colors.num_ranks[c];
    }
    return colors;
  }

  const Job& job_;
  const Likeness& likeness_;
  JobIndex index_;
  std::vector<int> color_;                                  // [ranks]
  std::vector<Uses> uses_;                                  // [scripts]
  std::vector<std::vector<std::uint64_t>> group_likeness_;  // [communicators][groups]
  std::vector<std::vector<std::uint64_t>> groups_;          // the same: their numbers
};

}  // namespace

Colors color_ranks(const Job& job, const Likeness& likeness) {
  return Refiner(job, likeness).refine();
}

}  // namespace fusor

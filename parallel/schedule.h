#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

// Which pipeline rank computes which stage of which micro-batch, and in which order: a plain value
// that is built, printed, parsed, checked and timed without devices.
namespace fusor {

// The stages of a model in an order in which they can run. Stages may branch and join: two encoders
// that feed a trunk are {{}, {}, {0, 1}}.
struct StageGraph {
  std::vector<std::vector<int>> inputs;  // by stage: those before it that it reads, ascending

  static StageGraph chain(int stages);  // each reads the one before it
  int size() const { return static_cast<int>(inputs.size()); }
  std::vector<std::vector<int>> readers() const;  // by stage: the stages that read its value
  // By stage: the stages on the longest path from it to one that nobody reads, both counted.
  std::vector<int> depths() const;
  bool operator==(const StageGraph&) const = default;
};

enum class Phase : std::uint8_t {
  forward,   // F
  backward,  // B: the gradient of the inputs; of the weights too, where the backward is not split
  weight     // W: the gradient of the weights
};
char letter_of(Phase);  // 'F'

struct Entry {
  Phase phase;
  int stage;
  int micro;
  bool operator==(const Entry&) const = default;
};
std::string name_of(const Entry&);  // "F2.5": the forward of stage 2 for micro-batch 5

struct Schedule {
  int micros = 0;
  bool split = false;                     // the backward is split into B and W
  std::vector<int> rank_of;               // [stages]: the pipeline rank that holds a stage
  std::vector<std::vector<Entry>> ranks;  // by pipeline rank, what it computes, in order

  int num_stages() const { return static_cast<int>(rank_of.size()); }
  int num_ranks() const { return static_cast<int>(ranks.size()); }
  bool operator==(const Schedule&) const = default;
};

// Throws Error unless the stages are those of the graph, each on a rank, and the graph's inputs are
// ascending and come before their readers.
void check_graph(const Schedule&, const StageGraph&);

// That, and throws Error, which names the entry, unless each stage computes each phase of each
// micro-batch once, on its rank, in ascending order of the micro-batches (what exact sums need),
// and no entry waits for one that comes after it: F for F of the stages it reads; B for its F and
// for B of the stages that read it; W for its B.
void check(const Schedule&, const StageGraph&);

// One line a rank: "F0.0 F0.1 B0.0 B0.1".
std::string to_text(const Schedule&);
// Reads that back: stages lie where their entries stand. Throws Error naming the word that is no
// entry, or the stage that has none or lies on two ranks.
Schedule parse_schedule(std::string_view text);

// The most micro-batches that `stage` holds at once, each from the start of its F to the end of its
// B (of its W, where the backward is split). They come and go in ascending order, so that micro-
// batch i may use slot i % num_lanes.
int num_lanes(const Schedule&, int stage);

}  // namespace fusor

// Predicted against measured step times of GPT training on nodes of A100s: the mean absolute
// percentage error of launch/clusters/a100-node.ini, or another cluster file.
//
//   planner_bench FOLDER [--cluster FILE] [--file NAME.csv] [--rows]
//
// FOLDER holds the measurements published with the vTrain simulator (MICRO 2024):
// a100-node-validate.csv, of which none served to fit the cluster file; a100-node-calibrate.csv,
// on which it was fitted by fit_cluster.py; a100-node-allreduce-{2,4,8}.csv, measured all-reduces
// of f32 inside the node. --file takes one file only. --rows prints every row: measured and
// predicted seconds.
#include <cstdio>
#include <exception>
#include <filesystem>
#include <string>
#include <string_view>

#include "benchmarks/measured_runs.h"
#include "launch/cluster_file.h"
#include "runtime/error.h"

namespace fusor::benchmark {
namespace {

struct Options {
  std::filesystem::path folder;
  std::string cluster = FUSOR_CLUSTERS "/a100-node.ini", file;
  bool rows = false;
};

Options parse(int argc, char** argv) {
  Options o;
  for (int i = 1; i < argc; ++i) {
    const std::string_view key = argv[i];
    if (key == "--rows")
      o.rows = true;
    else if (key == "--cluster" && i + 1 < argc)
      o.cluster = argv[++i];
    else if (key == "--file" && i + 1 < argc)
      o.file = argv[++i];
    else if (!key.starts_with("--") && o.folder.empty())
      o.folder = key;
    else
      raise("usage: planner_bench FOLDER [--cluster FILE] [--file NAME.csv] [--rows]");
  }
  require(!o.folder.empty(),
          "usage: planner_bench FOLDER [--cluster FILE] [--file NAME.csv] [--rows]");
  return o;
}

void compare(const std::filesystem::path& file, const CostModel& model, bool rows) {
  const std::vector<Measured> all = predict(file, model);
  if (rows)
    for (const Measured& m : all) std::printf("%.9g %.9g\n", m.measured, m.predicted);
  const Errors e = errors_of(all);
  std::printf("%-28s %5zu rows: mean absolute error %5.2f %%, bias %+6.2f %%, worst %5.1f %%\n",
              file.filename().c_str(), all.size(), 100 * e.mean_absolute, 100 * e.bias,
              100 * e.worst);
}

void run(const Options& o) {
  const CostModel model(read_cluster(o.cluster), DType::bf16);
  std::vector<std::string> files = {"a100-node-allreduce-2.csv", "a100-node-allreduce-4.csv",
                                    "a100-node-allreduce-8.csv", "a100-node-calibrate.csv",
                                    "a100-node-validate.csv"};
  if (!o.file.empty()) files = {o.file};
  for (const std::string& file : files) compare(o.folder / file, model, o.rows);
}

}  // namespace
}  // namespace fusor::benchmark

int main(int argc, char** argv) try {
  fusor::benchmark::run(fusor::benchmark::parse(argc, argv));
} catch (const std::exception& error) {
  std::fprintf(stderr, "planner_bench: %s\n", error.what());
  return 1;
}

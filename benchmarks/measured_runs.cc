#include "benchmarks/measured_runs.h"

#include <cmath>
#include <fstream>
#include <map>
#include <sstream>
#include <string>

#include "benchmarks/megatron_step.h"
#include "parallel/simulator.h"
#include "runtime/error.h"

namespace fusor::benchmark {
namespace {

using Row = std::map<std::string, double>;  // by column

std::vector<std::string> cells(const std::string& line) {
  std::vector<std::string> out;
  std::istringstream text(line);
  for (std::string cell; std::getline(text, cell, ',');) out.push_back(cell);
  return out;
}

std::vector<Row> read_csv(const std::filesystem::path& file) {
  std::ifstream text(file);
  std::string line;
  require(text && std::getline(text, line), file.string(), ": cannot be read");
  const std::vector<std::string> names = cells(line);
  std::vector<Row> rows;
  while (std::getline(text, line)) {
    const std::vector<std::string> values = cells(line);
    require(values.size() == names.size(), file.string(), ": a row of ", values.size(),
            " columns, not ", names.size());
    Row& row = rows.emplace_back();
    for (std::size_t i = 0; i < names.size(); ++i) row[names[i]] = std::stod(values[i]);
  }
  return rows;
}

double predict_step(const Row& row, const CostModel& model) {
  const auto whole = [&](const char* column) { return static_cast<std::int64_t>(row.at(column)); };
  const Job job = megatron_step({.global_batch = whole("global_batch"),
                                 .micro_batch = whole("micro_batch"),
                                 .width = whole("hidden_size"),
                                 .heads = whole("heads"),
                                 .layers = whole("layers"),
                                 .seq_len = whole("sequence_length"),
                                 .tp = static_cast<int>(whole("tensor")),
                                 .dp = static_cast<int>(whole("data")),
                                 .pp = static_cast<int>(whole("pipeline"))});
  ClusterClock clock(model);
  return play(job, &clock).seconds;
}

}  // namespace

std::vector<Measured> predict(const std::filesystem::path& file, const CostModel& model) {
  const std::string stem = file.stem().string();
  const bool all_reduces = stem.find("allreduce") != stem.npos;
  const int ranks = all_reduces ? std::stoi(stem.substr(stem.rfind('-') + 1)) : 0;
  std::vector<Measured> out;
  for (const Row& row : read_csv(file))
    if (all_reduces)
      out.push_back({row.at("time_us") / 1e6,
                     model.seconds(CommKind::all_reduce, row.at("bytes"), {ranks, ranks})});
    else
      out.push_back({row.at("iteration_ms") / 1e3, predict_step(row, model)});
  return out;
}

Errors errors_of(const std::vector<Measured>& all) {
  Errors e;
  for (const Measured& m : all) {
    const double error = m.predicted / m.measured - 1;
    e.mean_absolute += std::abs(error), e.bias += error;
    e.worst = std::max(e.worst, std::abs(error));
  }
  const auto n = static_cast<double>(all.size());
  e.mean_absolute /= n, e.bias /= n;
  return e;
}

}  // namespace fusor::benchmark

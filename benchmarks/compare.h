#pragma once
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

// Two ways to do one thing, timed in turn in one process, so that both meet the same machine
// weather.
namespace fusor::benchmark {

struct Times {
  std::vector<double> seconds;

  double median() const {
    std::vector<double> sorted = seconds;
    std::sort(sorted.begin(), sorted.end());
    const std::size_t n = sorted.size();
    return n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
  }
  // Half of (slowest - fastest), as a share of the median.
  double spread() const {
    const auto [low, high] = std::minmax_element(seconds.begin(), seconds.end());
    return (*high - *low) / 2 / median();
  }
};

struct Comparison {
  Times ours, rival;
  double speedup() const { return rival.median() / ours.median(); }  // above 1: ours is faster
};

template <class F>
double seconds_of(F&& f) {
  const auto start = std::chrono::steady_clock::now();
  f();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Each is run once unmeasured, then `pairs` times in turn.
template <class Ours, class Rival>
Comparison compare(Ours&& ours, Rival&& rival, int pairs = 5) {
  ours();
  rival();
  Comparison result;
  for (int pair = 0; pair < pairs; ++pair) {
    result.ours.seconds.push_back(seconds_of(ours));
    result.rival.seconds.push_back(seconds_of(rival));
  }
  return result;
}

// One line: rates in `unit` per second of `work` units a run, the spread of each, and their ratio.
inline void print(const std::string& what, const Comparison& result, double work,
                  const std::string& unit) {
  std::printf("%-44s ours %8.3g %s/s +-%2.0f%%   rival %8.3g %s/s +-%2.0f%%   ratio %.2f\n",
              what.c_str(), work / result.ours.median(), unit.c_str(), 100 * result.ours.spread(),
              work / result.rival.median(), unit.c_str(), 100 * result.rival.spread(),
              result.speedup());
}

}  // namespace fusor::benchmark

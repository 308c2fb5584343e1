#pragma once
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

#include "runtime/append_file.h"

namespace fusor {

// How far a run is and how fast. Numbers are of the whole run, not of one rank.
struct Progress {
  std::int64_t step = 0;       // steps done
  std::int64_t num_steps = 0;  // steps in all
  double loss = 0;
  double seconds_per_step = 0;
  double units_per_step = 0;
  std::string unit = "tokens";
  double flops_per_step = 0;  // of the model: forward and backward, nothing recomputed
  double peak_flops = 0;      // flop/s of all devices together; 0: unknown
};

double units_per_second(const Progress& progress);  // 0 before the first step was timed
double share_of_peak(const Progress& progress);  // model flops utilisation, in [0, 1]; 0: unknown
double seconds_left(const Progress& progress);

// "step 120/1000 | loss 2.3456 | 12.3k tokens/s | 41.2 % of peak | 3m20s left"; what is unknown is
// left out.
std::string format_progress(const Progress& progress);
std::string format_count(double count);       // "512", "12.3k", "4.56M", "1.20G"
std::string format_duration(double seconds);  // "45s", "3m20s", "2h05m", "3d04h"
std::string format_time(double time);         // seconds since 1970 as "2026-01-01 00:00:00", local

// Whether lines written to `stream` can be rewritten in place. mpirun gives its ranks a terminal of
// their own whatever it writes to itself: then it is mpirun's output that is asked.
bool is_terminal(std::FILE* stream);

// What a person reads of a run: timestamped lines in a file, and on rank 0's screen as well.
class RunLog {
 public:
  // `screen` may be null; with `live` the progress line is rewritten in place, else a new one is
  // printed every 10 seconds. The file gets one every 10 seconds. Throws Error when `path` cannot
  // be opened.
  RunLog(const std::string& path, std::FILE* screen, bool live);
  ~RunLog();
  RunLog(const RunLog&) = delete;
  RunLog& operator=(const RunLog&) = delete;

  void say(std::string_view text);  // may have several lines
  void progress(const Progress& progress);
  void progress(const Progress& progress, double now);  // now: seconds since 1970

 private:
  void print(std::string_view text);
  void clear_live_line();

  std::FILE* screen_;
  bool live_;
  std::size_t live_width_ = 0;            // columns of the progress line on the screen; 0: none
  double next_line_ = 0, next_live_ = 0;  // seconds since 1970
  AppendFile file_;
};

}  // namespace fusor

#include "runtime/run_log.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <ctime>

#include "runtime/metrics.h"

namespace fusor {
namespace {

constexpr double kSecondsPerLine = 10;
constexpr double kSecondsPerLiveLine = 0.1;

template <class... Ts>
std::string print_text(const char* format, Ts... values) {
  char text[64];
  std::snprintf(text, sizeof text, format, values...);
  return text;
}

}  // namespace

double units_per_second(const Progress& p) {
  return p.seconds_per_step > 0 ? p.units_per_step / p.seconds_per_step : 0;
}

double share_of_peak(const Progress& p) {
  if (p.seconds_per_step <= 0 || p.peak_flops <= 0) return 0;
  return p.flops_per_step / p.seconds_per_step / p.peak_flops;
}

double seconds_left(const Progress& p) {
  return static_cast<double>(p.num_steps - p.step) * p.seconds_per_step;
}

std::string format_progress(const Progress& p) {
  std::string text = "step " + std::to_string(p.step) + '/' + std::to_string(p.num_steps) +
                     print_text(" | loss %.4f", p.loss);
  if (units_per_second(p) > 0)
    text += " | " + format_count(units_per_second(p)) + " " + p.unit + "/s";
  if (share_of_peak(p) > 0) text += print_text(" | %.1f %% of peak", 100 * share_of_peak(p));
  if (p.seconds_per_step > 0) text += " | " + format_duration(seconds_left(p)) + " left";
  return text;
}

std::string format_count(double count) {
  constexpr std::array<const char*, 5> kUnits = {"", "k", "M", "G", "T"};
  std::size_t unit = 0;
  while (unit + 1 < kUnits.size() && count >= 999.5) {
    count /= 1000;
    ++unit;
  }
  const int digits = unit == 0 || count >= 99.95 ? 0 : count >= 9.995 ? 1 : 2;
  return print_text("%.*f%s", digits, count, kUnits[unit]);
}

std::string format_duration(double seconds) {
  const long long s = std::llround(std::max(seconds, 0.0));
  if (s < 60) return print_text("%llds", s);
  if (s < 3600) return print_text("%lldm%02llds", s / 60, s % 60);
  if (s < 86400) return print_text("%lldh%02lldm", s / 3600, s / 60 % 60);
  return print_text("%lldd%02lldh", s / 86400, s / 3600 % 24);
}

std::string format_time(double time) {
  const auto seconds = static_cast<std::time_t>(std::floor(time));
  std::tm parts{};
  localtime_r(&seconds, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts);
  return text;
}

bool is_terminal(std::FILE* stream) {
  const int fd = fileno(stream);
  if (!::isatty(fd)) return false;
  if (!std::getenv("OMPI_COMM_WORLD_SIZE")) return true;
  struct stat output;
  const std::string mpirun = "/proc/" + std::to_string(::getppid()) + "/fd/" + std::to_string(fd);
  return ::stat(mpirun.c_str(), &output) == 0 && S_ISCHR(output.st_mode);
}

RunLog::RunLog(const std::string& path, std::FILE* screen, bool live)
    : screen_(screen),
      live_(live && screen),
      file_(path, [this](const std::string& problem) { print("warning: " + problem); }) {}

RunLog::~RunLog() {
  if (live_width_ == 0) return;
  std::fputc('\n', screen_);
  std::fflush(screen_);
}

void RunLog::say(std::string_view text) {
  const std::string stamp = format_time(seconds_since_1970()) + "  ";
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    file_.append(stamp + std::string(text.substr(begin, end - begin)));
    begin = end + 1;
  }
  print(text);
}

void RunLog::progress(const Progress& p) { progress(p, seconds_since_1970()); }

void RunLog::progress(const Progress& p, double now) {
  const bool last = p.step == p.num_steps;
  const std::string line = format_progress(p);
  if (now >= next_line_ || last) {
    next_line_ = now + kSecondsPerLine;
    file_.append(format_time(now) + "  " + line);
    if (!live_) print(line);
  }
  if (!live_ || (now < next_live_ && !last)) return;
  next_live_ = now + kSecondsPerLiveLine;
  const std::size_t width = std::max(live_width_, line.size());
  std::fprintf(screen_, "\r%-*s", static_cast<int>(width), line.c_str());
  std::fflush(screen_);
  live_width_ = line.size();
}

void RunLog::print(std::string_view text) {
  if (!screen_) return;
  clear_live_line();
  std::fprintf(screen_, "%.*s\n", static_cast<int>(text.size()), text.data());
  std::fflush(screen_);
}

void RunLog::clear_live_line() {
  if (live_width_ == 0) return;
  std::fprintf(screen_, "\r%*s\r", static_cast<int>(live_width_), "");
  live_width_ = 0;
}

}  // namespace fusor

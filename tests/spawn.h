#pragma once
#include <sys/wait.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <string>

namespace fusor {

struct Outcome {
  int status = -1;     // of exit; -1 if a signal ended it
  std::string output;  // stdout and stderr
  double seconds = 0;
};

// Runs a shell command to its end.
inline Outcome spawn(const std::string& command) {
  const auto start = std::chrono::steady_clock::now();
  std::FILE* pipe = popen(("{ " + command + "; } 2>&1 </dev/null").c_str(), "r");
  Outcome outcome;
  std::array<char, 4096> buffer;
  for (std::size_t n; (n = std::fread(buffer.data(), 1, buffer.size(), pipe)) != 0;)
    outcome.output.append(buffer.data(), n);
  const int status = pclose(pipe);
  if (WIFEXITED(status)) outcome.status = WEXITSTATUS(status);
  outcome.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return outcome;
}

}  // namespace fusor

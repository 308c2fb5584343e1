#pragma once
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <thread>
#include <utility>
#include <vector>

// Programs as a test starts them: to their end, or while the test goes on.
namespace fusor {

inline std::string text_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

struct Outcome {
  int status = -1;     // of exit; -1 if a signal ended it
  std::string output;  // stdout and stderr
  double seconds = 0;
};

// Runs a shell command in `folder` to its end.
inline Outcome spawn(const std::string& command, const std::string& folder = ".") {
  const auto start = std::chrono::steady_clock::now();
  const std::string line = "{ cd '" + folder + "' && " + command + "; } 2>&1 </dev/null";
  std::FILE* pipe = popen(line.c_str(), "r");
  Outcome outcome;
  std::array<char, 4096> buffer;
  for (std::size_t n; (n = std::fread(buffer.data(), 1, buffer.size(), pipe)) != 0;)
    outcome.output.append(buffer.data(), n);
  const int status = pclose(pipe);
  if (WIFEXITED(status)) outcome.status = WEXITSTATUS(status);
  outcome.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return outcome;
}

// What a job's ranks have to tell a person: the lines of its output that begin with "fusor: ".
inline std::string told(const std::string& output) {
  std::string lines;
  for (std::size_t at = 0; at < output.size();) {
    const std::size_t end = std::min(output.find('\n', at), output.size());
    if (output.compare(at, 7, "fusor: ") == 0) lines += output.substr(at, end - at) + "\n";
    at = end + 1;
  }
  return lines;
}

// Looks every few milliseconds until `happened`; false after half a minute.
inline bool wait_for(const std::function<bool()>& happened) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!happened()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

// A command that runs in `folder` while the test goes on; its output goes to the file `output`.
class Job {
 public:
  Job(const std::string& command, const std::string& folder, std::filesystem::path output)
      : output_(std::move(output)) {
    const std::string line =
        "cd '" + folder + "' && exec " + command + " >'" + output_.string() + "' 2>&1 </dev/null";
    pid_ = fork();
    if (pid_ != 0) return;
    execl("/bin/sh", "sh", "-c", line.c_str(), nullptr);
    _exit(127);
  }
  Job(const Job&) = delete;
  Job& operator=(const Job&) = delete;
  ~Job() {
    if (pid_ > 0) kill(pid_, SIGKILL), waitpid(pid_, nullptr, 0);
  }

  pid_t pid() const { return pid_; }
  // Processes that it has started: the ranks of an mpirun, in no order.
  std::vector<pid_t> children() const {
    const std::string pid = std::to_string(pid_);
    std::ifstream file("/proc/" + pid + "/task/" + pid + "/children");
    return {std::istream_iterator<pid_t>(file), {}};
  }
  std::string output() const { return text_of(output_); }
  int wait() {  // for its end; the exit status, or -1 if a signal ended it
    int status = 0;
    waitpid(std::exchange(pid_, 0), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

 private:
  std::filesystem::path output_;
  pid_t pid_ = 0;
};

}  // namespace fusor

#include <sys/stat.h>

#include <algorithm>
#include <iomanip>
#include <iostream>
#include <string>
#include <vector>

#include "io/checkpoint.h"
#include "io/checkpoint_folder.h"
#include "launch/arguments.h"
#include "launch/commands.h"
#include "runtime/error.h"
#include "runtime/metrics.h"
#include "runtime/nearest.h"
#include "runtime/run_log.h"

namespace fusor {
namespace {

namespace po = boost::program_options;

constexpr const char* kUsage =
    "usage: fusor ckpt ls PATH\n"
    "       fusor ckpt verify PATH\n\n"
    "ls lists the checkpoints of a run, verify reads all of one. PATH is a run's folder or a\n"
    "checkpoint's; verify takes the newest checkpoint of a run.\n";

// The PATH of `fusor ckpt ACTION PATH`; empty when help was asked for and printed.
std::string path_argument(const std::string& action, const std::string& summary,
                          const std::vector<std::string>& args) {
  return parse_one_argument("fusor ckpt " + action, "PATH",
                            "the folder of a run or of a checkpoint", summary, args);
}

std::string age_of(const std::string& folder) {
  struct stat info;
  check_errno(::stat(folder.c_str(), &info) == 0, "cannot stat " + folder);
  return format_duration(seconds_since_1970() - static_cast<double>(info.st_mtime));
}

void print_row(const std::string& folder) {
  const std::string name = folder.substr(folder.rfind('/', folder.size() - 2) + 1);
  std::cout << std::left << std::setw(24) << name << std::right << std::setw(8) << age_of(folder);
  if (name.ends_with(".tmp")) {
    std::cout << "  not whole: being written, or left by a run that was killed\n";
    return;
  }
  try {
    const Checkpoint checkpoint = Checkpoint::open(folder, Verify::shards);
    std::cout << std::setw(10) << checkpoint.step() << std::setw(9)
              << format_count(static_cast<double>(checkpoint.num_bytes())) + 'B' << std::setw(9)
              << checkpoint.tensors().size() << std::setw(8) << checkpoint.num_shards()
              << "  whole\n";
  } catch (const Error& error) {
    std::cout << "  not whole: " << error.what() << '\n';
  }
}

int ls(const std::vector<std::string>& args) {
  const std::string path = path_argument(
      "ls",
      "Lists the checkpoints of a run: age, step, size, tensors, shards, and whether the manifest\n"
      "and every shard's presence, size and header are right. `fusor ckpt verify` reads the rest.",
      args);
  if (path.empty()) return 0;
  const std::vector<std::string> folders = all_step_folders(path);
  require(!folders.empty(), "fusor ckpt ls: there is no checkpoint in ", path);
  std::cout << std::left << std::setw(24) << "folder" << std::right << std::setw(8) << "age"
            << std::setw(10) << "step" << std::setw(9) << "size" << std::setw(9) << "tensors"
            << std::setw(8) << "shards" << '\n';
  for (const std::string& folder : folders) print_row(folder);
  return 0;
}

int verify(const std::vector<std::string>& args) {
  const std::string path = path_argument(
      "verify",
      "Reads all of a checkpoint: the manifest, that the pieces cover every tensor once, and each\n"
      "shard's size, header and checksum. Of a run, the newest checkpoint is read.",
      args);
  if (path.empty()) return 0;
  Checkpoint checkpoint = Checkpoint::open(path, Verify::manifest);
  std::string faults;
  for (std::size_t shard = 0; shard < checkpoint.num_shards(); ++shard) try {
      checkpoint.verify_shard(shard, Verify::checksums);
      std::cout << checkpoint.shard_file(shard) << "  ok\n";
    } catch (const Error& error) {
      std::cout << checkpoint.shard_file(shard) << "  BAD\n";
      faults += (faults.empty() ? "" : "; ") + std::string(error.what());
    }
  if (!faults.empty()) raise(faults);
  std::cout << checkpoint.folder() << ": step " << checkpoint.step() << ", "
            << checkpoint.tensors().size() << " tensors, "
            << format_count(static_cast<double>(checkpoint.num_bytes())) << "B, all of it whole\n";
  return 0;
}

}  // namespace

int ckpt_command(const std::vector<std::string>& args) {
  if (args.empty() || args[0] == "--help") {
    std::cout << kUsage;
    return 0;
  }
  const std::vector<std::string> rest(args.begin() + 1, args.end());
  if (args[0] == "ls") return ls(rest);
  if (args[0] == "verify") return verify(rest);
  const std::string hint = did_you_mean(args[0], {"ls", "verify"});
  raise("fusor ckpt: unknown action \"" + args[0] + "\"" +
        (hint.empty() ? ", fusor ckpt --help lists them all" : hint));
}

}  // namespace fusor

#include "io/checkpoint_folder.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <system_error>

#include "io/output_file.h"
#include "runtime/error.h"

namespace fusor {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "step-";
constexpr std::string_view kTemporary = ".tmp";
constexpr std::string_view kAside = ".aside";

std::optional<std::int64_t> parse_step(std::string_view name) {
  if (!name.starts_with(kPrefix)) return std::nullopt;
  const std::string_view digits = name.substr(kPrefix.size());
  std::int64_t step = 0;
  const auto [end, status] = std::from_chars(digits.data(), digits.data() + digits.size(), step);
  if (status != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  if (step < 0 || fs::path(step_folder("", step)).filename() != name) return std::nullopt;
  return step;
}

void delete_folder(const fs::path& folder) {
  std::error_code failure;
  fs::remove_all(folder, failure);
  require(!failure, "cannot delete ", folder.string(), ": ", failure.message());
}

// Names in a folder; none when it is missing.
std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code failure;
  for (fs::directory_iterator at(folder, failure), end; !failure && at != end;
       at.increment(failure))
    names.push_back(at->path().filename().string());
  require(!failure || failure == std::errc::no_such_file_or_directory, "cannot list ", folder, ": ",
          failure.message());
  return names;
}

bool holds_manifest(const std::string& folder) {
  return fs::exists(fs::path(folder) / kCheckpointManifest);
}

// The folder of all steps: `path` is a run or that folder.
std::string checkpoints_of(const std::string& path) {
  return fs::is_directory(path + "/checkpoints") ? path + "/checkpoints" : path;
}

// A name beside `folder` with this ending that is still free.
std::string free_name(const std::string& folder, std::string_view ending) {
  std::string name = folder + std::string(ending);
  for (int i = 2; fs::exists(name); ++i)
    name = folder + '.' + std::to_string(i) + std::string(ending);
  return name;
}

}  // namespace

std::string step_folder(const std::string& checkpoints, std::int64_t step) {
  char name[32];
  std::snprintf(name, sizeof name, "step-%08lld", static_cast<long long>(step));
  return checkpoints + '/' + name;
}

std::string temporary_step_folder(const std::string& checkpoints, std::int64_t step) {
  return step_folder(checkpoints, step) + std::string(kTemporary);
}

std::vector<std::int64_t> saved_steps(const std::string& checkpoints) {
  std::vector<std::int64_t> steps;
  for (const std::string& name : names_in(checkpoints))
    if (const auto step = parse_step(name)) steps.push_back(*step);
  std::ranges::sort(steps);
  return steps;
}

std::vector<std::int64_t> steps_to_delete(const std::vector<std::int64_t>& steps,
                                          const Retention& retention) {
  std::vector<std::int64_t> result;
  if (retention.keep_last <= 0) return result;
  const auto newest = std::min<std::size_t>(retention.keep_last, steps.size());
  for (std::size_t i = 0; i + newest < steps.size(); ++i)
    if (retention.keep_every <= 0 || steps[i] % retention.keep_every != 0)
      result.push_back(steps[i]);
  return result;
}

void publish_step(const std::string& checkpoints, std::int64_t step) {
  const std::string folder = step_folder(checkpoints, step);
  const std::string replaced = free_name(folder, ".replaced.tmp");
  const bool replaces = fs::exists(folder);
  if (replaces) rename_durably(folder, replaced);
  rename_durably(temporary_step_folder(checkpoints, step), folder);
  if (replaces) delete_folder(replaced);
}

void delete_step(const std::string& checkpoints, std::int64_t step) {
  const std::string folder = step_folder(checkpoints, step);
  const std::string doomed = free_name(folder, kTemporary);
  rename_durably(folder, doomed);
  delete_folder(doomed);
}

void delete_leftovers(const std::string& checkpoints, const std::string& kept) {
  for (const std::string& name : names_in(checkpoints)) {
    const std::string folder = checkpoints + '/' + name;
    if (name.starts_with(kPrefix) && name.ends_with(kTemporary) && folder != kept)
      delete_folder(folder);
  }
}

void set_aside_after(const std::string& checkpoints, std::int64_t step) {
  for (const std::int64_t later : saved_steps(checkpoints)) {
    const std::string folder = step_folder(checkpoints, later);
    if (later > step) rename_durably(folder, free_name(folder, kAside));
  }
}

std::vector<std::string> all_step_folders(const std::string& path) {
  if (holds_manifest(path)) return {path};
  const std::string place = checkpoints_of(path);
  std::vector<std::string> folders;
  for (const std::string& name : names_in(place))
    if (name.starts_with(kPrefix)) folders.push_back(place + '/' + name);
  std::ranges::sort(folders);
  return folders;
}

std::string find_checkpoint(const std::string& path) {
  require(fs::is_directory(path), "there is no folder ", path);
  if (holds_manifest(path)) return path;
  const std::string place = checkpoints_of(path);
  const auto steps = saved_steps(place);
  for (auto step = steps.rbegin(); step != steps.rend(); ++step)
    if (holds_manifest(step_folder(place, *step))) return step_folder(place, *step);
  raise("there is no checkpoint in " + path + ": no manifest.json there or in a step-* folder");
}

}  // namespace fusor

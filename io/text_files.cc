#include "io/text_files.h"

#include <algorithm>
#include <filesystem>

#include "io/file.h"
#include "io/utf8.h"
#include "runtime/error.h"

namespace fusor {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kReadBytes = std::size_t{1} << 20;

}  // namespace

std::vector<std::string> list_files(const std::vector<std::string>& inputs) {
  std::vector<std::string> files;
  for (const std::string& input : inputs) {
    if (!fs::is_directory(input)) {
      files.push_back(input);
      continue;
    }
    const auto before = std::ssize(files);
    for (const auto& entry : fs::recursive_directory_iterator(input))
      if (entry.is_regular_file()) files.push_back(entry.path().string());
    require(std::ssize(files) > before, "there are no files in the folder ", input);
    std::sort(files.begin() + before, files.end());
  }
  return files;
}

void for_each_part(const std::string& path, const std::string& separator,
                   const std::function<void(const TextPart&)>& take) {
  const File file(path);
  const std::uint64_t size = file.size();
  std::string pending;       // bytes read of a part that has not ended
  std::size_t searched = 0;  // of them, those where no separator begins
  std::int64_t line = 1;
  const auto give = [&](std::string_view part) {
    take({part, line});
    line += std::ranges::count(part, '\n');
  };
  for (std::uint64_t at = 0; at < size;) {
    const auto n = std::min<std::uint64_t>(kReadBytes, size - at);
    pending.resize(pending.size() + n);
    file.read(std::as_writable_bytes(std::span(pending).last(n)), at);
    at += n;
    std::size_t begin = 0;
    for (std::size_t end = searched; !separator.empty(); begin = end, searched = end) {
      end = pending.find(separator, searched);
      if (end == std::string::npos) break;
      end += separator.size();
      give(std::string_view(pending).substr(begin, end - begin));
    }
    pending.erase(0, begin);
    searched = pending.size() - std::min(pending.size(), separator.size());
  }
  if (!pending.empty()) give(pending);
}

std::string utf8_fault(const std::string& path, const TextPart& part) {
  const std::size_t valid = valid_utf8_bytes(part.text);
  if (valid == part.text.size()) return {};
  const std::int64_t line = part.line + std::ranges::count(part.text.substr(0, valid), '\n');
  return path + ": line " + std::to_string(line) + " is not UTF-8";
}

}  // namespace fusor

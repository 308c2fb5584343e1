#pragma once
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace fusor {

// The files that `inputs` name, in order; of a folder, all below it in order of path. Throws Error
// for a folder that holds none.
std::vector<std::string> list_files(const std::vector<std::string>& inputs);

// A piece of a file. It holds until the function that got it returns.
struct TextPart {
  std::string_view text;  // with the separator that ended it, where there was one
  std::int64_t line = 1;  // the line of the file where it begins
};

// Calls `take` with each part of a file that ends with the separator, in order; the whole file
// where the separator is empty.
void for_each_part(const std::string& path, const std::string& separator,
                   const std::function<void(const TextPart&)>& take);

// "" for UTF-8, else a sentence that names the first line of the part that is not.
std::string utf8_fault(const std::string& path, const TextPart& part);

}  // namespace fusor

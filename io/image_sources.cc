#include "io/image_sources.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <utility>

#include "io/csv.h"
#include "io/file.h"
#include "io/image_decoders.h"
#include "runtime/error.h"

namespace fusor {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMaxFileBytes = std::uint64_t{1} << 28;
constexpr std::uint64_t kMaxTableBytes = std::uint64_t{1} << 32;

// The split that a name stands for; empty: none.
std::string split_of(const std::string& name) {
  static constexpr std::array<std::pair<std::string_view, const char*>, 6> kNames = {{
      {"train", "train"},
      {"val", "val"},
      {"valid", "val"},
      {"validation", "val"},
      {"test", "test"},
      {"t10k", "test"},
  }};
  const auto found = std::ranges::find(kNames, name, [](const auto& pair) { return pair.first; });
  return found == kNames.end() ? "" : found->second;
}

bool hidden(const fs::path& path) { return path.filename().string().starts_with('.'); }

// What a folder holds, in order of name.
std::vector<fs::path> entries(const fs::path& folder) {
  std::vector<fs::path> paths;
  for (const auto& entry : fs::directory_iterator(folder))
    if (!hidden(entry.path())) paths.push_back(entry.path());
  std::ranges::sort(paths);
  return paths;
}

std::string stem_of(const fs::path& path) {
  const std::string name = path.filename().string();
  return name.substr(0, name.find_first_of("._"));
}

// All files below the class's folder.
void add_class(const fs::path& folder, const std::string& split, bool group_by_stem,
               std::vector<ImageSource>& images) {
  for (const fs::path& path : entries(folder))
    if (fs::is_directory(path)) {
      const auto before = images.size();
      add_class(path, split, group_by_stem, images);
      for (std::size_t i = before; i < images.size(); ++i)
        images[i].label = folder.filename().string();
    } else {
      images.push_back({.name = path.string(),
                        .label = folder.filename().string(),
                        .split = split,
                        .group = group_by_stem ? stem_of(path) : ""});
    }
}

void add_classes(const fs::path& folder, const std::string& split, bool group_by_stem,
                 std::vector<ImageSource>& images) {
  for (const fs::path& path : entries(folder)) {
    require(fs::is_directory(path), path.string(),
            " is not in a folder that is its class: write FOLDER/CLASS/IMAGE");
    add_class(path, split, group_by_stem, images);
  }
}

void add_pair(const fs::path& pixels, const fs::path& labels, const std::string& part,
              std::vector<ImageSource>& images) {
  const auto array = std::make_shared<IdxArray>(read_idx(pixels.string(), 3));
  const IdxArray classes = read_idx(labels.string(), 1);
  require(classes.shape[0] == array->shape[0], labels.string(), " has ", classes.shape[0],
          " labels for the ", array->shape[0], " images of ", pixels.string());
  check_image_size(array->shape[1], array->shape[2], pixels.string());
  for (std::int64_t i = 0; i < array->shape[0]; ++i)
    images.push_back({.name = pixels.string() + " image " + std::to_string(i),
                      .label = std::to_string(classes.values[static_cast<std::size_t>(i)]),
                      .split = split_of(part),
                      .group = {},
                      .array = array,
                      .index = i});
}

void add_idx(const fs::path& folder, std::vector<ImageSource>& images) {
  static constexpr std::string_view kImages = "-images-idx3-ubyte";
  for (const fs::path& path : entries(folder)) {
    const std::string name = path.filename().string();
    const auto at = name.find(kImages);
    if (at == std::string::npos) continue;
    const std::string part = name.substr(0, at);
    fs::path labels = folder / (part + "-labels-idx1-ubyte" + name.substr(at + kImages.size()));
    require(fs::exists(labels), path.string(), " has no file of labels ", labels.string());
    add_pair(path, labels, part, images);
  }
}

void add_table(const fs::path& file, const ImageColumns& columns, bool group_by_stem,
               std::vector<ImageSource>& images) {
  const CsvTable table = parse_csv(read_text_file(file.string(), kMaxTableBytes), file.string());
  const auto column = [&](const std::string& name) { return table.column(name, file.string()); };
  const std::size_t path = column(columns.path), label = column(columns.label);
  for (const CsvTable::Row& row : table.rows) {
    const auto optional = [&](const std::string& name) {
      return name.empty() ? std::string() : row.fields[column(name)];
    };
    const std::string where = file.string() + " line " + std::to_string(row.line);
    require(!row.fields[path].empty() && !row.fields[label].empty(), where,
            " lacks a path or a label");
    const std::string split = optional(columns.split);
    require(split.empty() || !split_of(split).empty(), where, ": the split '", split,
            "' is not train, val or test");
    const fs::path image = file.parent_path() / row.fields[path];
    std::string group = optional(columns.group);
    if (group.empty() && group_by_stem) group = stem_of(image);
    images.push_back({.name = image.string(),
                      .label = row.fields[label],
                      .split = split_of(split),
                      .group = std::move(group)});
  }
}

}  // namespace

std::string ImageSource::read() const {
  if (array == nullptr) return read_text_file(name, kMaxFileBytes);
  const std::int64_t bytes = array->shape[1] * array->shape[2];
  return {reinterpret_cast<const char*>(array->values.data()) + index * bytes,
          static_cast<std::size_t>(bytes)};
}

std::vector<ImageSource> find_images(const std::string& input, const ImageColumns& columns,
                                     bool group_by_stem) {
  std::vector<ImageSource> images;
  require(fs::exists(input), "there is no file or folder ", input);
  if (!fs::is_directory(input)) {
    require(input.ends_with(".csv"), input, " is neither a folder nor a .csv file");
    add_table(input, columns, group_by_stem, images);
    return images;
  }
  require(columns.group.empty() && columns.split.empty(), input,
          " is a folder, not a table with a column '",
          columns.group.empty() ? columns.split : columns.group, "'");
  add_idx(input, images);
  if (!images.empty()) return images;
  const std::vector<fs::path> inside = entries(input);
  const bool splits = std::ranges::any_of(inside, [](const fs::path& path) {
    return path.filename() == "train" && fs::is_directory(path);
  });
  if (!splits) add_classes(input, "", group_by_stem, images);
  for (const fs::path& path : inside) {
    if (!splits) break;
    const std::string split = split_of(path.filename().string());
    require(!split.empty() && fs::is_directory(path), path.string(),
            " stands beside a folder 'train', but is no folder val or test");
    add_classes(path, split, group_by_stem, images);
  }
  require(!images.empty(), "there are no images in ", input);
  return images;
}

}  // namespace fusor

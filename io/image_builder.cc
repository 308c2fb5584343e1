#include "io/image_builder.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <set>
#include <unordered_map>
#include <utility>

#include "io/checksum.h"
#include "io/groups.h"
#include "io/in_order.h"
#include "io/record_writer.h"
#include "runtime/error.h"

namespace fusor {
namespace {

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}

bool is_number(const std::string& text) {
  return !text.empty() && text.size() < 10 &&
         std::ranges::all_of(text, [](char c) { return '0' <= c && c <= '9'; });
}

// The classes in the order of their indices.
std::vector<std::string> classes_of(const std::vector<ImageSource>& images) {
  std::set<std::string> labels;
  bool arrays = false;
  for (const ImageSource& image : images) {
    labels.insert(image.label);
    arrays |= image.array != nullptr;
  }
  std::vector<std::string> names(labels.begin(), labels.end());
  if (!std::ranges::all_of(names, is_number)) return names;
  const auto number = [](const std::string& name) { return std::stol(name); };
  std::ranges::sort(names, {}, number);
  if (!arrays) return names;
  const long most = number(names.back());  // labels of arrays are the indices themselves
  names.clear();
  for (long i = 0; i <= most; ++i) names.push_back(std::to_string(i));
  return names;
}

// An image as it will be stored.
struct Packed {
  std::vector<std::uint8_t> bytes;
  std::uint64_t hash = 0;  // of what the input holds
  std::string fault;       // what is wrong with it
};

class Builder {
 public:
  explicit Builder(const ImageBuildConfig& config)
      : config_(config),
        images_(find_images(config.input, config.columns, config.group_by_stem)),
        classes_(classes_of(images_)),
        split_of_(config.split_seed, config.held_out) {
    for (std::size_t i = 0; i < classes_.size(); ++i)
      index_of_[classes_[i]] = static_cast<std::int32_t>(i);
    report_.bad = BadSamples(config.on_bad);
    pixels_ = config.pixels || images_.front().array != nullptr;
    require(config.channels == 1 || config.channels == 3, "images have 1 or 3 channels, not ",
            config.channels);
    require(config.height >= 0 && config.width >= 0 && (config.height > 0) == (config.width > 0),
            "images cannot be resized to ", config.width, " x ", config.height);
    require(pixels_ || config.height == 0,
            "images that stay encoded cannot be resized: store pixels");
    if (pixels_) find_size();
    find_groups();
  }

  ImageBuildReport run() {
    RecordWriter writer(
        {.output = config_.output,
         .fields = {image_field(), {.name = "label", .type = ElementType::i32, .names = classes_}},
         .held_out = config_.held_out,
         .split_seed = config_.split_seed,
         .shard_bytes = config_.shard_bytes});
    in_order(
        std::ssize(images_), config_.num_threads, [&](std::int64_t i) { return pack(image(i)); },
        [&](std::int64_t i, const Packed& packed) { add(writer, i, packed); });
    report_.manifest = writer.finish();
    return std::move(report_);
  }

 private:
  const ImageSource& image(std::int64_t i) const { return images_[static_cast<std::size_t>(i)]; }

  FieldInfo image_field() const {
    if (pixels_)
      return {.name = "image",
              .shape = {height_, width_, config_.channels},
              .attributes = {{"encoding", "pixels"}}};
    return {.name = "image",
            .ragged = true,
            .attributes = {{"encoding", "jpeg or png"},
                           {"channels", std::to_string(config_.channels)}}};
  }

  // Of pixels: as asked for, or the first image's that has one.
  void find_size() {
    height_ = config_.height, width_ = config_.width;
    for (std::int64_t i = 0; i < std::ssize(images_) && height_ == 0; ++i) try {
        const ImageSource& source = image(i);
        if (source.array != nullptr) {
          height_ = source.array->shape[1], width_ = source.array->shape[2];
        } else {
          const auto [height, width] = image_size(bytes_of(source.read()), source.name);
          height_ = height, width_ = width;
        }
      } catch (const Error&) {
        if (config_.on_bad == OnBadSample::fail) throw;
      }
    require(height_ > 0, "no image in ", config_.input, " can be read");
  }

  // Only where the input tells of groups must all be read before the first is placed.
  void find_groups() {
    if (std::ranges::all_of(images_, &std::string::empty, &ImageSource::group)) return;
    Groups groups;
    for (const ImageSource& source : images_) {
      const std::string bytes = source.read();
      const std::uint64_t own = checksum(bytes.data(), bytes.size());
      if (!source.group.empty()) groups.join(group_hash("group " + source.group), own);
    }
    groups_ = std::move(groups);
  }

  Image decode(const ImageSource& source, const std::string& bytes) const {
    if (source.array == nullptr)
      return decode_image(bytes_of(bytes), config_.channels, source.name);
    Image image(source.array->shape[1], source.array->shape[2], 1);
    std::ranges::copy(bytes, image.pixels.begin());
    return with_channels(std::move(image), config_.channels);
  }

  Packed pack(const ImageSource& source) const {
    Packed packed;
    try {
      const std::string bytes = source.read();
      packed.hash = checksum(bytes.data(), bytes.size());
      Image image = decode(source, bytes);
      if (!pixels_) {
        packed.bytes.assign(bytes.begin(), bytes.end());
        return packed;
      }
      if (config_.height > 0) image = resize(image, height_, width_, config_.filter);
      require(image.height == height_ && image.width == width_, source.name, " has ", image.width,
              " x ", image.height, " pixels, not ", width_, " x ", height_,
              " as those before it: resize all to one size");
      packed.bytes = std::move(image.pixels);
    } catch (const Error& error) {
      packed.fault = error.what();
    }
    return packed;
  }

  void add(RecordWriter& writer, std::int64_t i, const Packed& packed) {
    if (!packed.fault.empty()) return report_.bad.add(packed.fault);
    const ImageSource& source = image(i);
    const std::uint64_t group = groups_.of(packed.hash);
    const bool drawn = source.split.empty() || source.split == "train";
    const std::string split = drawn ? split_of_(group) : source.split;
    writer.add(split, group, {packed.bytes, index_of_.at(source.label)});
    ++report_.num_images;
    const auto [first, is_new] = seen_.try_emplace(packed.hash, split);
    report_.num_equal += is_new ? 0 : 1;
    report_.num_leaked += first->second == split ? 0 : 1;
  }

  const ImageBuildConfig& config_;
  std::vector<ImageSource> images_;
  std::vector<std::string> classes_;
  std::map<std::string, std::int32_t> index_of_;
  SplitByHash split_of_;
  Groups groups_;
  std::unordered_map<std::uint64_t, std::string> seen_;  // the split of each content
  bool pixels_ = false;
  std::int64_t height_ = 0, width_ = 0;
  ImageBuildReport report_;
};

}  // namespace

ImageBuildReport build_image_dataset(const ImageBuildConfig& config) {
  return Builder(config).run();
}

}  // namespace fusor

#include <algorithm>
#include <iostream>
#include <thread>

#include "io/image_builder.h"
#include "launch/arguments.h"
#include "launch/data_actions.h"
#include "runtime/error.h"

namespace fusor {
namespace {

namespace po = boost::program_options;

constexpr const char* kUsage =
    "usage: fusor data images --input DIR --output DIR [OPTIONS]\n\n"
    "Packs images and their classes into a dataset. The input is a folder of a folder for each\n"
    "class, or of such folders for train, val and test; a folder of IDX files, also .gz; or a "
    ".csv\n"
    "file of paths and labels. Equal images never stand on both sides of a split that is drawn.\n"
    "The rotation that EXIF may ask for is not applied.\n\n";

// "32" or "320x240" as width x height.
void parse_size(const std::string& text, ImageBuildConfig& config) {
  if (text.empty()) return;
  int width = 0, height = 0, read = 0;
  if (std::sscanf(text.c_str(), "%5dx%5d%n", &width, &height, &read) != 2) {
    read = 0;
    std::sscanf(text.c_str(), "%5d%n", &width, &read);
    height = width;
  }
  require(read == static_cast<int>(text.size()) && width > 0 && height > 0,
          "fusor data images: --resize is '", text, "', not SIZE or WIDTHxHEIGHT");
  config.width = width, config.height = height;
}

void print_report(const ImageBuildConfig& config, const ImageBuildReport& report) {
  std::cout << "packed " << counted(report.num_images, "image") << " into " << config.output
            << '\n';
  for (const RecordSplit& split : report.manifest.splits)
    std::cout << "  " << split.name << "  " << counted(split.num_rows(), "image") << ", "
              << counted(std::ssize(split.shards), "shard") << '\n';
  if (report.num_equal > 0)
    std::cout << "  " << counted(report.num_equal, "image") << " equal to an earlier one\n";
  if (report.num_leaked > 0)
    std::cout << "  warning: " << counted(report.num_leaked, "image")
              << " equal to one of another split of the input\n";
  print_skipped(report.bad, "image");
}

}  // namespace

int data_images(const std::vector<std::string>& args) {
  ImageBuildConfig config;
  std::string size, filter = "bilinear", store = "encoded", on_bad = "fail", group_by;
  std::int64_t shard_mb = config.shard_bytes >> 20;
  config.num_threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  po::options_description options("options");
  options.add_options()("help", "print this")("input", po::value(&config.input)->required(),
                                              "the images")(
      "output", po::value(&config.output)->required(), "the dataset's folder; must not exist")(
      "store", po::value(&store)->default_value(store),
      "encoded: files as they are; pixels: decoded, all of one size, as IDX files always are")(
      "resize", po::value(&size), "pixels scaled to SIZE or WIDTHxHEIGHT, whatever their aspect")(
      "filter", po::value(&filter)->default_value(filter), "of --resize: bilinear or bicubic")(
      "channels", po::value(&config.channels)->default_value(config.channels),
      "1: grey, 3: colour")("val-fraction", po::value(&config.held_out.val)->default_value(0, "0"),
                            "share of what is not given as val or test that is held out in 'val'")(
      "test-fraction", po::value(&config.held_out.test)->default_value(0, "0"),
      "the same in 'test'")("split-seed",
                            po::value(&config.split_seed)->default_value(config.split_seed),
                            "another seed holds out other images")(
      "group-by", po::value(&group_by),
      "what stays on one side of a split besides equal images: 'stem', a file's name before its "
      "first '.' or '_', or a column of the table")(
      "path-column", po::value(&config.columns.path)->default_value("path"), "of a table")(
      "label-column", po::value(&config.columns.label)->default_value("label"), "of a table")(
      "split-column", po::value(&config.columns.split), "of a table: train, val or test")(
      "on-bad-sample", po::value(&on_bad)->default_value(on_bad),
      "fail or skip: what to do about an image that cannot be used")(
      "shard-mb", po::value(&shard_mb)->default_value(shard_mb), "MiB of images in a shard")(
      "threads", po::value(&config.num_threads)->default_value(config.num_threads), "that decode");
  if (parse_arguments("fusor data images", args, options).contains("help")) {
    std::cout << kUsage << options;
    return 0;
  }
  require(shard_mb > 0 && shard_mb <= 1 << 20,
          "fusor data images: --shard-mb must be 1 to 1048576, not ", shard_mb);
  require(store == "encoded" || store == "pixels", "fusor data images: --store is '", store,
          "', not encoded or pixels");
  require(filter == "bilinear" || filter == "bicubic", "fusor data images: --filter is '", filter,
          "', not bilinear or bicubic");
  config.shard_bytes = shard_mb << 20;
  config.pixels = store == "pixels";
  config.filter = filter == "bicubic" ? ResizeFilter::bicubic : ResizeFilter::bilinear;
  config.on_bad = parse_on_bad_sample(on_bad, "fusor data images: --on-bad-sample");
  config.group_by_stem = group_by == "stem";
  if (!config.group_by_stem) config.columns.group = group_by;
  parse_size(size, config);
  print_report(config, build_image_dataset(config));
  return 0;
}

}  // namespace fusor

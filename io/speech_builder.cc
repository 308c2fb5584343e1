#include "io/speech_builder.h"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <set>

#include "io/csv.h"
#include "io/file.h"
#include "io/record_writer.h"
#include "io/sound.h"
#include "io/text_files.h"
#include "runtime/error.h"

namespace fusor {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMaxText = 1 << 20;  // bytes

// A sound and what is said in it.
struct Utterance {
  std::string path, text, group;
};

std::vector<Utterance> utterances_of_table(const std::string& file) {
  constexpr std::uint64_t kMaxTable = std::uint64_t{1} << 30;  // bytes
  require(file.ends_with(".csv"), file, " is neither a folder nor a .csv file");
  const CsvTable table = parse_csv(read_text_file(file, kMaxTable), file);
  const std::size_t path = table.column("path", file), text = table.column("text", file);
  const bool has_groups = std::ranges::count(table.columns, "group") > 0;
  const std::size_t group = has_groups ? table.column("group", file) : path;
  const fs::path folder = fs::path(file).parent_path();
  std::vector<Utterance> all;
  for (const CsvTable::Row& row : table.rows)
    all.push_back({(folder / row.fields[path]).string(), row.fields[text], row.fields[group]});
  return all;
}

std::vector<Utterance> utterances_of_folder(const std::string& folder) {
  static const std::set<std::string> kSounds{".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3"};
  std::vector<Utterance> all;
  for (const std::string& path : list_files({folder})) {
    if (!kSounds.contains(fs::path(path).extension().string())) continue;
    const std::string text = fs::path(path).replace_extension(".txt").string();
    all.push_back({path, fs::exists(text) ? read_text_file(text, kMaxText) : "",
                   fs::path(path).parent_path().string()});
  }
  return all;
}

// Texts normalised; those that cannot be are bad.
std::vector<Utterance> with_texts(std::vector<Utterance> all, bool letters_only,
                                  const std::function<void(const std::string&)>& bad) {
  std::erase_if(all, [&](Utterance& u) {
    try {
      u.text = normalized_transcript(u.text, letters_only);
      require(!u.text.empty(), "there is none");
      return false;
    } catch (const Error& error) {
      bad(u.path + ": its text cannot be used: " + error.what());
      return true;
    }
  });
  return all;
}

// The sounds of [begin, begin + size) and, where one is bad, what is wrong with it.
struct Decoded {
  std::vector<std::vector<std::int16_t>> pcm;
  std::vector<std::string> faults;
};
Decoded decoded(std::span<const Utterance> some, const SpeechBuildConfig& config) {
  Decoded d{std::vector<std::vector<std::int16_t>>(some.size()),
            std::vector<std::string>(some.size())};
#pragma omp parallel for schedule(dynamic)
  for (std::size_t i = 0; i < some.size(); ++i) try {
      d.pcm[i] = training_pcm(some[i].path, config.rate, config.most_seconds);
    } catch (const Error& error) {
      d.faults[i] = error.what();
    }
  return d;
}

std::vector<FieldInfo> fields_of(const SpeechBuildConfig& config, const Labels& labels) {
  static constexpr const char* kUnits[] = {"characters", "words", "bytes"};
  return {{.name = "sound",
           .type = ElementType::i16,
           .ragged = true,
           .attributes = {{"sample_rate", std::to_string(config.rate)}}},
          {.name = "labels",
           .type = ElementType::i32,
           .ragged = true,
           .names = labels.names(),
           .attributes = {{"units", kUnits[static_cast<int>(config.units)]}}},
          {.name = "text", .ragged = true, .attributes = {{"encoding", "utf-8"}}}};
}

}  // namespace

SpeechBuildReport build_speech_dataset(const SpeechBuildConfig& config) {
  check_shares(config.held_out);
  BadSamples bad(config.on_bad_sample);
  SpeechBuildReport report;
  const auto add_bad = [&](const std::string& what) {
    bad.add(what);
    report.skipped.push_back(what);
  };
  std::vector<Utterance> all = fs::is_directory(config.input) ? utterances_of_folder(config.input)
                                                              : utterances_of_table(config.input);
  require(!all.empty(), config.input, " names no sound");
  all = with_texts(std::move(all), config.letters_only, add_bad);
  const SplitByHash split_of(config.split_seed, config.held_out);
  const auto split = [&](const Utterance& u) { return std::string(split_of(group_hash(u.group))); };
  std::vector<std::string> training;
  for (const Utterance& u : all)
    if (split(u) == "train") training.push_back(u.text);
  require(!training.empty(), config.input, ": no text is left to train on");
  const Labels labels = Labels::of_texts(training, config.units);
  const std::set<std::string> seen(training.begin(), training.end());
  if (config.drop_seen_texts)
    report.num_seen = static_cast<std::int64_t>(std::erase_if(
        all, [&](const Utterance& u) { return split(u) != "train" && seen.contains(u.text); }));

  RecordWriter writer({.output = config.output,
                       .fields = fields_of(config, labels),
                       .held_out = config.held_out,
                       .split_seed = config.split_seed,
                       .shard_bytes = config.shard_bytes});
  constexpr std::size_t kAtOnce = 256;
  for (std::size_t begin = 0; begin < all.size(); begin += kAtOnce) {
    const auto some = std::span(all).subspan(begin, std::min(kAtOnce, all.size() - begin));
    const Decoded d = decoded(some, config);
    for (std::size_t i = 0; i < some.size(); ++i) {
      if (!d.faults[i].empty()) {
        add_bad(d.faults[i]);
        continue;
      }
      report.seconds += static_cast<double>(d.pcm[i].size()) / static_cast<double>(config.rate);
      const std::vector<std::int32_t> spelled = labels.of(some[i].text);
      writer.add(group_hash(some[i].group), {d.pcm[i], spelled, std::string_view(some[i].text)});
    }
  }
  report.manifest = writer.finish();
  return report;
}

}  // namespace fusor

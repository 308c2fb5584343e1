#include "launch/config.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <map>

#include "launch/keys.h"
#include "launch/values.h"
#include "runtime/error.h"
#include "runtime/nearest.h"

namespace fusor {
namespace {

// Where the recipe asks for samples: rank 0 writes them.
void require_whole_model(const Config& c) {
  if (c.train.sample_every == 0) return;
  struct Axis {
    const char* name;
    std::int64_t value, most;
  };
  const ParallelConfig& p = c.parallel;
  for (const Axis& axis : {Axis{"tp", p.tp, 1},
                           {"pp", p.pp, 1},
                           {"cp", p.cp, 1},
                           {"ep", p.ep, 1},
                           {"zero", p.zero, 2}})
    require(axis.value <= axis.most, "train.sample_every ", c.train.sample_every,
            " needs the whole model on a rank, which parallel.", axis.name, " ", axis.value,
            " splits, the nearest that works: train.sample_every 0, or parallel.", axis.name, " ",
            axis.most);
}

void resolve_gpt(Config& c) {
  c.model = resolve(c.model);
  if (c.data.seq_len == 0) c.data.seq_len = c.model.seq_len;
  require(c.data.seq_len <= c.model.seq_len, "data.seq_len ", c.data.seq_len,
          " is longer than model.seq_len ", c.model.seq_len);
  require_whole_model(c);
  require(c.parallel.recompute_layers <= c.model.layers, "parallel.recompute_layers ",
          c.parallel.recompute_layers, " is more than model.layers ", c.model.layers);
}

void resolve_resnet(Config& c) {
  check(c.resnet);
  require_axes(c, "a ResNet", {"pp"});
}

void resolve_vit(Config& c) {
  check(c.vit);
  require_axes(c, "a ViT", {"tp", "pp", "sequence"});
}

void resolve_speech(Config& c) {
  check(c.speech);
  const std::int64_t frames = subsampled(c.sounds.most_frames());
  require(frames > 0 && (c.speech.encoder == SpeechEncoder::lstm || frames <= c.speech.max_frames),
          "data.max_seconds ", to_text(c.sounds.max_seconds), " are ", frames,
          " frames after subsampling, but model.max_frames is ", c.speech.max_frames);
  if (c.speech.encoder == SpeechEncoder::lstm)
    require_axes(c, "an LSTM", {"pp"});
  else
    require_axes(c, "a speech model", {"tp", "pp", "sequence"});
}

void resolve_bert(Config& c) {
  check(c.bert);
  require_axes(c, "a BERT", {"tp", "pp", "sequence"});
  if (c.data.seq_len == 0) c.data.seq_len = c.bert.seq_len;
  require(2 < c.data.seq_len && c.data.seq_len <= c.bert.seq_len, "data.seq_len ", c.data.seq_len,
          " should be above 2 and at most model.seq_len ", c.bert.seq_len);
  require(c.documents.mask_rate > 0, "data.mask_rate ", to_text(c.documents.mask_rate),
          " leaves nothing to predict");
  if (c.documents.predictions == 0)
    c.documents.predictions = static_cast<std::int64_t>(
        std::ceil(c.documents.mask_rate * static_cast<double>(c.data.seq_len)));
}

// A row for each family. Another one is a row here, its config in launch/config.h, its keys in
// launch/keys.h and its task in launch/task.cc.
struct FamilyRow {
  Family family;
  std::vector<std::string> (*presets)();
  void (*apply)(Config&, const std::string& preset);
  void (*resolve)(Config&);
};
constexpr std::array kFamilies{
    FamilyRow{Family::gpt, gpt_preset_names,
              [](Config& c, const std::string& preset) { c.model = gpt_preset(preset); },
              resolve_gpt},
    FamilyRow{Family::resnet, resnet_preset_names,
              [](Config& c, const std::string& preset) { c.resnet = resnet_preset(preset); },
              resolve_resnet},
    FamilyRow{Family::vit, vit_preset_names,
              [](Config& c, const std::string& preset) { c.vit = vit_preset(preset); },
              resolve_vit},
    FamilyRow{Family::speech, speech_preset_names,
              [](Config& c, const std::string& preset) { c.speech = speech_preset(preset); },
              resolve_speech},
    FamilyRow{Family::bert, bert_preset_names,
              [](Config& c, const std::string& preset) { c.bert = bert_preset(preset); },
              resolve_bert},
};

}  // namespace

void apply_preset(Config& config, const std::string& preset) {
  for (const FamilyRow& row : kFamilies) {
    const std::vector<std::string> names = row.presets();
    if (std::ranges::find(names, preset) == names.end()) continue;
    config.preset = preset;
    config.family = row.family;
    return row.apply(config, preset);
  }
  raise("unknown model preset \"" + preset + "\"" + did_you_mean_of(preset, preset_names()));
}

std::vector<std::string> preset_names() {
  std::vector<std::string> all;
  for (const FamilyRow& row : kFamilies) std::ranges::copy(row.presets(), std::back_inserter(all));
  return all;
}

std::vector<std::string> families() {
  std::vector<std::string> all;
  for (const FamilyRow& row : kFamilies) all.push_back(row.presets().front());
  return all;
}

void require_axes(const Config& c, const std::string& model,
                  std::initializer_list<std::string_view> axes) {
  const ParallelConfig& p = c.parallel;
  const std::array<std::pair<std::string_view, std::int64_t>, 5> all{
      {{"tp", p.tp}, {"pp", p.pp}, {"cp", p.cp}, {"ep", p.ep}, {"sequence", p.sequence ? 2 : 1}}};
  for (const auto& [axis, value] : all)
    require(value == 1 || std::ranges::find(axes, axis) != axes.end(), model,
            " is not split by parallel.", axis, ", leave it out");
}

Config resolve(Config c) {
  for (const FamilyRow& row : kFamilies)
    if (row.family == c.family) row.resolve(c);
  const auto& o = c.optimizer;
  require(o.schedule == Decay::constant || o.min_lr <= o.lr, "optimizer.min_lr ", to_text(o.min_lr),
          " is above optimizer.lr ", to_text(o.lr));
  return c;
}

std::vector<Difference> differences(const Config& before, const Config& after) {
  std::map<std::string_view, std::string> old;
  visit_keys(before, [&](const Key& key, const auto& value) { old[key.name] = to_text(value); });
  std::vector<Difference> found;
  visit_keys(after, [&](const Key& key, const auto& value) {
    const std::string text = to_text(value);
    if (text != old[key.name])
      found.push_back({std::string(key.name), old[key.name], text, key.fixed});
  });
  return found;
}

void require_resumable(const Config& then, const Config& now, const std::string& where) {
  for (const Difference& d : differences(then, now))
    require(!d.fixed, d.key, " = ", d.after, " cannot go on from ", where,
            ", which was trained with ", d.key, " = ", d.before);
}

}  // namespace fusor

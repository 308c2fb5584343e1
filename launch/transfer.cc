#include "launch/transfer.h"

#include <algorithm>
#include <map>
#include <optional>
#include <regex>
#include <sstream>

#include "launch/host_room.h"

namespace fusor {
namespace {

std::regex pattern_of(const std::string& text, const std::string& key) try {
  return std::regex(text);
} catch (const std::regex_error&) {
  raise(key + ": \"" + text + "\" is no regular expression");
}

// "pattern=>text; pattern=>text": each is replaced where it is found, one after the other.
class Renames {
 public:
  explicit Renames(const std::string& text) {
    constexpr std::string_view kArrow = "=>";
    std::istringstream rules(text);
    for (std::string rule; std::getline(rules >> std::ws, rule, ';');) {
      const std::size_t arrow = rule.find(kArrow);
      require(arrow != rule.npos, "checkpoint.rename: \"", rule, "\" is not PATTERN=>TEXT");
      rules_.emplace_back(pattern_of(rule.substr(0, arrow), "checkpoint.rename"),
                          rule.substr(arrow + kArrow.size()));
    }
  }
  std::string operator()(std::string name) const {
    for (const auto& [pattern, text] : rules_) name = std::regex_replace(name, pattern, text);
    return name;
  }

 private:
  std::vector<std::pair<std::regex, std::string>> rules_;
};

std::string text_of(const Shape& shape) {
  std::ostringstream text;
  text << shape;
  return text.str();
}

constexpr std::string_view kWeights = "weights/";

}  // namespace

void freeze(Model& model, const std::string& pattern) {
  if (pattern.empty()) return;
  const std::regex frozen = pattern_of(pattern, "train.freeze");
  std::size_t found = 0;
  const std::vector<Parameter*> all = parameters_of(model);
  for (Parameter* p : all) {
    p->frozen = std::ranges::any_of(
        p->pieces, [&](const Piece& piece) { return std::regex_search(piece.name, frozen); });
    found += p->frozen;
  }
  require(found > 0, "train.freeze: no parameter's name has ", pattern, ", the first is ",
          all.front()->pieces[0].name);
  require(found < all.size(), "train.freeze: ", pattern, " leaves nothing to train");
}

FreshWeights begin_with(Checkpoint& checkpoint, const CheckpointConfig& config,
                        const std::vector<ParameterStore*>& stores) {
  const Renames renamed(config.rename);
  std::map<std::string, Shape> saved;
  for (const TensorBox& box : checkpoint.tensors()) saved[box.name] = box.global;
  std::map<std::string, std::string> fresh;
  HostRoom room;
  for (const ParameterStore* store : stores)
    for (StateBox& part : store->state(/*optimizer=*/false)) {
      const std::string name = part.box.name.substr(kWeights.size());
      part.box.name = std::string(kWeights) + renamed(name);
      const auto there = saved.find(part.box.name);
      if (there != saved.end() && there->second == part.box.global) {
        room.fill(part.tensor, [&](std::span<std::byte> to) { checkpoint.read(part.box, to); });
        continue;
      }
      const std::string why = name + " " + text_of(part.box.global) + ": " + checkpoint.folder() +
                              " has " +
                              (there == saved.end() ? "no " + part.box.name.substr(kWeights.size())
                                                    : text_of(there->second));
      require(config.on_mismatch == OnMismatch::fresh, why,
              "; checkpoint.on_mismatch = fresh leaves it as it was drawn");
      fresh[name] = why;
    }
  FreshWeights lines;
  for (const auto& [name, why] : fresh) lines.push_back("fresh weights: " + why);
  return lines;
}

}  // namespace fusor

#include "launch/recipe.h"

#include <cerrno>
#include <fstream>
#include <iostream>
#include <sstream>

#include "launch/arguments.h"
#include "launch/keys.h"
#include "launch/values.h"
#include "runtime/error.h"
#include "runtime/nearest.h"

namespace fusor {
namespace {

namespace po = boost::program_options;

std::vector<std::string> key_names() {
  std::vector<std::string> names;
  const Config defaults;
  visit_keys(defaults, [&](const Key& key, const auto&) { names.emplace_back(key.name); });
  return names;
}

// `key = value` lines under [section]s.
KeyValues read_entries(std::istream& text, const std::string& file) try {
  KeyValues entries;
  const po::options_description nothing;
  for (const po::option& line : po::parse_config_file(text, nothing, true).options) {
    const bool first = entries.try_emplace(line.string_key, line.value.at(0)).second;
    require(first, file, ": ", line.string_key, " is given twice");
  }
  return entries;
} catch (const po::error& error) {
  raise(file + ": " + error.what());
}

void check_range(const std::string& source, const Key& key, const std::string& text, double value) {
  require(value >= key.least && value < key.below, source, ": ", key.name, " = ", text,
          " must be at least ", key.least,
          key.below == kNoEnd ? "" : " and below " + to_text(key.below));
}

// Sets the config's fields; `source` is what errors name.
void apply(const KeyValues& entries, const std::string& source, Config& config) {
  KeyValues left = entries;
  visit_keys(config, [&](const Key& key, auto& field) {
    const auto entry = left.extract(std::string(key.name));
    if (entry.empty()) return;
    const std::string& text = entry.mapped();
    require(parse_value(text, field), source, ": ", key.name, " = ", text, " is not ",
            expected(field));
    if constexpr (std::is_same_v<decltype(field), std::int64_t&> ||
                  std::is_same_v<decltype(field), double&>)
      check_range(source, key, text, static_cast<double>(field));
  });
  if (left.empty()) return;
  const std::string& unknown = left.begin()->first;
  const std::string hint = did_you_mean(unknown, key_names());
  raise(source + ": unknown key \"" + unknown + "\"" +
        (hint.empty() ? ", fusor train --help lists them all" : hint));
}

// The preset comes first, whichever source names it: the other model keys override its fields.
void apply_preset(const KeyValues& entries, const std::string& source, Config& config) try {
  if (entries.contains("model.preset")) config.model = gpt_preset(entries.at("model.preset"));
} catch (const Error& error) {
  raise(source + ": " + error.what());
}

}  // namespace

Config parse_recipe(std::istream& text, const std::string& name, const KeyValues& overrides) {
  const std::string command_line = "command line";
  const KeyValues entries = read_entries(text, name);
  Config config;
  apply_preset(entries, name, config);
  apply_preset(overrides, command_line, config);
  apply(entries, name, config);
  apply(overrides, command_line, config);
  if (config.log.dir.empty())
    config.log.dir = "runs/" + std::filesystem::path(name).stem().string();
  try {
    return resolve(config);
  } catch (const Error& error) {
    raise(name + ": " + error.what());
  }
}

Config read_recipe(const std::filesystem::path& file, const KeyValues& overrides) {
  require(!std::filesystem::is_directory(file), file.string(), ": is a folder, not a recipe");
  errno = 0;
  std::ifstream text(file);
  check_errno(text.is_open(), "recipe " + file.string());
  return parse_recipe(text, file.string(), overrides);
}

std::string to_ini(const Config& config, const std::vector<std::string>& comments) {
  std::ostringstream ini;
  for (const std::string& comment : comments) ini << "# " << comment << '\n';
  std::string_view section;
  visit_keys(config, [&](const Key& key, const auto& value) {
    const std::size_t dot = key.name.find('.');
    if (key.name.substr(0, dot) != section) {
      section = key.name.substr(0, dot);
      ini << (ini.tellp() > 0 ? "\n" : "") << '[' << section << "]\n";
    }
    ini << key.name.substr(dot + 1) << " = " << to_text(value) << '\n';
  });
  return ini.str();
}

po::options_description recipe_options() {
  po::options_description options("Recipe keys and their defaults", 120);
  const Config defaults;
  visit_keys(defaults, [&](const Key& key, const auto& value) {
    const std::string text = to_text(value);
    const std::string help = std::string(key.help) + (text.empty() ? "" : " [" + text + "]");
    options.add_options()(std::string(key.name).c_str(),
                          po::value<std::string>()->value_name(placeholder(value)), help.c_str());
  });
  return options;
}

std::optional<RecipeArguments> parse_recipe_arguments(const std::string& name,
                                                      const std::string& summary,
                                                      const std::vector<std::string>& args,
                                                      const po::options_description& own) {
  const std::string command = "fusor " + name;
  const std::string usage = "usage: " + command + " RECIPE.ini [--section.key=value ...]";
  const po::options_description keys = recipe_options();
  po::options_description all;
  all.add(own).add(keys).add_options()("help,h", "")("recipe", po::value<std::string>());
  po::positional_options_description positional;
  positional.add("recipe", 1);
  const po::variables_map given = parse_arguments(command, args, all, positional);
  if (given.contains("help")) {
    std::cout << usage << "\n\n" << summary << "\n\n" << own << '\n' << keys << "\nPresets:";
    for (const std::string& preset : gpt_preset_names()) std::cout << ' ' << preset;
    std::cout << '\n';
    return std::nullopt;
  }
  require(given.contains("recipe"), command, ": no recipe given, ", usage);
  KeyValues overrides;
  for (const std::string& key : key_names())
    if (given.contains(key)) overrides[key] = given[key].as<std::string>();
  return RecipeArguments{read_recipe(given["recipe"].as<std::string>(), overrides), given};
}

}  // namespace fusor

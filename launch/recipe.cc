#include "launch/recipe.h"

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <iostream>
#include <sstream>

#include "launch/arguments.h"
#include "launch/ini.h"
#include "launch/keys.h"
#include "launch/values.h"
#include "runtime/error.h"
#include "runtime/nearest.h"

namespace fusor {
namespace {

namespace po = boost::program_options;

// Of all families, each once.
std::vector<std::string> key_names() {
  std::vector<std::string> names;
  for (const std::string& preset : families()) {
    Config config;
    apply_preset(config, preset);
    visit_keys(config, [&](const Key& key, const auto&) {
      if (std::ranges::find(names, key.name) == names.end()) names.emplace_back(key.name);
    });
  }
  return names;
}

// The preset comes first, whichever source names it: the other model keys override its fields.
void apply_preset(const KeyValues& entries, const std::string& source, Config& config) try {
  if (entries.contains("model.preset")) apply_preset(config, entries.at("model.preset"));
} catch (const Error& error) {
  raise(source + ": " + error.what());
}

}  // namespace

Config parse_recipe(std::istream& text, const std::string& name, const KeyValues& overrides) {
  const std::string command_line = "command line";
  const KeyValues entries = read_ini(text, name);
  Config config;
  apply_preset(entries, name, config);
  apply_preset(overrides, command_line, config);
  const auto set = [&](const KeyValues& values, const std::string& source) {
    set_fields(values, source, "fusor train --help lists them all",
               [&](auto&& field) { visit_keys(config, field); });
  };
  set(entries, name);
  set(overrides, command_line);
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

po::options_description recipe_options(const Config& defaults) {
  po::options_description options("Recipe keys and their defaults", 120);
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
  po::options_description all;
  all.add(own).add_options()("help,h", "")("recipe", po::value<std::string>());
  for (const std::string& key : key_names())
    all.add_options()(key.c_str(), po::value<std::string>());
  po::positional_options_description positional;
  positional.add("recipe", 1);
  const po::variables_map given = parse_arguments(command, args, all, positional);
  if (given.contains("help")) {
    Config defaults;
    if (given.contains("model.preset"))
      apply_preset(defaults, given["model.preset"].as<std::string>());
    std::cout << usage << "\n\n"
              << summary << "\n\n"
              << own << '\n'
              << recipe_options(defaults)
              << "\nWith --model.preset=NAME, the keys of that preset's family. Presets:";
    for (const std::string& preset : preset_names()) std::cout << ' ' << preset;
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

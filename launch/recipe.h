#pragma once
#include <boost/program_options.hpp>
#include <filesystem>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

#include "launch/config.h"
#include "launch/ini.h"

namespace fusor {

// A recipe is an INI file: `key = value` lines under [model] [data] [parallel] [optimizer] [train]
// [checkpoint] [log]; launch/keys.h lists the keys. `overrides` win over the file. Throws Error
// with one sentence that names the file, and the key with its value: for a file that cannot be
// read, an unknown key (with the nearest known one), a key given twice, a value of the wrong type
// or out of its range, and values that contradict each other. The result is resolved.
Config read_recipe(const std::filesystem::path& file, const KeyValues& overrides = {});
Config parse_recipe(std::istream& text, const std::string& name, const KeyValues& overrides = {});

// The recipe with every key; parse_recipe gives the same Config back. `comments` go on top.
std::string to_ini(const Config&, const std::vector<std::string>& comments = {});

// --section.key options for every key of a recipe, with help and defaults.
boost::program_options::options_description recipe_options(const Config& defaults = {});

struct RecipeArguments {
  Config config;
  boost::program_options::variables_map options;  // the command's own
};

// Arguments of a subcommand `fusor NAME RECIPE [--section.key=value]... [own options]`. Prints the
// help and returns nothing when --help is among them.
std::optional<RecipeArguments> parse_recipe_arguments(
    const std::string& name, const std::string& summary, const std::vector<std::string>& args,
    const boost::program_options::options_description& own);

}  // namespace fusor

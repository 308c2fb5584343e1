#include "launch/ini.h"

#include <boost/program_options.hpp>

namespace fusor {

namespace po = boost::program_options;

KeyValues read_ini(std::istream& text, const std::string& file) try {
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

}  // namespace fusor

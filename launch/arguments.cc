#include "launch/arguments.h"

#include "runtime/error.h"
#include "runtime/nearest.h"

namespace fusor {
namespace {

namespace po = boost::program_options;

std::vector<std::string> option_names(const po::options_description& options) {
  std::vector<std::string> names;
  for (const auto& option : options.options()) names.push_back("--" + option->long_name());
  return names;
}

}  // namespace

po::variables_map parse_arguments(const std::string& command, const std::vector<std::string>& args,
                                  const po::options_description& options,
                                  const po::positional_options_description& positional) try {
  namespace style = po::command_line_style;
  po::variables_map given;
  po::store(po::command_line_parser(args)
                .options(options)
                .positional(positional)
                .style(style::unix_style & ~style::allow_guessing)
                .run(),
            given);
  if (!given.contains("help")) po::notify(given);
  return given;
} catch (const po::unknown_option& error) {
  const std::string given = error.get_option_name(), name = given.substr(0, given.find('='));
  raise(command + ": unknown option \"" + name + "\"" + did_you_mean(name, option_names(options)));
} catch (const po::too_many_positional_options_error&) {
  raise(command + ": too many arguments, see " + command + " --help");
} catch (const po::error& error) {
  raise(command + ": " + error.what());
}

}  // namespace fusor

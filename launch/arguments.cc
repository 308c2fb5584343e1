#include "launch/arguments.h"

#include <iostream>

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

std::string parse_one_argument(const std::string& command, const std::string& name,
                               const std::string& meaning, const std::string& summary,
                               const std::vector<std::string>& args) {
  std::string argument;
  po::options_description options("options");
  options.add_options()("help", "print this")(name.c_str(), po::value(&argument), meaning.c_str());
  po::positional_options_description positional;
  positional.add(name.c_str(), 1);
  if (parse_arguments(command, args, options, positional).contains("help")) {
    std::cout << "usage: " << command << ' ' << name << "\n\n" << summary << '\n';
    return "";
  }
  require(!argument.empty(), command, ": name ", meaning);
  return argument;
}

}  // namespace fusor

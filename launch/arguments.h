#pragma once
#include <boost/program_options.hpp>
#include <string>
#include <vector>

namespace fusor {

// Reads one subcommand's arguments. Without --help among them, the variables are notified and
// required options checked. Throws Error with one sentence that starts with `command` ("fusor data
// text") and names the option, with the nearest known one when it is unknown.
boost::program_options::variables_map parse_arguments(
    const std::string& command, const std::vector<std::string>& args,
    const boost::program_options::options_description& options,
    const boost::program_options::positional_options_description& positional = {});

// The one argument of `command`, called `name` in its help: the folder that `meaning` tells of.
// Empty when help was asked for and printed.
std::string parse_one_argument(const std::string& command, const std::string& name,
                               const std::string& meaning, const std::string& summary,
                               const std::vector<std::string>& args);

}  // namespace fusor

#include <exception>
#include <iostream>
#include <new>
#include <string>
#include <vector>

#include "launch/commands.h"
#include "runtime/error.h"
#include "runtime/nearest.h"
#include "runtime/world.h"

namespace fusor {
namespace {

struct Command {
  std::string name, summary;
  int (*run)(const std::vector<std::string>& args);
};

const std::vector<Command>& commands() {
  static const std::vector<Command> table{
      {"train", "train a model from a dataset, as a recipe says", train_command},
      {"plan", "a run's memory, collectives and step time, before it runs", plan_command},
      {"verify-layout", "a recipe's losses and gradients under several layouts",
       verify_layout_command},
      {"bench", "measure this machine for fusor plan --cluster", bench_command},
      {"eval", "a trained model's loss on held-out text", eval_command},
      {"generate", "text by a trained model", generate_command},
      {"ckpt", "list a run's checkpoints; verify one", ckpt_command},
      {"data", "pack text into a dataset; inspect or verify one", data_command}};
  return table;
}

void print_help() {
  std::cout << "usage: fusor COMMAND [ARGUMENTS]\n\n";
  for (const Command& command : commands())
    std::cout << "  " << command.name << std::string(15 - command.name.size(), ' ')
              << command.summary << '\n';
  std::cout << "\nfusor COMMAND --help lists a command's options; fusor --version prints the "
               "version.\n";
}

int run(const std::vector<std::string>& args) {
  if (args.empty() || args[0] == "--help" || args[0] == "-h" || args[0] == "help") {
    print_help();
    return 0;
  }
  if (args[0] == "--version") {
    std::cout << "fusor " FUSOR_VERSION "\n";
    return 0;
  }
  std::vector<std::string> names;
  for (const Command& command : commands()) {
    if (command.name == args[0]) return command.run({args.begin() + 1, args.end()});
    names.push_back(command.name);
  }
  const std::string hint = did_you_mean(args[0], names);
  raise("unknown command \"" + args[0] + "\"" +
        (hint.empty() ? ", fusor --help lists them all" : hint));
}

}  // namespace
}  // namespace fusor

int main(int argc, char** argv) try {
  return fusor::run({argv + 1, argv + argc});
} catch (const std::bad_alloc&) {
  fusor::abort_job("out of memory");
} catch (const std::exception& error) {
  fusor::abort_job(error.what());
}

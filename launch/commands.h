#pragma once
#include <string>
#include <vector>

namespace fusor {

// The subcommands of `fusor`, one file each. `args` is what follows the subcommand's name; the
// result is the exit status. A mistake of the user is thrown as Error with one sentence.
int bench_command(const std::vector<std::string>& args);
int ckpt_command(const std::vector<std::string>& args);
int eval_command(const std::vector<std::string>& args);
int generate_command(const std::vector<std::string>& args);
int train_command(const std::vector<std::string>& args);
int plan_command(const std::vector<std::string>& args);
int data_command(const std::vector<std::string>& args);
int verify_layout_command(const std::vector<std::string>& args);

}  // namespace fusor

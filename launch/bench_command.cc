#include <omp.h>

#include <iostream>

#include "io/output_file.h"
#include "launch/arguments.h"
#include "launch/calibration.h"
#include "launch/cluster_file.h"
#include "launch/commands.h"
#include "launch/together.h"
#include "launch/values.h"

namespace fusor {

int bench_command(const std::vector<std::string>& args) {
  namespace po = boost::program_options;
  const World world = World::join();
  std::string file, device;
  std::int64_t threads = 0;
  po::options_description options("bench");
  options.add_options()("calibrate", po::value(&file)->value_name("FILE")->required(),
                        "measure this machine and write it as a cluster file")(
      "threads", po::value(&threads)->value_name("N")->default_value(0),
      "compute threads per rank (0: cores / ranks of the node)")(
      "device", po::value(&device)->value_name(placeholder(TrainDevice{}))->default_value("auto"),
      "where to measure: as train.device, where to compute")("help,h", "");
  TrainDevice wish = TrainDevice::automatic;
  bool help = false;
  together(world, [&] {
    help = parse_arguments("fusor bench", args, options).contains("help");
    require(threads >= 0 && threads < 1 << 14, "fusor bench: --threads must be 0 to 16383, not ",
            threads);
    require(parse_value(device, wish), "fusor bench: --device ", device, " is not ",
            expected(TrainDevice{}));
  });
  if (help) {
    if (world.rank() == 0)
      std::cout << "usage: [mpirun -np N] fusor bench --calibrate FILE\n\nMeasures what fusor plan "
                   "--cluster FILE counts with. Ranks measure at the same time, as they work in a "
                   "run; of several, the transport between them too.\n\n"
                << options;
    return 0;
  }
  omp_set_num_threads(threads > 0 ? static_cast<int>(threads) : world.threads());
  Placement placement;
  together(world, [&] { placement = place_rank(wish, world); });
  const Cluster cluster = calibrate(world, placement);
  together(world, [&] {
    if (world.rank() == 0) write_text_file(file, to_ini(cluster));
  });
  if (world.rank() == 0)
    std::cout << file << ": " << cluster.peak_f32 / 1e9 << " Gflop/s in f32 and "
              << cluster.bandwidth / 1e9 << " GB/s a rank, " << world.size() << " ranks\n";
  return 0;
}

}  // namespace fusor

// Times causal attention, forward and backward, for one shape:
//   attention_bench BATCH SEQ_LEN HEADS KV_HEADS HEAD_DIM DTYPE [REPEATS]
// prints the median milliseconds of each and the rate in GFLOP/s, counting the pairs of a query and
// a key it sees only. OMP_NUM_THREADS sets the threads.
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "ops/attention.h"
#include "ops/fill.h"
#include "runtime/memory_plan.h"

namespace {

using namespace fusor;

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double median(std::vector<double> x) {
  std::nth_element(x.begin(), x.begin() + static_cast<std::ptrdiff_t>(x.size() / 2), x.end());
  return x[x.size() / 2];
}

Tensor noise(Shape shape, DType dtype, const Device& device, std::uint64_t seed) {
  Tensor x(std::move(shape), dtype, device);
  ops::fill_normal(x, 1, random_key(seed, "attention_bench"));
  return x;
}

void report(const char* what, double seconds, double flops) {
  std::cout << ' ' << what << "_ms " << seconds * 1e3 << ' ' << what << "_gflops "
            << flops / seconds * 1e-9;
}

struct Times {
  std::vector<double> forward, backward;
};

// Runs `repeats` steps of the same allocations, as a training run does.
Times play(const AttentionShape& s, DType dtype, const Device& device, int repeats) {
  const Tensor x =
      noise({s.batch * s.seq_len, (s.heads + 2 * s.kv_heads) * s.head_dim}, dtype, device, 1);
  const Tensor dy = noise({s.batch * s.seq_len, s.heads * s.head_dim}, dtype, device, 2);
  Times times;
  for (int i = 0; i < repeats; ++i) {
    const Program program(device, "step");
    Tape tape;
    const double begin = now();
    const Var y = attention(Var::input(x, &tape, true), s);
    const double middle = now();
    tape.backward(y, dy);
    times.forward.push_back(middle - begin);
    times.backward.push_back(now() - middle);
  }
  return times;
}

void run(const AttentionShape& s, DType dtype, int repeats) {
  Trace trace;
  play(s, dtype, Device::meta(trace), 1);
  const Times times = play(s, dtype, Device::arena(plan_memory(trace)), repeats);
  const double forward = median(times.forward), backward = median(times.backward);
  const auto n = static_cast<double>(s.seq_len);
  const double product = static_cast<double>(s.batch * s.heads * s.head_dim) * n * (n + 1);
  report("forward", forward, 2 * product);
  report("backward", backward, 5 * product);
  report("both", forward + backward, 7 * product);
  std::cout << '\n';
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 7) {
    std::cerr << "usage: attention_bench BATCH SEQ_LEN HEADS KV_HEADS HEAD_DIM DTYPE [REPEATS]\n";
    return 1;
  }
  const auto number = [&](int i) { return std::atoll(argv[i]); };
  run({number(1), number(2), number(3), number(4), number(5)}, parse_dtype(argv[6]),
      argc > 7 ? std::atoi(argv[7]) : 50);
}

// Fusor's GEMMs of GPT-2 124M training as a share of the best of oneDNN and OpenBLAS called bare.
//
//   gemm_bench [--rounds N] [--shape NAME] [--cpu-time]
//
// Threads: OMP_NUM_THREADS. --cpu-time measures the thread's CPU time, for one thread on a machine
// that does other work. A share is the median over the rounds.
#include <omp.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <exception>
#include <functional>
#include <string>

#include "benchmarks/bare_gemm.h"
#include "benchmarks/compare.h"
#include "ops/fill.h"
#include "ops/gemm.h"

namespace fusor::benchmark {
namespace {

using ops::kernels::Product;

struct Layer {
  const char* name;
  std::int64_t n, k;
};
constexpr Layer kLayers[] = {{"qkv", 2304, 768},
                             {"out", 768, 768},
                             {"up", 3072, 768},
                             {"down", 768, 3072},
                             {"head", 50257, 768}};
constexpr std::int64_t kTokens[] = {256, 1024};  // batch 4 of 64 and of 256

struct Options {
  int rounds = 5;
  std::string shape;  // empty: all
  bool cpu_time = false;
};

// Idle threads of libgomp and OpenBLAS spin for up to 20 ms after their last work.
constexpr double kSettleSeconds = 0.03;
constexpr double kMeasureSeconds = 0.05;

double now(bool cpu_time) {
  timespec t{};
  clock_gettime(cpu_time ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

// The seconds a call takes, of calls for at least `seconds`.
double repeat(const std::function<void()>& run, double seconds, bool cpu_time) {
  const double start = now(cpu_time);
  for (int calls = 1;; ++calls) {
    run();
    const double passed = now(cpu_time) - start;
    if (passed >= seconds) return passed / calls;
  }
}

// Every rival in each round, after unmeasured calls that wake its threads while the last one's fall
// asleep.
std::vector<Times> alternate(const std::vector<std::function<void()>>& rivals, const Options& o) {
  std::vector<Times> times(rivals.size());
  for (int round = 0; round < o.rounds; ++round)
    for (std::size_t i = 0; i < rivals.size(); ++i) {
      repeat(rivals[i], kSettleSeconds, false);
      times[i].seconds.push_back(repeat(rivals[i], kMeasureSeconds, o.cpu_time));
    }
  return times;
}

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view key = argv[i];
    if (key == "--cpu-time")
      options.cpu_time = true;
    else if (key == "--rounds" && i + 1 < argc)
      options.rounds = std::stoi(argv[++i]);
    else if (key == "--shape" && i + 1 < argc)
      options.shape = argv[++i];
    else
      raise("usage: gemm_bench [--rounds N] [--shape qkv|out|up|down|head] [--cpu-time]");
  }
  require(options.rounds > 0, "--rounds: at least 1");
  require(!options.cpu_time || omp_get_max_threads() == 1,
          "--cpu-time counts one thread: set OMP_NUM_THREADS=1");
  return options;
}

Tensor normal(Shape shape, DType dtype, std::uint64_t seed) {
  Tensor t(std::move(shape), dtype);
  ops::fill_normal(t, 1, RandomKey{seed});
  return t;
}

Gemm make_gemm(Product product, std::int64_t m, std::int64_t n, std::int64_t k, DType dtype) {
  const Tensor x = normal({m, k}, dtype, 1), w = normal({n, k}, dtype, 2),
               y = normal({m, n}, dtype, 3);
  switch (product) {
    case Product::nt:
      return {product, m, n, k, x, w, y};
    case Product::nn:
      return {product, m, n, k, y, w, x};
    case Product::tn:
      return {product, m, n, k, y, x, Tensor({n, k}, acc_dtype(dtype))};
  }
  return {};
}

void by_fusor(const Gemm& g) {
  switch (g.product) {
    case Product::nt:
      return ops::gemm_nt(g.a, g.b, {}, g.c);
    case Product::nn:
      return ops::gemm_nn(g.a, g.b, g.c, false);
    case Product::tn:
      return ops::gemm_tn(g.a, g.b, g.c, false);
  }
}

// By round: the best rival's time over Fusor's, which is the last.
Times shares(const std::vector<Times>& times) {
  Times share;
  for (std::size_t round = 0; round < times[0].seconds.size(); ++round) {
    double best = times[0].seconds[round];
    for (std::size_t i = 1; i + 1 < times.size(); ++i)
      best = std::min(best, times[i].seconds[round]);
    share.seconds.push_back(best / times.back().seconds[round]);
  }
  return share;
}

void measure(const char* layer, const char* what, const Gemm& g, const Options& options) {
  std::vector<std::function<void()>> rivals = {bare_matmul(g), bare_inner_product(g)};
  const auto openblas = bare_openblas(g);
  if (openblas) rivals.push_back(openblas);
  rivals.push_back([&] { by_fusor(g); });
  const std::vector<Times> times = alternate(rivals, options);
  const double flops = 2.0 * static_cast<double>(g.m * g.n) * static_cast<double>(g.k);
  const auto rate = [&](const Times& t) { return 1e-9 * flops / t.median(); };
  const Times share = shares(times);
  std::printf("| %s: %s | %s | %ld | %.0f | %.0f |", layer, what,
              std::string(name_of(g.a.dtype())).c_str(), static_cast<long>(g.m), rate(times[0]),
              rate(times[1]));
  std::printf(openblas ? " %.0f |" : " |", rate(times[2]));
  std::printf(" %.0f | %.0f %% +-%.0f |\n", rate(times.back()), 100 * share.median(),
              100 * share.spread());
  std::fflush(stdout);
}

void run(const Options& options) {
  std::printf("%d threads, %d rounds, GFLOP/s\n\n", omp_get_max_threads(), options.rounds);
  std::printf(
      "| product | dtype | tokens | oneDNN matmul | oneDNN inner product | OpenBLAS | Fusor |"
      " Fusor / best |\n|---|---|---|---|---|---|---|---|\n");
  for (const std::int64_t m : kTokens)
    for (const Layer& layer : kLayers)
      for (const DType dtype : {DType::f32, DType::bf16}) {
        if (!options.shape.empty() && options.shape != layer.name) continue;
        const auto case_of = [&](const char* what, Product product) {
          measure(layer.name, what, make_gemm(product, m, layer.n, layer.k, dtype), options);
        };
        case_of("y = x w'", Product::nt);
        case_of("dx = dy w", Product::nn);
        case_of("dw = dy' x", Product::tn);
      }
}

}  // namespace
}  // namespace fusor::benchmark

int main(int argc, char** argv) {
  try {
    fusor::benchmark::run(fusor::benchmark::parse(argc, argv));
    return 0;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "gemm_bench: %s\n", e.what());
    return 1;
  }
}

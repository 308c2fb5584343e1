// The emulated CUDA device itself: what it computes, and that it sees what a GPU would do wrong.
#include <gmock/gmock.h>
#include <nvtx3/nvToolsExt.h>

#include <functional>
#include <numeric>

#include "emulated/control.h"
#include "ops/cuda.h"
#include "runtime/copy.h"
#include "tests/thrown_by.h"

namespace fusor {
namespace {

using ops::cuda::Grid;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;

__global__ void number_threads(int* to) {
  to[blockIdx.x * blockDim.x + threadIdx.x] = static_cast<int>(10 * blockIdx.x + threadIdx.x);
}
__global__ void add_to(int* to, int value) { *to += value; }
__global__ void sum_of_block(const double* x, double* to) {
  const double sum = ops::cuda::block_sum(x[threadIdx.x]);
  to[threadIdx.x] = sum;
}
__global__ void reverse_shared(int* x) {
  int* const shared = ops::cuda::dynamic_shared<int>();
  shared[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  x[threadIdx.x] = shared[blockDim.x - 1 - threadIdx.x];
}
__global__ void shuffles(int* to) {
  const int lane = static_cast<int>(threadIdx.x);
  to[lane] = __shfl_down_sync(0xffffffff, lane, 1);
  to[32 + lane] = __shfl_up_sync(0xffffffff, lane, 1);
  to[64 + lane] = __shfl_sync(0xffffffff, lane, 3, 8);
  to[96 + lane] = static_cast<int>(__ballot_sync(0xffffffff, lane % 2));
}
__global__ void half_barrier() {
  if (threadIdx.x < 40) __syncthreads();
}
__global__ void half_shuffle(int* to) {
  if (threadIdx.x % 32 < 16) *to = __shfl_xor_sync(0xffffffff, *to, 1);
}
__global__ void shuffle_from_outside(int* to) {
  if (threadIdx.x < 16) *to = __shfl_xor_sync(0xffff, *to, 16);
}
__global__ void write_behind_shared() {
  ops::cuda::dynamic_shared<unsigned char>()[64 + threadIdx.x] = 0;
}
__global__ void write_and_read_next(int* to) {  // a race: no barrier in between
  int* const shared = ops::cuda::dynamic_shared<int>();
  shared[threadIdx.x] = 1;
  to[threadIdx.x] = shared[(threadIdx.x + 1) % blockDim.x];
}

__global__ void overwrite_unread(int* to) {  // another: warps read each other's numbers
  int* const shared = ops::cuda::dynamic_shared<int>();
  shared[threadIdx.x] = 1;
  __syncthreads();
  __syncwarp();
  to[threadIdx.x] = shared[(threadIdx.x + 32) % 64];
  __syncwarp();
  shared[threadIdx.x] = 2;
}

template <class T>
class DeviceArray {
 public:
  explicit DeviceArray(std::size_t n) : n_(n) {
    check_cuda(cudaMalloc(reinterpret_cast<void**>(&data_), n * sizeof(T)), "cudaMalloc");
  }
  DeviceArray(const std::vector<T>& from) : DeviceArray(from.size()) {
    check_cuda(cudaMemcpy(data_, from.data(), n_ * sizeof(T), cudaMemcpyDefault), "copy");
  }
  ~DeviceArray() { cudaFree(data_); }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;
  operator T*() const { return data_; }
  std::vector<T> host() const {
    std::vector<T> to(n_);
    check_cuda(cudaMemcpy(to.data(), data_, n_ * sizeof(T), cudaMemcpyDefault), "copy");
    return to;
  }

 private:
  std::size_t n_;
  T* data_ = nullptr;
};

class Emulator : public testing::Test {
 protected:
  ~Emulator() override { cudaDeviceReset(); }
  template <class... Params, class... Args>
  void run(const Grid& grid, void (*kernel)(Params...), const Args&... args) {
    ops::cuda::run(Cuda{stream.get()}, grid, kernel, static_cast<Params>(args)...);
  }
  void wait() { check_cuda(cudaStreamSynchronize(stream.get()), "wait"); }
  const CudaStream stream = make_stream(), other = make_stream();
};
class EmulatedKernel : public Emulator {};
class EmulatedStream : public Emulator {};
class EmulatedGraph : public Emulator {};

TEST_F(EmulatedKernel, KnowsItsIndices) {
  const DeviceArray<int> x(6);
  run({.blocks = 2, .threads = 3}, number_threads, x);
  wait();
  EXPECT_THAT(x.host(), ElementsAre(0, 1, 2, 10, 11, 12));
}

TEST_F(EmulatedKernel, SumsOverABlock) {
  std::vector<double> values(128);
  std::iota(values.begin(), values.end(), 1);
  const DeviceArray<double> x(values), sum(128);
  run({.blocks = 1, .threads = 128}, sum_of_block, x, sum);
  wait();
  EXPECT_THAT(sum.host(), Each(128 * 129 / 2));
}

TEST_F(EmulatedKernel, SharesDynamicMemory) {
  constexpr int kThreads = 1000;  // and more than 48 KiB, which have to be asked for
  std::vector<int> values(kThreads);
  std::iota(values.begin(), values.end(), 0);
  const DeviceArray<int> x(values);
  run({.blocks = 1, .threads = kThreads, .shared = 100 << 10}, reverse_shared, x);
  wait();
  std::ranges::reverse(values);
  EXPECT_EQ(x.host(), values);
}

TEST_F(EmulatedKernel, Shuffles) {
  const DeviceArray<int> x(128);
  run({.blocks = 1, .threads = 32}, shuffles, x);
  wait();
  const std::vector<int> y = x.host();
  EXPECT_EQ(y[0], 1);
  EXPECT_EQ(y[31], 31);
  EXPECT_EQ(y[32], 0);
  EXPECT_EQ(y[63], 30);
  EXPECT_EQ(y[64 + 7], 3);
  EXPECT_EQ(y[64 + 30], 27);
  EXPECT_EQ(static_cast<unsigned>(y[96]), 0xaaaaaaaau);
}

TEST_F(EmulatedKernel, MustBringAllThreadsToABarrier) {
  nvtxRangePushA("halved");
  run({.blocks = 3, .threads = 64}, half_barrier);
  nvtxRangePop();
  EXPECT_THAT(thrown_by([&] { wait(); }),
              HasSubstr("a kernel of halved, 3 x 1 x 1 blocks of 64 x 1 x 1 threads: thread 0 "
                        "waits for its block at __syncthreads, but thread 40 has exited"));
}

TEST_F(EmulatedKernel, MustBringAllLanesToAShuffle) {
  const DeviceArray<int> x(std::vector<int>{1});
  run({.blocks = 1, .threads = 64}, half_shuffle, x);
  EXPECT_THAT(thrown_by([&] { wait(); }),
              HasSubstr("thread 0 waits for lanes 0xffffffff at __shfl_xor_sync, but thread 16 "
                        "has exited"));
}

TEST_F(EmulatedKernel, ReadsOnlyLanesThatTakePart) {
  const DeviceArray<int> x(std::vector<int>{1});
  run({.blocks = 1, .threads = 32}, shuffle_from_outside, x);
  EXPECT_THAT(thrown_by([&] { wait(); }), HasSubstr("lane 0 reads lane 16"));
}

TEST_F(EmulatedKernel, StaysInItsSharedMemory) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "the sanitizer ends the program";
#endif
  run({.blocks = 1, .threads = 1, .shared = 64}, write_behind_shared);
  EXPECT_THAT(thrown_by([&] { wait(); }), HasSubstr("writes behind its 64 bytes"));
}

TEST_F(EmulatedKernel, ThatFailsIsToldOfUntilTheDeviceIsReset) {
  const DeviceArray<int> x(64);
  run({.blocks = 1, .threads = 64}, half_barrier);
  EXPECT_EQ(cudaStreamSynchronize(stream.get()), cudaErrorLaunchFailure);
  EXPECT_THAT(thrown_by([&] { run({.blocks = 1, .threads = 1}, add_to, x, 1); }),
              HasSubstr("thread 40 has exited"));
  cudaDeviceReset();
  const DeviceArray<int> y(6);
  run({.blocks = 2, .threads = 3}, number_threads, y);
  wait();
  EXPECT_THAT(y.host(), ElementsAre(0, 1, 2, 10, 11, 12));
}

TEST_F(EmulatedKernel, ThatRacesGivesOtherResultsInTheOtherOrder) {
  const DeviceArray<int> x(32);
  const Grid grid{.blocks = 1, .threads = 32, .shared = 128};
  run(grid, write_and_read_next, x);
  wait();
  const std::vector<int> forward = x.host();
  emulator::reverse_order(true);
  run(grid, write_and_read_next, x);
  wait();
  emulator::reverse_order(false);
  EXPECT_NE(x.host(), forward);
}

TEST_F(EmulatedKernel, RunsAWarpAsFarAheadOfOthersAsItCan) {
  const DeviceArray<int> x(64);
  run({.blocks = 1, .threads = 64, .shared = 256}, overwrite_unread, x);
  wait();
  const std::vector<int> y = x.host();
  EXPECT_THAT(std::vector(y.begin(), y.begin() + 32), Each(1));
  EXPECT_THAT(std::vector(y.begin() + 32, y.end()), Each(2));
}

TEST_F(EmulatedKernel, IsRefusedWhereItCannotRun) {
  const DeviceArray<int> x(std::vector<int>{0});
  const auto refused = [&](const Grid& grid) {
    return thrown_by([&] { run(grid, add_to, x, 1); });
  };
  EXPECT_THAT(refused({.blocks = 1, .threads = 0}), HasSubstr("1 to 1024 threads"));
  EXPECT_THAT(refused({.blocks = 1, .threads = 1025}), HasSubstr("1 to 1024 threads"));
  EXPECT_THAT(refused({.blocks = 1, .threads = 1, .shared = 228 << 10}),
              HasSubstr("kernel without a name needs 233472 bytes of shared memory in a block, but "
                        "emulated has 232448"));
  cudaLaunchConfig_t unasked{};
  unasked.gridDim = unasked.blockDim = 1;
  unasked.dynamicSmemBytes = 49 << 10;
  EXPECT_EQ(cudaLaunchKernelEx(&unasked, half_barrier), cudaErrorInvalidValue);
  EXPECT_THAT(thrown_by([&] {
                ops::cuda::run(Cuda{reinterpret_cast<CUstream_st*>(&unasked)},
                               {.blocks = 1, .threads = 1}, half_barrier);
              }),
              HasSubstr("a stream that does not exist"));
}

TEST_F(EmulatedStream, RunsOnlyWhenSomethingWaits) {
  const DeviceArray<int> x(std::vector<int>{1});
  int seen = -1;
  run({.blocks = 1, .threads = 1}, add_to, x, 4);
  check_cuda(cudaMemcpyAsync(&seen, x, sizeof(int), cudaMemcpyDefault, stream.get()), "copy");
  EXPECT_EQ(seen, -1);
  EXPECT_EQ(x.host()[0], 1);  // through another stream
  wait();
  EXPECT_EQ(seen, 5);
}

TEST_F(EmulatedStream, AdvancesByOnePieceWhenAsked) {
  const DeviceArray<int> x(std::vector<int>{0});
  const CudaEvent event = make_event();
  for (int i = 0; i < 2; ++i) run({.blocks = 1, .threads = 1}, add_to, x, 1);
  check_cuda(cudaEventRecord(event.get(), stream.get()), "record");
  EXPECT_EQ(cudaEventQuery(event.get()), cudaErrorNotReady);
  EXPECT_EQ(x.host()[0], 1);
  EXPECT_EQ(cudaEventQuery(event.get()), cudaErrorNotReady);
  EXPECT_EQ(cudaEventQuery(event.get()), cudaSuccess);
  EXPECT_EQ(x.host()[0], 2);
}

TEST_F(EmulatedStream, WaitsForTheEventsOfOthers) {
  const DeviceArray<int> x(std::vector<int>{0});
  const CudaEvent event = make_event();
  run({.blocks = 1, .threads = 1}, add_to, x, 1);
  wait_for(other.get(), stream.get(), event);
  run({.blocks = 1, .threads = 1}, add_to, x, 10);  // after the event
  check_cuda(cudaStreamSynchronize(other.get()), "wait");
  EXPECT_EQ(x.host()[0], 1);
  wait();
  EXPECT_EQ(x.host()[0], 11);
}

TEST_F(EmulatedStream, IsFinishedBeforeMemoryIsFreed) {
  const DeviceArray<int> x(std::vector<int>{0});
  {
    const CudaStream brief = make_stream();
    ops::cuda::run(Cuda{brief.get()}, {.blocks = 1, .threads = 1}, add_to, x, 1);
  }
  EXPECT_EQ(x.host()[0], 0);
  { const DeviceArray<int> freed(1); }
  EXPECT_EQ(x.host()[0], 1);
}

TEST_F(Emulator, TellsOfMemoryThatItHasNot) {
  emulator::set_memory(1000);
  const Device gpu = Device::cuda(0);
  const Tensor some({200}, DType::f32, gpu);
  EXPECT_THAT(thrown_by([&] { Tensor({201}, DType::u8, gpu); }),
              HasSubstr("GPU 0 was asked for 201 bytes, but 200 of 1000 are free"));
  emulator::set_memory(std::size_t{4} << 30);
}

TEST_F(Emulator, EndsAProcessWhoseHostTouchesDeviceMemory) {
  const DeviceArray<int> x(std::vector<int>{1});
  EXPECT_DEATH(ADD_FAILURE() << *static_cast<volatile int*>(x),
               "the host touches memory of the emulated device");
}

TEST_F(Emulator, SeesWhatIsWrittenBehindAnAllocation) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "the sanitizer ends the program";
#endif
  {
    const DeviceArray<int> x(1);
    run({.blocks = 1, .threads = 2}, number_threads, x);
  }
  EXPECT_EQ(cudaStreamSynchronize(stream.get()), cudaErrorIllegalAddress);
}

TEST_F(Emulator, RefusesWrongMemory) {
  const DeviceArray<int> x(2);
  int on_host = 0;
  EXPECT_EQ(cudaFree(&on_host), cudaErrorInvalidValue);
  EXPECT_EQ(cudaFree(x + 1), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemcpy(x, x, 12, cudaMemcpyDefault), cudaErrorInvalidValue);
  void* twice = nullptr;
  check_cuda(cudaMalloc(&twice, 4), "cudaMalloc");
  EXPECT_EQ(cudaFree(twice), cudaSuccess);
  EXPECT_EQ(cudaFree(twice), cudaErrorInvalidValue);
}

cudaGraphExec_t captured(cudaStream_t stream, const std::function<void()>& work,
                         std::size_t nodes) {
  check_cuda(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "begin");
  work();
  cudaGraph_t graph = nullptr;
  check_cuda(cudaStreamEndCapture(stream, &graph), "end");
  std::size_t count = 0;
  check_cuda(cudaGraphGetNodes(graph, nullptr, &count), "nodes");
  EXPECT_EQ(count, nodes);
  cudaGraphExec_t exec = nullptr;
  check_cuda(cudaGraphInstantiate(&exec, graph), "instantiate");
  check_cuda(cudaGraphDestroy(graph), "destroy");
  return exec;
}

TEST_F(EmulatedGraph, RepeatsWhatWasCapturedOnMemoryAsItIs) {
  const DeviceArray<int> x(std::vector<int>{0});
  int value = 3;
  const cudaGraphExec_t exec = captured(
      stream.get(), [&] { run({.blocks = 1, .threads = 1}, add_to, x, value); }, 1);
  value = 100;
  wait();
  EXPECT_EQ(x.host()[0], 0);
  for (int i = 0; i < 2; ++i) check_cuda(cudaGraphLaunch(exec, stream.get()), "launch");
  EXPECT_EQ(x.host()[0], 0);
  wait();
  EXPECT_EQ(x.host()[0], 6);
  check_cuda(cudaGraphExecDestroy(exec), "destroy");
}

TEST_F(EmulatedGraph, TakesInStreamsThatEventsJoin) {
  const DeviceArray<int> x(std::vector<int>{0}), y(std::vector<int>{0});
  const CudaEvent event = make_event();
  const auto fork = [&] {
    wait_for(other.get(), stream.get(), event);
    ops::cuda::run(Cuda{other.get()}, {.blocks = 1, .threads = 1}, add_to, y, 1);
    run({.blocks = 1, .threads = 1}, add_to, x, 1);
  };
  const cudaGraphExec_t exec = captured(
      stream.get(),
      [&] {
        fork();
        wait_for(stream.get(), other.get(), event);
      },
      2);
  check_cuda(cudaGraphLaunch(exec, stream.get()), "launch");
  wait();
  EXPECT_EQ(x.host()[0], 1);
  EXPECT_EQ(y.host()[0], 1);
  check_cuda(cudaGraphExecDestroy(exec), "destroy");

  check_cuda(cudaStreamBeginCapture(stream.get(), cudaStreamCaptureModeThreadLocal), "begin");
  fork();
  cudaGraph_t graph = nullptr;
  EXPECT_EQ(cudaStreamEndCapture(stream.get(), &graph), cudaErrorStreamCaptureUnjoined);
}

TEST_F(EmulatedGraph, IsSpoiltByWhatCannotBeCaptured) {
  const CudaEvent outside = make_event();
  check_cuda(cudaEventRecord(outside.get(), other.get()), "record");
  void* memory = nullptr;
  const std::function<cudaError_t()> wrong[] = {
      [&] { return cudaStreamSynchronize(stream.get()); }, [&] { return cudaDeviceSynchronize(); },
      [&] { return cudaMalloc(&memory, 4); }, [&] { return cudaEventQuery(outside.get()); },
      [&] { return cudaStreamWaitEvent(stream.get(), outside.get()); }};
  for (const auto& call : wrong) {
    check_cuda(cudaStreamBeginCapture(stream.get(), cudaStreamCaptureModeThreadLocal), "begin");
    EXPECT_NE(call(), cudaSuccess);
    cudaGraph_t graph = nullptr;
    EXPECT_EQ(cudaStreamEndCapture(stream.get(), &graph), cudaErrorStreamCaptureInvalidated);
  }
  wait();
}

}  // namespace
}  // namespace fusor

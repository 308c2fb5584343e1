// The fusor program on a GPU: on the emulated one, whose memory and number the tests choose.
#include "launch/cluster_file.h"
#include "tests/runs.h"

namespace fusor {
namespace {

using testing::HasSubstr;

// A few steps on a kind of device.
std::string on_device(const std::string& kind) {
  return " --train.device=" + kind +
         " --train.steps=3 --optimizer.warmup_steps=1 --model.layers=1 --train.global_batch=4"
         " --model.dropout=0.1 ";
}
const std::string kOnCuda = on_device("cuda"), kOnCpu = on_device("cpu");

class CudaRuns : public Runs {
 protected:
  static std::string with(const std::string& variables, const std::string& command) {
    return "env " + variables + " " + command;
  }
};

TEST_F(CudaRuns, RanksShareAGpuAndLearnAsOnTheCpu) {
  const std::string output = fusor(train("gpu", kOnCuda + "--train.eval_every=2"), 2);
  EXPECT_THAT(output, HasSubstr("rank 0 computes on GPU 0 (emulated) of host "));
  EXPECT_THAT(output, HasSubstr(", which 2 ranks share"));
  fusor(train("cpu", kOnCpu + "--train.eval_every=2"), 2);
  for (const char* const kind : {"train", "eval"}) {
    const auto gpu = metrics("gpu", kind), cpu = metrics("cpu", kind);
    ASSERT_EQ(gpu.size(), cpu.size());
    for (const auto& [step, loss] : cpu) EXPECT_NEAR(gpu.at(step), loss, 1e-4) << kind << step;
  }
}

TEST_F(CudaRuns, ATrainedModelIsEvaluatedAndWritesOnEither) {
  const std::string output =
      fusor(train("run", kOnCuda + "--train.sample_every=3 --train.sample_tokens=4"));
  EXPECT_THAT(output, HasSubstr("from the second on, a step is one CUDA graph"));
  const std::string of_run = " --from run --data data --batches 1 --split val --device ";
  EXPECT_EQ(fusor("eval" + of_run + "cuda"), fusor("eval" + of_run + "cpu"));
  const std::string text = " --from run --tokens 8 --temperature 0 --device ";
  EXPECT_EQ(fusor("generate" + text + "cuda"), fusor("generate" + text + "cpu"));
}

TEST_F(CudaRuns, AGpuIsMeasuredAsACluster) {
  EXPECT_THAT(fusor("bench --calibrate gpu.ini --device cuda"), HasSubstr("gpu.ini: "));
  const Cluster gpu = read_cluster(folder_ / "gpu.ini");
  EXPECT_THAT(gpu.name, HasSubstr("GPU 0 (emulated) of host "));
  for (const double figure : {gpu.peak_f64, gpu.peak_f32, gpu.peak_bf16, gpu.bandwidth, gpu.vector,
                              gpu.launch, gpu.gemm.at(1e6), gpu.attention.at(1e6)})
    EXPECT_GT(figure, 0);
  EXPECT_THAT(sentence(on(1, "bench --calibrate gpu.ini --device gpu")),
              HasSubstr("fusor bench: --device gpu is not "));
}

TEST_F(CudaRuns, WithoutAGpuSayWhy) {
  const std::string none = "FUSOR_EMULATED_GPUS=0";
  EXPECT_THAT(sentence(with(none, on(2, train("run", kOnCuda)))),
              HasSubstr("train.device is cuda, but rank 0 on host "));
  const Outcome outcome = spawn(with(none, on(1, train("run", on_device("auto")))), folder_);
  EXPECT_EQ(outcome.status, 0) << outcome.output;
  EXPECT_THAT(outcome.output, HasSubstr("rank 0 computes on the CPU: the NVIDIA driver shows no "
                                        "GPU (CUDA_VISIBLE_DEVICES hides those it does not name)"));
}

TEST_F(CudaRuns, ThatDoNotFitAreRefusedBeforeTheyStart) {
  const std::string refused =
      sentence(with("FUSOR_EMULATED_MEMORY=300000", on(2, train("run", kOnCuda))));
  EXPECT_THAT(refused, HasSubstr("this run needs "));
  EXPECT_THAT(refused, HasSubstr(" x 2 ranks on GPU 0 (emulated) of host "));
  EXPECT_THAT(refused, HasSubstr(" a rank for CUDA and NCCL left out: use more GPUs"));
}

TEST_F(CudaRuns, LayoutsAreVerifiedOnTheGpu) {
  EXPECT_THAT(fusor("verify-layout tiny.ini --steps 1 --layouts dp=2" + kOnCuda),
              HasSubstr("same bits"));
}

TEST_F(CudaRuns, ArePlannedAsTheyRun) {
  const std::string plan = fusor("plan tiny.ini -np 1" + kOnCuda);
  const auto number_after = [](const std::string& text, const std::string& before) {
    return text.substr(text.find(before) + before.size(), 6);
  };
  EXPECT_EQ(number_after(fusor(train("run", kOnCuda)), "arena peak "),
            number_after(plan, "peak per rank: "));
}

}  // namespace
}  // namespace fusor

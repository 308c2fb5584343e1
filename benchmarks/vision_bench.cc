// Times of images on the CPU, asked as vision_pytorch.py is; see there.
//   vision_bench conv2d N H W C K SIZE STRIDE DTYPE       a convolution, forward and backward
//   vision_bench resnet PRESET SAMPLES DTYPE              training steps with AdamW
// Reads lines from standard input; each holds a number of repeats. Answers each with the seconds of
// every one. OMP_NUM_THREADS sets the threads.
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "models/resnet.h"
#include "ops/fill.h"
#include "parallel/optimizer_step.h"
#include "runtime/memory_plan.h"

namespace {

using namespace fusor;

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

Tensor noise(const Shape& shape, DType dtype, const Device& device, std::uint64_t seed) {
  const Tensor x(shape, dtype, device);
  ops::fill_normal(x, 1, random_key(seed, "vision_bench"));
  return x;
}

struct Conv2dWork {
  Tensor x, w, dw, dy;
  Conv2dOptions options;

  Conv2dWork(const std::vector<std::int64_t>& s, DType dtype, const Device& device)
      : options(Conv2dOptions::padded(s[5] / 2, s[6])) {
    const Shape shape{s[0], s[1], s[2], s[3]}, filters{s[4], s[5], s[5], s[3]};
    x = noise(shape, dtype, device, 1), w = noise(filters, dtype, device, 2);
    dw = Tensor(filters, acc_dtype(dtype), device);
    dy = noise(conv2d_shape(shape, filters, options), dtype, device, 3);
  }
  void step() const {
    const Program program(x.device(), "step");
    Tape tape;
    tape.backward(conv2d(Var::input(x, &tape, true), Var::parameter(w, dw), {}, options), dy);
  }
};

struct ResNetWork {
  ResNet model;
  ParameterStore store;
  OptimizerStep end;
  Batch batch;
  Tensor one;
  std::int64_t number = 0;

  ResNetWork(const ResNetConfig& config, std::int64_t samples, DType dtype, const Device& device)
      : model(config),
        store(parameters_by_part(model), {.compute = dtype}, Mesh(), device),
        end({&store}, {}, Mesh(), device),
        one({1}, DType::f64, device) {
    const ImageClasses& data = config.data;
    batch.shape = {
        "",
        samples,
        {{"image", {samples, data.image_size, data.image_size, data.channels}, DType::f32},
         {"label", {samples}, DType::i32}}};
    batch.values = {noise(batch.shape["image"].shape, DType::f32, device, 1),
                    Tensor({samples}, DType::i32, device)};
    store.initialize(1);
    ops::fill(one, 1);
    if (device.kind() != DeviceKind::cpu) return;
    for (std::int64_t i = 0; i < samples; ++i)
      batch.values[1].host<std::int32_t>()[static_cast<std::size_t>(i)] =
          static_cast<std::int32_t>(i % data.classes);
  }
  void step() {
    const Program program(one.device(), "step");
    Tape tape;
    store.begin_micro(0);
    tape.backward(model.loss(batch, {.tape = &tape, .training = true}), one);
    store.end_micro(0);
    end.run({.lr = 1e-3, .step = ++number, .weight_decay = 1e-4},
            static_cast<double>(batch.shape.samples));
  }
};

// make(device): the work, whose memory is planned.
template <class Make>
void serve(Make&& make) {
  Trace trace;
  make(Device::meta(trace)).step();
  auto work = make(Device::arena(plan_memory(trace)));
  for (std::string line; std::getline(std::cin, line);) {
    for (int i = 0; i < std::atoi(line.c_str()); ++i) {
      const double begin = now();
      work.step();
      std::cout << now() - begin << ' ';
    }
    std::cout << std::endl;
  }
}

}  // namespace

int main(int argc, char** argv) try {
  const std::string what = argc > 1 ? argv[1] : "";
  if (what == "conv2d" && argc == 10) {
    std::vector<std::int64_t> s;
    for (int i = 2; i < 9; ++i) s.push_back(std::atoll(argv[i]));
    serve([&](const Device& device) { return Conv2dWork(s, parse_dtype(argv[9]), device); });
  } else if (what == "resnet" && argc == 5) {
    serve([&](const Device& device) {
      return ResNetWork(resnet_preset(argv[2]), std::atoll(argv[3]), parse_dtype(argv[4]), device);
    });
  } else {
    std::cerr << "usage: vision_bench conv2d N H W C K SIZE STRIDE DTYPE | resnet PRESET SAMPLES "
                 "DTYPE\n";
    return 1;
  }
  return 0;
} catch (const std::exception& e) {
  std::cerr << "vision_bench: " << e.what() << '\n';
  return 1;
}

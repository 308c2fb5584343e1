#include "ops/lstm.h"

#include <memory>

#include "ops/fill.h"
#include "ops/gemm.h"
#include "ops/lstm_kernels.h"

namespace fusor {
namespace {

using ops::kernels::LstmStep;

struct Sizes {
  std::int64_t samples, frames, hidden, directions;
};

Sizes sizes_of(const Tensor& gates, const Tensor& w, const Tensor& counts,
               std::int64_t directions) {
  require(gates.rank() == 2 && w.rank() == 2 && (directions == 1 || directions == 2) &&
              w.dim(0) == directions * 4 * w.dim(1) && gates.dim(1) == w.dim(0),
          "lstm: gates ", gates.shape(), " and w ", w.shape(), " of ", directions, " directions");
  require(counts.rank() == 1 && counts.dtype() == DType::i32 && counts.dim(0) > 0 &&
              gates.dim(0) % counts.dim(0) == 0,
          "lstm: gates ", gates.shape(), " but counts ", counts.shape(), " ", counts.dtype());
  const Sizes s{counts.dim(0), gates.dim(0) / counts.dim(0), w.dim(1), directions};
  if (counts.device().kind() == DeviceKind::cpu)
    for (const std::int32_t count : counts.host<std::int32_t>())
      require(0 <= count && count <= s.frames, "lstm: a count of ", count, " among ", s.frames,
              " frames");
  return s;
}

// What backward reads. h [directions, frames, samples, hidden], by step.
struct Saved {
  Sizes s;
  Tensor w, counts, acts, c, h;

  LstmStep at(std::int64_t direction, std::int64_t step) const {
    return {
        s.samples, s.frames, s.hidden, s.directions, direction, step, counts.data<std::int32_t>()};
  }
  // Of a tensor [directions, frames, samples, cols] by step.
  Tensor steps(const Tensor& t, std::int64_t direction, std::int64_t begin,
               std::int64_t end) const {
    const std::int64_t cols = t.dim(-1), one = s.samples * cols;
    return t.slice((direction * s.frames + begin) * one, {(end - begin) * s.samples, cols});
  }
  Tensor weights(const Tensor& of, std::int64_t direction) const {
    return of.rows(direction * 4 * s.hidden, (direction + 1) * 4 * s.hidden);
  }
  Tensor by_step(std::int64_t cols) const {
    return Tensor({s.directions, s.frames, s.samples, cols}, w.dtype(), w.device());
  }
  Tensor of_step(std::int64_t cols, DType dtype) const {
    return Tensor({s.samples, cols}, dtype, w.device());
  }
  // `moves`: elements read and written for each of a state.
  Cost cost(double flops, double moves) const {
    const auto states = static_cast<double>(s.samples * s.hidden);
    return {.flops = flops * states,
            .bytes = moves * states * static_cast<double>(size_of(w.dtype()))};
  }
};

Tensor forward(const Saved& v, const Tensor& gates) {
  const Tensor y({gates.dim(0), v.s.directions * v.s.hidden}, gates.dtype(), gates.device());
  const Tensor z = v.of_step(4 * v.s.hidden, gates.dtype());
  for (std::int64_t d = 0; d < v.s.directions; ++d)
    for (std::int64_t step = 0; step < v.s.frames; ++step) {
      if (step > 0) ops::gemm_nt(v.steps(v.h, d, step - 1, step), v.weights(v.w, d), {}, z);
      const Tensor h = v.steps(v.h, d, step, step + 1);
      launch(y.device(), "lstm_cell", v.cost(30, 15), [&](auto device) {
        on_float(y.dtype(), [&]<class T> {
          ops::kernels::lstm_cell(device, v.at(d, step), gates.data<T>(),
                                  step > 0 ? z.data<T>() : nullptr, v.acts.data<T>(),
                                  v.c.data<acc_t<T>>(), h.data<T>(), y.data<T>());
        });
      });
    }
  return y;
}

// dz by step.
void backward(const Saved& v, const Tensor& dy, const Tensor& dz, const Tensor& dgates) {
  const Tensor dh = v.of_step(v.s.hidden, dy.dtype()), dc = v.of_step(v.s.hidden, v.c.dtype());
  for (std::int64_t d = 0; d < v.s.directions; ++d)
    for (std::int64_t step = v.s.frames - 1; step >= 0; --step) {
      const bool last = step + 1 == v.s.frames;
      if (!last) ops::gemm_nn(v.steps(dz, d, step + 1, step + 2), v.weights(v.w, d), dh, false);
      launch(dy.device(), "lstm_cell_backward", v.cost(40, 20), [&](auto device) {
        on_float(dy.dtype(), [&]<class T> {
          ops::kernels::lstm_cell_backward(
              device, v.at(d, step), dy.data<T>(), last ? nullptr : dh.data<T>(), v.acts.data<T>(),
              v.c.data<acc_t<T>>(), dc.data<acc_t<T>>(), v.steps(dz, d, step, step + 1).data<T>(),
              dgates.data<T>());
        });
      });
    }
}

// The product of each step's gradient and the state before it, of all steps but the first.
void backward_weights(const Saved& v, const Tensor& dz, const Tensor& dw, bool add) {
  if (v.s.frames == 1 && !add) ops::fill(dw, 0);
  if (v.s.frames == 1) return;
  for (std::int64_t d = 0; d < v.s.directions; ++d)
    ops::gemm_tn(v.steps(dz, d, 1, v.s.frames), v.steps(v.h, d, 0, v.s.frames - 1),
                 v.weights(dw, d), add);
}

}  // namespace

Var lstm(const Var& gates, const Var& w, const Tensor& counts, std::int64_t directions) {
  const Tensor& g = gates.value();
  Saved v{sizes_of(g, w.value(), counts, directions), w.value(), counts, empty_like(g), {}, {}};
  v.c = Tensor({g.dim(0), directions * v.s.hidden}, acc_dtype(g.dtype()), g.device());
  v.h = v.by_step(v.s.hidden);
  const auto dz = std::make_shared<Tensor>();  // from pull to pull_weights
  Pull pull = [v, dz, dgates = gates.grad()](const Tensor& dy) {
    *dz = v.by_step(4 * v.s.hidden);
    const Tensor of_gates = empty_like(v.acts);
    backward(v, dy, *dz, of_gates);
    dgates.pass(of_gates);
  };
  Pull pull_weights = [v, dz, dw = w.grad()](const Tensor&) {
    dw.accumulate([&](const Tensor& to, bool add) { backward_weights(v, *dz, to, add); });
    *dz = {};
  };
  return record(forward(v, g), {gates, w}, std::move(pull), std::move(pull_weights));
}

}  // namespace fusor

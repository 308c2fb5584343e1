// A model of our own, from Fusor's operators: the next character from the last one. Trains it on a
// sentence, and fails unless it has learnt it.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string_view>
#include <vector>

#include "ops/adamw.h"
#include "ops/cross_entropy.h"
#include "ops/embedding.h"
#include "ops/fill.h"
#include "ops/linear.h"
#include "parallel/parameter_store.h"

namespace {

using fusor::Parameter;
using fusor::Tensor;
using fusor::Var;

struct NextCharacter {
  Parameter table{"table", {128, 16}, {.std = 0.1}};
  Parameter up{"up", {64, 16}, {.std = 0.1}};
  Parameter down{"down", {128, 64}, {.std = 0.1}};

  Var operator()(const Var& ids) const {
    return linear(linear_gelu(embedding(table, ids), up), down);
  }
};

Tensor ids(std::string_view text) {
  Tensor result({static_cast<std::int64_t>(text.size())}, fusor::DType::i32);
  std::copy(text.begin(), text.end(), result.host<std::int32_t>().begin());
  return result;
}

Tensor number(double x) {
  Tensor result({1}, fusor::DType::f64);
  result.host<double>()[0] = x;
  return result;
}

void update(const fusor::ParameterStore& store, std::int64_t step, double items) {
  const fusor::ops::AdamWTensor all{store.weights(), store.master(), store.m(), store.v(),
                                    store.gradients()};
  fusor::ops::adamw({&all, 1}, {.lr = 0.01, .step = step}, number(1 / items));
}

}  // namespace

int main() {
  constexpr std::string_view kText = "the quick brown fox jumps";
  const Tensor inputs = ids(kText.substr(0, kText.size() - 1)), targets = ids(kText.substr(1));
  NextCharacter model;
  const fusor::ParameterStore store({&model.table, &model.up, &model.down}, fusor::DType::f32,
                                    fusor::Device());
  store.initialize(/*seed=*/1);

  const auto items = static_cast<double>(inputs.size());
  double first = 0, last = 0;
  for (std::int64_t step = 1; step <= 100; ++step) {
    fusor::Tape tape;
    store.restart_gradients();
    const Var loss = cross_entropy(model(Var::input(inputs, &tape)), targets);
    last = loss.value().host<double>()[0] / items;
    if (step == 1) first = last;
    tape.backward(loss, number(1));
    update(store, step, items);
  }
  std::printf("loss %.3f, after 100 steps %.3f\n", first, last);
  return std::abs(first - std::log(128)) < 0.1 && last < first / 4 ? 0 : 1;
}

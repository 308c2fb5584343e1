#include "benchmarks/bare_product.h"

#include "ops/fill.h"
#include "ops/matrix_products.h"

namespace fusor::benchmark {
namespace {

using namespace ops::kernels;

constexpr int kMost = 32;

struct Operands {
  Tensor a, b, bias, c, aux, workspace;

  Operands(const GemmCall& call, const Device& device) {
    const auto filled = [&](Shape shape) {
      const Tensor t(std::move(shape), call.dtype, device);
      ops::fill_normal(t, 0.5, random_key(1, "library_bench"));
      return t;
    };
    const Shape x{call.m, call.k}, w{call.n, call.k}, y{call.m, call.n};
    const bool nt = call.product == Product::nt, tn = call.product == Product::tn;
    a = filled(nt ? x : y);
    b = filled(tn ? x : w);
    c = Tensor(nt ? y : tn ? w : x, tn ? acc_dtype(call.dtype) : call.dtype, device);
    if (call.bias) bias = filled({call.n});
    if (has_aux(call)) aux = filled(c.shape());
    workspace = Tensor({kWorkspaceBytes + kWorkspaceAlignment}, DType::u8, device);
  }
  GemmOperands bare() const {
    void* space = workspace.raw();
    std::size_t room = workspace.bytes();
    std::align(kWorkspaceAlignment, kWorkspaceBytes, space, room);
    return {a.raw(), b.raw(), nullptr, c.raw(), static_cast<std::byte*>(space)};
  }
  void by_fusor(const GemmCall& call) const {
    if (call.product == Product::nt) return ops::gemm_nt(a, b, bias, c, call.epilogue, aux);
    if (call.product == Product::tn) return ops::gemm_tn(a, b, c, call.add);
    if (has_aux(call)) return ops::gemm_nn_dgelu(a, b, aux, c, call.add);
    ops::gemm_nn(a, b, c, call.add);
  }
};

// How many there are for operands that lie as those of a plan do.
int num_algorithms(MatrixProducts& products, const GemmCall& call) {
  auto* const aligned = reinterpret_cast<std::byte*>(kWorkspaceAlignment);
  return products.num_algorithms(call, {aligned, aligned, nullptr, aligned, aligned}, kMost);
}

}  // namespace

DeviceWork product_and_bare(const GemmCall& call, int times) {
  GemmCall bare = call;
  bare.bias = false, bare.epilogue = ops::Epilogue::none;
  const auto products = std::make_shared<MatrixProducts>(ops::cublas_lt(), /*fuse_gelu=*/false);
  const int algorithms = num_algorithms(*products, bare);
  const auto make = [&](const Device& device) {
    const auto operands = std::make_shared<Operands>(call, device);
    std::vector<Work> works{[=] { operands->by_fusor(call); }};
    for (int place = 0; place < algorithms; ++place)
      works.push_back([=] {
        launch(device, "bare", {}, [&](auto on) {
          if constexpr (std::is_same_v<decltype(on), Cuda>)
            products->run(bare, operands->bare(), on.stream, place);
        });
      });
    return works;
  };
  return DeviceWork(make, {.gpu = 0}, times);
}

}  // namespace fusor::benchmark

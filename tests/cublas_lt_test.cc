#include <gmock/gmock.h>

#include <optional>

#include "ops/gemm.h"
#include "ops/matrix_products.h"
#include "tests/fake_cublas_lt.h"
#include "tests/near.h"
#include "tests/thrown_by.h"

// What reaches cuBLASLt, on machines without a GPU: the fake multiplies what it is told to, and the
// result has to be the CPU's.
namespace fusor::ops {
namespace {

using kernels::GemmCall;
using kernels::GemmOperands;
using kernels::MatrixProducts;
using kernels::Product;

// Extents that no two of are equal, so that a mistaken one is seen. k and n suit aux.
constexpr std::int64_t kM = 5, kN = 8, kK = 16;

// Operands of a call on the host.
struct Operands {
  Tensor a, b, bias, c, aux, workspace;

  explicit Operands(const GemmCall& call) {
    const bool nt = call.product == Product::nt;
    a = noise(nt ? Shape{kM, kK} : Shape{kM, kN}, call.dtype, 1);
    b = noise(call.product == Product::tn ? Shape{kM, kK} : Shape{kN, kK}, call.dtype, 2);
    if (call.bias) bias = noise({kN}, call.dtype, 3);
    const Shape result = nt                            ? Shape{kM, kN}
                         : call.product == Product::nn ? Shape{kM, kK}
                                                       : Shape{kN, kK};
    c = noise(result, call.product == Product::tn ? acc_dtype(call.dtype) : call.dtype, 4);
    if (has_aux(call)) aux = noise(result, call.dtype, 5);
    workspace = Tensor({kernels::kWorkspaceBytes + kernels::kWorkspaceAlignment}, DType::u8);
  }
  GemmOperands raw() const {
    std::byte* space = workspace.raw();
    while (reinterpret_cast<std::uintptr_t>(space) % kernels::kWorkspaceAlignment) ++space;
    return {a.raw(), b.raw(), bias.defined() ? bias.raw() : nullptr,
            c.raw(), space,   aux.defined() ? aux.raw() : nullptr};
  }
};

void by_cpu(const GemmCall& call, const Operands& o) {
  switch (call.product) {
    case Product::nt:
      return gemm_nt(o.a, o.b, o.bias, o.c, call.epilogue, o.aux);
    case Product::nn:
      return call.epilogue == Epilogue::dgelu ? gemm_nn_dgelu(o.a, o.b, o.aux, o.c, false)
                                              : gemm_nn(o.a, o.b, o.c, call.add);
    case Product::tn:
      return gemm_tn(o.a, o.b, o.c, call.add);
  }
}

GemmCall call_of(Product product, DType dtype, bool bias, bool add,
                 Epilogue epilogue = Epilogue::none) {
  return {product, dtype, bias, add, epilogue, kM, kN, kK};
}

std::vector<GemmCall> all_calls() {
  std::vector<GemmCall> calls;
  for (const DType dtype : {DType::f64, DType::f32, DType::bf16, DType::f16}) {
    for (const bool either : {false, true}) {
      calls.push_back(call_of(Product::nt, dtype, either, false));
      calls.push_back(call_of(Product::nt, dtype, either, false, Epilogue::gelu));
      calls.push_back(call_of(Product::nt, dtype, either, false, Epilogue::gelu_aux));
      calls.push_back(call_of(Product::nn, dtype, false, either));
      calls.push_back(call_of(Product::tn, dtype, false, either));
    }
    calls.push_back(call_of(Product::nn, dtype, false, false, Epilogue::dgelu));
  }
  return calls;
}

double tolerance(DType dtype) {
  return dtype == DType::f64    ? 1e-14
         : dtype == DType::f32  ? 1e-6
         : dtype == DType::bf16 ? 1e-2
                                : 1e-3;
}

// A fresh fake in which nothing may be left at the end.
class CublasLtTest : public testing::Test {
 protected:
  ~CublasLtTest() override {
    products.reset();
    EXPECT_EQ(fake.alive, 0) << "handles and descriptors left";
  }
  FakeCublasLt& fake = fresh_fake();
  std::optional<MatrixProducts> products{std::in_place, fake_cublas_lt(), /*fuse_gelu=*/true};
};

TEST_F(CublasLtTest, IsAskedForTheProductsOfTheCpu) {
  for (const GemmCall& call : all_calls()) {
    const Operands got(call), want(call);
    products->run(call, got.raw(), nullptr);
    by_cpu(call, want);
    EXPECT_LE(distance(got.c, want.c), tolerance(call.dtype))
        << "product " << static_cast<int>(call.product) << ", epilogue "
        << static_cast<int>(call.epilogue) << ", " << call.dtype;
    if (call.epilogue == Epilogue::gelu_aux) {
      EXPECT_LE(distance(got.aux, want.aux), tolerance(call.dtype));
    }
  }
  EXPECT_EQ(fake.products, std::ssize(all_calls()));
}

TEST_F(CublasLtTest, SumsInTheDtypeOfAccumulators) {
  for (const auto& [dtype, compute] :
       {std::pair(DType::f64, CUBLAS_COMPUTE_64F), std::pair(DType::f32, CUBLAS_COMPUTE_32F),
        std::pair(DType::bf16, CUBLAS_COMPUTE_32F), std::pair(DType::f16, CUBLAS_COMPUTE_32F)}) {
    const GemmCall call = call_of(Product::nt, dtype, false, false);
    products->run(call, Operands(call).raw(), nullptr);
    EXPECT_EQ(fake.compute_type, compute);
    EXPECT_EQ(fake.preferences[CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK],
              CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE);
  }
}

TEST_F(CublasLtTest, IsAskedOnceForACallAndTheAlignmentOfItsOperands) {
  const GemmCall call = call_of(Product::nt, DType::bf16, true, false);
  const Operands first(call), second(call);
  products->run(call, first.raw(), nullptr);
  products->run(call, second.raw(), nullptr);  // other addresses, aligned alike
  EXPECT_EQ(fake.queries, 1);
  GemmCall smaller = call;
  smaller.m = kM - 1;
  products->run(smaller, first.raw(), nullptr);
  EXPECT_EQ(fake.queries, 2);
  const Tensor shifted({kM * kK + 1}, DType::bf16);
  GemmOperands off = first.raw();
  off.a = shifted.slice(1, {kM * kK}).raw();
  products->run(call, off, nullptr);
  EXPECT_EQ(fake.queries, 3);
  EXPECT_EQ(fake.preferences[CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES], 2u);
  EXPECT_EQ(fake.preferences[CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES], 16u);
}

TEST_F(CublasLtTest, ReadsTheBiasOfEachCall) {
  const GemmCall call = call_of(Product::nt, DType::f32, true, false);
  const Operands first(call), second(call), want(call);
  products->run(call, first.raw(), nullptr);
  for (const Operands* o : {&second, &want}) fill(o->bias, [](std::size_t i) { return 10.0 * i; });
  products->run(call, second.raw(), nullptr);
  by_cpu(call, want);
  EXPECT_LE(distance(second.c, want.c), tolerance(DType::f32));
}

TEST_F(CublasLtTest, FusesGeluOfSixteenBitTypesWhereTheLibraryCan) {
  const auto fuses = [&](DType dtype, std::int64_t n) {
    GemmCall call = call_of(Product::nt, dtype, true, false, Epilogue::gelu_aux);
    const Operands o(call);
    call.n = n;
    return products->fuses(call, o.raw());
  };
  EXPECT_TRUE(fuses(DType::bf16, kN));
  EXPECT_TRUE(fuses(DType::f16, kN));
  EXPECT_FALSE(fuses(DType::bf16, kN - 1)) << "aux rows must be multiples of 8";
  EXPECT_FALSE(fuses(DType::f32, kN)) << "f32 wants a tanh of f32";
  fake.lacks = {CUBLASLT_EPILOGUE_GELU_AUX_BIAS};
  products.emplace(fake_cublas_lt(), true);
  EXPECT_FALSE(fuses(DType::bf16, kN)) << "no algorithm";
  fake.lacks.clear();
  products.emplace(fake_cublas_lt(), false);
  EXPECT_FALSE(fuses(DType::bf16, kN)) << "not on this GPU";
}

TEST_F(CublasLtTest, TriesTheAlgorithmsThatTheLibraryNames) {
  const GemmCall call = call_of(Product::nt, DType::bf16, false, false);
  const Operands o(call);
  fake.named = 3;
  EXPECT_EQ(products->num_algorithms(call, o.raw(), 32), 3);
  EXPECT_EQ(products->num_algorithms(call, o.raw(), 2), 2);
  for (const int place : {2, 0, 1}) {
    products->run(call, o.raw(), nullptr, place);
    EXPECT_EQ(fake.place, static_cast<std::uint64_t>(place));
  }
  EXPECT_THAT(thrown_by([&] { products->run(call, o.raw(), nullptr, 3); }),
              testing::HasSubstr("no algorithm for this GPU"));
  products->run(call, o.raw(), nullptr);
  EXPECT_EQ(fake.place, 0u);
}

TEST_F(CublasLtTest, ErrorsNameTheProduct) {
  fake.lacks = {CUBLASLT_EPILOGUE_DEFAULT};
  const GemmCall call = call_of(Product::tn, DType::bf16, false, false);
  const Operands o(call);
  EXPECT_EQ(thrown_by([&] { products->run(call, o.raw(), nullptr); }),
            "cuBLAS, gemm_tn of bf16 with m 5, n 8, k 16: no algorithm for this GPU");
  fake.lacks.clear();
  products.emplace(fake_cublas_lt(), true);
  GemmOperands askew = o.raw();
  ++askew.workspace;
  EXPECT_EQ(thrown_by([&] { products->run(call, askew, nullptr); }),
            "cuBLAS, gemm_tn of bf16 with m 5, n 8, k 16: an invalid value was passed");
}

// A rehearsal for CUDA asks for the workspace of CUDA on machines that have none.
TEST(GemmWorkspace, IsThatOfTheLibraryOnEveryGpu) {
  EXPECT_EQ(kernels::gemm_workspace(Cuda{}, call_of(Product::nt, DType::bf16, true, false)),
            kernels::kWorkspaceBytes + kernels::kWorkspaceAlignment);
}

}  // namespace
}  // namespace fusor::ops

#pragma once
#include <cmath>
#include <sstream>
#include <utility>

#include "tests/ladder.h"
#include "tests/near.h"

// What the rungs of the ladder share: running a case, comparing what came out, and tolerances.
namespace fusor::ladder {

// How far a result may be from its reference, as a fraction of the reference's largest element.
struct Tolerance {
  double value, gradient;
};
inline constexpr Tolerance kFiniteDifferences{0, 1e-9};
inline constexpr Tolerance kF32{3e-6, 1e-5};       // against f64
inline constexpr Tolerance kBf16{1e-2, 2e-2};      // against f32, of inputs that bf16 holds exactly
inline constexpr Tolerance kF16{1.25e-3, 2.5e-3};  // likewise: three bits more
inline constexpr Tolerance kF64{1e-13, 1e-12};     // of one device against another
inline constexpr Tolerance kTwice{1e-15, 1e-15};
inline constexpr Tolerance kSameBits{0, 0};

inline constexpr DType kDTypes[] = {DType::f64, DType::f32, DType::bf16, DType::f16};
inline constexpr std::pair<DType, Tolerance> kHalves[] = {{DType::bf16, kBf16}, {DType::f16, kF16}};

inline constexpr std::uint64_t kCotangentSeed = 99;

// The operands of a case as f64 and i32 host tensors.
using Inputs = std::vector<Tensor>;
Inputs draw(const Case&);
Inputs rounded(const Inputs&, DType);

// The operands on a device, activations on the tape.
std::vector<Var> leaves(const Case&, const Inputs&, DType, const Device&, Tape*);

// What came out, as f64 host tensors. Gradients are in the order of the operands that have one.
struct Outcome {
  Tensor y;
  std::vector<Tensor> gradients;
};
enum class Walk { whole, weights_later, recomputed };

// Forward and backward with a random cotangent, `times` times into the same gradients.
Outcome play(const Case&, const Inputs&, DType, const Device& = Device::heap(/*poison=*/true),
             int times = 1, Walk = Walk::whole);

// The sentences of one case.
class Findings {
 public:
  explicit Findings(std::vector<std::string>& list) : list_(list) {}
  template <class... Ts>
  void expect(bool ok, const Ts&... what) {
    if (ok) return;
    std::ostringstream text;
    (text << ... << what);
    list_.push_back(text.str());
  }
  void expect_near(const char* rung, const Outcome& got, const Outcome& want, Tolerance tolerance) {
    const double d = distance(got.y, want.y);
    expect(d <= tolerance.value, rung, ": value off by ", d);
    for (std::size_t i = 0; i < want.gradients.size(); ++i)
      expect_near(rung, i, got.gradients[i], want.gradients[i], tolerance.gradient);
  }
  void expect_near(const char* rung, std::size_t i, const Tensor& got, const Tensor& want,
                   double tolerance) {
    const double d = got.defined() ? distance(got, want) : INFINITY;
    expect(d <= tolerance, rung, ": gradient ", i, " off by ", d);
  }

 private:
  std::vector<std::string>& list_;
};

using Rung = void (*)(const Case&, Findings&);
std::vector<std::string> climb(const Case&, const std::vector<Rung>&);

// Rungs of every device. They play the case on devices that `fresh` gives.
using Fresh = std::function<Device()>;
void check_accumulation(const Case&, const Fresh& fresh, Findings&);
void check_walks(const Case&, const Fresh& fresh, Findings&);
void check_inference(const Case&, const Fresh& fresh, Findings&);
// The device with a plan refuses any allocation that the rehearsal, for a device of kind `like`,
// did not make in the same order and size.
void check_rehearsal(const Case&, const Fresh& fresh, DeviceKind like,
                     const std::function<Device(const MemoryPlan&)>& planned, Findings&);

}  // namespace fusor::ladder

#include "ops/add_kernels.h"
#include "ops/cpu.h"

namespace fusor::ops::kernels {
namespace {

constexpr std::int64_t kGrain = 1 << 15;  // elements: a thread's share worth a fork

}  // namespace

template <class T>
void add(Cpu, std::int64_t n, const T* a, const T* b, T* y) {
  cpu::parallel_for(n, kGrain, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) cpu::store(y[i], cpu::load(a[i]) + cpu::load(b[i]));
  });
}

template <class T, class To>
void add_into(Cpu, std::int64_t n, const T* x, To* to, bool add) {
  cpu::parallel_for(n, kGrain, [=](std::int64_t begin, std::int64_t end) {
    if (add)
      for (std::int64_t i = begin; i < end; ++i)
        cpu::store(to[i], cpu::load(to[i]) + cpu::load(x[i]));
    else
      for (std::int64_t i = begin; i < end; ++i) cpu::store(to[i], cpu::load(x[i]));
  });
}

template void add(Cpu, std::int64_t, const double*, const double*, double*);
template void add(Cpu, std::int64_t, const float*, const float*, float*);
template void add(Cpu, std::int64_t, const bf16*, const bf16*, bf16*);
template void add(Cpu, std::int64_t, const f16*, const f16*, f16*);
template void add_into(Cpu, std::int64_t, const double*, double*, bool);
template void add_into(Cpu, std::int64_t, const float*, float*, bool);
template void add_into(Cpu, std::int64_t, const bf16*, bf16*, bool);
template void add_into(Cpu, std::int64_t, const f16*, f16*, bool);
template void add_into(Cpu, std::int64_t, const bf16*, float*, bool);
template void add_into(Cpu, std::int64_t, const f16*, float*, bool);

}  // namespace fusor::ops::kernels

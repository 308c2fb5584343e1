#include "ops/cuda_map.h"
#include "ops/relate_kernels.h"
#include "ops/relate_math.h"

namespace fusor::ops::kernels {
namespace {

// N complex numbers of a row [2 half].
template <class A, int N>
struct ComplexVector {
  cuda::Vector<A, N> re, im;
  __device__ Complex<A> operator[](int k) const { return {re.at[k], im.at[k]}; }
  __device__ void set(int k, Complex<A> x) { re.at[k] = x.re, im.at[k] = x.im; }
};
template <int N, class T>
__device__ ComplexVector<acc_t<T>, N> load_complex(const T* at, std::int64_t half) {
  return {cuda::load<N>(at), cuda::load<N>(at + half)};
}
template <int N, class T>
__device__ void put_complex(bool add, T* at, std::int64_t half,
                            const ComplexVector<acc_t<T>, N>& x) {
  cuda::put<N>(add, at, x.re);
  cuda::put<N>(add, at + half, x.im);
}

// What the three kernels have in common. A unit of a row is an element, or a complex number.
template <Relating kind, class T>
struct Row {
  using A = acc_t<T>;
  std::int64_t units;
  const std::int32_t* inverse;

  __device__ A sign(std::int64_t row) const { return inverse && inverse[row] != 0 ? A(-1) : A(1); }
  __device__ std::int64_t entity(std::int64_t row, std::int64_t unit) const {
    return row * units * (kIsComplex<kind> ? 2 : 1) + unit;
  }
  __device__ std::int64_t relation(std::int64_t row, std::int64_t unit) const {
    return row * units * (kind == Relating::complex ? 2 : 1) + unit;
  }
  // The complex numbers that multiply an entity's from `at` on, a place of relation().
  template <int N>
  __device__ ComplexVector<A, N> factors(const T* at, A sign) const {
    ComplexVector<A, N> r;
    r.re = cuda::load<N>(at);
    if constexpr (kind == Relating::complex) r.im = cuda::load<N>(at + units);
#pragma unroll
    for (int k = 0; k < N; ++k)
      if constexpr (kind == Relating::rotate) {
        const A angle = r.re.at[k];
        r.set(k, {cos(angle), sign * sin(angle)});
      } else {
        r.im.at[k] *= sign;
      }
    return r;
  }
};

template <Relating kind, class T>
struct Relate : Row<kind, T> {
  const T *e, *r;
  T* q;

  template <int N>
  __device__ void at(std::int64_t row, std::int64_t unit) const {
    const auto sign = this->sign(row);
    const std::int64_t here = this->entity(row, unit);
    const T* const relation = r + this->relation(row, unit);
    if constexpr (kIsComplex<kind>) {
      auto x = load_complex<N>(e + here, this->units);
      const auto f = this->template factors<N>(relation, sign);
#pragma unroll
      for (int k = 0; k < N; ++k) x.set(k, x[k] * f[k]);
      put_complex<N>(false, q + here, this->units, x);
    } else {
      auto x = cuda::load<N>(e + here);
      const auto f = cuda::load<N>(relation);
#pragma unroll
      for (int k = 0; k < N; ++k) x.at[k] = related<kind>(x.at[k], f.at[k], sign);
      cuda::store<N>(q + here, x);
    }
  }
};

template <Relating kind, class T>
struct ToEntity : Row<kind, T> {
  const T *dq, *r;
  T* de;
  bool add;

  template <int N>
  __device__ void at(std::int64_t row, std::int64_t unit) const {
    const std::int64_t here = this->entity(row, unit);
    const T* const relation = r + this->relation(row, unit);
    if constexpr (kIsComplex<kind>) {
      auto d = load_complex<N>(dq + here, this->units);
      const auto f = this->template factors<N>(relation, this->sign(row));
#pragma unroll
      for (int k = 0; k < N; ++k) d.set(k, d[k] * conj(f[k]));
      put_complex<N>(add, de + here, this->units, d);
    } else {
      auto d = cuda::load<N>(dq + here);
      const auto f = cuda::load<N>(relation);
#pragma unroll
      for (int k = 0; k < N; ++k) d.at[k] = entity_slope<kind>(d.at[k], f.at[k]);
      cuda::put<N>(add, de + here, d);
    }
  }
};

template <Relating kind, class T>
struct ToRelation : Row<kind, T> {
  const T *dq, *e, *r;
  T* dr;
  bool add;

  template <int N>
  __device__ void at(std::int64_t row, std::int64_t unit) const {
    const auto sign = this->sign(row);
    const std::int64_t here = this->entity(row, unit), there = this->relation(row, unit);
    if constexpr (kIsComplex<kind>) {
      auto d = load_complex<N>(dq + here, this->units);
      const auto x = load_complex<N>(e + here, this->units);
      const auto f = this->template factors<N>(r + there, sign);
#pragma unroll
      for (int k = 0; k < N; ++k)
        if constexpr (kind == Relating::rotate)
          d.re.at[k] = angle_slope(d[k], x[k], f[k], sign);
        else
          d.set(k, relation_slope(d[k], x[k], sign));
      if constexpr (kind == Relating::rotate)
        cuda::put<N>(add, dr + there, d.re);
      else
        put_complex<N>(add, dr + there, this->units, d);
    } else {
      auto d = cuda::load<N>(dq + here);
      const auto x = cuda::load<N>(e + here);
#pragma unroll
      for (int k = 0; k < N; ++k) d.at[k] = relation_slope<kind>(d.at[k], x.at[k], sign);
      cuda::put<N>(add, dr + there, d);
    }
  }
};

// Calls f with the row's common part, and runs the body it returns; `at`: all addresses.
template <class T, class F, class... At>
void for_units(Cuda on, const RelateSize& s, F&& body_of, const At*... at) {
  constexpr int N = cuda::kVector<T>;
  on_relating(s.kind, [&]<Relating kind> {
    const std::int64_t units = kIsComplex<kind> ? s.cols / 2 : s.cols;
    cuda::for_rows<N>(on, s.rows, units, cuda::hold_vectors<N>(at...),
                      body_of(Row<kind, T>{units, s.inverse}));
  });
}

}  // namespace

template <class T>
void relate(Cuda on, const RelateSize& s, const T* e, const T* r, T* q) {
  for_units<T>(
      on, s,
      [=]<Relating kind>(const Row<kind, T>& row) {
        return Relate<kind, T>{row, e, r, q};
      },
      e, r, q);
}

template <class T>
void relate_backward_entity(Cuda on, const RelateSize& s, const T* dq, const T* r, T* de,
                            bool add) {
  for_units<T>(
      on, s,
      [=]<Relating kind>(const Row<kind, T>& row) {
        return ToEntity<kind, T>{row, dq, r, de, add};
      },
      dq, r, de);
}

template <class T>
void relate_backward_relation(Cuda on, const RelateSize& s, const T* dq, const T* e, const T* r,
                              T* dr, bool add) {
  for_units<T>(
      on, s,
      [=]<Relating kind>(const Row<kind, T>& row) {
        return ToRelation<kind, T>{row, dq, e, r, dr, add};
      },
      dq, e, r, dr);
}

#define FUSOR_RELATE(T)                                                                         \
  template void relate(Cuda, const RelateSize&, const T*, const T*, T*);                        \
  template void relate_backward_entity(Cuda, const RelateSize&, const T*, const T*, T*, bool);  \
  template void relate_backward_relation(Cuda, const RelateSize&, const T*, const T*, const T*, \
                                         T*, bool);
FUSOR_RELATE(double)
FUSOR_RELATE(float)
FUSOR_RELATE(bf16)
FUSOR_RELATE(f16)
#undef FUSOR_RELATE

}  // namespace fusor::ops::kernels

#pragma once
#include <cstdint>

#include "ops/sparse_update.h"
#include "runtime/launch.h"

// Defined in sparse_update_cpu.cc and sparse_update_cuda.cu.
namespace fusor::ops::kernels {

// Entries [begin, end) of RowGradients, which are of one part.
struct EntryRange {
  std::int64_t begin, end, cols;
};

// firsts[id] = -1 for the ids of all entries.
void forget_firsts(Cpu, std::int64_t entries, const std::int32_t* ids, std::int32_t* firsts);
void forget_firsts(Cuda, std::int64_t entries, const std::int32_t* ids, std::int32_t* firsts);

// Of each entry: if it is the first with its id, firsts[id] = entry; else its row is added to that
// of the first.
template <class A>
void merge_rows(Cpu, const EntryRange&, const std::int32_t* ids, std::int32_t* firsts, A* rows);
template <class A>
void merge_rows(Cuda, const EntryRange&, const std::int32_t* ids, std::int32_t* firsts, A* rows);

template <class A>
struct TableArrays {
  TableOptimizer optimizer;
  A *weights, *m, *v;
};
struct UpdateFactors {
  AdamW settings;
  const double* rates;  // [kAdamWRates]
  const double* grad_scale;
};

// Updates the rows of the entries that are firsts.
template <class A>
void update_rows(Cpu, const EntryRange&, const TableArrays<A>&, const UpdateFactors&,
                 const std::int32_t* ids, const A* rows, const std::int32_t* firsts);
template <class A>
void update_rows(Cuda, const EntryRange&, const TableArrays<A>&, const UpdateFactors&,
                 const std::int32_t* ids, const A* rows, const std::int32_t* firsts);

}  // namespace fusor::ops::kernels

#pragma once
#include <span>

#include "ops/blocks.h"
#include "ops/cuda.h"

// Many arrays for one kernel: the list of them is a parameter, so that nothing has to be copied to
// the device before the launch.
namespace fusor::ops::cuda {

// Whether vectors of N can be read or written at an address.
template <int N, class T>
__device__ bool hold(const T* at) {
  return reinterpret_cast<std::uintptr_t>(at) % (N * sizeof(T)) == 0;
}

// As many arrays as the 4 KiB that all GPUs allow for parameters hold, beside a few more, cut into
// blocks as ops/blocks.h cuts them. Array has a member `elements`.
template <class Array>
struct ArrayList {
  static constexpr int kMost = (4096 - 256) / static_cast<int>(sizeof(Array) + sizeof(int));
  Array arrays[kMost];
  int first[kMost + 1];  // the first block of each array; of arrays[count], the number of blocks
  int count;

  __device__ int array_of(int block) const {
    int low = 0, high = count;  // first[low] <= block < first[high]
    while (high - low > 1) {
      const int middle = (low + high) / 2;
      (first[middle] <= block ? low : high) = middle;
    }
    return low;
  }
};

// The elements of one block of a list.
template <class Array>
struct ArrayBlock {
  const Array& array;
  std::int64_t begin, end;
  __device__ ArrayBlock(const ArrayList<Array>& list, int block)
      : ArrayBlock(list, block, list.array_of(block)) {}

 private:
  __device__ ArrayBlock(const ArrayList<Array>& list, int block, int i)
      : array(list.arrays[i]),
        begin((block - list.first[i]) * Blocks::kBlock),
        end(min(begin + Blocks::kBlock, array.elements)) {}
};

// Calls launch(list, blocks) until all arrays have had their turn.
template <class Array, class Launch>
void for_lists(std::span<const Array> arrays, Launch&& launch) {
  while (!arrays.empty()) {
    ArrayList<Array> list;
    list.count = static_cast<int>(std::min(arrays.size(), std::size_t{ArrayList<Array>::kMost}));
    std::int64_t blocks = 0;
    for (int i = 0; i < list.count; ++i) {
      list.arrays[i] = arrays[static_cast<std::size_t>(i)];
      list.first[i] = static_cast<int>(blocks);
      blocks += ceil_div(list.arrays[i].elements, Blocks::kBlock);
    }
    require(blocks <= std::numeric_limits<int>::max(), "arrays of ", blocks, " blocks");
    list.first[list.count] = static_cast<int>(blocks);
    launch(list, blocks);
    arrays = arrays.subspan(static_cast<std::size_t>(list.count));
  }
}

}  // namespace fusor::ops::cuda

#include "io/tensor_box.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "runtime/error.h"

namespace fusor {
namespace {

// All boxes [begin, begin + shape) with 1 <= shape inside a tensor.
std::vector<TensorBox> boxes_of(const Shape& global) {
  std::vector<TensorBox> boxes{{"t", DType::u8, global, {}, {}}};
  for (const std::int64_t extent : global) {
    std::vector<TensorBox> longer;
    for (const TensorBox& box : boxes)
      for (std::int64_t begin = 0; begin < extent; ++begin)
        for (std::int64_t end = begin + 1; end <= extent; ++end) {
          longer.push_back(box);
          longer.back().begin.push_back(begin);
          longer.back().shape.push_back(end - begin);
        }
    boxes = std::move(longer);
  }
  return boxes;
}

// The global place of each element of a box, in its row-major order.
std::vector<std::int64_t> places(const TensorBox& box) {
  std::vector<std::int64_t> result;
  for (std::int64_t i = 0; i < num_elements(box.shape); ++i) {
    std::int64_t rest = i, place = 0, stride = 1;
    for (std::size_t d = box.shape.size(); d-- > 0; rest /= box.shape[d]) {
      place += (box.begin[d] + rest % box.shape[d]) * stride;
      stride *= box.global[d];
    }
    result.push_back(place);
  }
  return result;
}

TEST(TensorBox, RunsMoveExactlyTheCommonElements) {
  const auto boxes = boxes_of({2, 3, 3});
  for (const TensorBox& source : boxes)
    for (const TensorBox& target : boxes) {
      const auto from_places = places(source), to_places = places(target);
      std::vector<int> filled(to_places.size());
      for_each_common_run(source.begin, source.shape, target.begin, target.shape,
                          [&](std::int64_t from, std::int64_t to, std::int64_t count) {
                            for (std::int64_t i = 0; i < count; ++i) {
                              ASSERT_EQ(from_places.at(from + i), to_places.at(to + i));
                              ++filled.at(to + i);
                            }
                          });
      for (std::size_t i = 0; i < to_places.size(); ++i)
        ASSERT_EQ(filled[i], std::ranges::count(from_places, to_places[i]))
            << text_of(source) << " to " << text_of(target);
    }
}

int num_runs(const TensorBox& source, const TensorBox& target) {
  int runs = 0;
  for_each_common_run(source.begin, source.shape, target.begin, target.shape,
                      [&](std::int64_t, std::int64_t, std::int64_t) { ++runs; });
  return runs;
}

TEST(TensorBox, RowsOfWholeTensorsAreOneRun) {
  const TensorBox whole = whole_tensor("t", DType::f32, {4, 5, 6});
  const TensorBox rows{"t", DType::f32, {4, 5, 6}, {1, 0, 0}, {2, 5, 6}};
  const TensorBox columns{"t", DType::f32, {4, 5, 6}, {0, 1, 0}, {4, 2, 6}};
  EXPECT_EQ(num_runs(whole, rows), 1);
  EXPECT_EQ(num_runs(rows, whole), 1);
  EXPECT_EQ(num_runs(whole, columns), 4);
}

TEST(TensorBox, RangesAreBoxesOfTheirElementsInOrder) {
  const TensorBox box{"t", DType::f32, {9, 5, 6, 7}, {2, 1, 0, 3}, {3, 4, 3, 2}};
  for (std::int64_t begin = 0; begin <= 72; ++begin)
    for (std::int64_t end = begin; end <= 72; ++end) {
      const std::vector<std::int64_t> all = places(box);
      std::vector<std::int64_t> found;
      for (const TensorBox& part : boxes_of_range(box, begin, end)) {
        check_box(part);
        EXPECT_GT(num_elements(part.shape), 0);
        for (const std::int64_t place : places(part)) found.push_back(place);
      }
      ASSERT_EQ(found, std::vector(all.begin() + begin, all.begin() + end));
    }
  EXPECT_EQ(boxes_of_range(whole_tensor("s", DType::f32, {}), 0, 1).size(), 1u);
  EXPECT_EQ(boxes_of_range(whole_tensor("t", DType::f32, {4, 5}), 5, 15).size(), 1u);
  EXPECT_THROW(boxes_of_range(box, 0, 73), Error);
}

TEST(TensorBox, NamesPartsAndRefusesThoseOutside) {
  EXPECT_EQ(text_of(whole_tensor("w", DType::f32, {4, 8})), "w");
  EXPECT_EQ(text_of({"w", DType::f32, {4, 8}, {2, 0}, {2, 8}}), "w[2:4, 0:8]");
  EXPECT_NO_THROW(check_box({"w", DType::f32, {4}, {4}, {0}}));
  EXPECT_THROW(check_box({"w", DType::f32, {4}, {2}, {3}}), Error);
  EXPECT_THROW(check_box({"w", DType::f32, {4}, {-1}, {1}}), Error);
  EXPECT_THROW(check_box({"w", DType::f32, {4}, {0, 0}, {1, 1}}), Error);
  EXPECT_THROW(check_box({"w", DType::f32, {4}, {INT64_MAX}, {INT64_MAX}}), Error);
}

}  // namespace
}  // namespace fusor

#pragma once
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "parallel/parameter_store.h"
#include "tests/near.h"

namespace fusor {

// Logical tensors put together from the boxes of several ranks, which are threads.
class WholeTensors {
 public:
  // Elements that came before must come equal again.
  void add(const std::vector<StateBox>& boxes) { put(boxes, /*once=*/false); }
  // Elements that came before must not come again.
  void add_share(const std::vector<StateBox>& boxes) { put(boxes, /*once=*/true); }

  // Fills what the boxes ask for.
  void read(const std::vector<StateBox>& boxes) const {
    for (const auto& [box, tensor] : boxes) {
      const std::vector<double>& from = values.at(box.name);
      std::vector<double> to(static_cast<std::size_t>(tensor.size()));
      runs(box, [&](std::size_t here, std::size_t whole) { to[here] = from[whole]; });
      fill(tensor, [&](std::size_t i) { return to[i]; });
    }
  }

  // Nothing where every element has come.
  std::string gap() const {
    for (const auto& [name, tensor] : values)
      for (std::size_t i = 0; i < tensor.size(); ++i)
        if (std::isnan(tensor[i])) return name + " element " + std::to_string(i);
    return {};
  }

  std::map<std::string, std::vector<double>> values;

 private:
  static void runs(const TensorBox& box, const std::function<void(std::size_t, std::size_t)>& f) {
    for_each_common_run(box.begin, box.shape, Shape(box.global.size(), 0), box.global,
                        [&](std::int64_t from, std::int64_t to, std::int64_t count) {
                          for (std::int64_t i = 0; i < count; ++i)
                            f(static_cast<std::size_t>(from + i), static_cast<std::size_t>(to + i));
                        });
  }

  void put(const std::vector<StateBox>& boxes, bool once) {
    const std::lock_guard lock(mutex_);
    for (const auto& [box, tensor] : boxes) {
      check_box(box);
      ASSERT_EQ(num_elements(box.shape), tensor.size()) << text_of(box);
      std::vector<double>& whole = values[box.name];
      whole.resize(static_cast<std::size_t>(num_elements(box.global)), NAN);
      const std::vector<double> from = doubles(tensor);
      runs(box, [&](std::size_t here, std::size_t at) {
        EXPECT_TRUE(std::isnan(whole[at]) || (!once && whole[at] == from[here])) << text_of(box);
        whole[at] = from[here];
      });
    }
  }

  std::mutex mutex_;
};

}  // namespace fusor

#include "launch/together.h"

#include <algorithm>
#include <chrono>
#include <thread>

namespace fusor {

void together(const World& world, const std::function<void()>& f) {
  std::exception_ptr failure;
  std::string what;
  try {
    f();
  } catch (const std::exception& e) {
    failure = std::current_exception();
    what = *e.what() ? e.what() : "unknown error";
  }
  const std::vector<std::string> failures = gather_texts(world.group(), what, "set-up/failures");
  const auto first = std::ranges::find_if(failures, [](const auto& text) { return !text.empty(); });
  if (first == failures.end()) return;
  if (first - failures.begin() == world.rank()) std::rethrow_exception(failure);
  std::this_thread::sleep_for(std::chrono::seconds(20));  // that rank ends the job long before
  raise(*first);
}

}  // namespace fusor

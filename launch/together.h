#pragma once
#include <functional>

#include "runtime/world.h"

namespace fusor {

// Runs f on every rank and waits until all have; if it throws on some, the lowest of them throws
// here and the others wait for the end it brings. So a mistake that every rank meets, like a wrong
// key in the recipe, is told once. Collective; f may communicate only if it throws on all ranks or
// none.
void together(const World& world, const std::function<void()>& f);

}  // namespace fusor

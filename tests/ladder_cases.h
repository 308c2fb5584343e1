#pragma once
#include "tests/ladder.h"

namespace fusor::ladder {

// Every operator, once at an odd shape that no vector width divides and, where rows or elements are
// shared out to threads, once at a shape that is.
const std::vector<Case>& cases();

// Those of one family, which cases() has too.
std::vector<Case> attention_cases();
std::vector<Case> fusion_cases();
std::vector<Case> knowledge_cases();
std::vector<Case> speech_cases();
std::vector<Case> text_cases();
std::vector<Case> vision_cases();

// i32 [sequences]; undefined where there are none.
Tensor lengths_on(const Device& device, const std::vector<std::int32_t>& lengths);

}  // namespace fusor::ladder

#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "parallel/schedule.h"

namespace fusor {

// p ranks with v stages each, m micro-batches; "held": between the start of its F and the end of
// its B (of its W, where the backward is split), in micro-batches of one stage.
enum class ScheduleKind : std::uint8_t {
  gpipe,        // every F, then every B; a rank holds v m
  one_f_one_b,  // B as soon as it can be; rank r holds p - r (arXiv:2104.04473, 2.2.1)
  interleaved,  // 1F1B of v stages a rank, which micro-batches pass in rounds of p
                // (arXiv:2104.04473, 2.2.2; of m / (m / p), rounded up, where p does not divide m);
                // rank r holds 2(p-r-1) + (v-1) round + 1
  zero_bubble,  // ZB-H1: 1F1B that fills its waits with W; holds p (arXiv:2401.10241, 3.1)
  zero_bubble_v  // ZB-V: v = 2 in V shape; holds 2p, half stages (arXiv:2401.10241, 6)
};
inline constexpr std::array<std::string_view, 5> kScheduleNames{
    // by ScheduleKind
    "gpipe", "1f1b", "interleaved", "zb_h1", "zb_v"};
std::string_view name_of(ScheduleKind);

// The rank that holds each stage: stage % ranks; of zb_v in V shape, so that the last stage lies
// beside the first. Throws Error where `stages` are too few, do not divide, or are more on a rank
// than the schedule is for.
std::vector<int> place_stages(ScheduleKind, int stages, int ranks);

// A schedule of any stage graph on any placement, by playing it in unit time (F = B = W = 1, an
// unsplit B = 2): each rank computes what is ready, F before B before W, but no F that would make
// it hold more micro-batches than the kind allows, unless all ranks would wait. For chains these
// are the orders of the papers.
Schedule make_schedule(ScheduleKind, const StageGraph&, const std::vector<int>& rank_of, int ranks,
                       int micros);
Schedule make_schedule(ScheduleKind, const StageGraph&, int ranks, int micros);  // placed as above

}  // namespace fusor

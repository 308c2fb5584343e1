#include "parallel/pipeline_actions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "parallel/schedule_builder.h"
#include "parallel/schedule_timeline.h"
#include "thrown_by.h"

namespace fusor {
namespace {

using testing::HasSubstr;
using Actions = std::vector<std::vector<Action>>;

constexpr SendMode kModes[] = {SendMode::buffered, SendMode::rendezvous, SendMode::blocking};

std::string to_text(const std::vector<Action>& actions) {
  constexpr std::string_view kVerbs[] = {"compute", "post", "receive", "send", "sent"};
  std::string text;
  for (const Action& a : actions)
    text += std::string(kVerbs[static_cast<std::size_t>(a.kind)]) + " " + name_of(a) + "\n";
  return text;
}

TEST(PipelineActions, OfTwoRanks) {
  const StageGraph graph = StageGraph::chain(2);
  const Schedule schedule = make_schedule(ScheduleKind::one_f_one_b, graph, 2, 2);
  const Actions actions = pipeline_actions(schedule, graph);
  EXPECT_EQ(to_text(actions.at(0)),
            "compute F/stage 0/micro 0\n"
            "send F/stage 0 -> 1/micro 0\n"
            "post B/stage 1 -> 0/micro 0\n"
            "compute F/stage 0/micro 1\n"
            "send F/stage 0 -> 1/micro 1\n"
            "post B/stage 1 -> 0/micro 1\n"
            "sent F/stage 0 -> 1/micro 0\n"
            "receive B/stage 1 -> 0/micro 0\n"
            "compute B/stage 0/micro 0\n"
            "sent F/stage 0 -> 1/micro 1\n"
            "receive B/stage 1 -> 0/micro 1\n"
            "compute B/stage 0/micro 1\n");
  EXPECT_EQ(to_text(actions.at(1)),
            "post F/stage 0 -> 1/micro 0\n"
            "receive F/stage 0 -> 1/micro 0\n"
            "compute F/stage 1/micro 0\n"
            "post F/stage 0 -> 1/micro 1\n"
            "compute B/stage 1/micro 0\n"
            "send B/stage 1 -> 0/micro 0\n"
            "receive F/stage 0 -> 1/micro 1\n"
            "compute F/stage 1/micro 1\n"
            "sent B/stage 1 -> 0/micro 0\n"
            "compute B/stage 1/micro 1\n"
            "send B/stage 1 -> 0/micro 1\n"
            "sent B/stage 1 -> 0/micro 1\n");
}

TEST(PipelineActions, StagesOfOneRankSendNothing) {
  const StageGraph graph = StageGraph::chain(4);
  const Schedule schedule = make_schedule(ScheduleKind::interleaved, graph, 1, 3);
  const Actions actions = pipeline_actions(schedule, graph);
  for (const Action& a : actions.at(0)) EXPECT_EQ(a.kind, ActionKind::compute) << name_of(a);
}

// Both encoders send to the trunk, and a value read by two ranks is sent to both.
TEST(PipelineActions, FollowBranchesAndJoins) {
  const StageGraph graph{{{}, {}, {0, 1}, {0, 2}}};
  const Schedule schedule =
      make_schedule(ScheduleKind::one_f_one_b, graph, {0, 1, 2, 3}, /*ranks=*/4, /*micros=*/1);
  const Actions actions = pipeline_actions(schedule, graph);
  EXPECT_THAT(to_text(actions.at(0)), HasSubstr("send F/stage 0 -> 2/micro 0\n"
                                                "send F/stage 0 -> 3/micro 0\n"));
  EXPECT_THAT(to_text(actions.at(2)), HasSubstr("receive F/stage 0 -> 2/micro 0\n"
                                                "receive F/stage 1 -> 2/micro 0\n"
                                                "compute F/stage 2/micro 0\n"
                                                "send F/stage 2 -> 3/micro 0\n"));
}

struct Case {
  ScheduleKind kind;
  StageGraph graph;
  Schedule schedule;
};

int draw(std::mt19937& random, int from, int to) {
  return std::uniform_int_distribution<int>(from, to)(random);
}

StageGraph random_graph(std::mt19937& random, int stages) {
  if (draw(random, 0, 2) == 0) return StageGraph::chain(stages);
  StageGraph graph;
  for (int stage = 0; stage < stages; ++stage) {
    auto& inputs = graph.inputs.emplace_back();
    for (int input = 0; input < stage; ++input)
      if (input == stage - 1 ? draw(random, 0, 3) > 0 : draw(random, 0, 4) == 0)
        inputs.push_back(input);
  }
  return graph;
}

// Up to 6 ranks, 3 stages a rank, 12 micro-batches; placed as its kind does, or anyhow.
Case random_case(std::mt19937& random) {
  const auto kind = static_cast<ScheduleKind>(draw(random, 0, 4));
  const int ranks = draw(random, 1, 6), micros = draw(random, 1, 12);
  const bool single = kind == ScheduleKind::one_f_one_b || kind == ScheduleKind::zero_bubble;
  const int each = single ? 1 : kind == ScheduleKind::zero_bubble_v ? 2 : draw(random, 2, 3);
  StageGraph graph = random_graph(random, ranks * each);
  std::vector<int> rank_of = place_stages(kind, graph.size(), ranks);
  if (draw(random, 0, 3) == 0) std::ranges::shuffle(rank_of, random);
  Schedule schedule = make_schedule(kind, graph, rank_of, ranks, micros);
  return {kind, std::move(graph), std::move(schedule)};
}

TEST(PipelineActions, AnySchedulePlaysToItsEnd) {
  std::mt19937 random(7);
  for (int i = 0; i < 500; ++i) {
    const Case c = random_case(random);
    SCOPED_TRACE(std::string(name_of(c.kind)) + "\n" + to_text(c.schedule));
    ASSERT_NO_THROW(check(c.schedule, c.graph));
    ASSERT_EQ(parse_schedule(to_text(c.schedule)), c.schedule);
    const Actions actions = pipeline_actions(c.schedule, c.graph);
    for (SendMode mode : kModes)
      ASSERT_EQ(thrown_by([&] { check_actions(actions, c.schedule, c.graph, mode); }), "no error");
  }
}

// Each action is removed in turn.
TEST(PipelineActions, NoActionCanBeMissing) {
  const StageGraph graph{{{}, {}, {0, 1}}};
  const Schedule schedule = make_schedule(ScheduleKind::zero_bubble, graph, 3, 3);
  const Actions actions = pipeline_actions(schedule, graph);
  for (std::size_t rank = 0; rank < actions.size(); ++rank)
    for (std::size_t i = 0; i < actions[rank].size(); ++i) {
      Actions broken = actions;
      broken[rank].erase(broken[rank].begin() + static_cast<std::ptrdiff_t>(i));
      EXPECT_NE(thrown_by([&] { check_actions(broken, schedule, graph, SendMode::rendezvous); }),
                "no error")
          << "rank " << rank << " lacks " << name_of(actions[rank][i]);
    }
}

TEST(PipelineActions, TheCheckNamesRanksAndActions) {
  const StageGraph graph = StageGraph::chain(2);
  const Schedule schedule = make_schedule(ScheduleKind::gpipe, graph, 2, 2);
  const Actions actions = pipeline_actions(schedule, graph);
  const auto refusal = [&](int rank, ActionKind kind, auto&& change, SendMode mode) {
    Actions broken = actions;
    auto& mine = broken.at(rank);
    change(mine, std::ranges::find(mine, kind, &Action::kind));
    return thrown_by([&] { check_actions(broken, schedule, graph, mode); });
  };
  const auto drop = [](auto& all, auto at) { all.erase(at); };
  const auto repeat = [](auto& all, auto at) { all.insert(at, Action(*at)); };
  const auto last = [](auto& all, auto at) { std::rotate(at, at + 1, all.end()); };
  const auto swap = [](auto& all, auto at) {
    std::swap(
        *at, *std::find_if(at + 1, all.end(), [&](const Action& a) { return a.kind == at->kind; }));
  };
  const auto rename = [](auto&, auto at) { at->micro = 7; };
  EXPECT_EQ(refusal(1, ActionKind::post_receive, rename, SendMode::buffered),
            "rank 0 sends F/stage 0 -> 1/micro 0 to rank 1, which is ready to receive F/stage 0 -> "
            "1/micro 7");
  EXPECT_EQ(refusal(0, ActionKind::post_receive, swap, SendMode::buffered),
            "rank 1 sends B/stage 1 -> 0/micro 0 to rank 0, which is ready to receive B/stage 1 -> "
            "0/micro 1");
  EXPECT_EQ(refusal(0, ActionKind::send, repeat, SendMode::buffered),
            "rank 0 is to send F/stage 0 -> 1/micro 0 twice");
  EXPECT_EQ(refusal(1, ActionKind::wait_receive, drop, SendMode::buffered),
            "rank 1 is to compute F/stage 1/micro 0 before it has received the value of stage 0");
  EXPECT_EQ(refusal(1, ActionKind::post_receive, drop, SendMode::buffered),
            "rank 0 sends F/stage 0 -> 1/micro 0 to rank 1, which is ready to receive F/stage 0 -> "
            "1/micro 1");
  EXPECT_EQ(refusal(0, ActionKind::compute, drop, SendMode::buffered),
            "rank 0 is to compute F/stage 0/micro 1 where its schedule has F0.0");
  EXPECT_EQ(refusal(0, ActionKind::send, last, SendMode::buffered),
            "rank 0 is to see the end of F/stage 0 -> 1/micro 0, which it has not sent");
}

// Two ranks that send to each other before they receive: well only where sends are buffered.
TEST(PipelineActions, SendsThatBlockMayWaitInACycle) {
  const StageGraph graph = StageGraph::chain(2);
  const Schedule schedule = make_schedule(ScheduleKind::one_f_one_b, graph, 2, 2);
  Actions actions = pipeline_actions(schedule, graph);
  for (auto& mine : actions) {
    std::vector<Action> late;  // every receive is posted where it is waited for
    for (const Action& a : mine) {
      if (a.kind == ActionKind::post_receive) continue;
      if (a.kind == ActionKind::wait_receive) {
        late.push_back(a);
        late.back().kind = ActionKind::post_receive;
      }
      late.push_back(a);
    }
    mine = late;
  }
  EXPECT_NO_THROW(check_actions(actions, schedule, graph, SendMode::buffered));
  EXPECT_EQ(
      thrown_by([&] { check_actions(actions, schedule, graph, SendMode::blocking); }),
      "ranks would wait for ever: rank 0 is to send F/stage 0 -> 1/micro 1; rank 1 is to send "
      "B/stage 1 -> 0/micro 0");
}

}  // namespace
}  // namespace fusor

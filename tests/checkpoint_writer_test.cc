#include "io/checkpoint_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "io/checkpoint.h"
#include "io/output_file.h"
#include "tests/checkpoint_fixture.h"
#include "tests/small_disk.h"
#include "tests/temporary_folder.h"

namespace fusor {
namespace {

namespace fs = std::filesystem;
using Status = CheckpointWriter::Status;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<TensorBox> one_tensor(std::int64_t megabytes) {
  return {whole_tensor("w", DType::u8, {megabytes, 1 << 20})};
}

std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder))
    names.push_back(entry.path().filename().string());
  std::ranges::sort(names);
  return names;
}

TEST(Retention, KeepsTheNewestAndEveryKth) {
  const std::vector<std::int64_t> steps = {10, 20, 30, 40, 50};
  EXPECT_THAT(steps_to_delete(steps, {}), IsEmpty());
  EXPECT_THAT(steps_to_delete(steps, {.keep_last = 2}), ElementsAre(10, 20, 30));
  EXPECT_THAT(steps_to_delete(steps, {.keep_last = 2, .keep_every = 20}), ElementsAre(10, 30));
  EXPECT_THAT(steps_to_delete(steps, {.keep_last = 9}), IsEmpty());
  EXPECT_THAT(steps_to_delete({}, {.keep_last = 1}), IsEmpty());
}

TEST(CheckpointWriter, DeletesWhatRetentionLetsGo) {
  const TemporaryFolder folder;
  SavingRanks ranks(folder.path(), 2);
  for (const std::int64_t step : {10, 20, 30, 40, 50})
    ranks.save(step, small_model(), {.keep_last = 2, .keep_every = 20});
  EXPECT_THAT(names_in(folder.path()),
              ElementsAre("step-00000020", "step-00000040", "step-00000050"));
  EXPECT_EQ(Checkpoint::open(folder.path()).step(), 50);
}

TEST(CheckpointWriter, NothingIsVisibleBeforeTheCommit) {
  const TemporaryFolder folder;
  SavingRanks ranks(folder.path(), 2);
  ranks.start(5, small_model());
  EXPECT_THROW(ranks.writers[0]->start(6, {}), Error);
  ASSERT_TRUE(ranks.all_done());
  EXPECT_THAT(saved_steps(folder.path()), IsEmpty());
  EXPECT_THROW(Checkpoint::open(folder.path()), Error);
  ranks.commit();
  EXPECT_EQ(Checkpoint::open(folder.path()).step(), 5);
  EXPECT_EQ(ranks.writers[0]->status(), Status::idle);
}

TEST(CheckpointWriter, DiscardLeavesNoTrace) {
  const TemporaryFolder folder;
  SavingRanks ranks(folder.path(), 3);
  ranks.save(1, small_model());
  ranks.start(2, one_tensor(16));
  for (auto& writer : ranks.writers) writer->discard();
  EXPECT_THAT(names_in(folder.path()), ElementsAre("step-00000001"));
  ranks.save(2, small_model());
  EXPECT_THAT(saved_steps(folder.path()), ElementsAre(1, 2));
}

TEST(CheckpointWriter, SavesOneStepAgain) {
  const TemporaryFolder folder;
  SavingRanks(folder.path(), 1).save(7, small_model());
  SavingRanks(folder.path(), 3).save(7, small_model());
  EXPECT_EQ(Checkpoint::open(folder.path()).num_shards(), 3u);
  EXPECT_THAT(names_in(folder.path()), ElementsAre("step-00000007"));
}

TEST(CheckpointWriter, TakesNothingFromAKilledSave) {
  const TemporaryFolder folder;
  for (const std::string step : {"/step-00000003.tmp", "/step-00000004.tmp"}) {
    fs::create_directories(folder.path() + step);
    write_text_file(folder.path() + step + "/shard-00004-of-00005.safetensors", "stale");
  }
  SavingRanks(folder.path(), 2).save(4, small_model());
  EXPECT_THAT(names_in(folder.path()), ElementsAre("step-00000004"));
  EXPECT_THAT(names_in(folder.path() + "/step-00000004"),
              ElementsAre("manifest.json", "shard-00000-of-00002.safetensors",
                          "shard-00001-of-00002.safetensors"));
}

TEST(CheckpointWriter, RefusesToPublishAHole) {
  const TemporaryFolder folder;
  SavingRanks ranks(folder.path(), 2);
  ranks.save(1, small_model());
  const TensorBox half = part_of(whole_tensor("w", DType::u8, {8}), 0, 0, 2);
  const std::vector<std::byte> bytes(4);
  ranks.writers[0]->start(2, {{half, bytes}});
  ranks.writers[1]->start(2, {});
  ASSERT_TRUE(ranks.all_done());
  try {
    ranks.commit();
    FAIL() << "published half a tensor";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("tensor \"w\" hold 4 elements of 8"));
  }
  EXPECT_THAT(names_in(folder.path()), ElementsAre("step-00000001"));
}

TEST(CheckpointWriter, RefusesSlicesThatCannotBe) {
  const TemporaryFolder folder;
  CheckpointWriter writer(folder.path(), 0, 1);
  const TensorBox box = whole_tensor("w", DType::f32, {2});
  const std::vector<std::byte> bytes(8);
  EXPECT_THROW(writer.start(1, {{box, std::span(bytes).first(4)}}), Error);
  EXPECT_THROW(writer.start(1, {{box, bytes}, {box, bytes}}), Error);
  EXPECT_THROW(writer.start(1, {{{"w", DType::f32, {2}, {1}, {2}}, bytes}}), Error);
  EXPECT_EQ(writer.status(), Status::idle);
}

TEST(CheckpointWriter, LaterCheckpointsAreSetAside) {
  const TemporaryFolder folder;
  SavingRanks ranks(folder.path(), 1);
  for (const std::int64_t step : {10, 20, 30}) ranks.save(step, small_model());
  set_aside_after(folder.path(), 10);
  EXPECT_THAT(names_in(folder.path()),
              ElementsAre("step-00000010", "step-00000020.aside", "step-00000030.aside"));
  EXPECT_EQ(Checkpoint::open(folder.path()).step(), 10);
  ranks.save(20, small_model(), {.keep_last = 1});
  EXPECT_THAT(names_in(folder.path()),
              ElementsAre("step-00000020", "step-00000020.aside", "step-00000030.aside"));
}

TEST(CheckpointWriter, AFullDiskLeavesTheOlderCheckpointWhole) {
  const SmallDisk disk(1);
  if (!disk.mounted()) GTEST_SKIP() << "mounting a small tmpfs takes root";
  SavingRanks ranks(disk.path(), 2);
  ranks.save(1, small_model());
  for (const std::int64_t step : {2, 3}) {
    ranks.start(step, one_tensor(4));
    EXPECT_FALSE(ranks.all_done());
    const std::string& reason = ranks.writers[0]->failure();
    EXPECT_THAT(reason, HasSubstr("No space left on device"));
    EXPECT_THAT(reason, HasSubstr(temporary_step_folder(disk.path(), step)));
    EXPECT_THROW(ranks.writers[0]->commit({}, {}), Error);
    for (auto& writer : ranks.writers) writer->discard();
    EXPECT_EQ(Checkpoint::open(disk.path()).step(), 1);
  }
  ranks.save(4, small_model());  // the discarded bytes are free again
  EXPECT_EQ(Checkpoint::open(disk.path()).step(), 4);
}

TEST(CheckpointWriter, AKilledSaveLeavesTheOlderCheckpointWhole) {
  const TemporaryFolder folder;
  SavingRanks(folder.path(), 2).save(1, small_model());
  const std::string tmp = temporary_step_folder(folder.path(), 2);
  const pid_t child = ::fork();
  if (child == 0) {  // writes step 2 and never commits
    SavingRanks ranks(folder.path(), 2);
    ranks.start(2, one_tensor(32));
    for (;;) ::pause();
  }
  while (!fs::exists(tmp + "/shard-00000-of-00002.safetensors")) ::usleep(1000);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_TRUE(fs::exists(tmp));
  EXPECT_EQ(Checkpoint::open(folder.path()).step(), 1);
  SavingRanks(folder.path(), 2).save(3, small_model());
  EXPECT_THAT(names_in(folder.path()), ElementsAre("step-00000001", "step-00000003"));
}

}  // namespace
}  // namespace fusor

#include "io/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>

#include "io/checkpoint_manifest.h"
#include "io/file.h"
#include "io/output_file.h"
#include "tests/checkpoint_fixture.h"
#include "tests/temporary_folder.h"
#include "tests/thrown_by.h"

namespace fusor {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

std::string refusal(const std::function<void()>& f) {
  const std::string sentence = thrown_by(f);
  EXPECT_EQ(sentence.find('\n'), std::string::npos) << sentence;
  return sentence;
}

// A checkpoint of small_model() at step 100, written by 4 ranks.
class CheckpointTest : public ::testing::Test {
 protected:
  CheckpointTest() { SavingRanks(folder.path() + "/checkpoints", 4).save(100, small_model()); }

  std::string open_refusal(Verify verify = Verify::checksums) const {
    return refusal([&] { Checkpoint::open(step, verify); });
  }
  std::string read_refusal(const TensorBox& box) const {
    return refusal([&] {
      std::vector<std::byte> out(num_elements(box.shape) * size_of(box.dtype));
      Checkpoint::open(step).read(box, out);
    });
  }
  // Rewrites the manifest, its checksum included.
  void lie(const std::function<void(CheckpointManifest&)>& change) const {
    CheckpointManifest m = parse_checkpoint_manifest(read_text_file(manifest, 1 << 20), manifest);
    change(m);
    write_text_file(manifest, to_text(m));
  }

  TemporaryFolder folder;
  std::string step = folder.path() + "/checkpoints/step-00000100";
  std::string manifest = step + "/manifest.json";
  std::string shard = step + "/shard-00001-of-00004.safetensors";
};

TEST_F(CheckpointTest, AnyLayoutReadsWhatFourRanksWrote) {
  Checkpoint checkpoint = Checkpoint::open(folder.path());
  for (const TensorBox& whole : small_model())
    for (std::size_t dim = 0; dim < whole.global.size(); ++dim)
      for (const int world : {1, 2, 3})
        for (int rank = 0; rank < world; ++rank) {
          const TensorBox part = part_of(whole, dim, rank, world);
          const auto expected = cut_out(part, tensor_bytes(whole, 100));
          std::vector<std::byte> found(expected.size());
          checkpoint.read(part, found);
          EXPECT_EQ(found, expected) << text_of(part);
        }
  std::vector<std::byte> scalar(8);
  checkpoint.read(whole_tensor("step", DType::i64, {}), scalar);
  EXPECT_EQ(scalar, tensor_bytes(whole_tensor("step", DType::i64, {}), 100));
}

TEST_F(CheckpointTest, TellsWhatItHolds) {
  const Checkpoint checkpoint = Checkpoint::open(step);
  EXPECT_EQ(checkpoint.step(), 100);
  EXPECT_EQ(checkpoint.state()["recipe"], "[model]\nlayers = 2\n");
  EXPECT_EQ(checkpoint.num_shards(), 4u);
  EXPECT_EQ(checkpoint.tensors().size(), small_model().size());
  EXPECT_TRUE(checkpoint.contains("none"));
  EXPECT_FALSE(checkpoint.contains("nothing"));
  std::size_t files = 0;
  for ([[maybe_unused]] const auto& entry : fs::directory_iterator(step)) ++files;
  EXPECT_EQ(files, 5u) << "4 shards and the manifest, nothing else";
}

TEST_F(CheckpointTest, NoFileMayBeCutShort) {
  for (const auto& entry : fs::directory_iterator(step)) {
    const std::string path = entry.path().string(), whole = read_text_file(path, 1 << 20);
    for (std::size_t bytes = 0; bytes < whole.size(); bytes += 64) {
      fs::resize_file(path, bytes);
      for (const Verify verify : {Verify::shards, Verify::checksums})
        ASSERT_THAT(open_refusal(verify), HasSubstr(path)) << bytes << " of " << whole.size();
      write_text_file(path, whole);
    }
  }
  EXPECT_EQ(open_refusal(), "no error");
}

TEST_F(CheckpointTest, NoByteMayBeFlipped) {
  for (const auto& entry : fs::directory_iterator(step)) {
    const std::string path = entry.path().string(), whole = read_text_file(path, 1 << 20);
    for (std::size_t at = 0; at < whole.size(); at += 17) {
      std::string flipped = whole;
      flipped[at] ^= 1 << (at % 8);
      write_text_file(path, flipped);
      ASSERT_THAT(open_refusal(), HasSubstr(path)) << "byte " << at;
    }
    write_text_file(path, whole);
  }
  EXPECT_EQ(open_refusal(), "no error");
}

TEST_F(CheckpointTest, MissingFilesAreNamed) {
  fs::remove(shard);
  EXPECT_THAT(open_refusal(), HasSubstr("cannot open " + shard));
  EXPECT_EQ(open_refusal(Verify::manifest), "no error");
  fs::remove(manifest);
  EXPECT_THAT(open_refusal(), HasSubstr("there is no checkpoint in " + step));
  EXPECT_THAT(refusal([] { Checkpoint::open("/nowhere"); }), HasSubstr("no folder /nowhere"));
}

TEST_F(CheckpointTest, AManifestMayNotLie) {
  const std::string truth = read_text_file(manifest, 1 << 20);
  const auto rows = [](CheckpointManifest& m) -> CheckpointTensor& { return m.tensors.back(); };
  const std::vector<std::pair<std::function<void(CheckpointManifest&)>, std::string>> lies = {
      {[&](auto& m) { rows(m).pieces.pop_back(); }, "hold 42 elements of 60"},
      {[&](auto& m) { rows(m).pieces[0].begin[0] = 1; }, "overlap"},
      {[&](auto& m) { rows(m).pieces[0].shape[0] = 20; }, "has no part of shape [20, 6]"},
      {[&](auto& m) { rows(m).pieces[0].shard = 9; }, "is 9 of 4"},
      {[&](auto& m) { rows(m).pieces[0].key = "elsewhere"; }, "has no tensor \"elsewhere\""},
      {[&](auto& m) { std::swap(rows(m).pieces[0].key, rows(m).pieces[1].key); }, "has no tensor"},
      {[&](auto& m) { rows(m).dtype = DType::i32; }, "is f32 [2, 6], but the manifest says i32"},
      {[&](auto& m) { rows(m).name = "a"; }, "not in the order of their names"},
      {[&](auto& m) { m.shards[1].bytes += 1; }, "is truncated"},
      {[&](auto& m) { m.shards[1].bytes -= 1; }, "bytes, the manifest says"},
      {[&](auto& m) { m.shards[1].checksum ^= 1; }, "is damaged"},
      {[&](auto& m) { m.shards[1].file = "../x"; }, "must name a file"},
      {[&](auto& m) { m.state = 3; }, "'state' must hold a JSON object"},
  };
  for (const auto& [change, reason] : lies) {
    lie(change);
    EXPECT_THAT(open_refusal(), HasSubstr(reason));
    EXPECT_THAT(open_refusal(), HasSubstr(step));
    write_text_file(manifest, truth);
  }
}

TEST_F(CheckpointTest, RequestsThatDoNotMatchAreRefused) {
  EXPECT_THAT(read_refusal(whole_tensor("weights/row", DType::f32, {10, 6})),
              HasSubstr("no tensor \"weights/row\", did you mean \"weights/rows\"?"));
  EXPECT_THAT(read_refusal(whole_tensor("weights/rows", DType::f32, {10, 8})),
              HasSubstr("has the shape [10, 6], this run's has [10, 8]"));
  EXPECT_THAT(read_refusal(whole_tensor("weights/rows", DType::bf16, {10, 6})),
              HasSubstr("is f32, this run's is bf16"));
  EXPECT_THAT(read_refusal({"weights/rows", DType::f32, {10, 6}, {9, 0}, {2, 6}}),
              HasSubstr("no part of shape [2, 6] at [9, 0]"));
  std::vector<std::byte> small(3);
  EXPECT_THAT(refusal([&] { Checkpoint::open(step).read(small_model()[0], small); }),
              HasSubstr("takes 240 bytes, not 3"));
}

}  // namespace
}  // namespace fusor

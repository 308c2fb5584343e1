#include "launch/recipe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <set>
#include <sstream>

#include "launch/batch.h"
#include "launch/keys.h"
#include "runtime/error.h"
#include "tests/thrown_by.h"

namespace fusor {
namespace {

using ::testing::HasSubstr;

Config parse(const std::string& text, const KeyValues& overrides = {}) {
  std::istringstream stream(text);
  return parse_recipe(stream, "tiny.ini", overrides);
}

std::string error_of(const std::string& text, const KeyValues& overrides = {}) {
  return thrown_by([&] { parse(text, overrides); });
}

TEST(Recipe, AnEmptyOneIsTheDefaults) {
  Config defaults;
  defaults.log.dir = "runs/tiny";
  EXPECT_EQ(parse(""), resolve(defaults));
}

TEST(Recipe, ReadsEveryKindOfValue) {
  const Config c = parse(R"(
[model]
preset = llama-tiny   # a comment
layers = 3
bias = true
norm = layer_norm
[data]
path = data/my text
[optimizer]
lr = 3e-4
schedule = linear
[train]
tokens = 2e6
dtype = bf16
)");
  EXPECT_EQ(c.preset, "llama-tiny");
  EXPECT_EQ(c.model.layers, 3);
  EXPECT_EQ(c.model.kv_heads, 2);
  EXPECT_TRUE(c.model.bias);
  EXPECT_EQ(c.model.norm, Norm::layer_norm);
  EXPECT_EQ(c.data.path, "data/my text");
  EXPECT_EQ(c.data.seq_len, 64);
  EXPECT_EQ(c.optimizer.lr, 3e-4);
  EXPECT_EQ(c.optimizer.schedule, Decay::linear);
  EXPECT_EQ(c.train.tokens, 2'000'000);
  EXPECT_EQ(c.train.dtype, DType::bf16);
}

TEST(Recipe, OverridesWinAndThePresetComesFirst) {
  const Config c = parse("[model]\nlayers = 3\npreset = gpt2-tiny\n[train]\nsteps = 5\n",
                         {{"train.steps", "7"}, {"model.preset", "llama-tiny"}});
  EXPECT_EQ(c.train.steps, 7);
  EXPECT_EQ(c.preset, "llama-tiny");
  EXPECT_EQ(c.model.positions, Positions::rotary);
  EXPECT_EQ(c.model.layers, 3);
}

// A config with every field at a value that is not its default, but for the mesh, which may only
// be 1.
Config all_changed() {
  Config c = parse("", {{"model.preset", "llama-tiny"}});
  visit_keys(c, []<class T>(const Key& key, T& value) {
    const bool is_axis = key.name.starts_with("parallel.") && key.name.ends_with("p");
    if (key.name == "model.preset" || is_axis) return;
    if constexpr (std::is_same_v<T, std::string>) value = "some text = 1";
    if constexpr (std::is_same_v<T, double>) value = key.below == 1 ? 1.0 / 3 : value + 1.0 / 3;
    if constexpr (std::is_same_v<T, bool>) value = !value;
    if constexpr (std::is_enum_v<T>) value = static_cast<T>(value == T{} ? 1 : 0);
    if constexpr (std::is_same_v<T, std::int64_t>) value *= 2;
  });
  c.data.seq_len = c.model.seq_len;
  c.train.global_batch = 1'000'003;
  return c;
}

TEST(Recipe, WhatIsPrintedParsesBack) {
  for (const Config& c : {parse(""), all_changed()}) {
    const std::string ini = to_ini(c, {"global batch 8 = micro 8", "[not] = a section"});
    EXPECT_THAT(ini, HasSubstr("# global batch 8 = micro 8\n"));
    EXPECT_EQ(parse(ini), c) << ini;
  }
}

TEST(Recipe, EveryKeyIsAnOptionWithHelp) {
  const auto options = recipe_options();
  std::set<std::string> names;
  Config defaults;
  visit_keys(defaults, [&](const Key& key, auto&) {
    EXPECT_TRUE(names.insert(std::string(key.name)).second) << key.name;
    const auto* option = options.find_nothrow(std::string(key.name), false);
    ASSERT_NE(option, nullptr) << key.name;
    EXPECT_THAT(option->description(), HasSubstr(std::string(key.help)));
  });
}

TEST(Recipe, TheSamplesRunOnTheirRanksOrAnyFew) {
  int num_recipes = 0;
  for (const auto& file : std::filesystem::directory_iterator(FUSOR_RECIPES)) {
    const Config c = read_recipe(file.path());
    EXPECT_EQ(c.log.dir, "runs/" + file.path().stem().string());
    const ParallelConfig& p = c.parallel;
    const std::int64_t own = p.dp * p.tp * p.pp * p.cp;  // 0: any
    for (const std::int64_t ranks : {1, 2, 4})
      EXPECT_GT(run_size(c, own > 0 ? own : ranks).steps, 0) << file.path();
    ++num_recipes;
  }
  EXPECT_GE(num_recipes, 3);
}

TEST(RecipeErrors, FilesThatCannotBeRead) {
  const auto error = [](const std::string& file) -> std::string {
    try {
      read_recipe(file);
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  };
  EXPECT_EQ(error("no/such.ini"), "recipe no/such.ini: No such file or directory");
  EXPECT_EQ(error(FUSOR_RECIPES), FUSOR_RECIPES ": is a folder, not a recipe");
}

TEST(RecipeErrors, UnknownKeysNameTheNearest) {
  EXPECT_EQ(error_of("[train]\nstpes = 3\n"),
            "tiny.ini: unknown key \"train.stpes\", did you mean \"train.steps\"?");
  EXPECT_EQ(error_of("[train]\nlr = 3\n"),
            "tiny.ini: unknown key \"train.lr\", did you mean \"optimizer.lr\"?");
  EXPECT_EQ(error_of("lr = 3\n"), "tiny.ini: unknown key \"lr\", did you mean \"optimizer.lr\"?");
  EXPECT_EQ(error_of("[zoo]\nzebra = 3\n"),
            "tiny.ini: unknown key \"zoo.zebra\", fusor train --help lists them all");
  EXPECT_EQ(error_of("", {{"train.sede", "1"}}),
            "command line: unknown key \"train.sede\", did you mean \"train.seed\"?");
}

TEST(RecipeErrors, WrongTypesSayWhatIsExpected) {
  EXPECT_EQ(error_of("[train]\nsteps = many\n"),
            "tiny.ini: train.steps = many is not a whole number");
  EXPECT_EQ(error_of("[train]\nsteps = 1.5\n"),
            "tiny.ini: train.steps = 1.5 is not a whole number");
  EXPECT_EQ(error_of("[train]\nsteps =\n"), "tiny.ini: train.steps =  is not a whole number");
  EXPECT_EQ(error_of("[train]\nsteps = 99999999999999999999\n"),
            "tiny.ini: train.steps = 99999999999999999999 is not a whole number");
  EXPECT_EQ(error_of("[optimizer]\nlr = nan\n"), "tiny.ini: optimizer.lr = nan is not a number");
  EXPECT_EQ(error_of("", {{"model.bias", "yes"}}),
            "command line: model.bias = yes is not true or false");
  EXPECT_EQ(error_of("[train]\ndtype = f8\n"),
            "tiny.ini: train.dtype = f8 is not one of f64|f32|bf16|f16");
  EXPECT_THAT(error_of("", {{"train.sample_prompt", "a # b"}}), HasSubstr("is not text without"));
}

TEST(RecipeErrors, RangesAreChecked) {
  EXPECT_EQ(error_of("[train]\nsteps = -1\n"), "tiny.ini: train.steps = -1 must be at least 0");
  EXPECT_EQ(error_of("[optimizer]\nbeta1 = 1\n"),
            "tiny.ini: optimizer.beta1 = 1 must be at least 0 and below 1");
}

TEST(RecipeErrors, AKeyMayStandOnce) {
  EXPECT_EQ(error_of("[train]\nsteps = 3\nseed = 1\nsteps = 3\n"),
            "tiny.ini: train.steps is given twice");
  EXPECT_EQ(error_of("[train]\nsteps = 3\n[log]\nevery = 1\n[train]\nsteps = 3\n"),
            "tiny.ini: train.steps is given twice");
}

TEST(RecipeErrors, LinesThatAreNoKeys) {
  EXPECT_THAT(error_of("[train]\nsteps 3\n"), HasSubstr("tiny.ini: "));
  EXPECT_THAT(error_of("[train]\nsteps 3\n"), HasSubstr("steps 3"));
}

TEST(RecipeErrors, ContradictionsNameTheFile) {
  EXPECT_EQ(error_of("[model]\nheads = 7\n"),
            "tiny.ini: model.heads 7 does not divide model.width 768");
  EXPECT_EQ(error_of("[data]\nseq_len = 2048\n"),
            "tiny.ini: data.seq_len 2048 is longer than model.seq_len 1024");
  EXPECT_EQ(error_of("[parallel]\nrecompute_layers = 13\n"),
            "tiny.ini: parallel.recompute_layers 13 is more than model.layers 12");
  EXPECT_EQ(error_of("[optimizer]\nlr = 1e-5\nmin_lr = 1e-4\n"),
            "tiny.ini: optimizer.min_lr 1e-04 is above optimizer.lr 1e-05");
  EXPECT_EQ(error_of("[model]\npreset = gpt2-123m\n"),
            "tiny.ini: unknown model preset \"gpt2-123m\", did you mean \"gpt2-124m\"?");
}

Config from_arguments(std::vector<std::string> more) {
  more.insert(more.begin(), FUSOR_RECIPES "/bible.ini");
  return parse_recipe_arguments("train", "Trains.", more, {}).value().config;
}

std::string argument_error(const std::vector<std::string>& args) {
  try {
    parse_recipe_arguments("train", "Trains.", args, {});
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(RecipeArguments, KeysAreOptions) {
  EXPECT_EQ(from_arguments({"--train.steps=7"}).train.steps, 7);
  EXPECT_EQ(from_arguments({"--train.steps", "7"}).train.steps, 7);
  EXPECT_EQ(from_arguments({}).preset, "llama-tiny");
}

TEST(RecipeArguments, MistakesAreOneSentence) {
  EXPECT_EQ(
      argument_error({}),
      "fusor train: no recipe given, usage: fusor train RECIPE.ini [--section.key=value ...]");
  EXPECT_EQ(argument_error({"a.ini", "--train.stpes=3"}),
            "fusor train: unknown option \"--train.stpes\", did you mean \"--train.steps\"?");
  EXPECT_EQ(argument_error({"a.ini", "--train.lr=3"}),
            "fusor train: unknown option \"--train.lr\", did you mean \"--optimizer.lr\"?");
  EXPECT_EQ(argument_error({"a.ini", "b.ini"}),
            "fusor train: too many arguments, see fusor train --help");
  EXPECT_EQ(argument_error({"a.ini", "--train.steps=3", "--train.steps=4"}),
            "fusor train: option '--train.steps' cannot be specified more than once");
  EXPECT_EQ(argument_error({"no.ini", "--train.steps=3"}),
            "recipe no.ini: No such file or directory");
  EXPECT_EQ(argument_error({FUSOR_RECIPES "/bible.ini", "--train.steps=x"}),
            "command line: train.steps = x is not a whole number");
  EXPECT_EQ(argument_error({FUSOR_RECIPES "/bible.ini", "--train.steps=-1"}),
            "command line: train.steps = -1 must be at least 0");
}

TEST(Differences, ListKeysWithBothValues) {
  const Config before = parse("");
  const Config after = parse("", {{"train.steps", "9"}, {"model.layers", "6"}});
  EXPECT_TRUE(differences(before, before).empty());
  const auto found = differences(before, after);
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].key, "model.layers");
  EXPECT_EQ(found[0].before, "12");
  EXPECT_EQ(found[0].after, "6");
  EXPECT_TRUE(found[0].fixed);
  EXPECT_EQ(found[1].key, "train.steps");
  EXPECT_FALSE(found[1].fixed);
}

TEST(Differences, OnlyTheModelAndTheOrderBindAResume) {
  const Config before = parse("");
  EXPECT_NO_THROW(require_resumable(
      before, parse("", {{"train.steps", "9"}, {"log.every", "1"}, {"optimizer.lr", "1"}}), "c"));
  try {
    require_resumable(before, parse("", {{"model.layers", "6"}}), "runs/tiny/step-9");
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(),
                 "model.layers = 6 cannot go on from runs/tiny/step-9, which was trained with "
                 "model.layers = 12");
  }
}

}  // namespace
}  // namespace fusor

#include "models/gpt_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/error.h"
#include "tests/thrown_by.h"

namespace fusor {
namespace {

using ::testing::HasSubstr;

TEST(GptConfig, CountsThePublishedModels) {
  EXPECT_EQ(num_parameters(gpt_preset("gpt2-124m")), 124'439'808);
  EXPECT_EQ(num_parameters(gpt_preset("gpt2-350m")), 354'823'168);
  EXPECT_EQ(num_parameters(gpt_preset("gpt2-774m")), 774'030'080);
  EXPECT_EQ(num_parameters(gpt_preset("gpt2-1558m")), 1'557'611'200);
  EXPECT_NEAR(static_cast<double>(num_parameters(gpt_preset("gpt3-175b"))), 175e9, 0.5e9);
  EXPECT_EQ(num_parameters(gpt_preset("llama-1b")), 1'235'814'400);
  EXPECT_EQ(num_parameters(gpt_preset("llama-7b")), 6'738'415'616);
  EXPECT_EQ(num_parameters(gpt_preset("llama-8b")), 8'030'261'248);
}

// "47B parameters", of which a token uses 13B: https://arxiv.org/abs/2401.04088, section 1.
TEST(GptConfig, CountsTheExpertsThatATokenMeets) {
  EXPECT_EQ(num_parameters(gpt_preset("mixtral-8x7b")), 46'702'792'704);
  EXPECT_EQ(num_active_parameters(gpt_preset("mixtral-8x7b")), 12'879'925'248);
  EXPECT_EQ(num_active_parameters(gpt_preset("llama-7b")), 6'738'415'616);
}

TEST(GptConfig, EveryPresetResolves) {
  for (const std::string& name : gpt_preset_names())
    EXPECT_GT(num_parameters(gpt_preset(name)), 0) << name;
}

TEST(GptConfig, ResolveFillsWhatIsDerived) {
  const GptConfig c = resolve({.width = 64, .heads = 4});
  EXPECT_EQ(c.kv_heads, 4);
  EXPECT_EQ(c.mlp_hidden, 256);
  EXPECT_EQ(c, resolve(c));
}

TEST(GptConfig, RefusesShapesThatCannotBeBuilt) {
  EXPECT_EQ(thrown_by([] { resolve({.width = 64, .heads = 7}); }),
            "model.heads 7 does not divide model.width 64");
  EXPECT_EQ(thrown_by([] { resolve({.width = 64, .heads = 4, .kv_heads = 3}); }),
            "model.kv_heads 3 does not divide model.heads 4");
  EXPECT_THAT(thrown_by([] { resolve({.width = 12, .heads = 4, .positions = Positions::rotary}); }),
              HasSubstr("even head dim"));
  EXPECT_THAT(thrown_by([] { resolve({.layers = 0}); }), HasSubstr("model.layers 0"));
  EXPECT_EQ(thrown_by([] { resolve({.experts = 2, .experts_per_token = 3}); }),
            "model.experts_per_token 3 of model.experts 2, the nearest that works: 2");
  EXPECT_THAT(thrown_by([] { resolve({.activation = Activation::gelu_erf, .experts = 4}); }),
              HasSubstr("not gelu_erf"));
  EXPECT_THAT(thrown_by([] { resolve({.dropout = 1}); }), HasSubstr("model.dropout 1"));
}

TEST(GptConfig, UnknownPresetNamesTheNearest) {
  EXPECT_EQ(thrown_by([] { gpt_preset("gpt2-123m"); }),
            "unknown model preset \"gpt2-123m\", did you mean \"gpt2-124m\"?");
  EXPECT_THAT(thrown_by([] { gpt_preset("zebra"); }), HasSubstr("known are gpt2-tiny, gpt2-124m"));
}

}  // namespace
}  // namespace fusor

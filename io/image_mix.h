#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "io/sampling.h"

namespace fusor {

// Zhang et al., "mixup: beyond empirical risk minimization", ICLR 2018; Yun et al., "CutMix:
// regularization strategy to train strong classifiers", ICCV 2019. The shapes of the Beta
// distributions; 0: without. Where both are there, each pair takes one of them, as likely.
struct ImageMix {
  double mixup = 0, cutmix = 0;
  double probability = 1;  // of a pair being mixed
};

// What an image is made of: its own share, and the rest of another of the micro-batch. The target
// is mixed by the same shares.
struct MixedWith {
  std::int64_t other = 0;
  float share = 1;
};

// Mixes images [samples, height, width, channels] in place, sample i with sample size - 1 - i, by
// what is drawn for the position of the pair's first. So it depends on the micro-batch's size, but
// not on who holds it. Samples that are not valid stay out. [samples] of MixedWith; {i, 1} where an
// image is left alone.
std::vector<MixedWith> mix_images(std::span<float> images, std::int64_t height, std::int64_t width,
                                  std::int64_t channels, std::span<const Sample> samples,
                                  std::span<const std::uint8_t> valid, const ImageMix& how,
                                  std::uint64_t seed);

}  // namespace fusor

#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "io/draws.h"
#include "io/image_transforms.h"

// How training varies images and evaluation looks at them. All that is drawn for an image comes
// from its key (Sample::key).
namespace fusor {

// A part of `area` (a share of the image) and `aspect` (width to height, drawn in logarithms);
// where ten draws do not fit inside, the largest in the middle within the aspects. Szegedy et al.,
// "Going deeper with convolutions", CVPR 2015; the bounds are torchvision's.
struct RandomCrop {
  double least_area = 0.08, most_area = 1;
  double least_aspect = 3.0 / 4, most_aspect = 4.0 / 3;
};
PixelBox draw_crop(Draws& draws, std::int64_t height, std::int64_t width, const RandomCrop& crop);

// A part to be erased of 2 % to a third of the area and an aspect of 0.3 to 3.3; empty where ten
// draws do not fit.
PixelBox draw_erasing(Draws& draws, std::int64_t height, std::int64_t width);

enum class Framing : std::uint8_t {
  whole,        // scaled to the size, whatever its aspect
  random_crop,  // RandomCrop, scaled to the size
  padded_crop,  // scaled to the size, then pad_and_crop
};

// What is 0 is left out. In this order:
struct ImageAugment {
  Framing framing = Framing::random_crop;
  RandomCrop crop{};
  std::int64_t pad = 4;                                 // of padded_crop
  double flip = 0.5;                                    // probability
  double degrees = 0;                                   // rotation by up to so many, both ways
  double brightness = 0, contrast = 0, saturation = 0;  // factors 1 - x to 1 + x, in a drawn order
  int rand_augment_ops = 0;                             // RandAugment: so many operations of
  int rand_augment_magnitude = 9;                       // this magnitude, of 30
  double erase = 0;                                     // probability
  ResizeFilter filter = ResizeFilter::bilinear;
};
// The image as numbers, out [height, width, channels].
void augment(const Image& image, const ImageAugment& how, RandomKey key, std::int64_t height,
             std::int64_t width, const Normalisation& normalisation, std::span<float> out);

// As evaluation sees an image: the middle of it. The shorter side is scaled to the size over
// `part` (0.875: a crop of 224 from 256), and the middle cut out.
void view_middle(const Image& image, double part, std::int64_t height, std::int64_t width,
                 ResizeFilter filter, const Normalisation& normalisation, std::span<float> out);

// Cubuk et al., "RandAugment: practical automated data augmentation", NeurIPS 2020: `ops` of 14
// operations, each as likely; magnitudes and their ranges are torchvision's, of 31 steps.
Image rand_augment(Image image, Draws& draws, int ops, int magnitude);

}  // namespace fusor

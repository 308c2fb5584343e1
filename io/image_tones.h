#pragma once
#include "io/image.h"

// More of what RandAugment does to images; bytes are Pillow's.
namespace fusor {

// Away from, or for factors below 1 towards, the mean of each pixel's neighbourhood (3 x 3, the
// middle weighing 5 of 13); the outermost pixels stay.
Image with_sharpness(const Image& image, float factor);
Image posterize(const Image& image, int bits);      // the highest bits of each byte
Image solarize(const Image& image, int threshold);  // bytes from there on are inverted
Image auto_contrast(const Image& image);            // each channel from 0 to 255
Image equalize(const Image& image);                 // each channel's bytes, as often as each other

}  // namespace fusor

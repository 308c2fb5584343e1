// Images a second of one core: what a loader's thread does to an image of ImageNet's and of
// CIFAR's size. usage: images_bench [seconds for each]
#include <turbojpeg.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>

#include "io/image_augment.h"
#include "runtime/error.h"

namespace fusor {
namespace {

double g_seconds = 1;

// Smooth with some noise: what a photograph costs to decode.
Image photograph(std::int64_t height, std::int64_t width) {
  Image image(height, width, 3);
  Draws draws(random_key(1, "bench"));
  for (std::int64_t y = 0; y < height; ++y)
    for (std::int64_t i = 0; i < 3 * width; ++i)
      image.row(y)[i] = static_cast<std::uint8_t>(
          128 + 60 * std::sin(0.02 * static_cast<double>(y)) +
          50 * std::sin(0.013 * static_cast<double>(i)) + 8 * draws.normal() / 3);
  return image;
}

std::vector<std::byte> as_jpeg(const Image& image) {
  const tjhandle encoder = tjInitCompress();
  unsigned char* bytes = nullptr;
  unsigned long size = 0;
  require(
      tjCompress2(encoder, image.pixels.data(), static_cast<int>(image.width), 0,
                  static_cast<int>(image.height), TJPF_RGB, &bytes, &size, TJSAMP_420, 90, 0) == 0,
      "cannot make a JPEG");
  const auto* const begin = reinterpret_cast<const std::byte*>(bytes);
  std::vector<std::byte> file(begin, begin + size);
  tjFree(bytes);
  tjDestroy(encoder);
  return file;
}

void rate(const char* what, const std::function<void(std::uint64_t i)>& once) {
  using Clock = std::chrono::steady_clock;
  const auto begin = Clock::now();
  double seconds = 0;
  std::uint64_t count = 0;
  for (; seconds < g_seconds; seconds = std::chrono::duration<double>(Clock::now() - begin).count())
    for (int k = 0; k < 8; ++k) once(count++);
  std::printf("%-58s %9.0f images/s\n", what, static_cast<double>(count) / seconds);
}

const Normalisation kNormal{{0.485f, 0.456f, 0.406f}, {0.229f, 0.224f, 0.225f}};

RandomKey key_of(std::uint64_t i) { return random_key(1, "bench", i); }

void imagenet() {
  const Image image = photograph(375, 500);
  const auto file = as_jpeg(image);
  std::printf("JPEG of 500 x 375, %zu bytes, to 224 x 224\n", file.size());
  std::vector<float> out(224 * 224 * 3);
  const auto decoded = [&] { return decode_image(file, 3, "bench"); };
  const auto augmented = [&](const Image& from, const ImageAugment& how, std::uint64_t i) {
    augment(from, how, key_of(i), 224, 224, kNormal, out);
  };
  rate("  decode", [&](auto) { decoded(); });
  rate("  random crop, flip, normalise", [&](auto i) { augmented(image, {}, i); });
  rate("  decode, random crop, flip, normalise", [&](auto i) { augmented(decoded(), {}, i); });
  rate("  the same and RandAugment of 2 operations",
       [&](auto i) { augmented(decoded(), {.rand_augment_ops = 2}, i); });
  rate("  decode, middle, normalise", [&](auto) {
    view_middle(decoded(), 0.875, 224, 224, ResizeFilter::bilinear, kNormal, out);
  });
}

void cifar() {
  const Image image = photograph(32, 32);
  std::printf("Pixels of 32 x 32\n");
  std::vector<float> out(32 * 32 * 3);
  const ImageAugment plain{.framing = Framing::padded_crop}, erased{.framing = Framing::padded_crop,
                                                                    .brightness = 0.4,
                                                                    .contrast = 0.4,
                                                                    .saturation = 0.4,
                                                                    .erase = 0.25};
  rate("  pad, crop, flip, normalise",
       [&](auto i) { augment(image, plain, key_of(i), 32, 32, kNormal, out); });
  rate("  the same, colours and erasing",
       [&](auto i) { augment(image, erased, key_of(i), 32, 32, kNormal, out); });
}

}  // namespace
}  // namespace fusor

int main(int argc, char** argv) {
  if (argc > 1) fusor::g_seconds = std::atof(argv[1]);
  fusor::imagenet();
  fusor::cifar();
}

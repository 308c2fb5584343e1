#include "io/image.h"

#include <algorithm>

#include "io/image_decoders.h"
#include "runtime/error.h"

namespace fusor {
namespace {

constexpr unsigned char kJpegMagic[] = {0xff, 0xd8, 0xff};
constexpr unsigned char kPngMagic[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};

template <std::size_t N>
bool begins_with(std::span<const std::byte> file, const unsigned char (&magic)[N]) {
  return file.size() >= N && std::equal(magic, magic + N, file.begin(), [](auto want, auto found) {
           return std::byte{want} == found;
         });
}

// With weights of 16 bits, so that equal colours give their own value.
std::uint8_t luma(const std::uint8_t* rgb) {
  return static_cast<std::uint8_t>((19595u * rgb[0] + 38470u * rgb[1] + 7471u * rgb[2] + 32768u) >>
                                   16);
}

}  // namespace

Image::Image(std::int64_t h, std::int64_t w, std::int64_t c)
    : height(h), width(w), channels(c), pixels(static_cast<std::size_t>(h * w * c)) {}

Image with_channels(Image image, std::int64_t channels) {
  require(channels == 1 || channels == 3, "images have 1 or 3 channels, not ", channels);
  if (image.channels == channels) return image;
  Image result(image.height, image.width, channels);
  const std::size_t count = static_cast<std::size_t>(image.height * image.width);
  for (std::size_t i = 0; i < count; ++i)
    if (channels == 1)
      result.pixels[i] = luma(&image.pixels[3 * i]);
    else
      std::fill_n(&result.pixels[3 * i], 3, image.pixels[i]);
  return result;
}

ImageFormat image_format(std::span<const std::byte> file, const std::string& name) {
  if (begins_with(file, kJpegMagic)) return ImageFormat::jpeg;
  require(begins_with(file, kPngMagic), name, " is neither a JPEG nor a PNG file");
  return ImageFormat::png;
}

void check_image_size(std::int64_t height, std::int64_t width, const std::string& name) {
  require(height > 0 && width > 0 && height <= kMaxPixels / width, name, " claims ", width, " x ",
          height, " pixels; at most ", kMaxPixels, " are decoded");
}

Image decode_image(std::span<const std::byte> file, std::int64_t channels,
                   const std::string& name) {
  if (image_format(file, name) == ImageFormat::png)
    return with_channels(decode_png(file, name), channels);
  return decode_jpeg(file, channels, name);
}

std::array<std::int64_t, 2> image_size(std::span<const std::byte> file, const std::string& name) {
  return image_format(file, name) == ImageFormat::png ? png_size(file, name)
                                                      : jpeg_size(file, name);
}

}  // namespace fusor

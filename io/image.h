#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace fusor {

// A picture of bytes [height, width, channels], row-major; 1 channel is grey, 3 are red, green and
// blue.
struct Image {
  Image() = default;
  Image(std::int64_t height, std::int64_t width, std::int64_t channels);  // black

  std::uint8_t* row(std::int64_t y) { return pixels.data() + y * width * channels; }
  const std::uint8_t* row(std::int64_t y) const { return pixels.data() + y * width * channels; }

  std::int64_t height = 0, width = 0, channels = 0;
  std::vector<std::uint8_t> pixels;
};

// With 1 or 3 channels. Grey is luma as of ITU-R BT.601: 0.299 R + 0.587 G + 0.114 B.
Image with_channels(Image image, std::int64_t channels);

enum class ImageFormat : std::uint8_t { jpeg, png };

// Told from the first bytes; throws Error that begins with `name` when it is neither.
ImageFormat image_format(std::span<const std::byte> file, const std::string& name);

// Larger pictures are refused before they are decoded: a file of a few kB may claim any size.
inline constexpr std::int64_t kMaxPixels = std::int64_t{1} << 26;

// A JPEG (any the library reads; CMYK as Adobe stores it) or PNG (any; 16 bits become 8, what is
// transparent is laid over white), with 1 or 3 channels as asked for. A colour JPEG as grey is its
// luma as stored. Colour profiles and the rotation that EXIF may ask for are not applied. Throws
// Error that begins with `name` for anything corrupt, cut short or beyond kMaxPixels.
Image decode_image(std::span<const std::byte> file, std::int64_t channels, const std::string& name);

// The same, without decoding: {height, width}.
std::array<std::int64_t, 2> image_size(std::span<const std::byte> file, const std::string& name);

}  // namespace fusor

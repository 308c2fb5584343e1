#pragma once
#include "io/image.h"

// What decode_image chooses from. Not installed.
namespace fusor {

void check_image_size(std::int64_t height, std::int64_t width, const std::string& name);

Image decode_jpeg(std::span<const std::byte> file, std::int64_t channels, const std::string& name);
std::array<std::int64_t, 2> jpeg_size(std::span<const std::byte> file, const std::string& name);

Image decode_png(std::span<const std::byte> file, const std::string& name);  // 1 or 3 channels
std::array<std::int64_t, 2> png_size(std::span<const std::byte> file, const std::string& name);

}  // namespace fusor

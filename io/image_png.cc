#include <png.h>

#include <csetjmp>
#include <cstring>

#include "io/image_decoders.h"
#include "runtime/error.h"

namespace fusor {
namespace {

constexpr png_alloc_size_t kMaxChunkBytes = png_alloc_size_t{1} << 24;  // of text and the like

// A decoding in progress. libpng leaves it by longjmp, so nothing in the functions that call
// libpng below has a destructor.
class Reader {
 public:
  explicit Reader(std::span<const std::byte> file) : left_(file) {
    png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, this, on_error, [](auto, auto) {});
    if (png_ != nullptr) info_ = png_create_info_struct(png_);
  }
  ~Reader() { png_destroy_read_struct(&png_, &info_, nullptr); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  // False: see fault().
  bool read_header() {
    if (png_ == nullptr || info_ == nullptr) return false;
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    png_set_user_limits(png_, 0x7fffffff, 0x7fffffff);
    png_set_chunk_malloc_max(png_, kMaxChunkBytes);
    png_set_read_fn(png_, this, on_read);
    png_read_info(png_, info_);
    return true;
  }
  std::int64_t height() const { return png_get_image_height(png_, info_); }
  std::int64_t width() const { return png_get_image_width(png_, info_); }

  // To bytes of 1 to 4 channels: grey or colour, with alpha or without.
  bool set_format(std::int64_t& channels) {
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    png_set_expand(png_);
    png_set_scale_16(png_);
    passes_ = png_set_interlace_handling(png_);
    png_read_update_info(png_, info_);
    channels = png_get_channels(png_, info_);
    return true;
  }
  bool read_pixels(std::uint8_t* to, std::size_t row_bytes) {
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    for (int pass = 0; pass < passes_; ++pass)
      for (std::int64_t y = 0; y < height(); ++y)
        png_read_row(png_, to + static_cast<std::size_t>(y) * row_bytes, nullptr);
    png_read_end(png_, nullptr);
    return true;
  }
  const char* fault() const { return fault_; }

 private:
  static void on_read(png_structp png, png_bytep to, std::size_t bytes) {
    auto* const self = static_cast<Reader*>(png_get_io_ptr(png));
    if (bytes > self->left_.size()) png_error(png, "the file is cut short");
    std::memcpy(to, self->left_.data(), bytes);
    self->left_ = self->left_.subspan(bytes);
  }
  static void on_error(png_structp png, png_const_charp what) {
    auto* const self = static_cast<Reader*>(png_get_error_ptr(png));
    std::strncpy(self->fault_, what, sizeof self->fault_ - 1);
    png_longjmp(png, 1);
  }

  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  std::span<const std::byte> left_;
  int passes_ = 1;
  char fault_[128] = "out of memory";
};

void check_png(bool ok, const Reader& reader, const std::string& name) {
  require(ok, name, " is a corrupt PNG file: ", reader.fault());
}

// Grey or colour with alpha, laid over white.
Image over_white(const std::vector<std::uint8_t>& pixels, std::int64_t height, std::int64_t width,
                 std::int64_t channels) {
  Image image(height, width, channels - 1);
  const auto from = static_cast<std::size_t>(channels), to = from - 1;
  for (std::size_t i = 0; i < pixels.size() / from; ++i) {
    const unsigned alpha = pixels[i * from + to];
    for (std::size_t c = 0; c < to; ++c)
      image.pixels[i * to + c] = static_cast<std::uint8_t>(
          (pixels[i * from + c] * alpha + 255u * (255u - alpha) + 127u) / 255u);
  }
  return image;
}

}  // namespace

Image decode_png(std::span<const std::byte> file, const std::string& name) {
  Reader reader(file);
  check_png(reader.read_header(), reader, name);
  check_image_size(reader.height(), reader.width(), name);
  std::int64_t channels = 0;
  check_png(reader.set_format(channels), reader, name);
  Image image(reader.height(), reader.width(), channels);
  check_png(
      reader.read_pixels(image.pixels.data(), static_cast<std::size_t>(image.width * channels)),
      reader, name);
  return channels % 2 == 1 ? image : over_white(image.pixels, image.height, image.width, channels);
}

std::array<std::int64_t, 2> png_size(std::span<const std::byte> file, const std::string& name) {
  Reader reader(file);
  check_png(reader.read_header(), reader, name);
  check_image_size(reader.height(), reader.width(), name);
  return {reader.height(), reader.width()};
}

}  // namespace fusor

#include <turbojpeg.h>

#include "io/image_decoders.h"
#include "runtime/error.h"
#include "runtime/handle.h"

namespace fusor {
namespace {

// A file's own: a decoder keeps tables, and would lend them to a file that lacks its.
class Decoder {
 public:
  Decoder(std::span<const std::byte> file, const std::string& name)
      : decoder_(tjInitDecompress()), file_(file), name_(name) {
    require(bool(decoder_), "cannot set up a JPEG decoder");
    check(tjDecompressHeader3(decoder_.get(), bytes(), file_.size(), &width, &height, &subsampling_,
                              &colours));
    require(height > 0 && width > 0, name, " is a corrupt JPEG file: it holds no picture");
    check_image_size(height, width, name);
  }
  void decode(std::uint8_t* to, int format) const {
    check(tjDecompress2(decoder_.get(), bytes(), file_.size(), to, width, 0, height, format,
                        TJFLAG_STOPONWARNING | TJFLAG_LIMITSCANS));
  }
  int width = 0, height = 0, colours = 0;

 private:
  const unsigned char* bytes() const {
    return reinterpret_cast<const unsigned char*>(file_.data());
  }
  void check(int status) const {
    require(status == 0, name_, " is a corrupt JPEG file: ", tjGetErrorStr2(decoder_.get()));
  }

  Handle<tjhandle, tjDestroy> decoder_;
  std::span<const std::byte> file_;
  const std::string& name_;
  int subsampling_ = 0;
};

// As Adobe stores CMYK: 255 is no ink.
Image from_cmyk(const std::vector<std::uint8_t>& cmyk, std::int64_t height, std::int64_t width) {
  Image image(height, width, 3);
  for (std::size_t i = 0; i < cmyk.size() / 4; ++i)
    for (std::size_t c = 0; c < 3; ++c)
      image.pixels[3 * i + c] =
          static_cast<std::uint8_t>((cmyk[4 * i + c] * cmyk[4 * i + 3] + 127) / 255);
  return image;
}

}  // namespace

Image decode_jpeg(std::span<const std::byte> file, std::int64_t channels, const std::string& name) {
  const Decoder decoder(file, name);
  if (decoder.colours == TJCS_CMYK || decoder.colours == TJCS_YCCK) {
    std::vector<std::uint8_t> cmyk(std::size_t{4} * decoder.width * decoder.height);
    decoder.decode(cmyk.data(), TJPF_CMYK);
    return with_channels(from_cmyk(cmyk, decoder.height, decoder.width), channels);
  }
  Image image(decoder.height, decoder.width, channels);
  decoder.decode(image.pixels.data(), channels == 1 ? TJPF_GRAY : TJPF_RGB);
  return image;
}

std::array<std::int64_t, 2> jpeg_size(std::span<const std::byte> file, const std::string& name) {
  const Decoder decoder(file, name);
  return {decoder.height, decoder.width};
}

}  // namespace fusor

"""Writes images.safetensors: pictures as files, and what Pillow makes of them. Usage: make_images.py"""

import io
import pathlib

import numpy as np
from golden import write_safetensors
from PIL import Image, ImageEnhance, ImageOps

out = {}


def encoded(picture, **options):
    file = io.BytesIO()
    picture.save(file, **options)
    return np.frombuffer(file.getvalue(), np.uint8)


def add(name, picture):
    array = np.asarray(picture)
    out[name] = array.reshape(*array.shape[:2], -1)


rng = np.random.default_rng(1)
y, x = np.mgrid[0:45, 0:64]
waves = [128 + 100 * np.sin(x / (3 + c) + y / (5 - c)) for c in range(3)]
pixels = np.stack(waves, -1) + rng.normal(0, 12, (45, 64, 3))
picture = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
grey = picture.convert("L")
add("rgb", picture)
add("grey", grey)

alpha = np.clip(x * 5 - 20, 0, 255).astype(np.uint8)
rgba = Image.fromarray(np.dstack([np.asarray(picture), alpha]))
out["png.rgb"] = encoded(picture, format="PNG")
out["png.small"] = encoded(picture.crop((0, 0, 8, 5)), format="PNG")
out["png.grey"] = encoded(grey, format="PNG")
out["png.palette"] = encoded(picture.quantize(17), format="PNG")
add("palette", picture.quantize(17).convert("RGB"))
out["png.bits"] = encoded(grey.convert("1"), format="PNG")
add("bits", grey.convert("1").convert("L"))
out["png.rgba"] = encoded(rgba, format="PNG")
out["png.grey_alpha"] = encoded(rgba.convert("LA"), format="PNG")
add("rgba", rgba)
wide = np.asarray(grey).astype(np.uint16) * 257
out["png.grey16"] = encoded(Image.fromarray(wide), format="PNG")
out["jpeg.rgb"] = encoded(picture, format="JPEG", quality=90)
out["jpeg.progressive"] = encoded(picture, format="JPEG", quality=75, progressive=True)
out["jpeg.grey"] = encoded(grey, format="JPEG", quality=90)
out["jpeg.cmyk"] = encoded(picture.convert("CMYK"), format="JPEG", quality=90)
for name in ["rgb", "progressive", "grey", "cmyk"]:
    decoded = Image.open(io.BytesIO(out["jpeg." + name].tobytes()))
    add("jpeg." + name + ".decoded", decoded if name == "grey" else decoded.convert("RGB"))

filters = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
for name, resample in filters.items():
    for height, width in [(16, 16), (45, 20), (80, 66), (7, 128)]:
        add(f"resize.{name}.{height}x{width}", picture.resize((width, height), resample))
    add(f"resize.{name}.box", picture.resize((24, 24), resample, box=(10.5, 3.25, 50.0, 40.75)))
    add(f"resize.{name}.grey", grey.resize((24, 24), resample))

for degrees in [10, -33.5, 180]:
    add(f"rotate.{degrees:g}", picture.rotate(degrees))
for factor in [0.0, 0.4, 1.3, 2.5]:
    add(f"brightness.{factor:g}", ImageEnhance.Brightness(picture).enhance(factor))
    add(f"contrast.{factor:g}", ImageEnhance.Contrast(picture).enhance(factor))
    add(f"saturation.{factor:g}", ImageEnhance.Color(picture).enhance(factor))

for factor in [0.0, 0.4, 1.9]:
    add(f"sharpness.{factor:g}", ImageEnhance.Sharpness(picture).enhance(factor))
add("posterize.3", ImageOps.posterize(picture, 3))
add("solarize.100", ImageOps.solarize(picture, 100))
dim = Image.fromarray((np.asarray(picture) // 3 + 40).astype(np.uint8))
add("dim", dim)
add("auto_contrast", ImageOps.autocontrast(dim))
add("equalize", ImageOps.equalize(picture))

write_safetensors(pathlib.Path(__file__).with_name("images.safetensors"), out)

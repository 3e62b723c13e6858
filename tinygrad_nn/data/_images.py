"""One picture file in, one array out: the only place where Pillow decodes.

Knows files and pixels; may not know classes, labels, folders of data or the engine.

Decisions, with what was measured on a 12-megapixel JPEG read at 64 × 64 (Pillow 13):

- The picture is squashed to a square, as the tutorials do; nothing is cropped.
- ``draft()`` asks the JPEG decoder for no less than 3 × the wanted size: 26 ms against 154 for
  the full decode, and at most 1/255 off at any pixel. ``resize(reducing_gap=...)`` is not used:
  it would speed up large PNG by a third and be up to 8/255 off.
- The filter is Lanczos, which averages over all the pixels when it shrinks.
- Orientation is applied after resizing: turning a square is free, and the result is the same.
- Transparent pixels are seen on white. 16-bit greys are divided by 65535; greys outside the
  range of their type (floats beyond 0..1) are stretched from their least to their greatest.
- Of an animation or a file of many pages, the first is read.
- Nothing is decoded at more than ``MAX_PIXELS``, 268 MB as RGB. It counts what is decoded: a
  JPEG of 108 megapixels read at 64 × 64 is an eighth as wide and passes. Pillow's own limit,
  ``Image.MAX_IMAGE_PIXELS``, counts what the file claims, and holds too.
- Pillow's warnings (damaged metadata and the like) are hidden from the first read on, for the
  whole process: ``warnings.catch_warnings`` around each read would exchange the filters of all
  threads, and with a loader reading in the background undo those of whoever else sets some.
"""

import os
import re
import warnings

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from .._errors import DataError
from .._messages import whole

# What counts as a picture. Not Pillow's own list, which has .pdf, .mpg and .h5 in it. HEIC is
# here although Pillow alone cannot open it: it is then counted as unreadable, not passed over.
IMAGE_SUFFIXES = frozenset({
    ".apng", ".avif", ".bmp", ".dib", ".gif", ".heic", ".heif", ".ico", ".j2k", ".jfif", ".jp2",
    ".jpe", ".jpeg", ".jpg", ".mpo", ".pbm", ".pcx", ".pgm", ".png", ".pnm", ".ppm", ".qoi",
    ".tga", ".tif", ".tiff", ".webp",
})

DRAFT = 3                                             # decode at least 3 × the wanted size
MAX_PIXELS = 2 ** 26
HIDDEN = ("ignore", None, Warning, re.compile(r"PIL\."), 0)      # Pillow's, in warnings.filters

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def read_image(path, size, grey=False):
    """Read a picture of any format and shape as float32 of shape (size, size, 3) in 0..1.

    The picture is turned as its EXIF orientation says, made RGB (transparent parts on white),
    or with ``grey`` grey, of shape (size, size, 1), and squashed to a square. Every failure, be
    it a missing file, a file that is no picture, a truncated one or a decompression bomb, is a
    ``DataError`` with ``.path`` and the reason.

        >>> import tempfile
        >>> with tempfile.NamedTemporaryFile(suffix=".png") as f:
        ...     Image.new("RGB", (40, 20), "red").save(f.name)
        ...     x = read_image(f.name, 2)
        >>> x.shape, x.dtype, x[0, 0].tolist()
        ((2, 2, 3), dtype('float32'), [1.0, 0.0, 0.0])
    """
    return as_floats(decode(path, size, grey))


def decode(path, size, grey=False):
    """The picture that `read_image` reads, not yet divided by 255 where it has 8 bits.

    uint8, or float32 in 0..1 of a picture that had more, (size, size, 3) or (size, size, 1).
    """
    size, path = whole("size", size), os.fspath(path)
    try:
        if warnings.filters[:1] != [HIDDEN]:
            warnings.filterwarnings("ignore", module=HIDDEN[3].pattern)
        with Image.open(path) as image:
            return _pixels(image, size, grey)
    except Exception as error:     # Pillow raises anything from SyntaxError to struct.error
        reason = _reason(error, path)
        raise DataError(f"cannot read the picture {path}: {reason}", path) from error


def as_floats(x):
    """What `decode` gave, as float32 in 0..1."""
    return x / np.float32(255) if x.dtype == np.uint8 else x


def is_picture(path):
    """Whether a file counts as a picture: by its suffix, and hidden files never do."""
    name = os.path.basename(path)
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES


def _pixels(image, size, grey):
    if image.format == "EPS": raise ValueError("PostScript is a program, not a picture")
    drafted = image.draft(None, (DRAFT * size, DRAFT * size))
    box = drafted[1] if drafted else None             # the picture within padded DCT blocks
    _check_pixels(image)
    image.load()
    turn = TURNS.get(_orientation(image))
    image = _resizable(image).resize((size, size), Image.Resampling.LANCZOS, box=box)
    if turn is not None: image = image.transpose(turn)
    if image.mode == "F":
        return np.repeat(np.asarray(image).clip(0, 1)[:, :, None], 1 if grey else 3, axis=2)
    image = _on_white(image)
    return np.asarray(image.convert("L"))[:, :, None] if grey else np.asarray(image)


def _check_pixels(image):
    if image.width * image.height > MAX_PIXELS:
        raise ValueError(f"it has {image.width} × {image.height} pixels, and no more than "
                         f"{MAX_PIXELS} are decoded: make it smaller")


def _resizable(image):
    """The picture in one of the modes RGB, RGBA and F (one float, 0..1, for each pixel)."""
    if image.mode.startswith(("I", "F")): return _grey(image)
    if image.has_transparency_data: return image.convert("RGBA")
    return image if image.mode == "RGB" else image.convert("RGB")


def _grey(image):
    grey = np.asarray(image, dtype=np.float32)
    if not np.isfinite(grey).all(): raise ValueError("it holds pixels that are not finite")
    low, high = 0.0, 1.0 if image.mode == "F" else 65535.0
    if grey.min() < low or grey.max() > high: low, high = grey.min(), grey.max()
    return Image.fromarray((grey - low) / max(high - low, np.finfo(np.float32).tiny))


def _on_white(image):
    if image.mode != "RGBA": return image
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def _orientation(image):
    try:
        return image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:              # damaged metadata beside good pixels: take it as upright
        return 1


def _reason(error, path):
    if isinstance(error, FileNotFoundError): return "there is no such file"
    if os.path.isdir(path): return "it is a folder"
    if isinstance(error, UnidentifiedImageError):
        empty = os.path.getsize(path) == 0
        return "the file is empty" if empty else "it is not in a format that Pillow knows"
    if isinstance(error, Image.DecompressionBombError):
        return f"it has too many pixels and could be a decompression bomb ({error})"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__

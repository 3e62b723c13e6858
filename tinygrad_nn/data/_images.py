"""One picture file in, one float32 array out: the only place where Pillow decodes.

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
"""

import operator
import os
import warnings

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from .._errors import DataError

# What counts as a picture. Not Pillow's own list, which has .pdf, .mpg and .h5 in it. HEIC is
# here although Pillow alone cannot open it: it is then counted as unreadable, not passed over.
IMAGE_SUFFIXES = frozenset({
    ".apng", ".avif", ".bmp", ".dib", ".gif", ".heic", ".heif", ".ico", ".j2k", ".jfif", ".jp2",
    ".jpe", ".jpeg", ".jpg", ".mpo", ".pbm", ".pcx", ".pgm", ".png", ".pnm", ".ppm", ".qoi",
    ".tga", ".tif", ".tiff", ".webp",
})

DRAFT = 3                                             # decode at least 3 × the wanted size

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def read_image(path, size):
    """Read a picture of any format and shape as float32 of shape (size, size, 3) in 0..1.

    The picture is turned as its EXIF orientation says, made RGB (transparent parts on white),
    and squashed to a square. Every failure, be it a missing file, a file that is no picture, a
    truncated one or a decompression bomb, is a ``DataError`` with ``.path`` and the reason.

        >>> import tempfile
        >>> with tempfile.NamedTemporaryFile(suffix=".png") as f:
        ...     Image.new("RGB", (40, 20), "red").save(f.name)
        ...     x = read_image(f.name, 2)
        >>> x.shape, x.dtype, x[0, 0].tolist()
        ((2, 2, 3), dtype('float32'), [1.0, 0.0, 0.0])
    """
    size, path = check_size(size), os.fspath(path)
    try:
        # Left to the outside: filters are per process before Python 3.14, so of two threads
        # that read at once one may leave this filter behind. It hides Pillow's warnings only.
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"PIL\.")
            with Image.open(path) as image:
                return _pixels(image, size)
    except Exception as error:     # Pillow raises anything from SyntaxError to struct.error
        reason = _reason(error, path)
        raise DataError(f"cannot read the picture {path}: {reason}", path) from error


def is_picture(path):
    """Whether a file counts as a picture: by its suffix, and hidden files never do."""
    name = os.path.basename(path)
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES


def check_size(size):
    """``size`` as an int of at least 1; anything else is a ValueError or TypeError."""
    try:
        side = operator.index(size)
    except TypeError:
        raise TypeError(f"size must be an integer number of pixels; got {size!r}") from None
    if side < 1: raise ValueError(f"size must be at least 1 pixel; got {size!r}")
    return side


def _pixels(image, size):
    if image.format == "EPS": raise ValueError("PostScript is a program, not a picture")
    drafted = image.draft(None, (DRAFT * size, DRAFT * size))
    box = drafted[1] if drafted else None             # the picture within padded DCT blocks
    image.load()
    turn = TURNS.get(_orientation(image))
    image = _resizable(image).resize((size, size), Image.Resampling.LANCZOS, box=box)
    if turn is not None: image = image.transpose(turn)
    x = np.asarray(_on_white(image), dtype=np.float32)
    if image.mode == "F": return np.repeat(x.clip(0, 1)[:, :, None], 3, axis=2)
    return x / np.float32(255)                        # (size, size, 3)


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

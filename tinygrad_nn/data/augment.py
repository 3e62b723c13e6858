"""Random changes to a picture, so that a network sees each one a little differently every time.

Each is a small object, called with a picture and a generator: ``x = change(x, rng)``, ``x`` a
float array (C, H, W) in 0..1, as a data set gives it. The result depends on the two alone, has
the dtype of ``x``, and ``x`` itself is not written to. `DataLoader` takes one as ``augment``
and supplies the generator. May know arrays only; Pillow resizes crops.

    augment = Compose([RandomHorizontalFlip(), RandomAffine(degrees=10, translate=(0.1, 0.1))])
    loader = DataLoader(train, 32, shuffle=True, augment=augment)

Names and arguments are those of torchvision where it has them, with these differences: what
comes into view at an edge is the nearest pixel of the picture instead of black, as in Keras,
whose default is ``fill_mode="nearest"``; `ColorJitter` changes the colours in a fixed order; no
size other than a crop's is ever changed. Keras's ``zoom_range=0.2`` is ``scale=((0.8, 1.2),
(0.8, 1.2))``, a factor for each axis; its ``shear_range=0.2`` is ``shear=0.2``, degrees.
"""

import math

import numpy as np
from PIL import Image

from .._errors import DataError

__all__ = [
    "ColorJitter",
    "Compose",
    "RandomAffine",
    "RandomHorizontalFlip",
    "RandomResizedCrop",
    "RandomVerticalFlip",
]

GREY = np.array([0.299, 0.587, 0.114])                # ITU-R 601
YIQ = np.array([GREY, [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])     # NTSC
STRIP = 4096                               # pixels resampled at once, to stay in the cache


class Compose:
    """One change after the other: ``Compose([first, second, ...])``.

        >>> both = Compose([RandomHorizontalFlip(1.0), RandomVerticalFlip(1.0)])
        >>> both(np.array([[[0.1, 0.2], [0.3, 0.4]]]), np.random.default_rng(0))
        array([[[0.4, 0.3],
                [0.2, 0.1]]])
    """

    def __init__(self, changes):
        self.changes = list(changes)

    def __call__(self, x, rng):
        for change in self.changes: x = change(x, rng)
        return x

    def __repr__(self):
        return f"Compose([{', '.join(map(repr, self.changes))}])"


class _Change:
    """What the changes of this file share: their settings are what ``repr`` shows."""

    def __repr__(self):
        settings = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"{type(self).__name__}({settings})"

    def _checked(self, x):
        """``x``, if it is a picture of floats with the channels first."""
        if isinstance(x, np.ndarray) and x.ndim == 3 and x.dtype.kind == "f": return x
        got = f"{x.dtype} {x.shape}" if isinstance(x, np.ndarray) else type(x).__name__
        raise DataError(f"{type(self).__name__} takes a picture as an array of floats of shape "
                        "(C, H, W), such as read_image(path, size).transpose(2, 0, 1); got "
                        f"{got}")


class RandomHorizontalFlip(_Change):
    """Left and right exchanged with probability ``p``.

        >>> RandomHorizontalFlip(1.0)(np.array([[[0.1, 0.2]]]), np.random.default_rng(0))
        array([[[0.2, 0.1]]])
    """

    def __init__(self, p=0.5):
        self.p = _share("p", p)

    def __call__(self, x, rng):
        return self._checked(x)[:, :, ::-1] if rng.random() < self.p else self._checked(x)


class RandomVerticalFlip(_Change):
    """Top and bottom exchanged with probability ``p``."""

    def __init__(self, p=0.5):
        self.p = _share("p", p)

    def __call__(self, x, rng):
        return self._checked(x)[:, ::-1] if rng.random() < self.p else self._checked(x)


class RandomResizedCrop(_Change):
    """A rectangle from a random place, resized to ``(size, size)``.

    ``scale``: the least and greatest share of the picture's area that it covers; ``ratio``: of
    its width over its height, drawn evenly in its logarithm. A rectangle that does not fit is
    drawn again, up to ten times; then the whole picture is taken. Where the crop shrinks,
    pixels are averaged, where it grows, interpolated (Pillow's bilinear filter, in float32).

        >>> crop = RandomResizedCrop(48, scale=(0.5, 1.0))
        >>> crop(np.zeros((3, 64, 64), np.float32), np.random.default_rng(0)).shape
        (3, 48, 48)
    """

    def __init__(self, size, scale=(0.08, 1.0), ratio=(3 / 4, 4 / 3)):
        if not isinstance(size, (int, np.integer)) or size < 1:
            raise ValueError(f"size must be a whole number of pixels; got {size!r}")
        self.size = int(size)
        self.scale, self.ratio = _range("scale", scale, 1), _range("ratio", ratio)

    def __call__(self, x, rng):
        box = self._box(*self._checked(x).shape[1:], rng)
        side, out = (self.size, self.size), np.empty((len(x), self.size, self.size), x.dtype)
        for channel, into in zip(x, out, strict=True):
            picture = Image.fromarray(np.ascontiguousarray(channel, dtype=np.float32))
            into[:] = picture.resize(side, Image.Resampling.BILINEAR, box=box)
        return out

    def _box(self, height, width, rng):
        """(left, top, right, bottom) of the rectangle, in pixels, not rounded."""
        for _ in range(10):
            area = height * width * rng.uniform(*self.scale)
            ratio = math.exp(rng.uniform(*map(math.log, self.ratio)))
            w, h = math.sqrt(area * ratio), math.sqrt(area / ratio)
            if w <= width and h <= height:
                left, top = rng.uniform(0, width - w), rng.uniform(0, height - h)
                return left, top, min(left + w, width), min(top + h, height)
        return 0, 0, width, height


class RandomAffine(_Change):
    """Rotation, shear, zoom and shift about the middle of the picture, resampled once.

    - ``degrees``: the greatest angle either way, or ``(least, greatest)``, counter-clockwise;
    - ``translate``: ``(across, down)``, the greatest shift as a share of width and height;
    - ``scale``: ``(least, greatest)`` of the zoom, above 1 enlarges; or two such pairs, across
      and down, drawn separately;
    - ``shear``: the greatest angle by which upright lines lean either way, or ``(least,
      greatest)``, in degrees too, to the right;
    - ``fill``: ``"nearest"`` continues the pixels at the edge, a number is a colour.

    Written in NumPy: three bands through Pillow, which has no ``"nearest"`` and needs a wider
    picture for it, take twice as long (0.13 and 0.3 ms for 64 × 64 pixels).

        >>> turn = RandomAffine(degrees=(90, 90))
        >>> turn(np.array([[[0.1, 0.2], [0.3, 0.4]]]), np.random.default_rng(0)).round(3)
        array([[[0.2, 0.4],
                [0.1, 0.3]]])
    """

    def __init__(self, degrees=0, translate=(0, 0), scale=(1, 1), shear=0, fill="nearest"):
        self.degrees = _either_way("degrees", degrees, 360)
        self.translate = tuple(_share("translate", t) for t in _pair("translate", translate))
        scale = _pair("scale", scale)
        self.scale = (tuple(_range("scale", pair) for pair in scale) if np.ndim(scale) == 2
                      else _range("scale", scale))
        self.shear = _either_way("shear", shear, 89)
        if fill != "nearest": _share('fill must be "nearest" or a number that', fill)
        self.fill = fill

    def __call__(self, x, rng):
        height, width = self._checked(x).shape[1:]
        turn, lean = (math.radians(rng.uniform(*pair)) for pair in (self.degrees, self.shear))
        zooms = self.scale if isinstance(self.scale[0], tuple) else (self.scale,)
        zooms = [rng.uniform(*pair) for pair in zooms]
        right, down = (rng.uniform(-t, t) for t in self.translate)
        cos, sin, tan = math.cos(turn), math.sin(turn), math.tan(lean)
        a, b = (cos + tan * sin) / zooms[0], (tan * cos - sin) / zooms[0]   # back: the inverses
        c, d = sin / zooms[-1], cos / zooms[-1]                # of zoom · shear · rotation
        middle, centre = (width - 1) / 2, (height - 1) / 2
        p, q = middle + right * width, centre + down * height  # where the middle goes
        return _resampled(x, (a, b, middle - a * p - b * q), (c, d, centre - c * p - d * q),
                          self.fill)


class ColorJitter(_Change):
    """Brightness, contrast, saturation and hue changed by random amounts, in this order.

    ``brightness``, ``contrast`` and ``saturation`` are factors, drawn from ``(least,
    greatest)``, or from 1 - b to 1 + b for a number b: brightness times the factor; contrast by
    the distance to the picture's mean grey; saturation by that to each pixel's own grey
    (ITU-R 601: 0.299 R + 0.587 G + 0.114 B). ``hue`` turns the colours about the grey axis, by
    up to that share of a full turn either way (at most 0.5), brightness kept; torchvision turns
    them in HSV instead. All of it is one matrix and one offset for the picture, clipped to 0..1
    at the end. Grey pictures (one channel) keep to brightness and contrast.

        >>> jitter = ColorJitter(brightness=(0.5, 0.5))
        >>> jitter(np.ones((3, 1, 1)), np.random.default_rng(0)).ravel()
        array([0.5, 0.5, 0.5])
    """

    def __init__(self, brightness=0, contrast=0, saturation=0, hue=0):
        self.brightness = _factors("brightness", brightness)
        self.contrast = _factors("contrast", contrast)
        self.saturation = _factors("saturation", saturation)
        self.hue = _either_way("hue", hue, 0.5)

    def __call__(self, x, rng):
        if len(self._checked(x)) not in (1, 3):
            raise DataError(f"ColorJitter takes pictures of 1 or 3 channels; got {x.shape}")
        brightness, contrast, saturation, turn = (rng.uniform(*pair) for pair in (
            self.brightness, self.contrast, self.saturation, self.hue))
        grey = GREY if len(x) == 3 else np.ones(1)
        matrix = brightness * contrast * np.eye(len(x))
        offset = brightness * (1 - contrast) * (grey @ x.mean(axis=(1, 2)))
        if len(x) == 3: matrix = _hue(turn) @ _saturation(saturation) @ matrix
        mixed = np.einsum("kc,chw->khw", matrix.astype(x.dtype), x) + x.dtype.type(offset)
        return mixed.clip(0, 1)


# ---------------------------------------------------------------- colours and places


def _saturation(factor):
    return factor * np.eye(3) + (1 - factor) * GREY


def _hue(turn):
    """The (3, 3) matrix that turns I and Q, and leaves the grey Y as it is."""
    c, s = math.cos(2 * math.pi * turn), math.sin(2 * math.pi * turn)
    return np.linalg.inv(YIQ) @ [[1, 0, 0], [0, c, -s], [0, s, c]] @ YIQ


def _resampled(x, to_column, to_row, fill):
    """``x`` at column a i + b j + c for each column i and row j, (a, b, c) = ``to_column``, and
    at the row that ``to_row`` gives likewise; bilinear."""
    channels, height, width = x.shape
    flat, out = np.ascontiguousarray(x).reshape(channels, -1), np.empty_like(x)
    i, rows = (np.arange(n, dtype=x.dtype) for n in (width, height))
    for k in range(0, height, step := max(STRIP // width, 1)):
        j = rows[k:k + step, None]
        u, v = ((a * i + (b * j + c)).ravel() for a, b, c in (to_column, to_row))
        strip = _bilinear(flat, u.clip(0, width - 1), v.clip(0, height - 1), width, height)
        if fill != "nearest":
            outside = (abs(2 * u + 1 - width) > width) | (abs(2 * v + 1 - height) > height)
            strip[:, outside] = fill
        out[:, k:k + step] = strip.reshape(channels, -1, width)
    return out


def _bilinear(flat, u, v, width, height):
    """``flat`` (C, H · W) at columns u and rows v (n,), all within the picture: (C, n)."""
    left, top = u.astype(np.intp), v.astype(np.intp)
    u, v = u - left, v - top

    def across(row):
        at, beside = row * width + left, row * width + np.minimum(left + 1, width - 1)
        return mixed(flat.take(at, axis=1), flat.take(beside, axis=1), u)

    def mixed(first, second, share):        # in place: with new arrays it took twice the time
        second -= first
        second *= share
        second += first
        return second
    return mixed(across(top), across(np.minimum(top + 1, height - 1)), v)


# ---------------------------------------------------------------- settings

def _pair(name, value):
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise ValueError(f"{name} must be a pair; got {value!r}")
    return tuple(value)


def _range(name, value, most=math.inf):
    """``(least, greatest)``, above 0 and at most ``most``."""
    least, greatest = _pair(name, value)
    if not 0 < least <= greatest <= most or math.isinf(greatest):
        limit = "" if math.isinf(most) else f" and at most {most}"
        raise ValueError(f"{name} must be (least, greatest), above 0{limit}; got {value!r}")
    return least, greatest


def _either_way(name, value, most):
    """``(-value, value)`` of a number, or the pair itself, within ± ``most``."""
    least, greatest = (-value, value) if np.ndim(value) == 0 else _pair(name, value)
    if not -most <= least <= greatest <= most:
        raise ValueError(f"{name} must be a number from 0 to {most}, or (least, greatest) "
                         f"within ± {most}; got {value!r}")
    return least, greatest


def _factors(name, value):
    """``(1 - value, 1 + value)`` of a number, not below 0, or the pair itself."""
    number = np.ndim(value) == 0
    least, greatest = (max(1 - value, 0), 1 + value) if number else _pair(name, value)
    if not 0 <= least <= greatest < math.inf:
        raise ValueError(f"{name} must be a number of at least 0, or (least, greatest) of "
                         f"factors; got {value!r}")
    return least, greatest


def _share(name, value):
    if isinstance(value, str) or not 0 <= value <= 1:
        raise ValueError(f"{name} must lie within 0..1; got {value!r}")
    return value

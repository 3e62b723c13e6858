"""Drawn pictures, cats and other things, for a fresh machine that holds no photos.

May know NumPy and Pillow, and nothing of tensors, networks or how a folder of pictures is read.

Only shape may tell the classes apart. Both draw wall, colours, coat pattern, place, tilt, focus
and light from the same functions, and the shares of the picture that are subject, outline,
white and bright from the same ranges: outline and rim are made as wide, and dots strewn as
large, as that takes. Without it a random forest on colour histograms was right on 88 %.
The white rim and dark walls make a contour bright on dark, whatever the coat. On light walls
without a rim the cat classifier's network was still wrong on 16 % after 2,500 steps.
"""

import json
import os
import secrets
import shutil
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from .._errors import DataError

_VERSION = 1             # raise it whenever the same seed would draw something else
_RECORD = "drawings.json"
_LARGEST = 0.86          # share of the side that a subject may span
_PLACE = (0.465, 0.535)  # where its middle lies, across and down
_TILT = 0.05             # standard deviation of its turn, shear and stretch
_SUBJECT = (0.26, 0.33)  # share of the picture that the subject covers
_DARK = (0.07, 0.10)     # share of outlines and black; and so on
_WHITE = (0.09, 0.15)
_BRIGHT = (0.012, 0.022)
_FOCUS = (0, 0.008)      # blur, as a share of the side
_SLOPE = 0.12            # how much the light may change from the middle to a side
_GRAIN = (2, 7)          # standard deviation of the grain, of 255

_ROLES = ("wall", "line", "black", "white", "coat", "second", "accent", "blush")
_WALLS = ((62, 78, 110), (52, 96, 104), (86, 74, 116), (68, 100, 76), (112, 76, 84),
          (94, 84, 70), (44, 66, 84), (34, 40, 62), (78, 108, 112), (52, 34, 46), (36, 52, 44))
_BLACKS = ((58, 44, 52), (40, 38, 58), (76, 54, 44), (30, 28, 32))
_WHITES = ((252, 250, 246), (248, 236, 214), (226, 236, 244))
_COATS = ((232, 150, 78), (240, 214, 172), (156, 154, 160), (118, 128, 150), (160, 112, 80),
          (112, 82, 70), (78, 74, 86), (246, 242, 234), (200, 172, 150), (214, 118, 84))
_ACCENTS = ((128, 194, 98), (246, 206, 76), (104, 178, 226), (240, 164, 66), (120, 206, 186))
_BLUSH = (242, 156, 160)
_PATTERNS = (            # how many spots, their half axes: plain, bib, patches, dots, tiger
    (0, 0, 0), (1, 0.2, 0.2), (5, 0.11, 0.11), (50, 0.022, 0.022), (22, 0.012, 0.09))


def _smooth(points, closed=True):
    """A Catmull-Rom curve through points (n, 2): (8 n, 2), or (8 n - 7, 2) if it is open."""
    p = np.asarray(points, float)
    p = np.concatenate([p[-1:], p, p[:2]] if closed else [p[:1], p, p[-1:]])
    p0, p1, p2, p3 = p[:-3], p[1:-2], p[2:-1], p[3:]
    t = np.linspace(0, 1, 8, endpoint=False)[:, None, None]
    curve = p1 + t / 2 * (p2 - p0 + t * (2 * p0 - 5 * p1 + 4 * p2 - p3
                                         + t * (3 * (p1 - p2) + p3 - p0)))
    curve = curve.transpose(1, 0, 2).reshape(-1, 2)
    return curve if closed else np.concatenate([curve, p[-2:-1]])


def _ribbon(p, width):
    """The outline (2 n + 10, 2) of a line of this width, with round ends, along p (n, 2)."""
    d = np.gradient(p, axis=0)
    d *= width / 2 / np.hypot(d[:, :1], d[:, 1:])
    n = d[:, ::-1] * (1, -1)
    a = np.linspace(0, np.pi, 7)[1:-1, None]
    return np.concatenate([p + n, p[-1] + np.cos(a) * n[-1] + np.sin(a) * d[-1],
                           (p - n)[::-1], p[0] - np.cos(a) * n[0] - np.sin(a) * d[0]])


def _outwards(p):
    """(n, 2): how the corners of a closed shape p (n, 2) move when it grows by 1 all round."""
    d = np.concatenate([p[1:], p[:1]]) - p
    n = d[:, ::-1] * (1, -1) / np.hypot(d[:, :1], d[:, 1:])
    n += np.concatenate([n[-1:], n[:-1]])
    area = p[:, 0] @ d[:, 1] - p[:, 1] @ d[:, 0]
    return n * np.copysign(2, area) / np.maximum(np.sum(n * n, 1, keepdims=True), 0.5)


# A subject is a list of strokes (role, points (n, 2), whether outlined), in units of its own, y
# pointing down. A stroke is a closed shape, or an open line if its role is "line".

_fill = lambda role, *p, edge=True: (role, np.array(p, float), edge)
_blob = lambda role, *p: (role, _smooth(p), True)
_even = lambda role, *p: _blob(role, *p, *[(-x, y) for x, y in p[::-1] if x > 0])   # x >= 0
_tube = lambda role, width, *p: (role, _ribbon(_smooth(p, closed=False), width), True)
_line = lambda *p: ("line", _smooth(p, closed=False), False)


def _oval(role, x, y, a, b=None, turn=0.0, edge=True):
    t = np.linspace(0, 2 * np.pi, 36, endpoint=False)
    u, v, c, s = a * np.cos(t), (b or a) * np.sin(t), np.cos(turn), np.sin(turn)
    return role, np.stack([x + c * u - s * v, y + s * u + c * v], axis=1), edge


def _eyes(y, r, *xs):
    return [part for x in xs for part in (
        _oval("accent", x, y, r, 1.1 * r), _oval("black", x, y, 0.5 * r, 0.9 * r, edge=False),
        _oval("white", x + 0.22 * r, y - 0.4 * r, 0.26 * r, edge=False))]


def _both(*strokes):
    """Each stroke, and its mirror image about x = 0."""
    return [(role, p * (side, 1), edge) for role, p, edge in strokes for side in (1, -1)]


_CAT_HEAD = [
    *_both(_fill("coat", (0.98, -0.05), (0.92, -1.32), (0.18, -0.7)),
           _fill("blush", (0.86, -0.35), (0.82, -1.02), (0.4, -0.68), edge=False)),
    _even("coat", (0, -0.84), (0.55, -0.76), (0.98, -0.2), (1.12, 0.3), (0.6, 0.74), (0, 0.84)),
    *_both(_oval("white", 0.19, 0.48, 0.24, 0.18, edge=False), _line((0.62, 0.46), (1.5, 0.32)),
           _line((0.62, 0.5), (1.5, 0.56)), _line((0, 0.44), (0.1, 0.58), (0.26, 0.56))),
    _fill("blush", (-0.14, 0.26), (0.14, 0.26), (0, 0.43))]
_CAT = _CAT_HEAD + _eyes(0, 0.24, -0.46, 0.46)
_DOG = [
    _even("coat", (0, -0.95), (0.6, -0.84), (0.86, -0.2), (0.8, 0.45), (0.5, 0.9), (0, 1)),
    *_eyes(-0.2, 0.24, -0.36, 0.36),
    _oval("blush", 0, 0.86, 0.2, 0.34), _oval("white", 0, 0.42, 0.46, 0.34),
    _oval("black", 0, 0.2, 0.22, 0.15, edge=False), _line((-0.3, 0.56), (0, 0.62), (0.3, 0.56)),
    *_both(_blob("second", (0.5, -0.86), (0.98, -0.8), (1.3, 0.1), (1.14, 0.62), (0.86, 0.3),
                 (0.78, -0.3)))]
_BODY = [
    _even("coat", (0, 0.4), (0.6, 0.7), (0.9, 1.4), (0.98, 2), (0, 2.2)),
    *_both(_oval("white", 0.32, 2.12, 0.32, 0.2))]
_SIXTHS = np.arange(6) * np.pi / 3
_CATS = {
    "face": _CAT,
    "sitting": [_tube("coat", 0.34, (0.5, 2), (1.3, 2), (1.6, 1.5), (1.4, 1)), *_BODY, *_CAT],
    "walking": [
        _tube("coat", 0.36, (2.5, 0.8), (2.95, 0.2), (2.8, -0.5), (3.05, -0.85)),
        *[_tube("coat", 0.44, (x, 1.2), (x - 0.1, 1.9)) for x in (0.6, 1.1, 1.9, 2.4)],
        _blob("coat", (0.2, 0.2), (1.3, 0.3), (2.4, 0.2), (2.75, 0.9), (2.5, 1.5), (1.4, 1.5),
              (0.5, 1.5), (0.1, 1)), *_CAT],
    "lying": [
        _blob("coat", (-0.9, 0.9), (0, 0.1), (1.3, -0.1), (2.2, 0.4), (2.4, 1.3), (1, 1.5),
              (-0.6, 1.45)), _tube("coat", 0.34, (2.2, 1.2), (1.6, 1.55), (0.8, 1.3)),
        *[_oval("white", x, 1.4, 0.34, 0.2) for x in (-0.55, 0.35)], *_CAT],
    "asleep": [
        _oval("coat", 0.9, 0.35, 1.6, 1.25),
        _tube("coat", 0.42, (2.2, 1), (1.4, 1.5), (0.4, 1.55), (-0.6, 1.4)),
        *[(role, np.add(p, (0, 0.4)), edge) for role, p, edge in _CAT_HEAD],
        *_both(_line((0.66, 0.38), (0.44, 0.52), (0.22, 0.38)))],
    "in a box": [
        *_CAT, _fill("second", (-1.35, 0.95), (1.35, 0.95), (1.2, 2.1), (-1.2, 2.1)),
        _fill("second", (-1.35, 0.95), (1.35, 0.95), (1.5, 1.25), (-1.5, 1.25)),
        *_both(_oval("coat", 0.6, 1, 0.27, 0.22))],
}
_OTHERS = {
    "dog's face": _DOG,
    "dog": [_tube("coat", 0.34, (0.5, 2), (1.3, 2.05), (1.6, 1.6)), *_BODY, *_DOG],
    "rabbit": [
        *_both(_oval("coat", 0.42, -1.25, 0.34, 0.85, 0.15),
               _oval("blush", 0.42, -1.2, 0.14, 0.42, 0.15, edge=False)),
        _oval("coat", 0, 1.3, 1.05, 0.85), _oval("white", 0, 1.45, 0.4, 0.45, edge=False),
        *_both(_oval("coat", 0.55, 2.1, 0.42, 0.2)), _oval("coat", 0, 0, 1.05, 0.85),
        *_eyes(0, 0.24, -0.46, 0.46), _fill("blush", (-0.14, 0.2), (0.14, 0.2), (0, 0.4)),
        _fill("white", (-0.12, 0.46), (0.12, 0.46), (0.12, 0.68), (-0.12, 0.68)),
        *_both(_line((0.4, 0.3), (1.3, 0.15)), _line((0.4, 0.4), (1.3, 0.45)))],
    "fish": [
        _blob("second", (1.2, 0), (2.1, -0.9), (1.9, 0), (2.1, 0.9)),
        _blob("accent", (-0.4, -0.7), (0.2, -1.35), (0.9, -0.6)),
        _blob("coat", (-1.6, 0.1), (-1.1, -0.7), (-0.2, -1), (0.8, -0.7), (1.5, 0), (0.8, 0.7),
              (-0.2, 1), (-1.1, 0.75)),
        _line((-0.6, -0.7), (-0.4, 0), (-0.6, 0.75)), _line((-1.6, 0.2), (-1.2, 0.3)),
        _line((1.5, 0.1), (1.9, 0.4)), _line((1.5, -0.1), (1.9, -0.4)),
        *[_line((x, y - 0.2), (x + 0.15, y), (x, y + 0.2))
          for x, y in ((0.1, -0.5), (0.6, -0.4), (0.9, 0), (0.1, 0.7))],
        _blob("blush", (0, 0.1), (0.6, -0.1), (0.7, 0.5)), *_eyes(-0.15, 0.24, -1)],
    "bird": [
        *[_line((x, 0.9), (x, 1.5), (x - 0.1, 1.6), (x - 0.4, 1.6)) for x in (-0.2, 0.3)],
        _fill("second", (0.9, 0), (2, -0.3), (1.9, 0.4), (1, 0.7)),
        _blob("coat", (-1.1, -0.7), (-0.6, -1.25), (0, -0.9), (0.5, -0.4), (1.3, 0.2),
              (0.8, 0.9), (-0.2, 1.1), (-0.95, 0.5)), _line((1.3, 0.2), (1.95, 0)),
        _fill("accent", (-1, -0.95), (-1.7, -0.5), (-1, -0.35)), *_eyes(-0.75, 0.22, -0.55),
        _blob("second", (-0.2, 0), (0.5, 0), (1.2, 0.4), (0.3, 0.7)),
        _line((0.1, 0.1), (0.5, 0.3), (0.9, 0.3)), _line((0, 0.4), (0.4, 0.6), (0.8, 0.5)),
        _oval("blush", -0.6, -0.3, 0.26, 0.2, edge=False)],
    "house": [
        _fill("blush", (0.5, -1.3), (0.95, -1.3), (0.95, -0.3), (0.5, -0.3)),
        _fill("coat", (-1.1, -0.3), (1.1, -0.3), (1.1, 1.4), (-1.1, 1.4)),
        _fill("second", (-1.4, -0.3), (0, -1.5), (1.4, -0.3)),
        _fill("white", (-0.25, 0.5), (0.25, 0.5), (0.25, 1.4), (-0.25, 1.4)),
        *_both(_fill("accent", (0.5, 0.1), (0.9, 0.1), (0.9, 0.55), (0.5, 0.55)),
               _line((0.7, 0.1), (0.7, 0.55)), _line((0.5, 0.32), (0.9, 0.32))),
        *[_line((-x, y), (x, y)) for x, y in ((0.65, -0.95), (0.95, -0.65), (0.25, 0.9))]],
    "tree": [
        _fill("second", (-0.28, 0.6), (0.28, 0.6), (0.45, 1.7), (-0.45, 1.7)),
        _even("coat", (0, -1.5), (0.55, -1.35), (0.7, -0.95), (1.2, -0.8), (1.2, -0.1),
              (1.4, 0.3), (1, 0.8), (0.5, 0.65), (0, 0.9)), *_both(_line((0.1, 1), (0.1, 1.5))),
        *[_line((x - 0.2, y), (x, y + 0.1), (x + 0.2, y))
          for x, y in ((-0.7, -0.1), (0.25, -0.4), (0.8, -0.1), (-0.1, 0.4), (0.1, -1.1))],
        *[_oval("blush", x, y, 0.19) for x, y in ((-0.35, -0.95), (-0.45, 0.3), (0.95, 0.25))],
        *[_oval("accent", x, y, 0.19) for x, y in ((0.65, -0.65), (0.25, 0.05))]],
    "car": [
        _blob("second", (-1, 0), (-0.7, -0.9), (0.2, -1), (0.9, -0.8), (1.2, 0)),
        _fill("white", (-0.7, -0.05), (-0.5, -0.6), (0.05, -0.65), (0.05, -0.05)),
        _fill("white", (0.25, -0.05), (0.25, -0.65), (0.7, -0.55), (0.95, -0.05)),
        _blob("coat", (-1.8, 0.8), (-1.7, 0.1), (-1, -0.1), (1, -0.1), (1.8, 0.1), (1.8, 0.8),
              (0, 0.95)), _oval("accent", -1.65, 0.3, 0.2), _oval("blush", 1.7, 0.3, 0.17),
        _line((0.15, -0.1), (0.15, 0.7)), _line((0.3, 0.2), (0.55, 0.2)),
        *_both(_oval("black", 1, 0.85, 0.42), _oval("second", 1, 0.85, 0.28, edge=False))],
    "flower": [
        _tube("second", 0.24, (0, 0.4), (0.15, 1.2), (0, 2)),
        _blob("coat", (0.1, 1.9), (0.5, 1.3), (1.2, 1.1), (0.8, 1.7)),
        *[_oval("coat", 0.75 * np.cos(a), 0.75 * np.sin(a), 0.58, 0.42, a) for a in _SIXTHS],
        *[_line((0.5 * np.cos(a), 0.5 * np.sin(a)), (np.cos(a), np.sin(a))) for a in _SIXTHS],
        _line((0.1, 1.9), (0.8, 1.4)),
        _oval("accent", 0, 0, 0.4), _oval("blush", 0, 0, 0.24, edge=False)],
    "mug": [
        _tube("coat", 0.28, (0.9, -0.5), (1.6, -0.4), (1.6, 0.4), (0.9, 0.6)),
        _even("coat", (0, -0.9), (1, -0.9), (1, 0.2), (0.85, 1.05), (0, 1.05)),
        _oval("white", 0, -0.88, 1, 0.22),
        *[_line((x, -1.3), (x + 0.12, -1.5), (x - 0.05, -1.7), (x + 0.1, -1.9))
          for x in (-0.4, 0, 0.4)],
        _even("blush", (0, -0.1), (0.26, -0.28), (0.36, 0), (0, 0.4))],
    "boat": [
        _line((0, -1.7), (0, 0.5)), _fill("accent", (0, -1.9), (0.6, -1.75), (0, -1.6)),
        _fill("second", (0.1, -1.4), (1.3, 0.2), (0.1, 0.2)),
        _fill("coat", (-0.1, -1.2), (-1, 0.2), (-0.1, 0.2)),
        _fill("coat", (-1.6, 0.4), (1.6, 0.4), (1.1, 1.4), (-1.1, 1.4)),
        *_both(_oval("white", 0.6, 0.8, 0.2)), _oval("blush", 0, 0.8, 0.2)],
}


def _paint(strokes, line, side):
    """Strokes in pixels, with outlines ``line`` wide: uint8 (side, side), places in _ROLES."""
    image = Image.new("L", (side, side))
    draw = ImageDraw.Draw(image)
    for role, points, edge in strokes:
        if role == "line":
            points = _ribbon(points, line)
        elif edge:
            grow = _outwards(points) * line / 2
            draw.polygon((points + grow).ravel().tolist(), fill=_ROLES.index("line"))
            points = points - grow
        draw.polygon(points.ravel().tolist(), fill=_ROLES.index(role))
    return np.array(image)


def _subject(rng, strokes, side):
    """What ``_paint`` makes of a subject with its place, tilt, area and outline drawn."""
    matrix = np.diag((rng.choice((-1, 1)), 1)) + rng.normal(0, _TILT, (2, 2))
    area, dark, place = rng.uniform(*_SUBJECT), rng.uniform(*_DARK), rng.uniform(*_PLACE, 2)
    strokes = [(role, p @ matrix, edge) for role, p, edge in strokes]
    points = np.concatenate([p for _, p, _ in strokes])
    low, high = points.min(0), points.max(0)
    unit = np.max(high - low) / 94
    rough = _paint([(role, (p - low) / unit + 3, edge) for role, p, edge in strokes], 2, 100)
    _, lines, black, *rest = np.bincount(rough.ravel(), minlength=len(_ROLES))
    scale = side * min(np.sqrt(area / (lines + black + sum(rest))), _LARGEST / 94)
    line = 2 * scale * np.clip((dark * side**2 / scale**2 - black) / lines, 0.5, 1.5)
    scale, middle = scale / unit, (low + high) / 2
    return _paint([(role, (p - middle) * scale + place * side, edge)
                   for role, p, edge in strokes], line, side)


def _pattern(rng, side):
    """Where the coat has its second colour: bool (side, side)."""
    image = Image.new("L", (side, side))
    number, a, b = _PATTERNS[rng.integers(len(_PATTERNS))]
    for k in range(number):
        x, y = 0.1 + 0.8 * (k + rng.random()) / number, rng.uniform(0.1, 0.9)
        box = [(x - a) * side, (y - b) * side, (x + a) * side, (y + b) * side]
        ImageDraw.Draw(image).ellipse(box, fill=1)
    return np.array(image, bool)


def _add_rim(roles, share):
    """Surround the subject in white until ``share`` of the picture is white."""
    free, white, side = roles == 0, _ROLES.index("white"), len(roles)
    small = Image.fromarray(np.where(free, 0, 255).astype(np.uint8)).reduce(2)
    soft = small.filter(ImageFilter.GaussianBlur(0.015 * side)).resize((side, side))
    soft = np.asarray(soft)
    nearest = np.cumsum(np.bincount(soft[free], minlength=256)[::-1])
    lack = share * roles.size - np.count_nonzero(roles == white)
    roles[free & (soft >= 255 - np.searchsorted(nearest, lack))] = white


def _add_dots(rng, roles, role, share):
    """Strew dots on the wall until about ``share`` of the picture has this role."""
    side, number = len(roles), int(rng.integers(2, 5))
    lack = share * roles.size - np.count_nonzero(roles == role)
    r = round(np.sqrt(max(lack, 0) / number / np.pi))
    y, x = np.ogrid[-r:r + 1, -r:r + 1]
    for top, left in rng.integers(0, side - 2 * r, (60, 2)):
        spot = roles[top:top + 2 * r + 1, left:left + 2 * r + 1]
        if number and not spot.any():
            spot[x * x + y * y <= r * r] = role
            number -= 1


def _wall(rng, side):
    """An RGB image (side, side): a wall of two tones, perhaps a floor."""
    top, low, floor = np.array(_WALLS)[rng.choice(len(_WALLS), 3, replace=False)]
    tones = np.stack([top, (top + low) / 2])[:, None].astype(np.uint8)
    image = Image.fromarray(tones).resize((side, side), Image.Resampling.BILINEAR)
    if rng.random() < 0.6:
        image.paste(tuple(floor.tolist()), (0, int(rng.uniform(0.6, 0.85) * side), side, side))
    return image


def _palette(rng):
    """The colours of the roles: uint8 (8, 3). The wall's is not used."""
    pick = lambda colours: colours[rng.integers(len(colours))]
    black, (coat, second) = pick(_BLACKS), rng.permutation(_COATS)[:2]
    colours = (black, black, black, pick(_WHITES), coat, second, pick(_ACCENTS), _BLUSH)
    return np.clip(colours + rng.normal(0, 7, (len(_ROLES), 3)), 0, 255).astype(np.uint8)


def _lit(rng, pixels):
    """uint8 (size, size, 3) under a tinted lamp that stands to one side, with film grain."""
    size = len(pixels)
    across = np.linspace(-1, 1, size)[:, None]
    slope_x, slope_y = rng.uniform(-_SLOPE, _SLOPE, 2)
    light = 1 + slope_x * across + slope_y * across[:, None]                 # (size, size, 1)
    light = light * rng.uniform(0.85, 1.15) * rng.normal(1, 0.06, 3)         # (size, size, 3)
    grain = rng.uniform(*_GRAIN) * rng.standard_normal((size, size, 1))
    return np.clip(pixels * light + grain, 0, 255).astype(np.uint8)


def _picture(kinds, rng, size):
    side = max(192, 3 * size)
    image = _wall(rng, side)
    roles = _subject(rng, kinds[rng.choice(list(kinds))], side)
    roles[_pattern(rng, side) & (roles == _ROLES.index("coat"))] = _ROLES.index("second")
    _add_rim(roles, rng.uniform(*_WHITE))
    for role in ("accent", "blush"):
        _add_dots(rng, roles, _ROLES.index(role), rng.uniform(*_BRIGHT))
    sticker = Image.fromarray(_palette(rng)[roles])
    image.paste(sticker, mask=Image.fromarray(np.where(roles, 255, 0).astype(np.uint8)))
    image = image.resize((size, size), Image.Resampling.LANCZOS)
    image = image.filter(ImageFilter.GaussianBlur(rng.uniform(*_FOCUS) * size))
    return Image.fromarray(_lit(rng, np.asarray(image)))


def draw_cat(rng, size=64):
    """A cat in one of the poses of ``_CATS``: an RGB image of (size, size) pixels."""
    return _picture(_CATS, rng, size)


def draw_other(rng, size=64):
    """Something that is no cat, one of the kinds of ``_OTHERS``: an RGB image."""
    return _picture(_OTHERS, rng, size)


_CLASSES = {"cats": draw_cat, "other": draw_other}


def write_drawings(folder, count=400, size=64, seed=0):
    """Draw ``count`` cats and ``count`` other things into an image folder; its path.

        folder/cats/0000.png ...    folder/other/0000.png ...    folder/drawings.json

    A picture depends on (seed, class, index) only. The folder appears complete or not at all.
    One that is there already, complete and of the same count, size and seed, is left as it is;
    ``DataError`` if it holds anything else.
    """
    for name, value, least in (("count", count, 1), ("size", size, 1), ("seed", seed, 0)):
        if not isinstance(value, int | np.integer) or value < least:
            raise ValueError(f"{name} must be a whole number from {least} up; got {value!r}")
    order = {"version": _VERSION, "count": int(count), "size": int(size), "seed": int(seed)}
    target = Path(folder).resolve()
    part = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        if not _is_complete(target, order):
            _write(part, order)
            if target.exists(): target.rmdir()         # it is empty
            os.rename(part, target)
    except OSError as error:
        raise DataError(f"cannot write drawings to {folder}: {error}", folder) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return Path(folder)


def _write(folder, order):
    for number, name in enumerate(_CLASSES):
        (folder / name).mkdir(parents=True)
        for index in range(order["count"]):
            rng = np.random.default_rng([order["seed"], number, index])
            _CLASSES[name](rng, order["size"]).save(folder / name / f"{index:04d}.png")
    (folder / _RECORD).write_text(json.dumps(order), encoding="utf-8")


def _is_complete(folder, order):
    """Whether the folder holds what was ordered; False if there is nothing, else DataError."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return False
    try:
        found = json.loads((folder / _RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = None
    paths = [folder / name / f"{i:04d}.png" for name in _CLASSES for i in range(order["count"])]
    lost = sum(not path.is_file() or not path.stat().st_size for path in paths)
    if found == order and not lost: return True
    holds = (f"lacks {lost} of the pictures" if found == order else
             f"holds drawings of {found}" if found else "holds something else")
    raise DataError(f"drawings of {order} were to be written to {folder}, which {holds}: name "
                    "a folder that does not exist yet, or delete this one", folder)

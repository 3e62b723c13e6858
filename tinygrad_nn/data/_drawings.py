"""Drawn pictures, cats and other things, for a fresh machine that holds no photos.

A picture is a sticker with a white rim on a dark wall. This file may know NumPy and Pillow, and
nothing of tensors, networks or how a folder of pictures is read.

Only shape may tell the classes apart. Both draw wall, colours, coat pattern, place, tilt, light
and grain from the same functions, and the shares of the picture that are subject, outline,
white and bright from the same ranges: outline and rim are drawn just as wide, and dots added
just as large, as that takes. Without this a colour histogram told 88 % of the pictures apart.
Rim and dark walls make a contour bright on dark whatever the coat: with light walls and no rim
the plain network of the cat classifier still made 16 % errors after 2,500 steps.
"""

import json
import math
import operator
import os
import secrets
import shutil
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from tinygrad_nn._errors import DataError

_CLASSES = ("cats", "other")
_RECORD = "drawings.json"
_VERSION = 1             # raise it whenever the same seed would draw something else

_OVERSAMPLE = 4          # drawn this much larger, then reduced with Lanczos
_LARGEST = 0.9           # share of the side that a subject may span
_PLACE = (0.47, 0.53)    # where its middle lies, across and down
_TILT = 0.05             # standard deviation of its turn (radians), shear and stretch
_SUBJECT = (0.26, 0.33)  # share of the picture that it covers
_DARK = (0.07, 0.10)     # share of outlines and black; and so on
_WHITE = (0.09, 0.15)
_BRIGHT = (0.012, 0.022)

_ROLES = ("wall", "line", "black", "white", "coat", "second", "accent", "blush")
_COATS = ((232, 150, 78), (240, 214, 172), (156, 154, 160), (118, 128, 150), (160, 112, 80),
          (112, 82, 70), (78, 74, 86), (246, 242, 234), (200, 172, 150), (214, 118, 84))
_ACCENTS = ((128, 194, 98), (246, 206, 76), (104, 178, 226), (240, 164, 66), (120, 206, 186))
_WALLS = ((62, 78, 110), (52, 96, 104), (86, 74, 116), (68, 100, 76), (112, 76, 84),
          (94, 84, 70), (44, 66, 84), (34, 40, 62), (78, 108, 112), (52, 34, 46), (36, 52, 44))
_BLACKS = ((58, 44, 52), (40, 38, 58), (76, 54, 44), (30, 28, 32))
_WHITES = ((252, 250, 246), (248, 236, 214), (226, 236, 244))
_BLUSH = (242, 156, 160)


def _oval(x, y, a, b=None, turn=0.0):
    """(36, 2) points of an ellipse about (x, y), half axes a and b, turned by turn radians."""
    t = np.linspace(0, 2 * np.pi, 36, endpoint=False)
    u, v = a * np.cos(t), (a if b is None else b) * np.sin(t)
    c, s = math.cos(turn), math.sin(turn)
    return np.stack([x + c * u - s * v, y + s * u + c * v], axis=1)


def _smooth(*points, closed=True):
    """A Catmull-Rom curve through n points: (8 n, 2), or (8 n - 7, 2) if it is open."""
    p = np.asarray(points, float)
    p = np.concatenate([p[-1:], p, p[:2]] if closed else [p[:1], p, p[-1:]])
    p0, p1, p2, p3 = p[:-3], p[1:-2], p[2:-1], p[3:]
    t = np.linspace(0, 1, 8, endpoint=False)[:, None, None]
    curve = p1 + t / 2 * (p2 - p0 + t * (2 * p0 - 5 * p1 + 4 * p2 - p3
                                         + t * (3 * (p1 - p2) + p3 - p0)))
    curve = curve.transpose(1, 0, 2).reshape(-1, 2)
    return curve if closed else np.concatenate([curve, p[-2:-1]])


def _even(*points):
    """``_smooth`` through points given from top to bottom at x >= 0, and their mirror images."""
    return _smooth(*points, *[(-x, y) for x, y in points[::-1] if x > 0])


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
    return n * math.copysign(2, area) / np.maximum(np.sum(n * n, 1, keepdims=True), 0.5)


class _Pen:
    """Collects strokes: (points (n, 2), role, whether outlined, marks).

    A stroke is a closed shape, or an open line if its role is "line". Marks are shapes of the
    second colour, cut off where the stroke's shape ends.
    """

    def __init__(self, rng):
        self.rng, self.strokes, self.origin = rng, [], np.zeros(2)
        self.pattern = rng.choice(("plain", "stripes", "patches", "bib", "dots"))

    def fill(self, points, role="coat", edge=True, marks=()):
        points = np.asarray(points, float) + self.origin
        self.strokes.append((points, role, edge, [m + self.origin for m in marks]))

    def line(self, *points):
        self.fill(_smooth(*points, closed=False), "line")

    def tube(self, width, *points, role="coat"):
        """A limb or a tail."""
        self.fill(_ribbon(_smooth(*points, closed=False), width), role)

    def pair(self, points, role="coat", edge=True):
        """A shape and its mirror image about x = 0."""
        for side in (-1, 1):
            self.fill(np.asarray(points, float) * (side, 1), role, edge)

    def fur(self, points):
        """A closed shape that wears the picture's coat pattern."""
        points = np.asarray(points, float)
        low, span = points.min(0), np.ptp(points, axis=0)
        self.fill(points, marks=[mark * span + low for mark in self._marks()])

    def _marks(self):
        """The coat pattern of a shape that fills the unit square."""
        if self.pattern == "stripes":
            return [_oval(x, 0.02, 0.045, 0.42) for x in (0.14, 0.38, 0.62, 0.86)]
        if self.pattern == "patches":
            return [_oval(x, y, 0.3, 0.26) for x, y in self.rng.uniform(0, 1, (2, 2))]
        if self.pattern == "bib":
            return [_oval(0.5, 1.0, 0.3, 0.5)]
        if self.pattern == "dots":
            return [_oval(x, y, 0.07) for x, y in self.rng.uniform(0, 1, (8, 2))]
        return []


# Heads, of radius 1 about (0, 0); y points down.

def _eyes(pen, y, gap, r):
    for x in (-gap, gap):
        pen.fill(_oval(x, y, r, 1.1 * r), "accent")
        pen.fill(_oval(x, y, 0.5 * r, 0.9 * r), "black", False)
        pen.fill(_oval(x + 0.22 * r, y - 0.4 * r, 0.26 * r), "white", False)


def _cat_head(pen, y=0.0, shut=False):
    pen.origin = np.array((0, y))
    pen.pair([(0.98, -0.05), (0.92, -1.32), (0.18, -0.7)])
    pen.pair([(0.86, -0.35), (0.82, -1.02), (0.4, -0.68)], "blush", False)
    pen.fur(_even((0, -0.84), (0.55, -0.76), (0.98, -0.2), (1.12, 0.3), (0.62, 0.74), (0, 0.84)))
    if not shut: _eyes(pen, 0.0, 0.46, 0.24)
    pen.pair(_oval(0.19, 0.48, 0.24, 0.18), "white", False)
    for side in (-1, 1):
        if shut: pen.line((side * 0.66, -0.02), (side * 0.44, 0.12), (side * 0.22, -0.02))
        pen.line((side * 0.62, 0.46), (side * 1.5, 0.32))
        pen.line((side * 0.62, 0.5), (side * 1.5, 0.56))
        pen.line((0, 0.44), (side * 0.1, 0.58), (side * 0.26, 0.56))
    pen.fill([(-0.14, 0.26), (0.14, 0.26), (0, 0.43)], "blush")
    pen.origin = np.zeros(2)


def _dog_head(pen):
    pen.fur(_even((0, -0.95), (0.6, -0.84), (0.86, -0.2), (0.8, 0.45), (0.5, 0.9), (0, 1.0)))
    _eyes(pen, -0.2, 0.36, 0.24)
    pen.fill(_oval(0, 0.86, 0.2, 0.34), "blush")
    pen.fill(_oval(0, 0.42, 0.46, 0.34), "white")
    pen.fill(_oval(0, 0.2, 0.22, 0.15), "black", False)
    pen.line((-0.3, 0.56), (0, 0.62), (0.3, 0.56))
    pen.pair(_smooth((0.5, -0.86), (0.98, -0.8), (1.3, 0.1), (1.14, 0.62), (0.86, 0.3),
                     (0.78, -0.3)), "second")


def _sitting(pen, head, tail):
    """A body seen from the front, for cat and dog alike."""
    pen.tube(0.34, (0.5, 2.0), (1.3, 2.05), *tail)
    pen.fur(_even((0, 0.4), (0.6, 0.7), (0.9, 1.4), (0.98, 2.0), (0, 2.2)))
    for x in (-0.1, 0.1):
        pen.line((x, 1.3), (x, 2.0))
    pen.pair(_oval(0.32, 2.12, 0.32, 0.2), "white")
    head(pen)


# Cats.

def _cat_walking(pen):
    pen.tube(0.36, (2.5, 0.8), (2.95, 0.2), (2.8, -0.5), (3.05, -0.85))
    for x in (0.6, 1.1, 1.9, 2.4):
        pen.tube(0.44, (x, 1.2), (x - 0.1, 1.9))
    pen.fur(_smooth((0.2, 0.2), (1.3, 0.3), (2.4, 0.2), (2.75, 0.9), (2.5, 1.5), (1.4, 1.5),
                    (0.5, 1.5), (0.1, 1.0)))
    _cat_head(pen)


def _cat_lying(pen):
    pen.fur(_smooth((-0.9, 0.9), (0.0, 0.1), (1.3, -0.1), (2.2, 0.4), (2.4, 1.3), (1.0, 1.5),
                    (-0.6, 1.45)))
    pen.tube(0.34, (2.2, 1.2), (1.6, 1.55), (0.8, 1.3))
    for x in (-0.55, 0.35):
        pen.fill(_oval(x, 1.4, 0.34, 0.2), "white")
    _cat_head(pen)


def _cat_asleep(pen):
    pen.fur(_oval(0.9, 0.35, 1.6, 1.25))
    pen.tube(0.42, (2.2, 1.0), (1.4, 1.5), (0.4, 1.55), (-0.6, 1.4))
    _cat_head(pen, 0.4, shut=True)


def _cat_in_box(pen):
    _cat_head(pen)
    pen.fill([(-1.35, 0.95), (1.35, 0.95), (1.2, 2.1), (-1.2, 2.1)], "second")
    pen.fill([(-1.35, 0.95), (1.35, 0.95), (1.5, 1.25), (-1.5, 1.25)], "second")
    pen.pair(_oval(0.6, 1.0, 0.27, 0.22))


_CATS = {
    "face": _cat_head, "walking": _cat_walking, "lying": _cat_lying, "asleep": _cat_asleep,
    "in a box": _cat_in_box,
    "sitting": lambda pen: _sitting(pen, _cat_head, [(1.6, 1.5), (1.4, 1.0)]),
}


# Other things.

def _rabbit(pen):
    pen.pair(_oval(0.42, -1.25, 0.34, 0.85, 0.15))
    pen.pair(_oval(0.42, -1.2, 0.14, 0.42, 0.15), "blush", False)
    pen.fur(_oval(0, 1.3, 1.05, 0.85))
    pen.fill(_oval(0, 1.45, 0.4, 0.45), "white", False)
    pen.fur(_oval(0, 0, 1.05, 0.85))
    _eyes(pen, -0.1, 0.46, 0.24)
    pen.fill([(-0.12, 0.46), (0.12, 0.46), (0.12, 0.68), (-0.12, 0.68)], "white")
    pen.fill([(-0.14, 0.2), (0.14, 0.2), (0, 0.4)], "blush")
    pen.pair(_oval(0.55, 2.1, 0.42, 0.2))


def _fish(pen):
    pen.fill(_smooth((1.2, 0), (2.1, -0.9), (1.9, 0), (2.1, 0.9)), "second")
    pen.fill(_smooth((-0.4, -0.7), (0.2, -1.35), (0.9, -0.6)), "accent")
    pen.fur(_smooth((-1.6, 0.1), (-1.1, -0.7), (-0.2, -1.0), (0.8, -0.7), (1.5, 0), (0.8, 0.7),
                    (-0.2, 1.0), (-1.1, 0.75)))
    pen.line((-0.6, -0.7), (-0.4, 0), (-0.6, 0.75))
    pen.fill(_smooth((0.0, 0.1), (0.6, -0.1), (0.7, 0.5)), "blush")
    pen.fill(_oval(-1.0, -0.15, 0.28), "white")
    pen.fill(_oval(-1.03, -0.15, 0.15), "black", False)
    pen.line((-1.6, 0.2), (-1.2, 0.3))


def _bird(pen):
    for x in (-0.2, 0.3):
        pen.line((x, 0.9), (x, 1.5))
        pen.line((x - 0.25, 1.6), (x, 1.5), (x + 0.2, 1.6))
    pen.fill([(0.9, 0.0), (2.0, -0.3), (1.9, 0.4), (1.0, 0.7)], "second")
    pen.fur(_smooth((-1.1, -0.7), (-0.6, -1.25), (0.0, -0.9), (0.5, -0.4), (1.3, 0.2), (0.8, 0.9),
                    (-0.2, 1.1), (-0.95, 0.5)))
    pen.fill([(-1.0, -0.95), (-1.7, -0.5), (-1.0, -0.35)], "accent")
    pen.fill(_smooth((-0.2, 0.0), (0.5, 0.0), (1.2, 0.4), (0.3, 0.7)), "second")
    pen.fill(_oval(-0.6, -0.3, 0.26, 0.2), "blush", False)
    pen.fill(_oval(-0.55, -0.75, 0.26), "white")
    pen.fill(_oval(-0.58, -0.75, 0.14), "black", False)


def _house(pen):
    pen.fill([(0.5, -1.3), (0.95, -1.3), (0.95, -0.3), (0.5, -0.3)], "blush")
    pen.fur([(-1.1, -0.3), (1.1, -0.3), (1.1, 1.4), (-1.1, 1.4)])
    pen.fill([(-1.4, -0.3), (0, -1.5), (1.4, -0.3)], "second")
    pen.fill([(-0.25, 0.5), (0.25, 0.5), (0.25, 1.4), (-0.25, 1.4)], "white")
    pen.pair([(0.5, 0.1), (0.9, 0.1), (0.9, 0.55), (0.5, 0.55)], "accent")


def _tree(pen):
    pen.fill([(-0.28, 0.6), (0.28, 0.6), (0.45, 1.7), (-0.45, 1.7)], "second")
    pen.fur(_even((0, -1.5), (0.55, -1.35), (0.7, -0.95), (1.2, -0.8), (1.2, -0.1), (1.4, 0.3),
                  (1.0, 0.8), (0.5, 0.65), (0, 0.9)))
    pen.pair(_oval(0.65, -0.3, 0.19), "accent")
    for x, y in ((0.1, -0.95), (-0.2, 0.2), (0.75, 0.4)):
        pen.fill(_oval(x, y, 0.19), "blush")


def _car(pen):
    pen.fill(_smooth((-1.0, 0), (-0.7, -0.9), (0.2, -1.0), (0.9, -0.8), (1.2, 0)), "second")
    pen.fill([(-0.7, -0.05), (-0.5, -0.6), (0.05, -0.65), (0.05, -0.05)], "white")
    pen.fill([(0.25, -0.05), (0.25, -0.65), (0.7, -0.55), (0.95, -0.05)], "white")
    pen.fur(_smooth((-1.8, 0.8), (-1.7, 0.1), (-1.0, -0.1), (1.0, -0.1), (1.8, 0.1), (1.8, 0.8),
                    (0, 0.95)))
    pen.fill(_oval(-1.65, 0.3, 0.2), "accent")
    pen.fill(_oval(1.7, 0.3, 0.17), "blush")
    pen.pair(_oval(1.0, 0.85, 0.42), "black")
    pen.pair(_oval(1.0, 0.85, 0.28), "second", False)


def _flower(pen):
    pen.tube(0.24, (0, 0.4), (0.15, 1.2), (0, 2.0), role="second")
    pen.fur(_smooth((0.1, 1.9), (0.5, 1.3), (1.2, 1.1), (0.8, 1.7)))
    for k in range(6):
        a = k * np.pi / 3
        pen.fur(_oval(0.75 * np.cos(a), 0.75 * np.sin(a), 0.58, 0.42, a))
    pen.fill(_oval(0, 0, 0.4), "accent")
    pen.fill(_oval(0, 0, 0.24), "blush", False)


def _mug(pen):
    pen.tube(0.28, (0.9, -0.5), (1.6, -0.4), (1.6, 0.4), (0.9, 0.6))
    pen.fur(_smooth((-1.0, -0.9), (1.0, -0.9), (1.0, 0.2), (0.85, 1.05), (-0.85, 1.05),
                    (-1.0, 0.2)))
    pen.fill(_oval(0, -0.88, 1.0, 0.22), "white")
    pen.fill(_even((0, -0.15), (0.26, -0.28), (0.36, 0.0), (0, 0.4)), "blush")


def _boat(pen):
    pen.line((0, -1.7), (0, 0.5))
    pen.fill([(0, -1.9), (0.6, -1.75), (0, -1.6)], "accent")
    pen.fill([(0.1, -1.4), (1.3, 0.2), (0.1, 0.2)], "second")
    pen.fill([(-0.1, -1.2), (-1.0, 0.2), (-0.1, 0.2)], "coat")
    pen.fur([(-1.6, 0.4), (1.6, 0.4), (1.1, 1.4), (-1.1, 1.4)])
    for x in (-0.6, 0, 0.6):
        pen.fill(_oval(x, 0.8, 0.2), "white" if x else "blush")


def _mushroom(pen):
    pen.fill(_smooth((-0.4, 0.0), (0.4, 0.0), (0.55, 1.4), (-0.55, 1.4)), "second")
    pen.fur(_even((0, -1.2), (1.0, -0.7), (1.3, 0.3), (0, 0.4)))
    for x, y in ((-0.7, -0.2), (0.1, -0.7), (0.7, -0.1)):
        pen.fill(_oval(x, y, 0.26, 0.2), "accent" if x < 0.5 else "blush")


_OTHERS = {
    "dog": lambda pen: _sitting(pen, _dog_head, [(1.6, 1.6)]), "dog's face": _dog_head,
    "rabbit": _rabbit, "fish": _fish, "bird": _bird, "house": _house, "tree": _tree, "car": _car,
    "flower": _flower, "mug": _mug, "boat": _boat, "mushroom": _mushroom,
}


# From strokes to a picture.

def _moved(strokes, matrix, shift):
    """Strokes with points ``p @ matrix + shift``."""
    return [(p @ matrix + shift, role, edge, [m @ matrix + shift for m in marks])
            for p, role, edge, marks in strokes]


def _mask(shapes, side):
    mask = Image.new("L", (side, side))
    for shape in shapes:
        ImageDraw.Draw(mask).polygon(shape.ravel().tolist(), fill=255)
    return mask


def _roles(strokes, line, side):
    """Strokes, in pixels, with outlines ``line`` wide: uint8 (side, side), indices of _ROLES."""
    image = Image.new("L", (side, side))
    pen = ImageDraw.Draw(image)
    for points, role, edge, marks in strokes:
        if role == "line":
            points = _ribbon(points, line)
        elif edge:
            grow = _outwards(points) * line / 2
            pen.polygon((points + grow).ravel().tolist(), fill=_ROLES.index("line"))
            points = points - grow
        pen.polygon(points.ravel().tolist(), fill=_ROLES.index(role))
        if marks:
            inside = ImageChops.multiply(_mask(marks, side), _mask([points], side))
            image.paste(_ROLES.index("second"), mask=inside)
    return np.array(image)


def _subject(rng, strokes, side):
    """The roles of a subject with its place, tilt, mirroring, area and outline drawn."""
    turn, shear, stretch = rng.normal(0, _TILT, 3)
    c, s = math.cos(turn), math.sin(turn)
    matrix = np.array([(rng.choice((-1, 1)), 0), (0, 1)]) @ [(1, 0), (shear, 1)]
    matrix = matrix @ [(c, s), (-s, c)] @ np.diag([1 + stretch, 1 - stretch])
    strokes = _moved(strokes, matrix, 0)
    points = np.concatenate([stroke[0] for stroke in strokes])
    low, high = points.min(0), points.max(0)
    unit = np.max(high - low) / 94
    rough = _moved(strokes, np.eye(2) / unit, 3 - low / unit)
    _, lines, black, *rest = np.bincount(_roles(rough, 2, 100).ravel(), minlength=len(_ROLES))
    area, dark, place = rng.uniform(*_SUBJECT), rng.uniform(*_DARK), rng.uniform(*_PLACE, 2)
    scale = side * min(math.sqrt(area / (lines + black + sum(rest))), _LARGEST / 94)
    line = 2 * scale * np.clip((dark * side**2 / scale**2 - black) / lines, 0.5, 1.5)
    shift = place * side - scale / unit * (low + high) / 2
    return _roles(_moved(strokes, np.eye(2) * scale / unit, shift), line, side)


def _add_rim(roles, share):
    """Surround the subject in white until ``share`` of the picture is white."""
    free = roles == 0
    mask = Image.fromarray(np.where(free, 0, 255).astype(np.uint8))
    soft = np.asarray(mask.filter(ImageFilter.GaussianBlur(0.03 * len(roles))))
    lack = share * roles.size - np.count_nonzero(roles == _ROLES.index("white"))
    level = 255 - np.searchsorted(np.cumsum(np.bincount(soft[free], minlength=256)[::-1]), lack)
    roles[free & (soft >= level)] = _ROLES.index("white")


def _add_dots(rng, roles, role, share):
    """Scatter dots on the wall until about ``share`` of the picture has this role."""
    side, number = len(roles), int(rng.integers(2, 5))
    lack = share * roles.size - np.count_nonzero(roles == _ROLES.index(role))
    r = round(math.sqrt(max(lack, 0) / number / np.pi))
    y, x = np.ogrid[-r:r + 1, -r:r + 1]
    for _ in range(60):
        top, left = rng.integers(0, side - 2 * r, 2)
        spot = roles[top:top + 2 * r + 1, left:left + 2 * r + 1]
        if number and not spot.any():
            spot[x * x + y * y <= r * r] = _ROLES.index(role)
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
    coat, second = rng.choice(len(_COATS), 2, replace=False)
    black, white = _BLACKS[rng.integers(len(_BLACKS))], _WHITES[rng.integers(len(_WHITES))]
    colours = (black, black, black, white, _COATS[coat], _COATS[second],
               _ACCENTS[rng.integers(len(_ACCENTS))], _BLUSH)
    return np.clip(colours + rng.normal(0, 8, (len(_ROLES), 3)), 0, 255).astype(np.uint8)


def _picture(kinds, rng, size):
    side = size * _OVERSAMPLE
    image = _wall(rng, side)
    pen = _Pen(rng)
    kinds[rng.choice(sorted(kinds))](pen)
    roles = _subject(rng, pen.strokes, side)
    _add_rim(roles, rng.uniform(*_WHITE))
    for role in ("accent", "blush"):
        _add_dots(rng, roles, role, rng.uniform(*_BRIGHT))
    image.paste(Image.fromarray(_palette(rng)[roles]), mask=Image.fromarray(
        np.where(roles, 255, 0).astype(np.uint8)))
    image = image.resize((size, size), Image.Resampling.LANCZOS)
    light = rng.uniform(0.8, 1.1) * rng.normal(1, 0.03, 3)
    grain = rng.normal(0, 3, (size, size, 1))
    return Image.fromarray(np.clip(np.asarray(image) * light + grain, 0, 255).astype(np.uint8))


def draw_cat(rng, size=64):
    """A cat in one of the poses of ``_CATS``: an RGB image of (size, size) pixels."""
    return _picture(_CATS, rng, size)


def draw_other(rng, size=64):
    """Something that is no cat, one of the kinds of ``_OTHERS``: an RGB image."""
    return _picture(_OTHERS, rng, size)


def write_drawings(folder, count=400, size=64, seed=0):
    """stub"""

"""Drawn pictures, cats and other things, for a fresh machine that holds no photos.

A picture is a sticker on a wall: a subject (a list of strokes in free coordinates) with a white
rim, on a background. This file may know NumPy and Pillow, and nothing of tensors, networks or
how a folder of pictures is read.

Only shape may tell the classes apart, so both draw background, palette, coat pattern, inked
area, place, tilt, brightness and grain from the same functions. The rim and the dark walls are
for the network: with light walls and no rim a coat is now lighter, now darker than the wall, and
the plain network of the cat classifier needed over 2,500 steps for 84 %.
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

_OVERSAMPLE = 4          # drawn this much larger, then reduced with Lanczos
_LINE = 0.021            # width of an outline, as a share of the picture's side
_RIM = 0.02              # width of the white rim, likewise
_AREA = (0.27, 0.36)     # share of the picture that a subject covers
_LARGEST = 0.9           # share of the side that it may span
_PLACE = (0.45, 0.55)    # where its middle lies, across and down
_TILT = 0.06             # standard deviation of its turn (radians), shear and stretch
_CLASSES = ("cats", "other")
_RECORD = "drawings.json"
_VERSION = 1             # raise it whenever the same seed would draw something else

_COATS = ((232, 150, 78), (240, 214, 172), (156, 154, 160), (118, 128, 150), (160, 112, 80),
          (112, 82, 70), (78, 74, 86), (246, 242, 234), (200, 172, 150), (214, 118, 84))
_ACCENTS = ((128, 194, 98), (246, 206, 76), (104, 178, 226), (240, 164, 66), (120, 206, 186))
_WALLS = ((62, 78, 110), (52, 96, 104), (86, 74, 116), (68, 100, 76), (112, 76, 84),
          (94, 84, 70), (44, 66, 84), (104, 92, 112), (78, 108, 112), (84, 62, 78))
_FIXED = {"line": (58, 44, 52), "white": (252, 250, 246), "blush": (242, 156, 160)}


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
    """Collects strokes (points (n, 2), fill, edge, marks); fill and edge are names of colours.

    A stroke is a closed shape, or an open line if it has no fill. Marks are shapes of the
    second colour, cut off where the stroke's shape ends.
    """

    def __init__(self, rng):
        self.rng, self.strokes, self.origin = rng, [], np.zeros(2)
        self.pattern = rng.choice(("plain", "stripes", "patches", "bib", "dots"))

    def fill(self, points, colour="coat", edge="line", marks=()):
        points = np.asarray(points, float) + self.origin
        self.strokes.append((points, colour, edge, [m + self.origin for m in marks]))

    def line(self, *points):
        self.fill(_smooth(*points, closed=False), None)

    def tube(self, width, *points, colour="coat"):
        """A limb or a tail."""
        self.fill(_ribbon(_smooth(*points, closed=False), width), colour)

    def pair(self, points, colour="coat", edge="line"):
        """A shape and its mirror image about x = 0."""
        for side in (-1, 1):
            self.fill(np.asarray(points, float) * (side, 1), colour, edge)

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
        pen.fill(_oval(x, y, 0.5 * r, 0.9 * r), "line", None)
        pen.fill(_oval(x + 0.22 * r, y - 0.4 * r, 0.26 * r), "white", None)


def _cat_head(pen, x=0.0, y=0.0, shut=False):
    pen.origin = np.array((x, y))
    pen.pair([(0.98, -0.05), (0.92, -1.32), (0.18, -0.7)])
    pen.pair([(0.86, -0.35), (0.82, -1.02), (0.4, -0.68)], "blush", None)
    pen.fur(_even((0, -0.84), (0.55, -0.76), (0.98, -0.2), (1.12, 0.3), (0.62, 0.74), (0, 0.84)))
    if not shut: _eyes(pen, 0.0, 0.46, 0.24)
    pen.pair(_oval(0.19, 0.48, 0.24, 0.18), "white", None)
    for side in (-1, 1):
        if shut: pen.line((side * 0.66, -0.02), (side * 0.44, 0.12), (side * 0.22, -0.02))
        pen.line((side * 0.62, 0.46), (side * 1.5, 0.32))
        pen.line((side * 0.62, 0.5), (side * 1.5, 0.56))
        pen.line((0, 0.44), (side * 0.1, 0.58), (side * 0.26, 0.56))
    pen.fill([(-0.14, 0.26), (0.14, 0.26), (0, 0.43)], "blush")
    pen.origin = np.zeros(2)


def _dog_head(pen):
    pen.fur(_even((0, -0.95), (0.6, -0.84), (0.86, -0.2), (0.8, 0.45), (0.5, 0.9), (0, 1.0)))
    _eyes(pen, -0.2, 0.36, 0.2)
    pen.fill(_oval(0, 0.86, 0.17, 0.3), "blush")
    pen.fill(_oval(0, 0.42, 0.5, 0.4), "white")
    pen.fill(_oval(0, 0.2, 0.24, 0.16), "line", None)
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
    pen.tube(0.34, (2.5, 0.8), (3.0, 0.2), (2.9, -0.6), (3.15, -0.95))
    for x in (0.6, 1.1, 1.9, 2.4):
        pen.tube(0.42, (x, 1.2), (x - 0.1, 1.95))
    pen.fur(_smooth((0.2, 0.3), (1.3, 0.35), (2.4, 0.3), (2.75, 0.9), (2.5, 1.5), (1.4, 1.45),
                    (0.5, 1.5), (0.1, 1.0)))
    _cat_head(pen)


def _cat_lying(pen):
    pen.fur(_smooth((-0.9, 0.9), (0.0, 0.1), (1.3, -0.1), (2.2, 0.4), (2.4, 1.3), (1.0, 1.5),
                    (-0.6, 1.45)))
    pen.tube(0.34, (2.2, 1.2), (1.6, 1.55), (0.8, 1.3))
    pen.fill(_oval(-0.55, 1.4, 0.34, 0.2), "white")
    pen.fill(_oval(0.35, 1.4, 0.34, 0.2), "white")
    _cat_head(pen)


def _cat_asleep(pen):
    pen.fur(_oval(0.9, 0.35, 1.6, 1.25))
    pen.tube(0.42, (2.2, 1.0), (1.4, 1.5), (0.4, 1.55), (-0.6, 1.4))
    _cat_head(pen, 0, 0.4, shut=True)


def _cat_in_box(pen):
    _cat_head(pen)
    pen.fill([(-1.35, 0.95), (1.35, 0.95), (1.2, 2.1), (-1.2, 2.1)], "second")
    pen.fill([(-1.35, 0.95), (1.35, 0.95), (1.55, 1.3), (-1.55, 1.3)], "accent")
    pen.pair(_oval(0.6, 1.0, 0.27, 0.22))


_CATS = {
    "face": _cat_head, "walking": _cat_walking, "lying": _cat_lying, "asleep": _cat_asleep,
    "in a box": _cat_in_box,
    "sitting": lambda pen: _sitting(pen, _cat_head, [(1.6, 1.5), (1.4, 1.0)]),
}


# Other things.

def _rabbit(pen):
    pen.pair(_oval(0.42, -1.35, 0.32, 0.9, 0.15))
    pen.pair(_oval(0.42, -1.3, 0.16, 0.62, 0.15), "blush", None)
    pen.fur(_oval(0, 1.35, 0.95, 0.85))
    pen.fill(_oval(0, 1.5, 0.5, 0.55), "white", None)
    pen.fur(_oval(0, 0, 0.98, 0.85))
    _eyes(pen, -0.1, 0.42, 0.22)
    pen.fill([(-0.12, 0.46), (0.12, 0.46), (0.12, 0.68), (-0.12, 0.68)], "white")
    pen.fill([(-0.14, 0.2), (0.14, 0.2), (0, 0.4)], "blush")
    pen.pair(_oval(0.5, 2.15, 0.4, 0.2), "white")


def _fish(pen):
    pen.fill(_smooth((1.2, 0), (2.2, -0.9), (2.0, 0), (2.2, 0.9)), "second")
    pen.fill(_smooth((-0.3, -0.7), (0.3, -1.35), (0.9, -0.6)), "accent")
    pen.fur(_smooth((-1.6, 0.1), (-1.1, -0.6), (-0.2, -0.9), (0.8, -0.6), (1.5, 0), (0.8, 0.6),
                    (-0.2, 0.9), (-1.1, 0.65)))
    pen.line((-0.6, -0.7), (-0.4, 0), (-0.6, 0.75))
    pen.fill(_smooth((0.0, 0.1), (0.6, -0.1), (0.7, 0.5)), "blush")
    pen.fill(_oval(-1.0, -0.15, 0.26), "white")
    pen.fill(_oval(-1.03, -0.15, 0.13), "line", None)
    pen.line((-1.6, 0.2), (-1.2, 0.3))


def _bird(pen):
    for x in (-0.2, 0.3):
        pen.line((x, 0.9), (x, 1.5))
        pen.line((x - 0.25, 1.6), (x, 1.5), (x + 0.2, 1.6))
    pen.fill([(0.9, 0.1), (2.2, -0.3), (2.1, 0.3), (1.0, 0.6)], "second")
    pen.fur(_smooth((-1.1, -0.7), (-0.6, -1.2), (0.0, -0.9), (0.5, -0.3), (1.3, 0.2), (0.8, 0.9),
                    (-0.2, 1.1), (-0.95, 0.5)))
    pen.fill([(-1.05, -0.85), (-1.7, -0.5), (-1.05, -0.4)], "accent")
    pen.fill(_smooth((-0.2, 0.0), (0.5, 0.0), (1.2, 0.4), (0.3, 0.7)), "second")
    pen.fill(_oval(-0.65, -0.35, 0.2, 0.15), "blush", None)
    pen.fill(_oval(-0.6, -0.72, 0.2), "white")
    pen.fill(_oval(-0.63, -0.72, 0.1), "line", None)


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
    pen.pair(_oval(0.65, -0.3, 0.17), "accent")
    for x, y in ((0.1, -0.95), (-0.2, 0.2), (0.75, 0.4)):
        pen.fill(_oval(x, y, 0.17), "blush")


def _car(pen):
    pen.fill(_smooth((-1.0, 0), (-0.7, -0.8), (0.2, -0.9), (0.9, -0.7), (1.2, 0)), "second")
    pen.fill([(-0.7, -0.05), (-0.5, -0.6), (0.05, -0.65), (0.05, -0.05)], "white")
    pen.fill([(0.25, -0.05), (0.25, -0.65), (0.7, -0.55), (0.95, -0.05)], "white")
    pen.fur(_smooth((-1.9, 0.8), (-1.8, 0.1), (-1.0, -0.1), (1.0, -0.1), (1.9, 0.1), (2.0, 0.8),
                    (0, 0.85)))
    pen.fill(_oval(-1.75, 0.3, 0.18), "accent")
    pen.fill(_oval(1.8, 0.3, 0.15), "blush")
    pen.pair(_oval(1.08, 0.85, 0.42), "line")
    pen.pair(_oval(1.08, 0.85, 0.2), "white", None)


def _flower(pen):
    pen.tube(0.2, (0, 0.4), (0.15, 1.2), (0, 2.0), colour="second")
    pen.fur(_smooth((0.1, 1.9), (0.5, 1.3), (1.2, 1.1), (0.8, 1.7)))
    for k in range(6):
        a = k * np.pi / 3
        pen.fur(_oval(0.75 * np.cos(a), 0.75 * np.sin(a), 0.58, 0.42, a))
    pen.fill(_oval(0, 0, 0.48), "accent")
    pen.fill(_oval(0, 0, 0.2), "blush", None)


def _mug(pen):
    pen.tube(0.26, (0.9, -0.5), (1.6, -0.4), (1.6, 0.4), (0.9, 0.6))
    pen.fur(_smooth((-1.0, -0.9), (1.0, -0.9), (1.0, 0.2), (0.85, 1.05), (-0.85, 1.05),
                    (-1.0, 0.2)))
    pen.fill(_oval(0, -0.88, 1.0, 0.22), "white")
    pen.fill(_even((0, -0.15), (0.3, -0.35), (0.5, 0.0), (0, 0.6)), "blush")


def _ball(pen):
    pen.fur(_oval(0, 0, 1.2))
    pen.fill(_smooth((-0.3, -1.15), (0.3, -1.15), (0.5, 0), (0.3, 1.15), (-0.3, 1.15),
                     (-0.1, 0)), "accent")
    pen.fill(_oval(-0.55, -0.45, 0.25, 0.2), "white", None)


def _boat(pen):
    pen.line((0, -1.6), (0, 0.5))
    pen.fill([(0.1, -1.5), (1.3, 0.2), (0.1, 0.2)], "white")
    pen.fill([(-0.1, -1.2), (-1.1, 0.2), (-0.1, 0.2)], "accent")
    pen.fur([(-1.6, 0.4), (1.6, 0.4), (1.1, 1.2), (-1.1, 1.2)])
    for x in (-0.6, 0, 0.6):
        pen.fill(_oval(x, 0.75, 0.17), "white")


def _mushroom(pen):
    pen.fill(_smooth((-0.4, 0.0), (0.4, 0.0), (0.5, 1.4), (-0.5, 1.4)), "white")
    pen.fur(_even((0, -1.2), (1.0, -0.7), (1.3, 0.3), (0, 0.4)))
    for x, y in ((-0.7, -0.2), (0.1, -0.7), (0.7, -0.1)):
        pen.fill(_oval(x, y, 0.24, 0.2), "accent")


_OTHERS = {
    "dog": lambda pen: _sitting(pen, _dog_head, [(1.6, 1.6)]), "dog's face": _dog_head,
    "rabbit": _rabbit, "fish": _fish, "bird": _bird, "house": _house, "tree": _tree, "car": _car,
    "flower": _flower, "mug": _mug, "ball": _ball, "boat": _boat, "mushroom": _mushroom,
}


# From strokes to a picture.

def _palette(rng):
    coat, second = rng.choice(len(_COATS), 2, replace=False)
    return dict(_FIXED, coat=_COATS[coat], second=_COATS[second],
                accent=_ACCENTS[rng.integers(len(_ACCENTS))])


def _blend(a, b, share):
    return tuple(round(x + share * (y - x)) for x, y in zip(a, b, strict=True))


def _background(rng, palette, side):
    """An RGB image (side, side): a wall of two tones, perhaps a floor and small ornaments."""
    wall, floor = (_WALLS[k] for k in rng.choice(len(_WALLS), 2, replace=False))
    tones = np.array([[_blend(wall, (0, 0, 0), rng.uniform(0, 0.25))],
                      [_blend(wall, floor, rng.uniform(0, 0.5))]], np.uint8)
    image = Image.fromarray(tones).resize((side, side), Image.Resampling.BILINEAR)
    pen = ImageDraw.Draw(image)
    if rng.random() < 0.6:
        pen.rectangle([0, rng.uniform(0.6, 0.85) * side, side, side], fill=floor)
    for _ in range(rng.integers(0, 9)):
        x, y = rng.uniform(0, side, 2)
        r = rng.uniform(0.01, 0.035) * side
        name = rng.choice(("accent", "blush", "white", "second"))
        pen.ellipse([x - r, y - r, x + r, y + r], fill=_blend(wall, palette[name], 0.7))
    return image


def _moved(strokes, matrix, shift):
    """Strokes with points ``p @ matrix + shift``."""
    return [(p @ matrix + shift, fill, edge, [m @ matrix + shift for m in marks])
            for p, fill, edge, marks in strokes]


def _layers(strokes, line):
    """Closed shapes (points, colour, marks), bottom up; outlines become shapes ``line`` wide."""
    for points, fill, edge, marks in strokes:
        if fill is None:
            yield _ribbon(points, line), edge, []
            continue
        grow = _outwards(points) * line / 2 if edge else 0
        if edge: yield points + grow, edge, []
        yield points - grow, fill, marks


def _mask(shapes, side):
    """A mask (side, side): 255 where one of the shapes, in pixels, is."""
    mask = Image.new("L", (side, side))
    for shape in shapes:
        ImageDraw.Draw(mask).polygon(shape.ravel().tolist(), fill=255)
    return mask


def _paint(image, layers, ink):
    for points, colour, marks in layers:
        ImageDraw.Draw(image).polygon(points.ravel().tolist(), fill=ink[colour])
        if marks:
            inside = ImageChops.multiply(_mask(marks, image.width), _mask([points], image.width))
            image.paste(ink["second"], mask=inside)


def _placed(rng, strokes, side):
    """Strokes in pixels of a (side, side) picture; area, place, tilt and mirroring drawn."""
    turn, shear, stretch = rng.normal(0, _TILT, 3)
    c, s = math.cos(turn), math.sin(turn)
    matrix = np.array([(rng.choice((-1, 1)), 0), (0, 1)]) @ [(1, 0), (shear, 1)]
    matrix = matrix @ [(c, s), (-s, c)] @ np.diag([1 + stretch, 1 - stretch])
    area, place = rng.uniform(*_AREA), rng.uniform(*_PLACE, 2)
    strokes = _moved(strokes, matrix, 0)
    points = np.concatenate([stroke[0] for stroke in strokes])
    low, high = points.min(0), points.max(0)
    unit = np.max(high - low) / 94
    rough = _layers(_moved(strokes, np.eye(2) / unit, 3 - low / unit), 2)
    covered = np.count_nonzero(_mask([layer[0] for layer in rough], 100)) * unit**2
    scale = min(math.sqrt(area / covered), _LARGEST / np.max(high - low))
    return _moved(strokes, np.eye(2) * scale * side, (place - scale * (low + high) / 2) * side)


def _picture(kinds, rng, size):
    side = size * _OVERSAMPLE
    palette = _palette(rng)
    image = _background(rng, palette, side)
    pen = _Pen(rng)
    kinds[rng.choice(sorted(kinds))](pen)
    layers = list(_layers(_placed(rng, pen.strokes, side), _LINE * side))
    rim = _mask([layer[0] / 2 for layer in layers], side // 2)
    rim = rim.filter(ImageFilter.GaussianBlur(_RIM * side / 2)).point(lambda v: 255 * (v > 24))
    image.paste(palette["white"], mask=rim.resize((side, side), Image.Resampling.BILINEAR))
    _paint(image, layers, palette)
    image = image.resize((size, size), Image.Resampling.LANCZOS)
    light, grain = rng.uniform(0.88, 1.08), rng.normal(0, 3, (size, size, 1))
    return Image.fromarray(np.clip(np.asarray(image) * light + grain, 0, 255).astype(np.uint8))


def draw_cat(rng, size=64):
    """A cat in one of the poses of ``_CATS``: an RGB image of (size, size) pixels."""
    return _picture(_CATS, rng, size)


def draw_other(rng, size=64):
    """Something that is no cat, one of the kinds of ``_OTHERS``: an RGB image."""
    return _picture(_OTHERS, rng, size)


def write_drawings(folder, count=500, size=64, seed=0):
    """Draw ``count`` cats and ``count`` other things into an image folder; return its path.

        folder/cats/0000.png ...    folder/other/0000.png ...    folder/drawings.json

    A picture depends on (seed, class, index) only. The folder appears complete or not at all,
    and one that is already complete with the same count, size and seed is used as it is.

    Raises DataError if the folder holds anything else.
    """
    order = {"what": "drawings by tinygrad_nn", "version": _VERSION,
             "count": _whole("count", count, 1), "size": _whole("size", size, 8),
             "seed": _whole("seed", seed, 0)}
    folder = Path(folder)
    target = folder.resolve()
    if _is_complete(target, order):
        return folder
    if not target.parent.is_dir():
        target.parent.mkdir(parents=True)
    part = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        for number, (name, draw) in enumerate(zip(_CLASSES, (draw_cat, draw_other), strict=True)):
            (part / name).mkdir(parents=True)
            for index in range(count):
                picture = draw(np.random.default_rng([seed, number, index]), size)
                picture.save(part / name / f"{index:04d}.png")
        (part / _RECORD).write_text(json.dumps(order, indent=1) + "\n", encoding="utf-8")
        os.rename(part, target)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder


def _whole(name, value, least):
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or number < least:
        raise ValueError(f"{name} must be a whole number from {least} up, got {value!r} "
                         f"({type(value).__name__})")
    return number


def _is_complete(folder, order):
    return False

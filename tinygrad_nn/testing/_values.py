"""The numbers that arrays are drawn from: readable, inside a domain, in general position.

A number in *general position* is at least 0.05 from 0 and from every integer and half, and no
two of them are equal, opposite, or one a multiple of the other: so nothing lies at a kink, a
tie or a jump (also of ``remainder``) unless it was asked for. Special points are the opposite,
and are mixed in on purpose.

Each element is an index of its own into a list that begins with the most readable numbers, and
not the output of a seeded generator: hypothesis shrinks every element by itself. It is drawn as
two bytes: one draw for all elements takes a tenth of the time of one for each.
"""

import functools

import numpy as np
from hypothesis import strategies as st

BOUNDS = {"real": (-3.0, 3.0), "nonzero": (-3.0, 3.0), "distinct": (-3.0, 3.0),
          "positive": (0.2, 3.0), "nonnegative": (0.2, 3.0), "unit": (-0.9, 0.9),
          "above1": (1.2, 4.0)}
INSIDE = {"real": lambda x: True, "nonzero": lambda x: x != 0,
          "distinct": lambda x: str(x) not in ("-0.0", "0.25"),     # 0.0 and any number tie
          "positive": lambda x: x > 0, "nonnegative": lambda x: x >= 0,
          "unit": lambda x: abs(x) < 1, "above1": lambda x: x > 1}
# zeros, integers, halves; 0.25 is one for ties; "tiny" is the smallest number of the dtype
SPECIAL = (0.0, 1.0, 0.5, -1.0, 2.0, -0.5, 1.5, -0.0, 0.25, "tiny", "-tiny", 1e30, -1e30)
FEW = 16                        # that many elements find numbers of two decimals
MOST = 256                      # beyond, numbers run out, and so does a reader's patience


@functools.cache
def grid(domain, decimals):
    """The magnitudes of a domain with so many decimals, the most readable first."""
    low, high = BOUNDS[domain]
    one = 10 ** decimals
    k = np.arange(round(max(low, 0) * one), round(high * one) + 1)
    half = np.abs((k + one // 4) % (one // 2) - one // 4)       # distance to a multiple of 0.5
    numbers = (k[half >= 0.05 * one] / one).tolist()
    return np.array(sorted(numbers, key=lambda x: (x % 0.5 != 0.25, len(repr(x)), x)))


def special_points(domain, dtype, points):
    """Those of some special points that are inside a domain, as numbers of a dtype."""
    tiny = float(np.finfo(dtype).smallest_subnormal)
    points = [{"tiny": tiny, "-tiny": -tiny}.get(p, p) for p in points]
    return list(filter(INSIDE[domain], points))


class Pool:
    """Draws the elements of several arrays so that all of them together are in general
    position, except for the special points, a few of which all arrays share.

    ``special``: True or False, or the points. Where there are ``several`` arrays, none is a
    denormal: the product of two is 0.
    """

    def __init__(self, draw, dtype, special, several=False):
        self.draw, self.dtype = draw, np.dtype(dtype)
        self.read = lambda n: draw(_bytes(n))
        self.used, self.palettes = np.zeros(0), {}
        points = SPECIAL if special is True else special or ()
        self.points = [p for p in points if not (several and p in ("tiny", "-tiny"))]
        self.all = special is not True

    def palette(self, domain):
        """A few special points for all arrays of a domain: each is likely to be met more than
        once, so that there are ties within an array and between two."""
        if domain not in self.palettes:
            self.palettes[domain] = self._points(domain)
        return list(self.palettes[domain])

    def _points(self, domain):
        points = special_points(domain, self.dtype, self.points)
        if self.all:
            return points
        n = self.draw(st.integers(0, 3))
        return self.draw(st.lists(st.sampled_from(points), min_size=n, max_size=n,
                                  unique=domain == "distinct"))

    def numbers(self, domain, shape):
        """An array of numbers of a domain."""
        x = np.empty(shape, self.dtype)
        size = len(self.used) + x.size
        if size > MOST:
            raise ValueError(f"{size} elements in all: at most {MOST} are drawn, so that a "
                             "counterexample can be read. Draw smaller arrays")
        palette, signed = self.palette(domain), BOUNDS[domain][0] < 0
        numbers = grid(domain, 2 if size <= FEW else 3)
        codes = self.read(2 * x.size)
        for i, (low, high) in enumerate(zip(codes[::2], codes[1::2], strict=True)):
            if palette and high < 128:
                k = low % len(palette)
                x.flat[i] = palette.pop(k) if domain == "distinct" else palette[k]
            else:
                number = self._apart(numbers, 256 * (high % 64) + low)
                x.flat[i] = -number if signed and high & 64 else number
        return x

    def _apart(self, numbers, start):
        """The first number from index ``start`` on that has nothing to do with those used."""
        numbers = np.roll(numbers, -(start % len(numbers)))
        ratio = numbers[:, None] / self.used
        ratio = np.maximum(ratio, 1 / ratio)
        free = np.all(np.abs(ratio - np.round(ratio)) > 1e-9, axis=1)
        self.used = np.append(self.used, numbers[np.argmax(free)])
        return self.used[-1]


@functools.cache
def _bytes(n):
    return st.binary(min_size=n, max_size=n)

"""Derivatives of NumPy's elementwise functions, one line each.

In a line: a partial derivative for each argument, as a number or as a function of what it names
(y the output, a and b the arguments). Formulas: any table of derivatives; the forms that read y
instead of a are there because y is kept anyway.
"""

import numpy as np

from .._table import composite, elementwise, kink, select
from ._activations import sigmoid

LN2, LN10 = float(np.log(2.0)), float(np.log(10.0))


# ---------------------------------------------------------------- arithmetic
elementwise(np.add, 1, 1)
elementwise(np.subtract, 1, -1)
elementwise(np.negative, -1)
elementwise(np.positive, 1)
elementwise(np.multiply, lambda b: b, lambda a: a)
elementwise(np.divide, lambda g, b: g / b, lambda g, y, b: -g * y / b)
elementwise(np.remainder, 1, lambda a, b: -np.floor_divide(a, b))
elementwise(np.fmod, 1, lambda a, b: -np.trunc(a / b))
elementwise(np.reciprocal, lambda y: -y * y)
elementwise(np.square, lambda a: 2 * a)
composite(np.divmod, lambda a, b: (np.floor_divide(a, b), np.remainder(a, b)))


# ---------------------------------------------------------------- powers
# a**0 is constant: its derivative by a is 0, not 0 * a**-1 where that is infinite.
def _power_by_base(a, b):
    return b * (a + ((np.abs(a) <= 1e-307) & (b == 0))) ** (b - 1)


# 0**b is 0 for every b > 0, so its derivative by b is 0 there, not 0 * log(0); at b = 0, where
# it jumps, 0 as well.
def _power_by_exponent(y, a, b):
    flat = (a == 0) & (b >= 0)
    return np.where(flat, 0.0, y * np.log(np.where(flat, 1.0, a)))


elementwise(np.power, _power_by_base, _power_by_exponent)
elementwise(np.float_power, _power_by_base, _power_by_exponent)
elementwise(np.sqrt, lambda y: 0.5 / y)
elementwise(np.cbrt, lambda y: 1 / (3 * y * y))


# ---------------------------------------------------------------- exponentials and logarithms
elementwise(np.exp, lambda y: y)
elementwise(np.exp2, lambda y: LN2 * y)
elementwise(np.expm1, lambda a: np.exp(a))      # y + 1 would lose digits where y is near -1
elementwise(np.log, lambda a: 1 / a)
elementwise(np.log2, lambda a: 1 / (LN2 * a))
elementwise(np.log10, lambda a: 1 / (LN10 * a))
elementwise(np.log1p, lambda a: 1 / (1 + a))
elementwise(np.logaddexp, lambda a, b: sigmoid(a - b), lambda a, b: sigmoid(b - a))
elementwise(np.logaddexp2, lambda a, b: sigmoid(LN2 * (a - b)),
            lambda a, b: sigmoid(LN2 * (b - a)))


# ---------------------------------------------------------------- circular and hyperbolic
elementwise(np.sin, lambda a: np.cos(a))
elementwise(np.cos, lambda a: -np.sin(a))
elementwise(np.tan, lambda y: 1 + y * y)
elementwise(np.arcsin, lambda a: 1 / np.sqrt(1 - a * a))
elementwise(np.arccos, lambda a: -1 / np.sqrt(1 - a * a))
elementwise(np.arctan, lambda a: 1 / (1 + a * a))
elementwise(np.arctan2, lambda a, b: _turn(b, a, b), lambda a, b: -_turn(a, a, b))
elementwise(np.sinh, lambda a: np.cosh(a))
elementwise(np.cosh, lambda a: np.sinh(a))
elementwise(np.tanh, lambda y: 1 - y * y)
elementwise(np.arcsinh, lambda a: 1 / np.sqrt(1 + a * a))
elementwise(np.arccosh, lambda a: 1 / np.sqrt(a * a - 1))
elementwise(np.arctanh, lambda a: 1 / (1 - a * a))
elementwise(np.hypot, lambda y, a: _direction(a, y), lambda y, b: _direction(b, y))
elementwise(np.deg2rad, float(np.pi / 180))
elementwise(np.rad2deg, float(180 / np.pi))
elementwise(np.radians, float(np.pi / 180))
elementwise(np.degrees, float(180 / np.pi))


def _turn(c, a, b):
    """c / (a**2 + b**2), and 0 where a and b are: an angle has no derivative at the origin."""
    square = a * a + b * b
    return np.where(square == 0, 0.0, c / np.where(square == 0, 1.0, square))


def _direction(a, y):
    """a / y, and 0 where both are 0: the kink of a length."""
    return np.where(y == 0, 0.0, a / np.where(y == 0, 1.0, y))


# ---------------------------------------------------------------- selections: a weight for each
# argument; ties split evenly; abs'(0) = 0 because sign(0) = 0
select(np.absolute, lambda a: np.sign(a))
select(np.fabs, lambda a: np.sign(a))
for _extremum in (np.maximum, np.minimum, np.fmax, np.fmin):
    select(_extremum, lambda y, a, b: np.where(a == b, 0.5, (a == y) | (y != y)),
           lambda y, a, b: np.where(a == b, 0.5, (b == y) | (y != y)))
select(np.heaviside, None, lambda a: np.equal(a, 0))
select(np.where, None, lambda a: np.not_equal(a, 0), lambda a: np.equal(a, 0))


def _clip(a, a_min=None, a_max=None, out=None, *, min=None, max=None):
    lo, hi = (min if a_min is None else a_min), (max if a_max is None else a_max)
    a = a if lo is None else np.maximum(a, lo)
    return a if hi is None else np.minimum(a, hi)


def _nan_to_num(x, copy=True, nan=0.0, posinf=None, neginf=None):
    limits = np.finfo(x.dtype)
    x = np.where(np.isnan(x), nan, x)
    x = np.where(np.isposinf(x), limits.max if posinf is None else posinf, x)
    return np.where(np.isneginf(x), limits.min if neginf is None else neginf, x)


def _select(condlist, choicelist, default=0.0):
    y = default
    for mask, choice in reversed(list(zip(condlist, choicelist, strict=True))):
        y = np.where(mask, choice, y)
    return y


composite(np.select, _select)
composite(np.clip, _clip)
composite(np.nan_to_num, _nan_to_num)
kink("0 at 0", np.absolute, np.fabs)
kink("ties share evenly", np.maximum, np.minimum, np.fmax, np.fmin)
kink("half at the limits", np.clip)
kink("0 at (0, 0)", np.hypot, np.arctan2)
kink("x**0 is constant in x, 0**p in p for p >= 0", np.power, np.float_power)
kink("continuous pieces: no derivative at the jumps", np.remainder, np.fmod)

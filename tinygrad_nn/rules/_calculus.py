"""Differences and integrals, interpolation, convolution, special functions of one variable."""

import numpy as np

from .._core import Box, astype, primitive
from .._errors import NoRuleError
from .._table import bilinear, composite, elementwise, kink, rule
from ._cumulative import cut
from ._statistics import array

# ---------------------------------------------------------------- differences


def _diff(a, n=1, axis=-1, prepend=np._NoValue, append=np._NoValue):
    if n < 0:
        raise ValueError(f"order must be non-negative but got {n!r}")
    if n == 0:
        return a
    a = array(a)
    if not a.ndim:
        raise ValueError("diff requires input that is at least one dimensional")

    def layer(x):
        x, shape = array(x), list(a.shape)
        shape[axis] = 1
        return x if x.ndim else np.broadcast_to(x, shape)
    parts = [x if x is a else layer(x) for x in (prepend, a, append) if x is not np._NoValue]
    a = np.concatenate(parts, axis) if len(parts) > 1 else a
    for _ in range(n):
        a = cut(a, axis, 1) - cut(a, axis, 0, -1)
    return a


def _ediff1d(ary, to_end=None, to_begin=None):
    x = np.ravel(ary)
    ends = [[] if e is None else [np.ravel(e)] for e in (to_begin, to_end)]
    for (e,) in filter(None, ends):
        if not np.can_cast(e.dtype, x.dtype, "same_kind"):
            raise TypeError(f"np.ediff1d: ends of {e.dtype} for differences of {x.dtype}")
    parts = [*ends[0], x[1:] - x[:-1], *ends[1]]
    return astype(np.concatenate(parts), x.dtype) if len(parts) > 1 else parts[0]


def _gradient(f, *varargs, axis=None, edge_order=1):
    if edge_order not in (1, 2):
        raise ValueError("'edge_order' greater than 2 not supported")
    f = array(f)
    over = range(f.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    steps = varargs or (1.0,)
    if len(steps) == 1 and np.ndim(steps[0]) == 0:
        steps = list(steps) * len(over)
    if len(steps) != len(over):
        raise TypeError("invalid number of arguments")
    ys = tuple(_slope(f, _spacing(h, f.shape[i]), i, edge_order)
               for i, h in zip(over, steps, strict=True))
    return ys[0] if len(ys) == 1 else ys


def _spacing(h, n):
    """Distances of neighbours: one for all, or an array of n - 1."""
    if np.ndim(h) == 0:
        return h
    if np.ndim(h) > 1:
        raise ValueError("distances must be either scalars or 1d")
    if len(h) != n:
        raise ValueError("when 1d, distances must match the length of the corresponding "
                         "dimension")
    return np.diff(array(h))


def _slope(f, h, axis, edge_order):
    """Differences of second order inside, of ``edge_order`` at the ends, along one axis."""
    n = f.shape[axis]
    if n < edge_order + 1:
        raise ValueError("Shape of array too small to calculate a numerical gradient: at "
                         "least (edge_order + 1) elements are required.")
    shape = [-1 if i == axis % f.ndim else 1 for i in range(f.ndim)]
    uniform = np.ndim(h) == 0

    def at(start, stop=None):
        return cut(f, axis, start, stop)

    def step(k):
        return h if uniform else h[k]
    if uniform:
        inside = (at(2) - at(0, -2)) / (2.0 * h)
    else:
        a, b = np.reshape(h[:-1], shape), np.reshape(h[1:], shape)
        inside = (-b / (a * (a + b)) * at(0, -2) + (b - a) / (a * b) * at(1, -1)
                  + a / (b * (a + b)) * at(2))
    if edge_order == 1:
        first, last = (at(1, 2) - at(0, 1)) / step(0), (at(n - 1) - at(n - 2, -1)) / step(-1)
    elif uniform:
        first = -1.5 / h * at(0, 1) + 2.0 / h * at(1, 2) + -0.5 / h * at(2, 3)
        last = 0.5 / h * at(n - 3, n - 2) + -2.0 / h * at(n - 2, n - 1) + 1.5 / h * at(n - 1)
    else:
        a, b = h[0], h[1]
        first = (-(2.0 * a + b) / (a * (a + b)) * at(0, 1) + (a + b) / (a * b) * at(1, 2)
                 - a / (b * (a + b)) * at(2, 3))
        a, b = h[-2], h[-1]
        last = (b / (a * (a + b)) * at(n - 3, n - 2) - (b + a) / (a * b) * at(n - 2, n - 1)
                + (2.0 * b + a) / (b * (a + b)) * at(n - 1))
    y = np.concatenate([first, inside, last], axis)
    return y if f.dtype.kind != "f" or y.dtype == f.dtype else astype(y, f.dtype)


def _trapezoid(y, x=None, dx=1.0, axis=-1):
    y, d = array(y), dx
    if x is not None and np.ndim(x) == 1:
        d = np.reshape(np.diff(array(x)), [-1 if i == axis % y.ndim else 1
                                           for i in range(y.ndim)])
    elif x is not None:
        d = np.diff(array(x), axis=axis)
    return np.sum(d * (cut(y, axis, 1) + cut(y, axis, 0, -1)) / 2.0, axis=axis)


composite(np.diff, _diff)
composite(np.ediff1d, _ediff1d)
composite(np.gradient, _gradient)
composite(np.trapezoid, _trapezoid)
rule(np.unwrap, vjp=lambda g, discont=None, axis=-1, period=2 * np.pi: g,
     jvp=lambda t, discont=None, axis=-1, period=2 * np.pi: t, moves=True)
kink("the added multiples of the period are constants, where they jump as well", np.unwrap)


# ---------------------------------------------------------------- interpolation

def _interp(x, xp, fp, left=None, right=None, period=None):
    x, xp, fp = (v if isinstance(v, Box) and v.dtype == np.float64 else astype(v, np.float64)
                 for v in (x, xp, fp))
    if xp.ndim != 1 or fp.shape != xp.shape or not xp.size:
        raise ValueError(f"np.interp: xp and fp of shapes {xp.shape} and {fp.shape}, expected "
                         "two of one length")
    if period is not None:
        period = np.abs(period)
        left = right = None
        x, xp = x % period, xp % period
        order = np.argsort(xp)
        xp, fp = xp[order], fp[order]
        xp = np.concatenate((xp[-1:] - period, xp, xp[:1] + period))
        fp = np.concatenate((fp[-1:], fp, fp[:1]))
    n = xp.shape[0]
    k = np.clip(np.searchsorted(xp, x, "right") - 1, 0, max(n - 2, 0))
    x0, x1, y0, y1 = xp[k], xp[np.minimum(k + 1, n - 1)], fp[k], fp[np.minimum(k + 1, n - 1)]
    slope = (y1 - y0) / np.where(np.equal(x0, x1), 1.0, x1 - x0)
    y = slope * (x - x0) + y0
    y = np.where(np.isnan(y) & np.equal(x, x0), y0, y)         # beside an infinity
    y = np.where(np.equal(x, xp[-1]) | np.isnan(y), slope * (x - x1) + y1, y)
    y = np.where(np.isnan(y) & np.equal(x, x1), y1, y)
    y = np.where(np.isnan(y) & np.equal(y0, y1), y0, y)        # between two equal infinities
    y = np.where(np.isnan(x), x, y) if n > 1 else y
    y = np.where(np.greater(x, xp[-1]), fp[-1] if right is None else right, y)
    return np.where(np.less(x, xp[0]), fp[0] if left is None else left, y)


composite(np.interp, _interp)
kink("at an xp the slope to its right (at the last, to its left); outside constant", np.interp)


# ---------------------------------------------------------------- convolution
# Of two factors: the gradient by one is the correlation of g with the other. Which form of it
# is the shortest sum depends on the mode and on which of the two is longer.

MODES = {"full": "full", "same": "same", "valid": "valid", 0: "valid", 1: "same", 2: "full"}


def _factor(g, other, shape, mode):
    n, m = int(np.prod(shape, dtype=int)), np.size(other)
    other, mode = np.reshape(other, -1), MODES.get(mode)
    if mode is None:
        raise NoRuleError("np.convolve of a Tensor takes mode='full', 'same' or 'valid'")
    if mode == "valid":
        d = (np.convolve(g, other[::-1]) if n >= m
             else np.convolve(other, g[::-1], "valid")[::-1])
    else:
        if mode == "same":
            before = (min(n, m) - 1) // 2
            g = np.pad(g, (before, min(n, m) - 1 - before))
        d = np.convolve(g, other[::-1], "valid")
    return np.reshape(d, shape)


def _correlate(a, v, mode="valid"):
    if np.ndim(a) != 1 or np.ndim(v) != 1:
        raise ValueError(f"np.correlate: {np.ndim(a)}-d and {np.ndim(v)}-d, expected 1-d")
    v = array(v)[::-1]
    n, m = len(a), len(v)
    if MODES.get(mode) == "same" and n < m:
        return np.convolve(a, v)[n // 2:n // 2 + m]
    return np.convolve(a, v, mode)


bilinear(np.convolve, lambda g, b, shape, mode="full": _factor(g, b, shape, mode),
         lambda g, a, shape, mode="full": _factor(g, a, shape, mode))
composite(np.correlate, _correlate)


# ---------------------------------------------------------------- sinc and i0

@primitive
def _sine_ratio(z, order):
    """The derivative of an order of sin(z) / z, exact at every z.

    For small z its Taylor series; else the recurrence from differentiating ``z f = sin z`` n
    times, ``z f_n = sin(z + n pi/2) - n f_(n-1)``, whose errors grow only where z < n / 2.
    """
    near = np.abs(z) <= max(order / 2, 1)
    w, far = np.where(near, z, 0.0), np.where(near, 1.0, z)
    term, series = np.ones_like(w), np.zeros_like(w)
    for j in range(2 * order + 20):                         # term = w**j / j!
        if (j + order) % 2 == 0:
            sign = -1 if (j + order) % 4 else 1
            series = series + term * (sign / (j + order + 1))
        term = term * w / (j + 1)
    y = np.sin(far) / far
    for k in range(1, order + 1):
        y = (np.sin(far + k * (np.pi / 2)) - k * y) / far
    return np.where(near, series, y)


@primitive
def _bessel_i(x, order):
    """The modified Bessel function I_n, n > 0: I_0 times the ratios I_k / I_(k-1).

    The ratios are a continued fraction without differences, exact at every size: r_k = 1 /
    (2k/x + r_(k+1)), NIST DLMF 10.33.1. Above 750 even I_0 is infinite.
    """
    z, y = np.minimum(np.abs(x), 750.0), np.i0(x)
    top, ratio = np.max(z, initial=0.0, where=~np.isnan(z)), np.zeros_like(z)
    for k in range(order + 20 + int(10 * top ** 0.5), 0, -1):
        ratio = z / (2 * k + z * ratio)
        y = y * ratio if k <= order else y
    return y * np.sign(x) ** order


def _bessel_slope(a, order):
    """(I_(n-1) + I_(n+1)) / 2, NIST DLMF 10.29.1."""
    before = _bessel_i(a, order=order - 1) if order > 1 else np.i0(a)
    return (before + _bessel_i(a, order=order + 1)) / 2


elementwise(np.sinc, lambda a: np.pi * _sine_ratio(np.pi * a, order=1))
elementwise(_sine_ratio, lambda a, order: _sine_ratio(a, order=order + 1))
elementwise(np.i0, lambda a: _bessel_i(a, order=1))
elementwise(_bessel_i, _bessel_slope)

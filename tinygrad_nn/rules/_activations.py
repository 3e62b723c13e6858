"""Primitives of our own where NumPy lacks one: each with its stable form and its rule.

Stable means: no overflow and no nan at any magnitude that the result itself does not have.
Sources: Goodfellow, Bengio, Courville, *Deep Learning* (2016), chapters 4.1 and 6.2; of the
gated ones, x times a step from 0 to 1, Hendrycks and Gimpel, *Gaussian error linear units*
(2016); of elu, Clevert, Unterthiner, Hochreiter, *Fast and accurate deep network learning by
exponential linear units* (2016).
"""

import math

import numpy as np

from .._core import primitive
from .._table import elementwise, keep, kink, masked, rule, select
from ._erf import erfc
from ._reductions import spread

# Beyond it the gates of silu and gelu are exactly 0 or 1, so that x may be cut off there where
# it only multiplies a gate or its slope: 0 * inf would be nan, a square would overflow.
GATE_ENDS = 1e3
ROOT_HALF, NORMAL = float(np.sqrt(0.5)), float(1 / np.sqrt(2 * np.pi))
LINE = float(2 * np.sqrt(2 / np.pi))                # of the argument of gelu's tanh, doubled
CUBE = 0.044715 * LINE
STRIP = 1 << 16                                     # elements handled at a time


@primitive
def relu(x):
    """max(x, 0), elementwise; its derivative at 0 is 0."""
    return np.maximum(x, 0)


@primitive
def _where_positive(g, y):
    """``g`` where y > 0, else exactly 0; in strips, so that no mask of their size is made.

    At the peak of a training step of a CNN this mask is the one array that can be saved.
    """
    if y.size <= STRIP:
        return keep(g, y > 0)
    with np.nditer([g, y, None], ["external_loop", "buffered"],
                   [["readonly"], ["readonly"], ["writeonly", "allocate"]],
                   op_dtypes=[g.dtype, y.dtype, g.dtype], buffersize=STRIP) as strips:
        for part, values, out in strips:
            masked(part, values > 0, out=out)
        return strips.operands[2]


@primitive
def sigmoid(x):
    """1 / (1 + exp(-x)), elementwise, without overflow.

    >>> import numpy as np, tinygrad_nn as tn
    >>> tn.sigmoid(np.array([-1e4, 0.0, 1e4]))
    array([0. , 0.5, 1. ])
    """
    e = np.exp(-np.abs(x))
    return np.where(np.greater_equal(x, 0), 1, e) / (1 + e)


@primitive
def softplus(x):
    """log(1 + exp(x)), elementwise, without overflow."""
    return np.logaddexp(x, np.zeros((), np.result_type(x)))


@primitive
def leaky_relu(x, negative_slope=0.01):
    """x where it is positive, ``negative_slope * x`` elsewhere.

    >>> import numpy as np, tinygrad_nn as tn
    >>> tn.leaky_relu(np.array([-2.0, 3.0]), 0.25)
    array([-0.5,  3. ])
    """
    return np.where(np.greater(x, 0), x, float(negative_slope) * np.asarray(x))


@primitive
def elu(x, alpha=1.0):
    """x where it is positive, ``alpha * (exp(x) - 1)`` elsewhere.

    >>> import numpy as np, tinygrad_nn as tn
    >>> tn.elu(np.array([-np.inf, 0.0, 3.0]))
    array([-1.,  0.,  3.])
    """
    return np.where(np.greater(x, 0), x, float(alpha) * np.expm1(np.minimum(x, 0)))


@primitive
def silu(x):
    """x * sigmoid(x), elementwise; also called swish.

    >>> import numpy as np, tinygrad_nn as tn
    >>> tn.silu(np.array([-np.inf, 0.0, 100.0]))
    array([ -0.,   0., 100.])
    """
    return np.maximum(x, -GATE_ENDS) * sigmoid(x)


@primitive
def gelu(x, approximate="none"):
    """x times the probability that a standard normal variable is below x, elementwise.

    ``approximate="tanh"`` is the formula of the same paper that takes a tanh for it: within
    5e-4, and several times as fast here.

    >>> import numpy as np, tinygrad_nn as tn
    >>> tn.gelu(np.array([-1.0, 0.0, 1.0])).round(4)
    array([-0.1587,  0.    ,  0.8413])
    """
    return np.maximum(x, -GATE_ENDS) * _gate(x, approximate)


def _gate(x, approximate):
    """The step of gelu from 0 to 1."""
    if approximate == "none":
        return 0.5 * erfc(x * -ROOT_HALF)
    if approximate == "tanh":                       # (1 + tanh(u)) / 2, without cancellation
        x = np.clip(x, -GATE_ENDS, GATE_ENDS)
        return sigmoid(x * (LINE + CUBE * (x * x)))
    raise ValueError(f"gelu: approximate={approximate!r}, expected 'none' or 'tanh'")


def _gate_slope(x, approximate):
    """The derivative of `_gate`, for x within ±GATE_ENDS."""
    if approximate == "none":
        return NORMAL * np.exp(-0.5 * (x * x))
    gate = _gate(x, approximate)
    return gate * (1 - gate) * (LINE + 3 * CUBE * (x * x))


@primitive
def logsumexp(x, axis=None, keepdims=False):
    """log(sum(exp(x))) over ``axis`` (int, tuple or None for all), without overflow."""
    x = _floats(x)
    top = np.max(x, axis, keepdims=True, initial=-np.inf)
    top = np.where(np.isfinite(top), top, np.zeros_like(top))
    with np.errstate(divide="ignore"):           # log(0) = -inf is the value where all are -inf
        y = np.log(np.sum(np.exp(x - top), axis, keepdims=True)) + top
    return y if keepdims else np.squeeze(y, axis)


def _floats(x):
    """A plain array: -inf, the top of nothing, is no integer."""
    x = np.asarray(x)
    return x if x.dtype.kind == "f" else x.astype(float)


@primitive
def minus_top(x, top):
    """x - top, where inf - inf counts as 0; of plain arrays alone, so it has no rule."""
    if np.all(np.isfinite(top)):
        return x - top
    with np.errstate(invalid="ignore"):
        return np.where((x == top) & (top > 0), np.zeros_like(x), x - top)


def _minus_top_into(out, x, top):
    if math.isfinite(np.add.reduce(top, axis=None)):        # quicker; the same where it is not
        np.subtract(x, top, out)
    else:
        out[...] = minus_top(x, top)


minus_top.into = _minus_top_into


def below_top(x, axis):
    """x - max(x) over ``axis``, where inf - inf counts as 0."""
    return minus_top(x, np.max(x, axis=axis, keepdims=True, initial=-np.inf))


@primitive
def softmax(x, axis=-1):
    """exp(x) / sum(exp(x)) over ``axis``, without overflow; sums to 1."""
    e = np.exp(below_top(_floats(x), axis))
    return e / np.sum(e, axis, keepdims=True)


@primitive
def log_softmax(x, axis=-1):
    """log(softmax(x)) over ``axis``, exact where softmax itself rounds to 0."""
    z = below_top(_floats(x), axis)
    z -= np.log(np.sum(np.exp(z), axis, keepdims=True))
    return z


def _total(t, axis):
    return np.sum(t, axis=axis, keepdims=True)


def _silu_slope(x):
    s = sigmoid(x)
    return s + np.clip(x, -GATE_ENDS, GATE_ENDS) * (s * (1 - s))


def _gelu_slope(x, approximate="none"):
    inner = np.clip(x, -GATE_ENDS, GATE_ENDS)
    return _gate(x, approximate) + inner * _gate_slope(inner, approximate)


select(relu, lambda g, y: _where_positive(g, y))
select(_where_positive, lambda g, b: _where_positive(g, b), None)
elementwise(sigmoid, lambda y: y * (1 - y))
elementwise(softplus, lambda x: sigmoid(x))
elementwise(leaky_relu, lambda g, x, negative_slope=0.01:
            np.where(np.greater(x, 0), g, float(negative_slope) * g))
elementwise(elu, lambda x, alpha=1.0: np.where(
    np.greater(x, 0), 1.0, float(alpha) * np.exp(np.where(np.less(x, 0), x, 0.0))))
elementwise(silu, _silu_slope)
elementwise(gelu, _gelu_slope)


def _logsumexp_vjp(g, shape, x, axis=None, keepdims=False):
    return spread(g, shape, axis, keepdims) * softmax(x, axis=axis)


def _logsumexp_jvp(t, x, axis=None, keepdims=False):
    return np.sum(t * softmax(x, axis=axis), axis=axis, keepdims=keepdims)


rule(logsumexp, vjp=_logsumexp_vjp, jvp=_logsumexp_jvp)
rule(softmax, vjp=lambda g, y, axis=-1: y * (g - _total(g * y, axis)),
     jvp=lambda t, y, axis=-1: y * (t - _total(t * y, axis)))
rule(log_softmax, vjp=lambda g, y, axis=-1: g - np.exp(y) * _total(g, axis),
     jvp=lambda t, y, axis=-1: t - _total(t * np.exp(y), axis))
kink("0 at 0", relu)
kink("negative_slope at 0", leaky_relu)
kink("alpha at 0", elu)

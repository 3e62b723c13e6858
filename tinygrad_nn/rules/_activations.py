"""Primitives of our own where NumPy lacks one: each with its stable form and its rule.

Stable means: no overflow and no nan at any magnitude that the result itself does not have.
Sources: Goodfellow, Bengio, Courville, *Deep Learning* (2016), chapters 4.1 and 6.2.
"""

import numpy as np

from .._core import primitive
from .._table import elementwise, kink, rule, select
from ._reductions import spread


@primitive
def relu(x):
    """max(x, 0), elementwise; its derivative at 0 is 0."""
    return np.maximum(x, 0)


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
def logsumexp(x, axis=None, keepdims=False):
    """log(sum(exp(x))) over ``axis`` (int, tuple or None for all), without overflow."""
    top = np.max(x, axis, keepdims=True, initial=-np.inf)
    top = np.where(np.isfinite(top), top, np.zeros_like(top))
    with np.errstate(divide="ignore"):           # log(0) = -inf is the value where all are -inf
        y = np.log(np.sum(np.exp(x - top), axis, keepdims=True)) + top
    return y if keepdims else np.squeeze(y, axis)


def _below_top(x, axis):
    """x - max(x), where inf - inf counts as 0: a plain array."""
    top = np.max(x, axis, keepdims=True, initial=-np.inf)
    with np.errstate(invalid="ignore"):
        return np.where((x == top) & (top > 0), np.zeros_like(x), x - top)


@primitive
def softmax(x, axis=-1):
    """exp(x) / sum(exp(x)) over ``axis``, without overflow; sums to 1."""
    e = np.exp(_below_top(x, axis))
    return e / np.sum(e, axis, keepdims=True)


@primitive
def log_softmax(x, axis=-1):
    """log(softmax(x)) over ``axis``, exact where softmax itself rounds to 0."""
    z = _below_top(x, axis)
    return z - np.log(np.sum(np.exp(z), axis, keepdims=True))


def _total(t, axis):
    return np.sum(t, axis=axis, keepdims=True)


select(relu, lambda y: y > 0)
elementwise(sigmoid, lambda y: y * (1 - y))
elementwise(softplus, lambda x: sigmoid(x))


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

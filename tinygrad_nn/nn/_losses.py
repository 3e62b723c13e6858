"""Losses: averages over the batch. Prediction and target must have one and the same shape."""

import numpy as np

from .._core import primitive
from .._errors import ShapeError
from .._table import elementwise
from ..rules import sigmoid


@primitive
def _bernoulli_loss(p, t):
    """-t log p - (1 - t) log(1 - p), each logarithm at least -100 (as in PyTorch)."""
    with np.errstate(divide="ignore"):
        return -(t * np.maximum(np.log(p), -100) + (1 - t) * np.maximum(np.log1p(-p), -100))


@primitive
def _bernoulli_loss_of_logits(z, t):
    """The same of p = sigmoid(z), written so that nothing overflows or cancels."""
    return np.maximum(z, 0) - z * t + np.log1p(np.exp(-np.abs(z)))


elementwise(_bernoulli_loss, lambda a, b: (a - b) / np.maximum(a * (1 - a), 1e-12),
            lambda a: np.log1p(-a) - np.log(a))
elementwise(_bernoulli_loss_of_logits, lambda a, b: sigmoid(a) - b, lambda a: -a)


def binary_cross_entropy(p, t):
    """Mean of -t log p - (1 - t) log(1 - p).

    ``p``: probabilities in 0..1, any shape; ``t``: targets in 0..1 of the same shape. A scalar.
    Where p is 0 or 1 the logarithm counts as -100. From logits, the other form is more exact.

    >>> import numpy as np, tinygrad_nn as tn
    >>> round(float(tn.nn.binary_cross_entropy(np.array([0.8]), np.array([1.0]))), 4)
    0.2231
    """
    return np.mean(_bernoulli_loss(p, _targets("binary_cross_entropy", p, t)))


def binary_cross_entropy_with_logits(z, t):
    """`binary_cross_entropy` of sigmoid(z), stable at any magnitude of the logits ``z``."""
    t = _targets("binary_cross_entropy_with_logits", z, t)
    return np.mean(_bernoulli_loss_of_logits(z, t))


def _targets(name, p, t):
    t = t if hasattr(t, "shape") else np.asarray(t, p.dtype)
    if p.shape != t.shape:
        raise ShapeError(f"{name}: predictions of shape {p.shape} and targets of shape "
                         f"{t.shape}; they must be equal, reshape the targets")
    return t if t.dtype == p.dtype else t.astype(p.dtype)

"""Losses of predictions and targets of one shape: squares, distances, two classes.

Prediction and target must have one and the same shape: a loss never broadcasts, because (N, 1)
against (N,) would become (N, N) in silence. ``reduction``: "mean" over all elements, "sum", or
"none" for an array of the losses. Formulas and defaults are PyTorch's.
"""

import numpy as np

from .._core import Box, primitive
from .._errors import ShapeError
from .._table import elementwise
from ..rules import relu, sigmoid
from ._checks import check_probabilities, check_signs, check_unit


@primitive
def _huber(x, delta):
    """x² / 2 where |x| <= delta, else the line that goes on from there."""
    inner = np.clip(x, -delta, delta)
    return inner * (x - 0.5 * inner)


@primitive
def _bernoulli_loss(p, t):
    """-t log p - (1 - t) log(1 - p), each logarithm at least -100 (as in PyTorch)."""
    with np.errstate(divide="ignore"):
        return -(t * np.maximum(np.log(p), -100) + (1 - t) * np.maximum(np.log1p(-p), -100))


@primitive
def _bernoulli_loss_of_logits(z, t):
    """The same of p = sigmoid(z), written so that nothing overflows or cancels."""
    return np.maximum(z, 0) - z * t + np.log1p(np.exp(-np.abs(z)))


elementwise(_huber, lambda x, delta: np.clip(x, -delta, delta))
elementwise(_bernoulli_loss, lambda a, b: (a - b) / np.maximum(a * (1 - a), 1e-12),
            lambda a: np.log1p(-a) - np.log(a))
elementwise(_bernoulli_loss_of_logits, lambda a, b: sigmoid(a) - b, lambda a: -a)


def mse_loss(x, t, reduction="mean"):
    """(x - t)², averaged: the mean squared error.

    ``x``: predictions, any shape; ``t``: targets of the same shape. A scalar, in the dtype of
    ``x``, as of all losses.

    >>> import numpy as np, tinygrad_nn as tn
    >>> float(tn.nn.mse_loss(np.array([1.0, 2.0]), np.array([0.0, 4.0])))
    2.5
    """
    x, t = pair("mse_loss", x, t)
    return reduced("mse_loss", np.square(x - t), reduction)


def l1_loss(x, t, reduction="mean"):
    """|x - t|, averaged; its derivative at 0 is 0.

    >>> import numpy as np, tinygrad_nn as tn
    >>> float(tn.nn.l1_loss(np.array([1.0, 2.0]), np.array([0.0, 4.0])))
    1.5
    """
    x, t = pair("l1_loss", x, t)
    return reduced("l1_loss", np.abs(x - t), reduction)


def huber_loss(x, t, reduction="mean", delta=1.0):
    """(x - t)² / 2 where |x - t| <= delta, else delta (|x - t| - delta / 2), averaged.

    P. J. Huber, *Robust estimation of a location parameter*, Annals of Mathematical Statistics
    35 (1964), 73-101.

    >>> import numpy as np, tinygrad_nn as tn
    >>> float(tn.nn.huber_loss(np.array([0.5, 3.0]), np.zeros(2), reduction="sum"))
    2.625
    """
    if not delta > 0:
        raise ValueError(f"huber_loss: delta must be positive, got {delta!r}")
    x, t = pair("huber_loss", x, t)
    return reduced("huber_loss", _huber(x - t, delta=float(delta)), reduction)


def hinge_loss(x, t, reduction="mean"):
    """max(0, 1 - t x), averaged: ``x`` scores, ``t`` targets that are -1 or 1, of one shape.

    Its derivative where t x = 1 is 0.

    >>> import numpy as np, tinygrad_nn as tn
    >>> float(tn.nn.hinge_loss(np.array([0.5, -3.0]), np.array([1, -1])))
    0.25
    """
    x, t = pair("hinge_loss", x, t)
    check_signs(t, "hinge_loss")
    return reduced("hinge_loss", relu(1 - t * x), reduction)


def binary_cross_entropy(p, t, reduction="mean"):
    """-t log p - (1 - t) log(1 - p), averaged.

    ``p``: probabilities in 0..1, any shape; ``t``: targets in 0..1 of the same shape. Where p
    is 0 or 1 the logarithm counts as -100. From logits, the other form is more exact.

    >>> import numpy as np, tinygrad_nn as tn
    >>> round(float(tn.nn.binary_cross_entropy(np.array([0.8]), np.array([1.0]))), 4)
    0.2231
    """
    p, t = pair("binary_cross_entropy", p, t)
    check_unit(t, "binary_cross_entropy: targets")
    check_probabilities(p, "binary_cross_entropy")
    return reduced("binary_cross_entropy", _bernoulli_loss(p, t), reduction)


def binary_cross_entropy_with_logits(z, t, reduction="mean"):
    """`binary_cross_entropy` of sigmoid(z), stable at any magnitude of the logits ``z``.

    >>> import numpy as np, tinygrad_nn as tn
    >>> float(tn.nn.binary_cross_entropy_with_logits(np.array([-1e4]), np.array([1.0])))
    10000.0
    """
    z, t = pair("binary_cross_entropy_with_logits", z, t)
    check_unit(t, "binary_cross_entropy_with_logits: targets")
    return reduced("binary_cross_entropy_with_logits", _bernoulli_loss_of_logits(z, t),
                   reduction)


# ---------------------------------------------------------------- what losses share

def pair(name, x, t):
    """Predictions and targets as arrays or Tensors of one shape, in the dtype of ``x``."""
    x = floats(x)
    t = t if isinstance(t, Box) else np.asarray(t)
    if x.shape != t.shape:
        raise ShapeError(f"{name}: predictions of shape {x.shape} and targets of shape "
                         f"{t.shape}; they must be equal, reshape the targets")
    return x, t if t.dtype == x.dtype else t.astype(x.dtype)


def floats(x):
    """Predictions as they are if they are floating, integers and lists as float arrays."""
    if isinstance(x, Box):
        return x
    x = np.asarray(x)
    return x if x.dtype.kind == "f" else x.astype(float)


def reduced(name, losses, reduction):
    """The mean or sum of the losses, or the losses."""
    if mean(name, reduction):
        count(name, losses)
        return np.mean(losses)
    return np.sum(losses) if reduction == "sum" else losses


def mean(name, reduction):
    """Whether the reduction is the mean; ValueError for one that there is not."""
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"{name}: reduction={reduction!r}, expected 'mean', 'sum' or 'none'")
    return reduction == "mean"


def count(name, losses):
    """How many losses there are to be averaged; ShapeError for none."""
    if not losses.size:
        raise ShapeError(f"{name}: the mean over an empty batch, of shape {losses.shape}")
    return losses.size

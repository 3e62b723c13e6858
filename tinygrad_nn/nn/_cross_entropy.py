"""Losses of several classes: cross-entropy of logits, likelihood of log-probabilities.

Predictions are (N, C) or (N, C, d1, …): the classes stand on axis 1. Targets are integer labels
(N,) or (N, d1, …), or, for `cross_entropy`, probabilities of the predictions' own shape.
"""

import math

import numpy as np

from .._core import Box, apply, astype, getitem, primitive, traced
from .._errors import ShapeError
from .._table import linear
from ..rules import log_softmax
from ._checks import check_labels, check_unit
from ._losses import count, floats, mean, reduced


@primitive
def _picked(y, index, scale, total=False):
    """``scale`` times the elements of ``y`` at a flat ``index``, or their sum."""
    # The labels have been checked. What may raise, "raise", needs a buffer beside out=.
    picked = np.take(y, index, mode="clip") * scale
    return np.sum(picked) if total else picked


@primitive
def _put_back(g, index, scale, into):
    """The transpose: zeros of shape ``into`` with ``scale * g`` at the index, all different."""
    y = np.empty(into, g.dtype)
    _put_into(y, g, index, scale, into)
    return y


def _put_into(out, g, index, scale, into):
    out.fill(0)
    np.reshape(out, -1)[index] = scale * g


_picked.transparent = True
_put_back.into = _put_into
# Not said to select: what is picked from is `log_softmax`, whose derivative is finite wherever
# its gradient is, so structural zeros need not be carried through the network from here.
linear(_picked, lambda g, shape, index, scale, total=False:
       _put_back(g, index=index, scale=scale, into=shape), moves=False)
linear(_put_back, lambda g, shape, index, scale, into=None:
       _picked(g, index=index, scale=scale, total=shape != np.shape(index)), moves=False)


def cross_entropy(z, t, weight=None, reduction="mean", label_smoothing=0.0):
    """-log softmax(z) at the label, averaged over the batch.

    ``z``: logits (N, C) or (N, C, d1, …). ``t``: integer labels in 0..C-1, (N,) or (N, d1, …),
    or probabilities of the shape of ``z``, for which the loss is -sum(t log softmax(z)).
    ``weight``: a factor for each class, (C,); with labels the mean is then the weighted one,
    the sum of the losses divided by the sum of the labels' weights. ``label_smoothing``: this
    part of the target is shared evenly by all classes (Szegedy et al., *Rethinking the
    Inception architecture*, 2016). ``reduction``: "mean", "sum", or "none" for the losses.

    >>> import numpy as np, tinygrad_nn as tn
    >>> z = np.array([[2.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    >>> tn.nn.cross_entropy(z, np.array([0, 2]), reduction="none").round(4)
    array([0.2395, 1.0986])
    """
    name = "cross_entropy"
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"{name}: label_smoothing must lie in 0..1, got {label_smoothing!r}")
    label_smoothing = float(label_smoothing)        # a float64 of NumPy's would promote
    z = _predictions(name, z)
    t = t if isinstance(t, Box) else np.asarray(t)
    weight = _class_weights(name, z, weight)
    y = apply(log_softmax, (z,), {"axis": 1})
    if t.shape == z.shape:
        return _of_probabilities(y, t, weight, reduction, label_smoothing)
    labels = _labels(name, z, t)
    if not label_smoothing:
        return _of_labels(name, y, labels, weight, reduction)
    per_class = y if weight is None else y * _along_classes(weight, y)
    even = -np.mean(per_class, axis=1)
    if reduction == "mean" and weight is not None:
        even = np.sum(even) / np.sum(getitem(weight, labels))
    else:
        even = reduced(name, even, reduction)
    return ((1 - label_smoothing) * _of_labels(name, y, labels, weight, reduction)
            + label_smoothing * even)


def nll_loss(y, t, weight=None, reduction="mean"):
    """-y at the label, averaged: `cross_entropy` of log-probabilities ``y``.

    Arguments as there; targets are integer labels.

    >>> import numpy as np, tinygrad_nn as tn
    >>> y = np.log(np.array([[0.5, 0.25, 0.25]]))
    >>> round(float(tn.nn.nll_loss(y, [1])), 4)
    1.3863
    """
    name = "nll_loss"
    y = _predictions(name, y)
    labels = _labels(name, y, t if isinstance(t, Box) else np.asarray(t))
    weight = _class_weights(name, y, weight)
    index, scale = _index_and_scale(name, y, labels, weight, reduction)
    losses = np.ravel(y)[index] * scale             # a selection: log 0 elsewhere is no matter
    return losses if reduction == "none" else np.sum(losses)


def _of_labels(name, y, labels, weight, reduction):
    index, scale = _index_and_scale(name, y, labels, weight, reduction)
    return apply(_picked, (y,), {"index": index, "scale": scale, "total": reduction != "none"})


def _of_probabilities(y, t, weight, reduction, label_smoothing):
    check_unit(t, "cross_entropy: target probabilities")
    t = t if t.dtype == y.dtype else t.astype(y.dtype)
    if label_smoothing:
        t = (1 - label_smoothing) * t + label_smoothing / y.shape[1]
    if weight is not None:
        t = t * _along_classes(weight, y)
    return reduced("cross_entropy", -np.sum(t * y, axis=1), reduction)


def _index_and_scale(name, y, labels, weight, reduction):
    """Where the labels' elements are in the flat ``y``, and what they are multiplied by so that
    their sum is the reduced loss."""
    n, c, *rest = y.shape
    if rest:
        m = math.prod(rest)
        index = np.reshape(labels, (n, m)) * m + np.arange(m) + np.arange(n)[:, None] * (c * m)
        index = np.reshape(index, labels.shape)
    else:
        index = labels + np.arange(n) * c
    if weight is None:
        return index, -1.0 / count(name, labels) if mean(name, reduction) else -1.0
    scale = -getitem(weight, labels)
    return index, scale / -np.sum(scale) if mean(name, reduction) else scale


# ---------------------------------------------------------------- what comes in

def _predictions(name, z):
    z = floats(z)
    if z.ndim < 2 or z.shape[1] == 0:
        raise ShapeError(f"{name}: predictions are (N, C) or (N, C, d1, …) with at least one "
                         f"class, got shape {z.shape}")
    return z


def _labels(name, z, t):
    """``t`` as plain integers in 0..C-1, of the shape of the predictions without axis 1."""
    n, c, *rest = z.shape
    shape = (n, *rest)
    if t.shape != shape:
        also = f" or probabilities {z.shape}" if name == "cross_entropy" else ""
        raise ShapeError(f"{name}: for predictions of shape {z.shape} targets are integer "
                         f"labels of shape {shape}{also}, got shape {t.shape}")
    if t.dtype.kind not in "iu":
        raise TypeError(f"{name}: labels must be integers, got dtype {t.dtype}: "
                        ".astype(int) makes them so")
    check_labels(t, c, name)
    return t if t.dtype == np.intp else t.astype(np.intp)


def _class_weights(name, z, weight):
    if weight is None:
        return None
    weight = astype(weight, z.dtype) if traced(weight) else np.asarray(weight, z.dtype)
    if weight.shape != z.shape[1:2]:
        raise ShapeError(f"{name}: weight has a factor for each of the {z.shape[1]} classes, "
                         f"shape {z.shape[1:2]}, got shape {weight.shape}")
    return weight


def _along_classes(weight, y):
    return np.reshape(weight, (-1, *(1,) * (y.ndim - 2)))

"""Metrics: functions of predictions and targets that give a number for each sample.

A mean is taken over all samples and never over batches, so it does not depend on how they were
cut. Everything here sees plain arrays.
"""

import functools

import numpy as np

from .. import nn
from .._errors import ShapeError
from .._messages import name_of


def accuracy(y, t):
    """Whether the largest of the predictions of a sample is that of its class.

    ``y``: logits or probabilities (N, C) or (N, C, d1, …), at least two classes; ``t``: labels
    (N,) or (N, d1, …), or probabilities of the shape of ``y``. Booleans of the shape of the
    labels. A prediction that holds a nan is wrong, here and below.

    >>> import numpy as np, tinygrad_nn as tn
    >>> tn.train.accuracy(np.array([[0.1, 0.9], [0.8, 0.2]]), np.array([1, 1]))
    array([ True, False])
    """
    y, t = np.asarray(y), np.asarray(t)
    if y.ndim < 2 or y.shape[1] < 2:
        raise ShapeError("accuracy: predictions are (N, C) with two classes or more, got shape "
                         f"{y.shape}; for one number a sample there are 'binary_accuracy', of "
                         "probabilities, and 'binary_accuracy_with_logits'")
    labels = np.argmax(t, axis=1) if t.shape == y.shape else t
    if labels.shape != y.shape[:1] + y.shape[2:]:
        raise ShapeError(f"accuracy: for predictions of shape {y.shape} labels have shape "
                         f"{y.shape[:1] + y.shape[2:]}, got {t.shape}")
    return (np.argmax(y, axis=1) == labels) & ~np.isnan(np.max(y, axis=1))


def binary_accuracy(p, t):
    """Whether a probability is above 0.5 where the target is, and not where it is not.

    ``p`` and ``t`` have one shape; so have the booleans that it gives.

    >>> import numpy as np, tinygrad_nn as tn
    >>> tn.train.binary_accuracy(np.array([0.9, 0.5, 0.2]), np.array([1, 1, 0]))
    array([ True, False,  True])
    """
    return _same_side("binary_accuracy", p, 0.5, t)


def binary_accuracy_with_logits(z, t):
    """`binary_accuracy` of sigmoid(z): whether a logit is above 0 where the target is 1, and
    not where it is 0 (or -1)."""
    return _same_side("binary_accuracy_with_logits", z, 0.0, t)


def _same_side(name, y, border, t):
    y, t = np.asarray(y), np.asarray(t)
    if y.shape != t.shape:
        raise ShapeError(f"{name}: predictions of shape {y.shape} and targets of shape "
                         f"{t.shape}; they must be equal, reshape the targets")
    return ((y > border) == (t > 0.5)) & ~np.isnan(y)


NAMED = {f.__name__: f for f in (accuracy, binary_accuracy, binary_accuracy_with_logits)}
OF_LOSS = {nn.binary_cross_entropy: binary_accuracy,
           nn.binary_cross_entropy_with_logits: binary_accuracy_with_logits,
           nn.hinge_loss: binary_accuracy_with_logits}


def bare(loss):
    """The function without what `functools.partial` gave it."""
    while isinstance(loss, functools.partial):
        loss = loss.func
    return loss


def resolved(metrics, loss):
    """{name: function} of what a person passed as metrics.

    "accuracy" is the one that fits what ``loss`` takes.
    """
    if isinstance(metrics, str) or not hasattr(metrics, "__iter__"):
        raise TypeError("metrics takes a list of names and functions, or a dict {name: "
                        f"function}}, got {metrics!r}")
    if not isinstance(metrics, dict):
        metrics = {m if isinstance(m, str) else name_of(m): m for m in metrics}
    known, found = {**NAMED, "accuracy": OF_LOSS.get(bare(loss), accuracy)}, {}
    for name, metric in metrics.items():
        found[name] = known.get(metric) if isinstance(metric, str) else metric
        if not callable(found[name]):
            raise ValueError(f"metrics: there is no metric {metric!r}; there are "
                             f"{', '.join(NAMED)}, and any function of (y, t) that gives a "
                             "number for each sample")
        if name in ("loss", "epoch", "lr"):
            raise ValueError(f"metrics: {name!r} is reported anyway, give the metric another "
                             "name")
    return found


class Averages:
    """The mean loss and metrics of all samples so far, from batches of any sizes.

    The loss of a batch counts as often as the batch has samples. Sums are float64's.
    """

    def __init__(self, metrics):
        self.metrics = metrics
        self.sums = {name: [0.0, 0] for name in ("loss", *metrics)}

    def add(self, loss, y, t):
        """Add a batch: its loss, a number; predictions and targets, plain arrays."""
        n = len(t) if np.ndim(t) else 1
        self._add("loss", float(loss) * n, n)
        for name, metric in self.metrics.items():
            values = np.asarray(metric(y, t))
            if np.ndim(t) and values.shape[:1] != (n,):
                raise ShapeError(f"the metric {name} gave shape {values.shape} for {n} "
                                 "samples: it must give a number for each, whose mean is taken "
                                 "later")
            self._add(name, float(np.sum(values, dtype=np.float64)), values.size)

    def _add(self, name, value, n):
        total, count = self.sums[name]
        self.sums[name] = [total + value, count + n]

    def result(self):
        """{name: mean}."""
        return {name: total / count if count else float("nan")
                for name, (total, count) in self.sums.items()}

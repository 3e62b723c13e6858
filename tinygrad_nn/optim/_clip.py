"""Clipping of gradients, between ``backward()`` and ``step()``."""

import numpy as np

from .._core import astype
from ._optimizer import check_gradients, checked, named_parameters
from ._strips import sum_of_squares


def clip_grad_norm(parameters, max_norm):
    """Scale all gradients by one factor so that their norm together is at most ``max_norm``.

    Returns the norm before, of all gradients as one long vector; ``max_norm=inf`` only
    measures. The factor is PyTorch's, ``min(1, max_norm / (norm + 1e-6))``. The squares are
    added up in float64, so the norm of float32 gradients does not overflow. Parameters without
    a gradient are left out; arrays that were taken earlier are not changed.

    Pascanu, Mikolov and Bengio (2013), "On the difficulty of training recurrent neural
    networks".

    >>> import numpy as np, tinygrad_nn as tn
    >>> w = tn.Tensor(np.zeros(2))
    >>> w.grad = np.array([3.0, 4.0])
    >>> float(tn.optim.clip_grad_norm([w], 1.0)), w.grad.round(3)
    (5.0, array([0.6, 0.8]))
    """
    if max_norm != np.inf:
        max_norm = checked("clip_grad_norm: max_norm", max_norm)
    found = _with_gradient(parameters, "clip_grad_norm()")
    norm = np.sqrt(sum(sum_of_squares(p.grad) for p in found))
    factor = np.minimum(1.0, max_norm / (norm + 1e-6))
    for p in found:
        p.grad = astype(p.grad, p.dtype) * astype(factor, p.dtype)
    return norm


def clip_grad_value(parameters, clip_value):
    """Clip every element of every gradient to -clip_value … clip_value.

    >>> import numpy as np, tinygrad_nn as tn
    >>> w = tn.Tensor(np.zeros(2))
    >>> w.grad = np.array([3.0, -0.1])
    >>> tn.optim.clip_grad_value([w], 0.5); w.grad
    array([ 0.5, -0.1])
    """
    clip_value = checked("clip_grad_value: clip_value", clip_value)
    for p in _with_gradient(parameters, "clip_grad_value()"):
        p.grad = np.clip(p.grad, -clip_value, clip_value)


def _with_gradient(parameters, who):
    named = named_parameters(parameters, who)
    check_gradients(named.items(), who)
    return [p for p in named.values() if p.grad is not None]

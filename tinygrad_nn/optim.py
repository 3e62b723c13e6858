"""Optimisers: a pure update rule and a class that applies it to parameters.

The rule is a function of (parameter, gradient, settings) that returns the new parameter;
nothing is changed in place, so arrays that somebody took earlier stay as they were.
"""

import numpy as np

from ._errors import GraphError
from ._tensor import Tensor


def sgd(w, g, lr):
    """One step of gradient descent: ``w - lr * g``, in the dtype of w."""
    return w - np.multiply(g, lr, dtype=w.dtype)


class SGD:
    """Gradient descent: ``w = w - lr * gradient`` for every parameter that has one.

    ``parameters``: Tensors, e.g. ``model.parameters()``; ``lr``: the learning rate, may be
    changed between steps.
    """

    def __init__(self, parameters, lr):
        self.parameters = list(parameters)
        if not self.parameters:
            raise ValueError("SGD got no parameters: pass model.parameters(); a generator that "
                             "was used before is empty")
        for p in self.parameters:
            if not isinstance(p, Tensor):
                raise TypeError(f"SGD takes Tensors, got {type(p).__name__}")
        if len({id(p) for p in self.parameters}) < len(self.parameters):
            raise ValueError("SGD got the same parameter twice")
        if not lr >= 0:
            raise ValueError(f"SGD: the learning rate must be at least 0, got {lr!r}")
        self.lr = lr

    def step(self):
        """Update every parameter that has a gradient."""
        if all(p.grad is None for p in self.parameters):
            raise GraphError("SGD.step() before backward(): no parameter has a gradient")
        for p in self.parameters:
            if p.grad is not None:
                p.data = sgd(p.data, p.grad, self.lr)

    def zero_grad(self):
        """Forget the gradients."""
        for p in self.parameters:
            p.grad = None

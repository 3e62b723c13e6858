"""Activations as layers: each applies one function and holds at most a setting of it."""

import numpy as np

from .._errors import ShapeError
from ..rules import elu, gelu, leaky_relu, relu, sigmoid, silu, softmax, softplus
from ._module import Module


class ReLU(Module):
    """max(x, 0), elementwise."""

    def forward(self, x):
        return relu(x)


class LeakyReLU(Module):
    """x where it is positive, ``negative_slope * x`` elsewhere."""

    def __init__(self, negative_slope=0.01):
        self.negative_slope = float(negative_slope)

    def forward(self, x):
        return leaky_relu(x, self.negative_slope)

    def _settings(self):
        return f"negative_slope={self.negative_slope}"


class ELU(Module):
    """x where it is positive, ``alpha * (exp(x) - 1)`` elsewhere."""

    def __init__(self, alpha=1.0):
        self.alpha = float(alpha)

    def forward(self, x):
        return elu(x, self.alpha)

    def _settings(self):
        return f"alpha={self.alpha}"


class GELU(Module):
    """x times the probability that a standard normal variable is below x; see `tn.gelu`.

    ``approximate``: "none", or "tanh" for the faster formula.
    """

    def __init__(self, approximate="none"):
        if approximate not in ("none", "tanh"):
            raise ValueError(f"GELU: approximate={approximate!r}, expected 'none' or 'tanh'")
        self.approximate = approximate

    def forward(self, x):
        return gelu(x, self.approximate)

    def _settings(self):
        return f"approximate={self.approximate!r}"


class SiLU(Module):
    """x * sigmoid(x), elementwise."""

    def forward(self, x):
        return silu(x)


class Softplus(Module):
    """log(1 + exp(x)), elementwise; exact, while PyTorch's takes x for it beyond 20."""

    def forward(self, x):
        return softplus(x)


class Tanh(Module):
    """The hyperbolic tangent, elementwise."""

    def forward(self, x):
        return np.tanh(x)


class Sigmoid(Module):
    """1 / (1 + exp(-x)), elementwise."""

    def forward(self, x):
        return sigmoid(x)


class Softmax(Module):
    """exp(x) / sum(exp(x)) over the axis ``dim``: numbers that sum to 1."""

    def __init__(self, dim=-1):
        self.dim = dim

    def forward(self, x):
        n = max(np.ndim(x), 1)
        if not -n <= self.dim < n:
            raise ShapeError(f"{self!r}: there is no such axis in shape {np.shape(x)}")
        return softmax(x, axis=self.dim)

    def _settings(self):
        return f"dim={self.dim}"

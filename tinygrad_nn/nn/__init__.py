"""Layers, losses and the module tree that holds their parameters."""

from ..rules import adaptive_avg_pool2d, avg_pool2d, conv2d, max_pool2d
from . import _tree  # noqa: F401  modules become arguments of transforms
from ._layers import Linear, ReLU, Sigmoid
from ._losses import binary_cross_entropy, binary_cross_entropy_with_logits
from ._module import Module
from ._sequential import Sequential

__all__ = [
    "Linear",
    "Module",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "adaptive_avg_pool2d",
    "avg_pool2d",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "conv2d",
    "max_pool2d",
]

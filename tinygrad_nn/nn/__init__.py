"""Layers, losses and the module tree that holds their parameters."""

from ..rules import adaptive_avg_pool2d, avg_pool2d, conv2d, max_pool2d
from . import _tree  # noqa: F401  modules become arguments of transforms
from ._convolution import Conv2d
from ._dropout import Dropout
from ._embedding import Embedding
from ._layers import Linear, ReLU, Sigmoid
from ._losses import binary_cross_entropy, binary_cross_entropy_with_logits
from ._module import Module
from ._normalization import BatchNorm1d, BatchNorm2d, GroupNorm, LayerNorm
from ._pooling import AdaptiveAvgPool2d, AvgPool2d, Flatten, MaxPool2d
from ._sequential import Sequential

__all__ = [
    "AdaptiveAvgPool2d",
    "AvgPool2d",
    "BatchNorm1d",
    "BatchNorm2d",
    "Conv2d",
    "Dropout",
    "Embedding",
    "Flatten",
    "GroupNorm",
    "LayerNorm",
    "Linear",
    "MaxPool2d",
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

"""Layers, losses and the module tree that holds their parameters."""

from ..rules import adaptive_avg_pool2d, avg_pool2d, conv2d, max_pool2d
from . import _tree, init  # noqa: F401  _tree makes modules arguments of transforms
from ._activations import (
    ELU,
    GELU,
    LeakyReLU,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from ._convolution import Conv2d
from ._cross_entropy import cross_entropy, nll_loss
from ._dropout import Dropout
from ._embedding import Embedding
from ._layers import Linear
from ._losses import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    hinge_loss,
    huber_loss,
    l1_loss,
    mse_loss,
)
from ._module import Module
from ._normalization import BatchNorm1d, BatchNorm2d, GroupNorm, LayerNorm
from ._pooling import AdaptiveAvgPool2d, AvgPool2d, Flatten, MaxPool2d
from ._sequential import Sequential
from ._summary import summary

__all__ = [  # noqa: RUF022  plain order, capitals first: a test holds it
    "AdaptiveAvgPool2d",
    "AvgPool2d",
    "BatchNorm1d",
    "BatchNorm2d",
    "Conv2d",
    "Dropout",
    "ELU",
    "Embedding",
    "Flatten",
    "GELU",
    "GroupNorm",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "MaxPool2d",
    "Module",
    "ReLU",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Tanh",
    "adaptive_avg_pool2d",
    "avg_pool2d",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "conv2d",
    "cross_entropy",
    "hinge_loss",
    "huber_loss",
    "init",
    "l1_loss",
    "max_pool2d",
    "mse_loss",
    "nll_loss",
    "summary",
]

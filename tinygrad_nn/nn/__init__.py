"""Layers, losses and the module tree that holds their parameters."""

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
from ._cross_entropy import cross_entropy, nll_loss
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
from ._sequential import Sequential
from ._summary import summary

__all__ = [
    "ELU",
    "GELU",
    "LeakyReLU",
    "Linear",
    "Module",
    "ReLU",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Tanh",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "hinge_loss",
    "huber_loss",
    "init",
    "l1_loss",
    "mse_loss",
    "nll_loss",
    "summary",
]

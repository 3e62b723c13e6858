"""tinygrad_nn: differentiate NumPy, and train small neural networks with it.

    import numpy as np, tinygrad_nn as tn

    w = tn.Tensor(np.zeros(3))            # what you want derivatives for
    loss = np.mean((x @ w - y) ** 2)      # plain NumPy; a plain array is a constant
    loss.backward();  w.grad              # a plain array, of the shape and dtype of w
    tn.grad(f)(x), tn.jvp(f, (x,), (v,))  # functions of functions, nested to any depth

`tn.nn`, `tn.optim`, `tn.models`, `tn.data` and `tn.train` hold the networks built on it and
their training, `tn.rules` the table of derivatives and the way to add to it. `tn.save_weights`
and `tn.load_weights` keep arrays in safetensors files, `tn.save_model` and `tn.load_model`
whole models.
"""

import importlib

from . import rules
from ._core import primitive
from ._custom import custom_jvp, custom_vjp, remat
from ._errors import (
    DataError,
    DetachError,
    GradcheckError,
    GraphError,
    MissingExtraError,
    MutationError,
    NonFiniteError,
    NoRuleError,
    ShapeError,
    TinygradError,
)
from ._findings import GradcheckReport
from ._gradcheck import gradcheck
from ._modes import debug_nans, no_grad
from ._tensor import Tensor
from ._transforms import (
    grad,
    hessian,
    hvp,
    jacobian,
    jvp,
    stop_gradient,
    value_and_grad,
    vjp,
)
from ._version import __version__ as __version__
from .rules import (
    elu,
    erf,
    erfc,
    gelu,
    leaky_relu,
    log_softmax,
    logsumexp,
    relu,
    sigmoid,
    silu,
    softmax,
    softplus,
)

__all__ = [
    "DataError",
    "DetachError",
    "GradcheckError",
    "GradcheckReport",
    "GraphError",
    "MissingExtraError",
    "MutationError",
    "NoRuleError",
    "NonFiniteError",
    "ShapeError",
    "Tensor",
    "TinygradError",
    "compile",
    "custom_jvp",
    "custom_vjp",
    "data",
    "debug_nans",
    "elu",
    "erf",
    "erfc",
    "gelu",
    "grad",
    "gradcheck",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "leaky_relu",
    "load_metadata",
    "load_model",
    "load_weights",
    "log_softmax",
    "logsumexp",
    "models",
    "nn",
    "no_grad",
    "optim",
    "primitive",
    "relu",
    "remat",
    "rules",
    "save_model",
    "save_weights",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "stop_gradient",
    "testing",
    "train",
    "value_and_grad",
    "vjp",
]


FILES = {"compile": "_compile", "load_metadata": "_safetensors", "load_weights": "_safetensors",
         "save_weights": "_safetensors", "load_model": "_saved_model",
         "save_model": "_saved_model"}


def __getattr__(name):
    if name in ("data", "models", "nn", "optim", "testing", "train"):   # when first used
        return importlib.import_module(f".{name}", __name__)
    if name in FILES:
        return getattr(importlib.import_module(f".{FILES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""The rule table, by family, and the functions that add to it.

`elementwise`, `select`, `linear`, `bilinear`, `rule`, `composite`, `variadic` and `zero` each
state the derivative of one function in the least form that gives both modes and every order;
what the parameters of their functions may be called is told in `tinygrad_nn._table`.

    _elementwise   arithmetic, powers, exponentials, circular functions, selections
    _reductions    sum, mean, var, max, norm, cumsum
    _shape         indexing, reshape, joining, splitting, padding
    _products      matmul, dense, tensordot, einsum
    _activations   relu, sigmoid, softplus, softmax, log_softmax, logsumexp
    _zero          comparisons, positions, shapes

Kinks, decided once, the same in both modes: relu'(0) = 0; abs'(0) = 0; ties of max, min,
maximum, minimum (and so of clip at its limits) share the gradient evenly; sort keeps the order
of equal keys; the Euclidean norm'(0) = 0; hypot'(0, 0) = 0.
"""

from .._core import install_methods
from .._table import (
    bilinear,
    composite,
    elementwise,
    kink,
    linear,
    refuse,
    rule,
    select,
    variadic,
    zero,
)
from . import _elementwise, _products, _reductions, _shape, _zero  # noqa: F401  they fill the table
from ._activations import log_softmax, logsumexp, relu, sigmoid, softmax, softplus
from ._products import dense

install_methods(relu, sigmoid)

__all__ = [
    "bilinear",
    "composite",
    "dense",
    "elementwise",
    "kink",
    "linear",
    "log_softmax",
    "logsumexp",
    "refuse",
    "relu",
    "rule",
    "select",
    "sigmoid",
    "softmax",
    "softplus",
    "variadic",
    "zero",
]

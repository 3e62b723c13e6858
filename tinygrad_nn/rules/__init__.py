"""The rule table, by family, and the functions that add to it.

`elementwise`, `select`, `linear`, `bilinear`, `rule`, `composite`, `variadic`, `zero` and
`refuse` each say what the derivative of a function is, in the least form that gives both modes
and every order; how the parameters of their functions may be called is told in
`tinygrad_nn._table`.

    _elementwise      arithmetic, powers, exponentials, circular functions, selections
    _reductions       sum, mean, cumsum
    _statistics       var, std, averages, covariance
    _order            max, median, quantile
    _cumulative       prod, cumprod, running results, ufunc methods
    _shape, _more     indexing, reshape, joining, splitting, padding, ranges
    _products         matmul, dense, einsum
    _linalg           solve, inv, det, powers
    _decompositions   eigh, svd, qr, cholesky
    _norms            np.linalg.norm
    _calculus         diff, gradient, interp
    _polynomials      polyval and its like
    _activations      relu and its kin, sigmoid, gelu, softplus, softmax, logsumexp
    _erf              the error function
    _convolution      conv2d; its arithmetic in _convolution_kernels
    _convolution_pooled   conv2d, relu and max_pool2d as one
    _pooling          max_pool2d, avg_pool2d and adaptive; arithmetic in _pooling_kernels
    _normalization    standardize
    _zero, _refused   derivative zero; no derivative, and why

`python -m tinygrad_nn.rules` prints what is known of every function (`docs/functions.md`).

Kinks, decided once, the same in both modes: relu'(0) = 0, and of leaky_relu and elu at 0 the
derivative from the left; abs'(0) = 0; ties of max, min, maximum, minimum (and so of clip at its
limits) share the gradient evenly; sort keeps the order of equal keys; lengths (norm, hypot,
std) have the derivative 0 at 0; arctan2'(0, 0) = 0; x**0 is constant in x; 0**p is constant in
p where p >= 0. The page has those of other functions.
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
from . import (  # noqa: F401  they fill the table
    _calculus,
    _convolution_pooled,
    _cumulative,
    _decompositions,
    _elementwise,
    _linalg,
    _more,
    _norms,
    _order,
    _polynomials,
    _products,
    _reductions,
    _refused,
    _shape,
    _statistics,
    _zero,
)
from ._activations import (
    elu,
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
from ._convolution import conv2d
from ._erf import erf, erfc
from ._normalization import standardize
from ._pooling import adaptive_avg_pool2d, avg_pool2d, max_pool2d
from ._products import dense

install_methods(relu, sigmoid)

__all__ = [
    "adaptive_avg_pool2d",
    "avg_pool2d",
    "bilinear",
    "composite",
    "conv2d",
    "dense",
    "elementwise",
    "elu",
    "erf",
    "erfc",
    "gelu",
    "kink",
    "leaky_relu",
    "linear",
    "log_softmax",
    "logsumexp",
    "max_pool2d",
    "refuse",
    "relu",
    "rule",
    "select",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "standardize",
    "variadic",
    "zero",
]

"""What each operator of PyTorch is in NumPy and this package, and where the two differ.

``OPS``: operator (or ``operator/variant``) -> a function of PyTorch's arguments, arrays in
their place. Left out: complex and sparse results, random numbers, convolution, pooling and
interpolation of pictures, special functions that NumPy has not; what writes in place (put,
scatter); most second names of an operator (view_copy, __radd__).
"""

import numpy as np

import tinygrad_nn as tn

from .adapt import masked, on_scalars, over, reduction
from .mapping_networks import NETWORKS
from .mapping_products import PRODUCTS
from .mapping_shapes import SHAPES

# ---------------------------------------------------------------- elementwise

ELEMENTWISE = {
    "abs": np.abs, "acos": np.arccos, "acosh": np.arccosh, "asin": np.arcsin,
    "asinh": np.arcsinh, "atan": np.arctan, "atanh": np.arctanh, "cos": np.cos,
    "cosh": np.cosh, "deg2rad": np.deg2rad, "exp": np.exp, "exp2": np.exp2,
    "expm1": np.expm1, "log": np.log, "log10": np.log10, "log1p": np.log1p, "log2": np.log2,
    "neg": np.negative, "positive": np.positive, "rad2deg": np.rad2deg,
    "reciprocal": np.reciprocal, "sin": np.sin, "sinc": np.sinc, "sinh": np.sinh,
    "sqrt": np.sqrt, "square": np.square, "tan": np.tan, "tanh": np.tanh,
    "nan_to_num": np.nan_to_num, "angle": np.angle, "real": np.real, "conj": np.conjugate,
    "i0": np.i0,
    "sign": np.sign, "floor": np.floor, "ceil": np.ceil, "trunc": np.trunc,
    "round": lambda x, decimals=0: np.round(x, decimals),
    "frac": lambda x: x - np.trunc(x),
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "sigmoid": tn.sigmoid, "erf": tn.erf, "erfc": tn.erfc,
    "logit": lambda x, eps=None: _logit(x if eps is None else np.clip(x, eps, 1 - eps)),
    "special.entr": lambda x: np.where(x < 0, -np.inf, -_x_log(x, x)),

    "add": lambda a, b, alpha=1: a + alpha * b,
    "sub": lambda a, b, alpha=1: a - alpha * b,
    "rsub": lambda a, b, alpha=1: b - alpha * a,
    "mul": np.multiply,
    "div": lambda a, b, rounding_mode=None: DIVISIONS[rounding_mode](a, b),
    "fmod": np.fmod, "remainder": np.remainder,
    "pow": np.power, "float_power": np.float_power,
    "maximum": np.maximum, "minimum": np.minimum, "fmax": np.fmax, "fmin": np.fmin,
    "max/binary": np.maximum, "min/binary": np.minimum,
    "atan2": np.arctan2, "hypot": np.hypot, "copysign": np.copysign,
    "logaddexp": np.logaddexp, "logaddexp2": np.logaddexp2,
    "xlogy": lambda a, b: _x_log(a, b),
    "special.xlog1py": lambda a, b: a * np.log1p(np.where(np.equal(a, 0), 0.0, b)),
    "clamp": lambda x, min=None, max=None: np.clip(x, min, max),
    "clamp_min": np.maximum, "clamp_max": np.minimum,
    "lerp": lambda a, b, w: a + w * (b - a),
    "addcmul": lambda x, a, b, value=1: x + value * a * b,
    "addcdiv": lambda x, a, b, value=1: x + value * a / b,
    "where": lambda a, mask, b: np.where(mask, a, b),
    "masked_fill": lambda x, mask, value: np.where(mask, value, x),
}
DIVISIONS = {None: np.divide, "trunc": lambda a, b: np.trunc(a / b), "floor": np.floor_divide}


def _logit(p):
    return np.log(p / (1 - p))


def _x_log(a, b):
    return a * np.log(np.where(np.equal(a, 0), 1.0, b))


# ---------------------------------------------------------------- reductions

def _spread(fn):
    """var or std: (x, unbiased) or (x, dim, unbiased, keepdim, correction)."""
    def call(x, dim=None, unbiased=True, keepdim=False, *, correction=None):
        if isinstance(dim, bool):
            dim, unbiased = None, dim
        ddof = int(unbiased) if correction is None else correction
        return fn(x, axis=over(dim, x), ddof=ddof, keepdims=keepdim)
    return call


def _masked_spread(fn):
    def call(x, dim=None, unbiased=True, *, correction=None, **kwargs):
        ddof = int(unbiased) if correction is None else correction
        return masked(fn, ddof=ddof)(x, dim, **kwargs)
    return call


def _with_mean(fn):
    def call(x, dim=None, unbiased=True, keepdim=False, **kwargs):
        axis = None if isinstance(dim, bool) else over(dim, x)
        return (_spread(fn)(x, dim, unbiased, keepdim, **kwargs),
                np.mean(x, axis=axis, keepdims=keepdim))
    return call


def _extremum(fn, where):
    """The extremum along an axis and its position."""
    return on_scalars(lambda x, dim, keepdim=False: (
        fn(x, axis=dim, keepdims=keepdim), where(x, axis=dim, keepdims=keepdim)))


def _running(fn):
    """The running extremum along an axis and the position where it was reached last."""
    @on_scalars
    def call(x, dim):
        y = fn.accumulate(x, axis=dim)
        here = np.expand_dims(np.arange(np.shape(x)[dim]),
                              [i for i in range(np.ndim(x)) if i != dim % np.ndim(x)])
        return y, np.maximum.accumulate(np.where(np.equal(x, y), here, 0), axis=dim)
    return call


def _norm(x, p="fro", dim=None, keepdim=False, dtype=None):
    axis = over(dim, x)
    if p == "nuc":
        return np.linalg.norm(x, "nuc", axis or (-2, -1), keepdim)
    return np.linalg.vector_norm(x, ord=2 if p == "fro" else p, axis=axis, keepdims=keepdim)


REDUCTIONS = {
    "sum": reduction(np.sum), "nansum": reduction(np.nansum),
    "mean": reduction(np.mean), "nanmean": reduction(np.nanmean),
    "prod": reduction(np.prod), "amax": reduction(np.max), "amin": reduction(np.min),
    "max/reduction_no_dim": np.max, "min/reduction_no_dim": np.min,
    "max/reduction_with_dim": _extremum(np.max, np.argmax),
    "min/reduction_with_dim": _extremum(np.min, np.argmin),
    "aminmax": lambda x, dim=None, keepdim=False: (
        reduction(np.min)(x, dim, keepdim), reduction(np.max)(x, dim, keepdim)),
    "var": _spread(np.var), "std": _spread(np.std),
    "var_mean": _with_mean(np.var), "std_mean": _with_mean(np.std),
    "logsumexp": reduction(tn.logsumexp),
    "norm": _norm,
    "dist": lambda a, b, p=2: np.linalg.norm(np.ravel(a - b), p),
    "masked.sum": masked(np.sum), "masked.mean": masked(np.mean),
    "masked.prod": masked(np.prod),
    "masked.amax": masked(np.max, initial=-np.inf),
    "masked.amin": masked(np.min, initial=np.inf),
    "masked.var": _masked_spread(np.var), "masked.std": _masked_spread(np.std),
    "cumsum": on_scalars(lambda x, dim, dtype=None: np.cumsum(x, dim, dtype)),
    "cumprod": on_scalars(lambda x, dim, dtype=None: np.cumprod(x, dim, dtype)),
    "cummax": _running(np.maximum), "cummin": _running(np.minimum),
    "logcumsumexp": on_scalars(lambda x, dim: np.logaddexp.accumulate(x, dim)),
    "trapezoid": lambda y, x=None, dx=1.0, dim=-1: np.trapezoid(y, x, dx, dim),
    "diff": lambda x, n, dim, before=None, after=None: np.diff(
        x, n, dim, **{k: v for k, v in (("prepend", before), ("append", after))
                      if v is not None}),
    "gradient": lambda x, spacing=None, dim=None, edge_order=1: np.gradient(
        x, *(spacing if isinstance(spacing, (list, tuple)) else [spacing or 1.0]),
        axis=dim, edge_order=edge_order),
    "cov": lambda x, correction=1, fweights=None, aweights=None: np.cov(
        x, ddof=correction, fweights=fweights, aweights=aweights),
    "corrcoef": np.corrcoef,
}


# ---------------------------------------------------------------- order

def _sorted(x, dim=-1, descending=False, stable=False):
    y, where = np.sort(x, dim, stable=True), np.argsort(x, dim, stable=True)
    return (np.flip(y, dim), np.flip(where, dim)) if descending else (y, where)


@on_scalars
def _kth(x, k, dim=-1, keepdim=False):
    y = np.take(np.partition(x, k - 1, dim), k - 1, dim)
    where = np.take(np.argsort(x, dim), k - 1, dim)
    return (np.expand_dims(y, dim), np.expand_dims(where, dim)) if keepdim else (y, where)


def _median(fn, quantile):
    """The lower of the two in the middle, as PyTorch has it; with an axis also where it is."""
    def call(x, dim=None, keepdim=False):
        axis = over(dim, x)
        n = np.size(x) if axis is None else np.shape(x)[axis]
        n = 0 if np.any(np.isnan(x)) else n
        y = (fn(x, axis=axis, keepdims=keepdim) if n % 2
             else quantile(x, 0.5, axis=axis, keepdims=keepdim, method="lower"))
        if dim is None:
            return y
        where = np.take(np.argsort(x, axis), (n - 1) // 2, axis)
        return y, np.reshape(where, np.shape(y))
    return call


def _quantile(fn):
    return lambda x, q, dim=None, keepdim=False, interpolation="linear": fn(
        x, q, axis=over(dim, x), keepdims=keepdim, method=interpolation)


ORDER = {
    "sort": on_scalars(_sorted), "msort": lambda x: np.sort(x, axis=0),
    "kthvalue": _kth,
    "median": _median(np.median, np.quantile),
    "nanmedian": _median(np.nanmedian, np.nanquantile),
    "quantile": _quantile(np.quantile), "nanquantile": _quantile(np.nanquantile),
}

OPS = {**ELEMENTWISE, **REDUCTIONS, **ORDER, **SHAPES, **PRODUCTS, **NETWORKS}
NAMES = sorted({name.partition("/")[0] for name in OPS})


# ---------------------------------------------------------------- where the two differ

def _symmetric(x, *args):
    """Both sides read one triangle, or both: compared as functions of a symmetric matrix."""
    return (x + x.mT) / 2, *args


# arguments of both sides go through this first
PREPARED = dict.fromkeys(
    ("linalg.cholesky", "linalg.eigh", "linalg.eigvalsh", "linalg.pinv/hermitian"), _symmetric)


def _singular(y):
    """Vectors but for their sign. Those that complete a full u or vh are arbitrary, and
    PyTorch drops their gradient without a word."""
    u, s, vh = y
    k = s.shape[-1]
    return abs(u[..., :k]), s, abs(vh[..., :k, :])


# results of both sides go through this first
VIEWS = {
    "linalg.eigh": lambda y: (y[0], abs(y[1])),
    "linalg.svd": _singular,
    "linalg.lstsq": lambda y: y[0],          # PyTorch: residuals without a gradient
    "linalg.lstsq/grad_oriented": lambda y: [v for v in y if 0 not in v.shape],
}

# operator -> (tolerance, why)
TOLERANCES = {
    "nn.functional.hardsigmoid": (1e-7, "PyTorch's derivative is 1/6 in float32"),
}

# operator -> why some of its samples have no derivative here
REFUSED = {
    "quantile": ("np.quantile has no derivative with respect to q=",
                 "PyTorch differentiates by q as well, we by the array alone"),
    "nanquantile": ("np.nanquantile has no derivative with respect to q=", "as quantile"),
}

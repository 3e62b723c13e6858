"""Reductions and cumulative functions: sum, mean, var, max, norm, cumsum …"""

import numpy as np

from .._core import UFUNC_METHODS, astype, primitive
from .._table import composite, keep, linear, rule


def spread(g, shape, axis, keepdims):
    """What was reduced over ``axis``, broadcast back to ``shape`` (a view)."""
    if not keepdims and axis is not None:
        g = np.expand_dims(g, axes(axis, len(shape)))
    return np.broadcast_to(g, shape)


def axes(axis, ndim):
    """``axis`` (int, tuple or None) as a tuple of non-negative ints."""
    if axis is None:
        return tuple(range(ndim))
    return tuple(i % ndim for i in (axis if isinstance(axis, tuple) else (axis,)))


def counted(shape, axis, keepdims, where):
    """How many elements each result of a reduction is made of."""
    if where is True:
        return int(np.prod([shape[i] for i in axes(axis, len(shape))], dtype=int))
    return np.sum(np.broadcast_to(where, shape), axis=axis, keepdims=keepdims)   # an array


# ---------------------------------------------------------------- linear

def _sum_transpose(g, shape, axis=None, keepdims=False, where=True, initial=0, dtype=None):
    g = spread(g, shape, axis, keepdims)
    return g if where is True else np.where(where, g, 0.0)


def _mean_transpose(g, shape, axis=None, keepdims=False, where=True, dtype=None):
    g = g / counted(shape, axis, keepdims, where)
    return _sum_transpose(g, shape, axis, keepdims, where)


def _cumsum_transpose(g, shape, axis=None, dtype=None):
    if axis is None:
        g, axis = np.reshape(g, -1), 0
    return np.reshape(np.flip(np.cumsum(np.flip(g, axis), axis), axis), shape)


linear(np.sum, _sum_transpose)
linear(np.mean, _mean_transpose)
linear(np.cumsum, _cumsum_transpose)


# ---------------------------------------------------------------- variance

def _var(a, axis=None, dtype=None, ddof=0, keepdims=False, where=True, correction=None):
    ddof = ddof if correction is None else correction
    if dtype is not None:
        a = astype(a, dtype)
    d = a - np.mean(a, axis, keepdims=True, where=where)
    n = counted(np.shape(a), axis, keepdims, where)
    n = max(n - ddof, 0) if where is True else np.maximum(n - ddof, 0).astype(a.dtype)
    return np.sum(d * d, axis, keepdims=keepdims, where=where) / n


def _root(x):
    """sqrt(x) of a sum of squares: a length, whose derivative at 0 is 0."""
    return np.where(x == 0, 0.0, np.sqrt(np.where(x == 0, 1.0, x)))


composite(np.var, _var)
composite(np.std, lambda *args, **kwargs: _root(_var(*args, **kwargs)))
composite(np.ptp, lambda a, axis=None, keepdims=False:
          np.max(a, axis, keepdims=keepdims) - np.min(a, axis, keepdims=keepdims))


# ---------------------------------------------------------------- extrema: ties share evenly

def _share(a, y, axis, keepdims):
    """1 / (number of ties) where the extremum is reached, else 0."""
    hit = np.equal(a, spread(y, np.shape(a), axis, keepdims))
    return hit / np.maximum(np.sum(hit, axis=axis, keepdims=True), 1)      # no hit: a nan


def _extremum_vjp(g, shape, a, y, axis=None, keepdims=False):
    return keep(spread(g, shape, axis, keepdims), _share(a, y, axis, keepdims))


def _extremum_jvp(t, a, y, axis=None, keepdims=False):
    return np.sum(keep(t, _share(a, y, axis, keepdims)), axis=axis, keepdims=keepdims)


rule(np.max, vjp=_extremum_vjp, jvp=_extremum_jvp, moves=True, selects=True)
rule(np.min, vjp=_extremum_vjp, jvp=_extremum_jvp, moves=True, selects=True)


# ---------------------------------------------------------------- norms
# One primitive for the Euclidean length, so that its derivative at 0 is 0 (a choice within the
# subgradients); composed as sqrt(sum(x**2)) NumPy's arithmetic gives nan there.

@primitive
def _length(x, axis=None, keepdims=False):
    return np.sqrt(np.sum(np.square(x), axis=axis, keepdims=keepdims))


def _unit(x, y, axis, keepdims):
    y = spread(y, np.shape(x), axis, keepdims)
    return np.where(y == 0, 0.0, x / np.where(y == 0, 1.0, y))


rule(_length, vjp=lambda g, shape, x, y, axis=None, keepdims=False:
     spread(g, shape, axis, keepdims) * _unit(x, y, axis, keepdims),
     jvp=lambda t, x, y, axis=None, keepdims=False:
     np.sum(t * _unit(x, y, axis, keepdims), axis=axis, keepdims=keepdims))


def _norm(x, ord=None, axis=None, keepdims=False):
    over = axes(axis, np.ndim(x))
    if ord is None or (ord == 2 and len(over) == 1) or (ord == "fro" and len(over) == 2):
        return _length(x, axis=over, keepdims=keepdims)
    if len(over) == 1:
        return _vector_norm(x, ord, over, keepdims)
    if len(over) == 2 and ord in (1, -1, np.inf, -np.inf):
        rows, columns = over if abs(ord) == 1 else over[::-1]
        sums = np.sum(np.abs(x), axis=rows, keepdims=True)
        y = (np.max if ord > 0 else np.min)(sums, axis=columns, keepdims=True)
        return y if keepdims else np.squeeze(y, over)
    raise ValueError(f"np.linalg.norm of a Tensor: ord={ord!r} over {len(over)} axes is not "
                     "available")


def _vector_norm(x, ord, axis, keepdims):
    if ord == np.inf:
        return np.max(np.abs(x), axis=axis, keepdims=keepdims)
    if ord == -np.inf:
        return np.min(np.abs(x), axis=axis, keepdims=keepdims)
    if ord == 0:
        return np.sum(np.not_equal(x, 0).astype(x.dtype), axis=axis, keepdims=keepdims)
    total = np.sum(np.abs(x) if ord == 1 else np.abs(x) ** ord, axis=axis, keepdims=keepdims)
    return total if ord == 1 else total ** (1 / ord)


composite(np.linalg.norm, _norm)


# ---------------------------------------------------------------- np.add.reduce and its like

for _ufunc, _reduce, _accumulate in ((np.add, np.sum, np.cumsum), (np.maximum, np.max, None),
                                     (np.minimum, np.min, None)):
    for _method, _run in (("reduce", _reduce), ("accumulate", _accumulate)):
        if _run is not None:
            UFUNC_METHODS[_ufunc, _method] = (
                lambda a, axis=0, run=_run, **kwargs: run(a, axis=axis, **kwargs))

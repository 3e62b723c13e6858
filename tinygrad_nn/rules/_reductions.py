"""Sums, means and running sums; what other reductions need to know of axes."""

import numpy as np

from .._core import UFUNC_METHODS, astype
from .._table import composite, linear


def spread(g, shape, axis, keepdims):
    """What was reduced over ``axis``, broadcast back to ``shape`` (a view)."""
    if not keepdims and axis is not None:
        g = np.expand_dims(g, axes(axis, len(shape)))
    return np.broadcast_to(g, shape)


def axes(axis, ndim):
    """``axis`` (int, tuple or None) as a tuple of non-negative ints; none of them where the
    array is 0-d, of which NumPy takes axis 0 and -1 to be there."""
    if axis is None or ndim == 0:
        return tuple(range(ndim))
    return tuple(i % ndim for i in (axis if isinstance(axis, tuple) else (axis,)))


def counted(shape, axis, keepdims, where):
    """How many elements each result of a reduction is made of."""
    if where is True:
        return int(np.prod([shape[i] for i in axes(axis, len(shape))], dtype=int))
    return np.sum(np.broadcast_to(where, shape), axis=axis, keepdims=keepdims)   # an array


# ---------------------------------------------------------------- linear

def _sum_transpose(g, shape, axis=None, keepdims=False, where=True, initial=0, dtype=None):
    return spread(g, shape, axis, keepdims)


def _mean_transpose(g, shape, axis=None, keepdims=False, where=True, dtype=None):
    return spread(g / counted(shape, axis, keepdims, True), shape, axis, keepdims)


def _sum_where(a, where, **kwargs):
    return np.sum(np.where(where, a, 0.0), **kwargs)


def mean_where(a, where, axis=None, keepdims=False, dtype=None):
    """The mean of the selected elements, in the dtype of ``a``; the others are not touched."""
    a = a if dtype is None else astype(a, dtype)
    n = counted(np.shape(a), axis, keepdims, where)
    if where is not True:
        a, n = np.where(where, a, 0.0), n.astype(a.dtype)
    return np.sum(a, axis=axis, keepdims=keepdims) / n


def _cumsum_transpose(g, shape, axis=None, dtype=None):
    if axis is None:
        g, axis = np.reshape(g, -1), 0
    return np.reshape(np.flip(np.cumsum(np.flip(g, axis), axis), axis), shape)


linear(np.sum, _sum_transpose, masked=_sum_where)
linear(np.mean, _mean_transpose, masked=mean_where)
linear(np.cumsum, _cumsum_transpose)
composite(np.ptp, lambda a, axis=None, out=None, keepdims=False:
          np.max(a, axis, keepdims=keepdims) - np.min(a, axis, keepdims=keepdims))


# ---------------------------------------------------------------- np.add.reduce and its like

for _ufunc, _reduce, _accumulate in ((np.add, np.sum, np.cumsum), (np.maximum, np.max, None),
                                     (np.minimum, np.min, None)):
    for _method, _run in (("reduce", _reduce), ("accumulate", _accumulate)):
        if _run is not None:
            UFUNC_METHODS[_ufunc, _method] = (
                lambda a, axis=0, run=_run, **kwargs: run(a, axis=axis, **kwargs))

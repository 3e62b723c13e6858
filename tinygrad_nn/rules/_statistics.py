"""Averages and spreads: variance, average, cov, corrcoef, what skips nans, histograms.

Masked elements (``where=``, nans) are taken out with np.where before anything is computed, so
that their gradient is exactly zero whatever they hold.
"""

import functools

import numpy as np

from .._core import Box, astype, highest, primitive
from .._errors import NoRuleError
from .._table import composite, elementwise, kink
from ._check import check
from ._reductions import counted, mean_where
from ._shape import scatter


def array(x):
    """``x`` as it is if it is a Tensor, else as an array."""
    return x if isinstance(x, Box) else np.asarray(x)


def weights_for(weights, a, axis):
    """Weights in a form that broadcasts with ``a``: given in full, or along ``axis`` alone."""
    w, shape = array(weights), np.shape(a)
    if np.shape(w) == shape:
        return w
    if axis is None:
        raise TypeError("Axis must be specified when shapes of a and weights differ.")
    axis = tuple(i % len(shape) for i in (axis if isinstance(axis, tuple) else (axis,)))
    if np.shape(w) != tuple(shape[i] for i in axis):
        raise ValueError("Shape of weights must be consistent with shape of a along specified "
                         "axis.")
    w = np.transpose(w, np.argsort(axis))
    return np.reshape(w, [n if i in axis else 1 for i, n in enumerate(shape)])


# ---------------------------------------------------------------- variance

def variance(a, axis=None, dtype=None, out=None, ddof=0, keepdims=False, *, where=True,
             mean=None, correction=None):
    """np.var, with every keyword; ``mean`` may be a Tensor."""
    if correction is not None:
        if ddof:
            raise ValueError("ddof and correction can't be provided simultaneously.")
        ddof = correction
    a = a if dtype is None else astype(a, dtype)
    d = a - (mean_where(a, where, axis, True) if mean is None else mean)
    n = counted(np.shape(a), axis, keepdims, where)
    if where is True:
        return np.sum(d * d, axis=axis, keepdims=keepdims) / max(n - ddof, 0)
    d = np.where(where, d, 0.0)
    n = np.maximum(n - ddof, 0).astype(a.dtype)
    return np.sum(d * d, axis=axis, keepdims=keepdims) / n


def _root(of):
    """sqrt of a variance: a length, whose derivative at 0 is 0."""
    @functools.wraps(of)
    def run(*args, **kwargs):
        x = of(*args, **kwargs)
        flat = np.equal(x, 0)
        return np.where(flat, 0.0, np.sqrt(np.where(flat, 1.0, x)))
    return run


composite(np.var, variance)
composite(np.std, _root(variance))
kink("0 where all elements are equal, as a length", np.std)


# ---------------------------------------------------------------- without nans

def _nansum(a, axis=None, dtype=None, out=None, keepdims=False, initial=np._NoValue,
            where=True):
    return np.sum(np.where(np.logical_and(where, ~np.isnan(a)), a, 0.0), axis=axis,
                  dtype=dtype, keepdims=keepdims, initial=initial)


def _nanmean(a, axis=None, dtype=None, out=None, keepdims=False, *, where=True):
    a = a if dtype is None else astype(a, dtype)
    return mean_where(a, np.logical_and(where, ~np.isnan(a)), axis, keepdims)


def _nanvar(a, axis=None, dtype=None, out=None, ddof=0, keepdims=False, *, where=True,
            mean=None, correction=None):
    where = np.logical_and(where, ~np.isnan(a))
    y = variance(a, axis, dtype, None, ddof, keepdims, where=where, mean=mean,
                 correction=correction)
    n = counted(np.shape(a), axis, keepdims, where)
    return np.where(n > (ddof if correction is None else correction), y, np.nan)


composite(np.nansum, _nansum)
composite(np.nanmean, _nanmean)
composite(np.nanvar, _nanvar)
composite(np.nanstd, _root(_nanvar))
kink("0 where all elements are equal, as a length", np.nanstd)


# ---------------------------------------------------------------- averages, covariance

def _average(a, axis=None, weights=None, returned=False, *, keepdims=False):
    a = array(a)
    if weights is None:
        y = np.mean(a, axis=axis, keepdims=keepdims)
        total = y.dtype.type(a.size / y.size)
    else:
        w = weights_for(weights, a, axis)
        dtype = np.result_type(a.dtype, w.dtype, *(["f8"] if a.dtype.kind in "iub" else []))
        total = np.sum(w, axis=axis, dtype=dtype, keepdims=keepdims)
        check_total(total)
        y = np.sum(np.multiply(a, w, dtype=dtype), axis=axis, keepdims=keepdims) / total
    return (y, np.copy(np.broadcast_to(total, np.shape(y)))) if returned else y


@check
def check_total(total):
    """Raise if the weights of an average sum to zero."""
    if np.any(total == 0):
        raise ZeroDivisionError("Weights sum to zero, can't be normalized")


def _cov(m, y=None, rowvar=True, bias=False, ddof=None, fweights=None, aweights=None, *,
         dtype=None):
    if ddof is not None and ddof != int(ddof):
        raise ValueError("ddof must be integer")
    m, y = array(m), None if y is None else array(y)
    dtype = dtype or np.result_type(m.dtype, np.float64, *([] if y is None else [y.dtype]))
    x = _variables(m, rowvar or m.ndim == 1, dtype)
    if not x.shape[0]:
        return np.zeros((0, 0))
    if y is not None:
        by_rows = rowvar or y.ndim < 2 or y.shape[0] == 1
        x = np.concatenate((x, _variables(y, by_rows, dtype)), axis=0)
    ddof = (0 if bias else 1) if ddof is None else ddof
    w, scale = _cov_weights(x, ddof, fweights, aweights)
    mean = np.mean(x, axis=1) if w is None else np.sum(x * w, axis=1) / np.sum(w)
    d = x - mean[:, None]
    return np.squeeze(np.matmul(d, np.swapaxes(d if w is None else d * w, 0, 1)) * scale)


def _variables(x, by_rows, dtype):
    """Variables as rows of a matrix."""
    if x.ndim > 2:
        raise ValueError(f"np.cov: an argument has {x.ndim} dimensions, at most 2 expected")
    x = np.atleast_2d(astype(x, dtype) if x.dtype != dtype else x)
    return x if by_rows else np.swapaxes(x, 0, 1)


def _cov_weights(x, ddof, fweights, aweights):
    """The weight of each observation, or None, and the factor of the sum of products."""
    w = total = None
    for name, v in (("fweights", fweights), ("aweights", aweights)):
        if v is not None:
            v = array(v)
            if v.shape != x.shape[1:]:
                raise RuntimeError(f"np.cov: {name} of shape {v.shape} for {x.shape[1]} "
                                   "observations")
            if np.any(np.less(v, 0)):
                raise ValueError(f"{name} cannot be negative")
            if name == "fweights" and np.any(np.not_equal(v, np.round(v))):
                raise TypeError("fweights must be integer")
            w = v if w is None else w * v
    if w is None:
        n = x.shape[1] - ddof
    else:
        total = np.sum(w)
        n = total if ddof == 0 else total - ddof if aweights is None else (
            total - ddof * np.sum(w * aweights) / total)
    return w, np.true_divide(1, np.maximum(n, 0))


@primitive
def _within_one(c):
    """A correlation without its rounding errors; they have no part in its derivative."""
    return np.clip(c, -1, 1)


def _corrcoef(x, y=None, rowvar=True, *, dtype=None):
    c = np.cov(x, y, rowvar, dtype=dtype)
    if np.ndim(c) == 0:
        return c / c
    scale = np.sqrt(np.diagonal(c))
    return _within_one(c / scale[:, None] / scale[None, :])


composite(np.average, _average)
composite(np.cov, _cov)
elementwise(_within_one, lambda a: np.abs(a) < 1.001)
composite(np.corrcoef, _corrcoef)


# ---------------------------------------------------------------- histograms, by weights

def _bins(x, edges):
    """The bin of each element, the last closed at both ends; -1 outside."""
    k = np.searchsorted(edges, x, "right") - 1
    k = np.where(x == edges[-1], len(edges) - 2, k)
    return np.where((k < len(edges) - 1) & (x <= edges[-1]), k, -1)


def _only_weights(fn, weights, *rest):
    if highest(list(rest)) is not None or weights is None:
        raise NoRuleError(f"np.{fn} counts: a step function of its data and bins. Pass .data; "
                          "only weights= has a derivative")


def _bincount(x, /, weights=None, minlength=0):
    _only_weights("bincount", weights, x)
    return scatter(astype(weights, np.float64), np.asarray(x),
                   np.bincount(x, minlength=minlength).shape)


def _histogram(a, bins=10, range=None, density=None, weights=None):
    _only_weights("histogram", weights, a, bins)
    x, edges = np.ravel(a), np.histogram_bin_edges(a, bins, range, np.ones(np.shape(a)))
    if np.shape(weights) != np.shape(a):
        raise ValueError("weights should have the same shape as a.")
    k, w = _bins(x, edges), np.ravel(weights)
    y = scatter(astype(w[k >= 0], np.float64), k[k >= 0], (len(edges) - 1,))
    y = astype(y, w.dtype)
    return (y / np.diff(edges).astype(float) / np.sum(y) if density else y), edges


def _histogramdd(sample, bins=10, range=None, density=None, weights=None):
    _only_weights("histogramdd", weights, sample, bins)
    edges = np.histogramdd(sample, bins, range)[1]
    if not isinstance(sample, np.ndarray) or sample.ndim != 2:
        sample = np.atleast_2d(sample).T
    ks = np.stack([_bins(x, e) for x, e in zip(sample.T, edges, strict=True)])
    inside, shape = np.all(ks >= 0, axis=0), [len(e) - 1 for e in edges]
    y = scatter(astype(weights[inside], np.float64), tuple(ks[:, inside]), shape)
    if density:
        total = np.sum(y)
        for i, e in enumerate(edges):
            y = y / np.reshape(np.diff(e), [-1 if j == i else 1 for j, _ in enumerate(edges)])
        y = y / total
    return y, edges


def _histogram2d(x, y, bins=10, range=None, density=None, weights=None):
    if np.iterable(bins) and len(bins) not in (1, 2):
        bins = [np.asarray(bins)] * 2
    values, edges = np.histogramdd([x, y], bins, range, density, weights)
    return values, *edges


composite(np.bincount, _bincount)
composite(np.histogram, _histogram)
composite(np.histogramdd, _histogramdd)
composite(np.histogram2d, _histogram2d)
kink("by weights= alone: the counts are steps of the data", np.bincount, np.histogram,
     np.histogram2d, np.histogramdd)

"""Functions of the order of elements: extrema, median and quantiles, unique, choices by index.

All of them select elements (quantiles at most two for each result, with fixed shares), so the
value is NumPy's own, the gradient goes back to what was selected and everything else has
gradient zero.

Where a quantile lies between the sorted elements NumPy itself is asked: ``np.quantile`` of the
ranks 0, 1, 2 … is that position. So every ``method`` works, with weights as well, and no
formula of NumPy's is written a second time.
"""

import numpy as np

from .._core import UFUNC_METHODS, Box, astype, getitem, primitive, traced
from .._table import composite, keep, kink, refuse, rule, zero
from ._check import check
from ._cumulative import rows_of
from ._reductions import axes, spread
from ._shape import scatter
from ._statistics import weights_for

# ---------------------------------------------------------------- extrema: ties share evenly

def _share(a, y, axis, keepdims, where, initial):
    """1 / (number of ties, ``initial`` counted) where the extremum is reached, else 0."""
    hit = np.equal(a, spread(y, np.shape(a), axis, keepdims))
    if where is not True:
        hit = np.logical_and(hit, where)
    ties = np.sum(hit, axis=axes(axis, np.ndim(a)), keepdims=True)
    if initial is not None:
        ties = ties + np.reshape(np.equal(y, initial), np.shape(ties))
    return hit / np.maximum(ties, 1)            # no hit: a nan


def extremum_vjp(g, shape, a, y, axis=None, keepdims=False, where=True, initial=None):
    """The gradient of np.max and its kin."""
    return keep(spread(g, shape, axis, keepdims), _share(a, y, axis, keepdims, where, initial))


def extremum_jvp(t, a, y, axis=None, keepdims=False, where=True, initial=None):
    """The tangent of np.max and its kin."""
    return np.sum(keep(t, _share(a, y, axis, keepdims, where, initial)), axis=axis,
                  keepdims=keepdims)


for _fn in (np.max, np.min, np.nanmax, np.nanmin):
    rule(_fn, vjp=extremum_vjp, jvp=extremum_jvp, moves=True, selects=True)
    kink("ties share evenly", _fn)


def _alias(fn):
    def run(a, axis=None, out=None, keepdims=False, initial=np._NoValue, where=np._NoValue):
        return fn(a, axis=axis, keepdims=keepdims, initial=initial, where=where)
    return run


composite(np.amax, _alias(np.max))
composite(np.amin, _alias(np.min))
for _ufunc, _run in ((np.fmax, np.nanmax), (np.fmin, np.nanmin)):
    UFUNC_METHODS[_ufunc, "reduce"] = (
        lambda a, axis=0, run=_run, **kwargs: run(a, axis=axis, **kwargs))


# ---------------------------------------------------------------- quantiles

STEPS = ("inverted_cdf", "averaged_inverted_cdf", "closest_observation", "lower", "higher",
         "nearest", "midpoint")         # methods whose position jumps with q


@primitive
def _places(a, fn, q, axis, method, weights):
    """Of each result the flat positions of the two elements that it lies between and the share
    of the second; the axis of the quantiles first."""
    rows, skips = rows_of(a, axis), fn in (np.nanquantile, np.nanpercentile)
    order = np.argsort(rows, axis=-1, kind="stable")
    blank, n = np.isnan(np.take_along_axis(rows, order, -1)), order.shape[-1]
    exact = method in STEPS and n * np.finfo(a.dtype).eps < 1         # q in the dtype of a
    ranks, options = np.arange(n, dtype=a.dtype if exact else float), {"method": method}
    if skips:                                          # of an empty slice its first, a nan
        ranks = np.where(blank & (ranks > 0), np.nan, ranks)
    if weights is not None:
        w = rows_of(np.broadcast_to(weights_for(weights, a, axis), np.shape(a)), axis)
        options["weights"] = np.where(blank & skips, 1.0, np.take_along_axis(w, order, -1))
        ranks = np.broadcast_to(ranks, order.shape)
    place = np.asarray(fn(ranks, q, axis=-1, **options), float)
    lead, n_q = order.shape[:-1], np.size(q)
    sizes = lead if place.ndim > np.ndim(q) else (1,) * len(lead)
    place = np.broadcast_to(np.reshape(place, (n_q, *sizes)), (n_q, *lead))
    if not skips:                                      # a slice with a nan gives that nan
        place = np.where(blank[..., -1], n - 1, place)
    first = np.floor(place)
    flat = np.take_along_axis(rows_of(np.arange(a.size).reshape(a.shape), axis), order, -1)

    def at(rank):
        rank = np.moveaxis(rank.astype(int), 0, -1)
        return np.moveaxis(np.take_along_axis(flat, rank, -1), -1, 0)
    return at(first), at(np.minimum(first + 1, n - 1)), place - first


zero(_places)


def _quantile_rules(fn, at=None):
    """vjp and jvp of a quantile function; ``at``: what the median is."""
    def places(a, shape, q, axis, method, weights):
        parts = _places(a, at or fn, 0.5 if at else q, axis, method, weights)
        return [np.reshape(v, shape) for v in parts]

    def vjp(g, shape, a, q=None, axis=None, method="linear", keepdims=False, weights=None):
        if a.size == 0:
            return np.zeros(shape, g.dtype)
        first, second, share = places(a, np.shape(g), q, axis, method, weights)
        flat = (scatter(g * (1 - share), first, (a.size,))
                + scatter(keep(g, share), second, (a.size,)))
        return np.reshape(flat, shape)

    def jvp(t, a, y, q=None, axis=None, method="linear", keepdims=False, weights=None):
        if a.size == 0:
            return np.zeros_like(y)
        first, second, share = places(a, np.shape(y), q, axis, method, weights)
        t = np.ravel(t)
        return getitem(t, first) * (1 - share) + keep(getitem(t, second), share)
    return {"vjp": vjp, "jvp": jvp, "moves": True, "selects": True}


for _fn in (np.quantile, np.percentile, np.nanquantile, np.nanpercentile):
    rule(_fn, **_quantile_rules(_fn))
rule(np.median, **_quantile_rules(np.median, np.quantile))
rule(np.nanmedian, **_quantile_rules(np.nanmedian, np.nanquantile))
kink("equal elements keep their order, as in sort; of a nan the gradient goes to the nan",
     np.median, np.quantile, np.percentile)
kink("equal elements keep their order, as in sort", np.nanmedian, np.nanquantile,
     np.nanpercentile)


# ---------------------------------------------------------------- distinct elements

@primitive
def _distinct(ar, fn, **kwargs):
    """What ``fn`` gives, and the position where each of its values is found first."""
    parts = fn(ar, **kwargs)
    values = parts[0] if isinstance(parts, tuple) else parts
    found, first = np.unique(ar, return_index=True)
    return parts, first[np.searchsorted(found, values)]


zero(_distinct)


def _unique(ar, return_index=False, return_inverse=False, return_counts=False, axis=None, *,
            equal_nan=True, **sorted):
    flags = {"return_inverse": return_inverse, "return_counts": return_counts,
             "equal_nan": equal_nan, **sorted}
    if axis is None:
        parts, places = _distinct(ar, fn=np.unique, return_index=return_index, **flags)
        values = np.ravel(ar)[places]
        return (values, *parts[1:]) if isinstance(parts, tuple) else values
    _, places, *rest = _rows(ar, axis=axis, **flags)
    rest = [places, *rest] if return_index else rest
    values = np.take(ar, places, axis)
    return (values, *rest) if rest else values


@primitive
def _rows(ar, **kwargs):
    return np.unique(ar, return_index=True, **kwargs)


zero(_rows)


def _array_api(fn):
    def run(x):
        parts, places = _distinct(x, fn=fn)
        values = np.ravel(x)[places]
        return parts._replace(values=values) if isinstance(parts, tuple) else values
    return run


def _setxor1d(ar1, ar2, assume_unique=False):
    if not assume_unique:
        ar1, ar2 = np.unique(ar1), np.unique(ar2)
    x = np.sort(np.concatenate((ar1, ar2), axis=None))
    new = np.concatenate(([True], np.not_equal(x[1:], x[:-1]), [True]))
    return x[new[1:] & new[:-1]] if x.size else x


def _setdiff1d(ar1, ar2, assume_unique=False):
    ar1 = np.ravel(ar1) if assume_unique else np.unique(ar1)
    return ar1[np.isin(ar1, ar2, invert=True)]


composite(np.unique, _unique)
for _fn in (np.unique_values, np.unique_counts, np.unique_inverse, np.unique_all):
    composite(_fn, _array_api(_fn))
    kink("of equal elements the first", _fn)
composite(np.union1d, lambda ar1, ar2: np.unique(np.concatenate((ar1, ar2), axis=None)))
composite(np.setdiff1d, _setdiff1d)
composite(np.setxor1d, _setxor1d)
kink("of equal elements the first", np.unique, np.union1d, np.setdiff1d, np.setxor1d)
refuse("an element is in both arrays by accident, the smallest change removes it: find the "
       "places with np.isin(a, b) and take those elements", np.intersect1d)


# ---------------------------------------------------------------- choices by index

@check
def check_choice(a, n):
    """Raise ValueError unless every index is in 0 .. n - 1."""
    if np.any((a < 0) | (a >= n)):
        raise ValueError(f"np.choose: an index is not in 0 .. {n - 1}")


def _choose(a, choices, out=None, mode="raise"):
    number = (bool, int, float)
    choices = [c if isinstance(c, (Box, *number)) else np.asarray(c) for c in choices]
    a, n = a if traced(a) else np.asarray(a), len(choices)
    if mode != "raise":
        a = a % n if mode == "wrap" else np.clip(a, 0, n - 1)
    else:
        check_choice(a, n)
    y = choices[0]
    for k, choice in enumerate(choices[1:], 1):
        y = np.where(a == k, choice, y)
    y = np.broadcast_to(y, np.broadcast_shapes(np.shape(y), a.shape))
    dtype = np.result_type(*(c if type(c) in number else c.dtype for c in choices))
    return y if y.dtype == dtype else astype(y, dtype)


def _compress(condition, a, axis=None, out=None):
    if axis is None:
        a, axis = np.ravel(a), 0
    return np.take(a, np.flatnonzero(condition), axis)


composite(np.choose, _choose)
composite(np.compress, _compress)
composite(np.extract, lambda condition, arr: np.ravel(arr)[np.flatnonzero(condition)])

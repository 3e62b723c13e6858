"""Products and running results: prod, cumprod, running maxima, ufunc.reduce and accumulate.

A product's derivative by one factor is the product of the others, made of the products to the
left and to the right; dividing the whole by the factor would be nan at zeros. The derivatives
of cumprod are linear recurrences (`scan`), whose derivatives are recurrences again: exact with
zeros, to every order.

`np.f.reduce`, `.accumulate` and `.reduceat` of every differentiable ufunc of two arguments
work; where NumPy has a function for it (np.sum for np.add.reduce) that one runs, else f is
applied one element after the other, as NumPy does it: a node of the graph for each.
"""

import itertools
import math

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from .._core import UFUNC_METHODS, astype, primitive
from .._errors import DetachError, NoRuleError
from .._messages import name_of
from .._table import RULES, composite, kink, rule, zero
from . import _elementwise  # noqa: F401  the ufuncs that can be folded
from ._activations import logsumexp
from ._reductions import axes
from ._shape import scatter


def cut(x, axis, start, stop=None, step=None):
    """``x[..., start:stop:step]`` along one axis."""
    axis = normalize_axis_index(axis, x.ndim)
    return x[(slice(None),) * axis + (slice(start, stop, step),)]


def rows_of(x, axis):
    """``x`` with the axes of a reduction (int, tuple or None) last, as one."""
    over = axes(axis, np.ndim(x))
    x = np.moveaxis(x, over, list(range(-len(over), 0)))
    lead = x.shape[:x.ndim - len(over)]
    return np.reshape(x, (*lead, math.prod(x.shape[len(lead):])))


def unmoved(rows, axis, shape):
    """The inverse of `rows_of`, for an array of the given shape."""
    over = axes(axis, len(shape))
    lead = [n for i, n in enumerate(shape) if i not in over]
    x = np.reshape(rows, (*lead, *(shape[i] for i in over)))
    return np.moveaxis(x, list(range(-len(over), 0)), over)


# ---------------------------------------------------------------- a linear recurrence

@primitive
def scan(a, b, axis):
    """``y[k] = a[k] * y[k-1] + b[k]`` along an axis, with y[-1] = 0; a and b of one shape."""
    if b.size == b.shape[axis]:                     # one recurrence: Python numbers are faster
        total, out = 0.0, []
        for p, q in zip(a.ravel().tolist(), b.ravel().tolist(), strict=True):
            total = p * total + q
            out.append(total)
        return np.reshape(np.array(out, b.dtype), b.shape)
    y = np.array(np.moveaxis(b, axis, 0))
    for k, p in enumerate(np.moveaxis(a, axis, 0)):
        if k:
            y[k] += p * y[k - 1]
    return np.moveaxis(y, 0, axis)


def _front(x, axis, value, n=1):
    """``n`` layers of a value, to stand in front of ``x`` along an axis."""
    return np.full([n if i == axis % x.ndim else k for i, k in enumerate(x.shape)], value,
                   x.dtype)


def _later(x, axis, first=0.0):
    """``x`` moved on by one along an axis, ``first`` in front."""
    front = _front(x, axis, first, min(x.shape[axis], 1))
    return np.concatenate([front, cut(x, axis, 0, -1)], axis)


def _scan_back(g, a, axis):
    """The adjoint of scan by b, from the end: ``h[k] = g[k] + a[k+1] h[k+1]``."""
    return np.flip(scan(_later(np.flip(a, axis), axis), np.flip(g, axis), axis), axis)


rule(scan,
     vjp=(lambda g, y, a, axis: _scan_back(g, a, axis) * _later(y, axis),
          lambda g, a, axis: _scan_back(g, a, axis)),
     jvp=(lambda t, y, a, axis: scan(a, t * _later(y, axis), axis),
          lambda t, a, axis: scan(a, t, axis)))


# ---------------------------------------------------------------- products

def _cumprod_vjp(g, shape, a, y, axis=None, dtype=None):
    if axis is None or not shape:
        a, axis = np.ravel(a), 0
    return np.reshape(_later(y, axis, 1.0) * _scan_back(g, a, axis), shape)


def _cumprod_jvp(t, a, y, axis=None, dtype=None):
    if axis is None or not a.shape:
        t, a, axis = np.ravel(t), np.ravel(a), 0
    return scan(a, t * _later(y, axis, 1.0), axis)


rule(np.cumprod, vjp=_cumprod_vjp, jvp=_cumprod_jvp)


@primitive
def _product(a, axis=None, keepdims=False):
    return np.prod(a, axis=axis, keepdims=keepdims)


def _others(a, axis):
    """For each element the product of those that it is multiplied with."""
    x = rows_of(a, axis)
    left = np.cumprod(_later(x, -1, 1.0), -1)
    right = np.flip(np.cumprod(_later(np.flip(x, -1), -1, 1.0), -1), -1)
    return unmoved(left * right, axis, np.shape(a))


def _product_vjp(g, shape, a, axis=None, keepdims=False):
    if not keepdims:
        g = np.expand_dims(g, axes(axis, len(shape)))
    return g * _others(a, axis)


rule(_product, vjp=_product_vjp, jvp=lambda t, a, axis=None, keepdims=False:
     np.sum(t * _others(a, axis), axis=axis, keepdims=keepdims))


def _prod(a, axis=None, dtype=None, out=None, keepdims=False, initial=1, where=True):
    a = a if dtype is None else astype(a, dtype)
    a = a if where is True else np.where(where, a, 1.0)
    y = _product(a, axis=axis, keepdims=keepdims)
    return y if initial.__class__ is int and initial == 1 else y * initial


composite(np.prod, _prod)


def _running(fn, x, axis, dtype, include_initial, first):
    if axis is None:
        if np.ndim(x) > 1:
            raise ValueError("for a Tensor of more than one dimension give axis=")
        axis = 0
    y = fn(x, axis=axis, dtype=dtype)
    return np.concatenate([_front(y, axis, first), y], axis) if include_initial else y


if hasattr(np, "cumulative_sum"):                       # NumPy 2.1
    composite(np.cumulative_sum, lambda x, *, axis=None, dtype=None, out=None,
              include_initial=False: _running(np.cumsum, x, axis, dtype, include_initial, 0))
    composite(np.cumulative_prod, lambda x, *, axis=None, dtype=None, out=None,
              include_initial=False: _running(np.cumprod, x, axis, dtype, include_initial, 1))
composite(np.nancumsum, lambda a, axis=None, dtype=None, out=None:
          np.cumsum(np.where(np.isnan(a), 0.0, a), axis, dtype=dtype))
composite(np.nancumprod, lambda a, axis=None, dtype=None, out=None:
          np.cumprod(np.where(np.isnan(a), 1.0, a), axis, dtype=dtype))
composite(np.nanprod, lambda a, axis=None, dtype=None, out=None, keepdims=False, initial=1,
          where=True: _prod(np.where(np.isnan(a), 1.0, a), axis, dtype, None, keepdims,
                            initial, where))


# ---------------------------------------------------------------- running extrema

@primitive
def _latest(x, extremum, axis):
    """The latest position up to each where the running extremum (or a nan) is reached."""
    best = extremum.accumulate(x, axis)
    shape = [-1 if i == axis % x.ndim else 1 for i in range(x.ndim)]
    here = np.reshape(np.arange(x.shape[axis]), shape)
    hit = (x == best) | (np.isnan(x) if extremum in (np.maximum, np.minimum) else False)
    return np.maximum.accumulate(np.where(hit, here, 0), axis)


zero(_latest)


def _running_extremum(extremum):
    def accumulate(a, axis=0, dtype=None, out=None):
        a = a if dtype is None else astype(a, dtype)
        return np.take_along_axis(a, _latest(a, extremum=extremum, axis=axis), axis)
    return accumulate


# ---------------------------------------------------------------- one element after the other

def _pieces(ufunc, a, axis, dtype):
    """The slices of ``a`` along the axes of a reduction, in order."""
    a = a if dtype is None else astype(a, dtype)
    over = axes(axis, np.ndim(a))
    if len(over) > 1 and ufunc.identity is None:
        raise ValueError(f"{name_of(ufunc)}.reduce: the order matters, give one axis")
    a = np.moveaxis(a, over[0], 0) if len(over) == 1 else np.moveaxis(rows_of(a, over), -1, 0)
    return [a[k] for k in range(len(a))]


def _fold(ufunc):
    def reduce(a, axis=0, dtype=None, out=None, keepdims=False, initial=None, where=True):
        if where is not True:
            raise NoRuleError(f"{name_of(ufunc)}.reduce of a Tensor does not take where=: "
                              "np.where(mask, x, neutral element) first")
        pieces = _pieces(ufunc, a, axis, dtype)
        if not pieces:                                           # NumPy's value, or its error
            return ufunc.reduce(np.zeros(np.shape(a), a.dtype), axis=axis, keepdims=keepdims,
                                **({} if initial is None else {"initial": initial}))
        y = pieces[0] if initial is None else ufunc(initial, pieces[0])
        for piece in pieces[1:]:
            y = ufunc(y, piece)
        return np.expand_dims(y, axes(axis, np.ndim(a))) if keepdims else y
    return reduce


def _unfold(ufunc):
    def accumulate(a, axis=0, dtype=None, out=None):
        pieces = _pieces(ufunc, a, axis, dtype)
        return np.stack(list(itertools.accumulate(pieces, ufunc)), axis) if pieces else a
    return accumulate


def _by_segments(ufunc):
    """ufunc.reduceat: the segment from each index to the next, or that one element."""
    def reduceat(a, indices, axis=0, dtype=None, out=None):
        a = a if dtype is None else astype(a, dtype)
        n, starts = a.shape[axis], np.asarray(indices)
        if np.any((starts < 0) | (starts >= n)):
            raise IndexError(f"{name_of(ufunc)}.reduceat: an index is not in 0 .. {n - 1}")
        stops = np.append(starts[1:], n)
        stops = np.where(stops > starts, stops, starts + 1)
        if ufunc is np.add:
            segment = np.repeat(np.arange(len(starts)), stops - starts)
            pairs = zip(starts.tolist(), stops.tolist(), strict=True)
            inside = np.concatenate([np.arange(i, j) for i, j in pairs] or [starts])
            x = np.moveaxis(np.take(a, inside, axis), axis, 0)
            return np.moveaxis(scatter(x, segment, (len(starts), *x.shape[1:])), 0, axis)
        return np.stack([ufunc.reduce(cut(a, axis, i, j), axis=axis)
                         for i, j in zip(starts.tolist(), stops.tolist(), strict=True)], axis)
    return reduceat


def _in_place(ufunc):
    def at(*args, **kwargs):
        raise DetachError(f"{name_of(ufunc)}.at writes into its first argument behind the "
                          "graph's back: for np.add, x + np.bincount(index, weights, len(x)); "
                          "else np.where(mask, new, x)")
    return at


def _over(run, **fixed):
    def reduce(a, axis=0, dtype=None, out=None, **kwargs):
        return run(a if dtype is None else astype(a, dtype), axis=axis, **fixed, **kwargs)
    return reduce


UFUNC_METHODS[np.multiply, "reduce"] = _over(np.prod)
UFUNC_METHODS[np.multiply, "accumulate"] = _over(np.cumprod)
UFUNC_METHODS[np.logaddexp, "reduce"] = _over(logsumexp)
for _ufunc in (np.maximum, np.minimum, np.fmax, np.fmin):
    UFUNC_METHODS[_ufunc, "accumulate"] = _running_extremum(_ufunc)
for _ufunc in [fn for fn in RULES if isinstance(fn, np.ufunc) and (fn.nin, fn.nout) == (2, 1)
               and RULES[fn].kind in ("elementwise", "select")]:
    for _method, _made in (("reduce", _fold), ("accumulate", _unfold),
                           ("reduceat", _by_segments), ("at", _in_place)):
        UFUNC_METHODS.setdefault((_ufunc, _method), _made(_ufunc))
for _ufunc, _all in ((np.logical_and, np.all), (np.logical_or, np.any)):
    UFUNC_METHODS[_ufunc, "reduce"] = _over(_all)

kink("exact with zeros, which are not divided by", np.prod, np.nanprod, np.cumprod,
     np.nancumprod)

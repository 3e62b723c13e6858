"""More forms and ranges: meshgrid, insert, delete, linspace, apply_along_axis …, and the
ufuncs that take a number apart (modf, frexp, ldexp, copysign).
"""

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from .._core import Box, astype, highest, primitive
from .._errors import NoRuleError
from .._table import composite, elementwise, kink, rule, select, zero
from ._shape import scatter
from ._statistics import array

# ---------------------------------------------------------------- parts of a number

@primitive
def _fraction(x):
    return np.modf(x)[0]


@primitive
def _exponent(x):
    return np.frexp(x)[1]


def _frexp(x):
    e = _exponent(x)
    return np.ldexp(x, -e), e


elementwise(_fraction, 1)
zero(_exponent)
composite(np.modf, lambda x: (_fraction(x), np.trunc(x)))
composite(np.frexp, _frexp)
rule(np.ldexp, vjp=(lambda g, b: np.ldexp(g, b), None),
     jvp=(lambda t, b: np.ldexp(t, b), None))
select(np.copysign, lambda a, b: np.sign(a) * np.copysign(1.0, b), None)
elementwise(np.nextafter, 1, None)
elementwise(np.conjugate, 1)
composite(np.real, lambda val: np.conjugate(val))
composite(np.real_if_close, lambda a, tol=100: np.conjugate(a))
kink("where they jump as well, the slope beside", np.modf, np.frexp)
kink("0 where the first argument is 0, as abs", np.copysign)


# ---------------------------------------------------------------- form

def _atleast_3d(*arys):
    def deep(a):
        form = {0: (1, 1, 1), 1: (1, -1, 1), 2: (*np.shape(a), 1)}.get(np.ndim(a), np.shape(a))
        return np.reshape(a, form)
    out = tuple(map(deep, arys))
    return out[0] if len(out) == 1 else out


def _dsplit(ary, indices_or_sections):
    if np.ndim(ary) < 3:
        raise ValueError("dsplit only works on arrays of 3 or more dimensions")
    return np.split(ary, indices_or_sections, 2)


def _unstack(x, /, *, axis=0):
    if not x.ndim:
        raise ValueError("Input array must be at least 1-d.")
    return tuple(np.moveaxis(x, axis, 0))


def _rollaxis(a, axis, start=0):
    n = a.ndim
    if not (-n <= axis < n and -n <= start <= n):
        raise np.exceptions.AxisError(axis if not -n <= axis < n else start, n)
    axis, start = axis % n, start + n if start < 0 else start
    return np.moveaxis(a, axis, start - (axis < start))


def _broadcast_arrays(*args, subok=False):
    shape = np.broadcast_shapes(*map(np.shape, args))
    return tuple(np.broadcast_to(a, shape) for a in args)


def _meshgrid(*xi, copy=True, sparse=False, indexing="xy"):
    if indexing not in ("xy", "ij"):
        raise ValueError("Valid values for `indexing` are 'xy' and 'ij'.")
    n = len(xi)
    where = [1, 0, *range(2, n)] if indexing == "xy" and n > 1 else range(n)
    out = [np.reshape(x, [-1 if i == k else 1 for i in range(n)])
           for k, x in zip(where, xi, strict=True)]
    out = out if sparse else np.broadcast_arrays(*out)
    return tuple(map(np.copy, out)) if copy else out


def _sliding_window_view(x, window_shape, axis=None, *, subok=False, writeable=False):
    if writeable:
        raise NoRuleError("sliding_window_view of a Tensor cannot be writeable=True")
    sizes = tuple(window_shape) if np.iterable(window_shape) else (window_shape,)
    axis = tuple(range(x.ndim)) if axis is None else axis
    over = normalize_axis_tuple(axis, x.ndim, allow_duplicate=True)
    if len(over) != len(sizes):
        raise ValueError(f"sliding_window_view: {len(sizes)} sizes of windows for {len(over)} "
                         "axes")
    for i, size in zip(over, sizes, strict=True):
        steps = x.shape[i] - size + 1
        if size < 0 or steps < 1:
            raise ValueError(f"sliding_window_view: a window of {size} does not fit into axis "
                             f"{i} of length {x.shape[i]}")
        x = np.moveaxis(np.take(x, np.arange(steps)[:, None] + np.arange(size), i), i + 1, -1)
    return x


composite(np.atleast_3d, _atleast_3d)
composite(np.dsplit, _dsplit)
composite(np.dstack, lambda tup: np.concatenate([_atleast_3d(a) for a in tup], 2))
composite(np.rollaxis, _rollaxis)
composite(np.broadcast_arrays, _broadcast_arrays)
composite(np.meshgrid, _meshgrid)
composite(np.diagflat, lambda v, k=0: np.diag(np.ravel(v), k))
composite(np.lib.stride_tricks.sliding_window_view, _sliding_window_view)
for _name, _run in (("unstack", _unstack), ("astype", lambda x, dtype, /, *, copy=True,
                                            device=None: astype(x, dtype))):
    if hasattr(np, _name):                              # NumPy 2.1
        composite(getattr(np, _name), _run)


def _shift(axes, shape, sign):
    axes = range(len(shape)) if axes is None else axes if np.iterable(axes) else (axes,)
    return {"axis": tuple(axes), "shift": tuple(sign * (shape[i] // 2) for i in axes)}


composite(np.fft.fftshift, lambda x, axes=None: np.roll(x, **_shift(axes, x.shape, 1)))
composite(np.fft.ifftshift, lambda x, axes=None: np.roll(x, **_shift(axes, x.shape, -1)))


# ---------------------------------------------------------------- insert, delete, resize, trim

def _delete(arr, obj, axis=None):
    if axis is None:
        arr, axis = np.ravel(arr), 0
    return np.take(arr, np.delete(np.arange(arr.shape[axis]), obj), axis)


def _insert(arr, obj, values, axis=None):
    arr = array(arr)
    if axis is None:
        arr, axis = np.ravel(arr), 0
    axis = normalize_axis_index(axis, arr.ndim)
    n = arr.shape[axis]
    values = array(values)
    if values.dtype != arr.dtype:
        if arr.dtype.kind != "f":
            raise NoRuleError(f"np.insert of a Tensor into an array of {arr.dtype} would cut "
                              "it off: use .astype(float)")
        values = astype(values, arr.dtype)
    values = np.reshape(values, (1,) * (arr.ndim - values.ndim) + values.shape)
    where = np.arange(n)[obj] if isinstance(obj, slice) else np.asarray(obj)
    where = np.flatnonzero(where) if where.dtype == bool else where
    if where.ndim == 0:
        values = np.moveaxis(values, 0, axis)
    new = values.shape[axis] if where.size == 1 else where.size
    shape = [new if i == axis else k for i, k in enumerate(arr.shape)]
    values = np.broadcast_to(values, shape)
    order = np.insert(np.arange(n), obj, n + np.arange(new))
    return np.take(np.concatenate([arr, values], axis), order, axis)


def _resize(a, new_shape):
    shape = tuple(new_shape) if np.iterable(new_shape) else (new_shape,)
    if min(shape, default=0) < 0:
        raise ValueError("all elements of `new_shape` must be non-negative")
    n = int(np.prod(shape, dtype=int))
    if n and not a.size:
        return np.zeros(shape, a.dtype)
    return np.reshape(np.take(np.ravel(a), np.arange(n) % max(a.size, 1)), shape)


def _trim_zeros(filt, trim="fb", axis=None):
    trim = trim.lower()
    if trim not in ("fb", "bf", "f", "b"):
        raise ValueError(f"unexpected character(s) in `trim`: {trim!r}")
    over = range(filt.ndim) if axis is None else normalize_axis_tuple(axis, filt.ndim)
    used = np.argwhere(filt)
    if not len(used):
        return filt[tuple(slice(0, 0 if i in over else None) for i in range(filt.ndim))]
    low, high = used.min(axis=0), used.max(axis=0) + 1
    return filt[tuple(slice(int(low[i]) if "f" in trim else 0,
                            int(high[i]) if "b" in trim else None)
                      if i in over else slice(None) for i in range(filt.ndim))]


composite(np.delete, _delete)
composite(np.insert, _insert)
composite(np.resize, _resize)
composite(np.trim_zeros, _trim_zeros)


def full_like(a, fill_value, dtype=None, order="K", subok=True, shape=None, *, device=None):
    """np.full_like: zero derivative by ``a``, broadcasting of ``fill_value``."""
    base = np.zeros_like(a, dtype=dtype, shape=shape)
    if highest(fill_value) is None:
        return np.full_like(base, fill_value)
    y = np.broadcast_to(fill_value, base.shape)
    return y if y.dtype == base.dtype else astype(y, base.dtype)


composite(np.full_like, full_like)


# ---------------------------------------------------------------- ranges

@primitive
def _line(start, stop, num, endpoint=True, dtype=None, axis=0):
    return np.linspace(start, stop, num, endpoint=endpoint, dtype=dtype, axis=axis)


def _along(axis, ndim, num, endpoint):
    """The share of ``stop`` in each element, as a column along the axis."""
    w = np.arange(num) / max(num - 1 if endpoint else num, 1)
    return np.reshape(w, [-1 if i == axis % ndim else 1 for i in range(ndim)])


def _line_vjp(share):
    def vjp(g, num, endpoint=True, axis=0, dtype=None):
        return np.sum(g * share(_along(axis, g.ndim, num, endpoint)), axis=axis)
    return vjp


def _line_jvp(share):
    def jvp(t, y, num, endpoint=True, axis=0, dtype=None):
        axis = axis % y.ndim
        t = np.broadcast_to(t, [n for i, n in enumerate(y.shape) if i != axis])
        return np.expand_dims(t, axis) * share(_along(axis, y.ndim, num, endpoint))
    return jvp


rule(_line, vjp=(_line_vjp(lambda w: 1 - w), _line_vjp(lambda w: w)),
     jvp=(_line_jvp(lambda w: 1 - w), _line_jvp(lambda w: w)))


def _linspace(start, stop, num=50, endpoint=True, retstep=False, dtype=None, axis=0, *,
              device=None):
    y = _line(start, stop, num=num, endpoint=endpoint, dtype=dtype, axis=axis)
    if not retstep:
        return y
    n = num - 1 if endpoint else num
    return y, (stop - start) / n if n > 0 else np.nan


def _logspace(start, stop, num=50, endpoint=True, base=10.0, dtype=None, axis=0):
    if np.ndim(base):
        n = max(map(np.ndim, (start, stop, base)))
        start, stop, base = (np.reshape(v, (1,) * (n - np.ndim(v)) + np.shape(v))
                             for v in (start, stop, base))
        base = np.expand_dims(base, axis)
    y = np.power(base, np.linspace(start, stop, num, endpoint=endpoint, axis=axis))
    return y if dtype is None else astype(y, dtype)


def _geomspace(start, stop, num=50, endpoint=True, dtype=None, axis=0):
    start, stop = array(start), array(stop)
    if np.any(np.equal(start, 0)) or np.any(np.equal(stop, 0)):
        raise ValueError("Geometric sequence cannot include zero")
    wide = np.result_type(start.dtype, stop.dtype, np.zeros((), dtype))
    sign = np.sign(start)
    a, b = (astype(v, wide) / sign for v in (start, stop))
    y = np.logspace(np.log10(a), np.log10(b), num, endpoint)
    ends = [np.broadcast_to(v, y.shape[1:])[None] for v in (a, b)]
    if num > 1:                                        # 10 ** log10(x) is not exactly x
        last = ends[1] if endpoint else y[-1:]
        y = np.concatenate([ends[0], y[1:-1], last])
    y = np.moveaxis((ends[0] if num == 1 else y) * sign, 0, axis)
    return y if dtype is None else astype(y, dtype)


def _histogram_bin_edges(a, bins=10, range=None, weights=None):
    if np.ndim(bins) == 1:
        return array(bins)
    if isinstance(bins, (str, Box)):
        raise NoRuleError("np.histogram_bin_edges of a Tensor takes a number of bins: pass "
                          ".data to have it chosen")
    low, high = range or ((np.min(a), np.max(a)) if a.size else (0.0, 1.0))
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ValueError("np.histogram_bin_edges: the range of the values is not finite")
    same = np.equal(low, high)
    low, high = np.where(same, low - 0.5, low), np.where(same, high + 0.5, high)
    return np.linspace(low, high, bins + 1, dtype=np.result_type(a.dtype, *(range or ())))


composite(np.linspace, _linspace)
composite(np.logspace, _logspace)
composite(np.geomspace, _geomspace)
composite(np.histogram_bin_edges, _histogram_bin_edges)


# ---------------------------------------------------------------- a function of one's own

def _apply_along_axis(func1d, axis, arr, *args, **kwargs):
    x = np.moveaxis(arr, axis, -1)
    lead = x.shape[:-1]
    if not all(lead):
        raise ValueError("Cannot apply_along_axis when any iteration dimensions are 0")
    parts = [array(func1d(x[i], *args, **kwargs)) for i in np.ndindex(lead)]
    y = np.reshape(np.stack(parts), lead + parts[0].shape)
    new, at = y.ndim - len(lead), axis % arr.ndim
    return np.moveaxis(y, list(range(len(lead), y.ndim)), list(range(at, at + new)))


def _apply_over_axes(func, a, axes):
    y = a
    for axis in np.atleast_1d(axes).tolist():
        z = func(y, axis % a.ndim)
        y = z if z.ndim == y.ndim else np.expand_dims(z, axis % a.ndim)
        if y.ndim != a.ndim:
            raise ValueError("function is not returning an array of the correct shape")
    return y


def _piecewise(x, condlist, funclist, *args, **kw):
    x = array(x)
    if np.isscalar(condlist) or (not isinstance(condlist[0], (list, np.ndarray)) and x.ndim):
        condlist = [condlist]
    masks = [np.asarray(c, bool) for c in condlist]
    if len(masks) == len(funclist) - 1:
        masks.append(~np.any(masks, axis=0))
    elif len(masks) != len(funclist):
        raise ValueError(f"with {len(masks)} condition(s), either {len(masks)} or "
                         f"{len(masks) + 1} functions are expected")
    y = np.where(False, x, np.zeros((), x.dtype))
    for mask, f in zip(masks, funclist, strict=True):
        if not callable(f):
            y = np.where(mask, f, y)
        elif np.any(mask):
            part = array(f(x[mask], *args, **kw))
            part = np.broadcast_to(part, (int(np.sum(mask)),))
            y = np.where(mask, scatter(part, mask, x.shape), y)
    return y if y.dtype == x.dtype else astype(y, x.dtype)


composite(np.apply_along_axis, _apply_along_axis)
composite(np.apply_over_axes, _apply_over_axes)
composite(np.piecewise, _piecewise)

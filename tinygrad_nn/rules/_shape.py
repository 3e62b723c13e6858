"""What moves, picks, repeats or joins elements: indexing, reshape, concatenate.

All linear. The transpose of picking is adding back at the same places (`scatter`), and the
transpose of that is picking again, so every order works.
"""

import itertools

import numpy as np

from .._core import astype, getitem, primitive, traced
from .._errors import NoRuleError
from .._table import composite, kink, linear, variadic
from ._reductions import axes

# ---------------------------------------------------------------- indexing

@primitive
def scatter(g, index, into):
    """Zeros of shape ``into`` with ``g`` added at ``index`` (repeated indices add up)."""
    out = np.empty(into, g.dtype)
    _scatter_into(out, g, index, into)
    return out


def _scatter_into(out, g, index, into):
    out.fill(0)
    parts = index if isinstance(index, tuple) else (index,)
    if any(isinstance(i, (list, np.ndarray)) and np.asarray(i).dtype != bool for i in parts):
        np.add.at(out, index, g)
    else:                                        # no element is picked twice
        out[index] = g


scatter.into = _scatter_into
linear(getitem, lambda g, shape, index: scatter(g, index, shape), selects=True)
linear(scatter, lambda g, index, into=None: getitem(g, index), fills=True)
linear(astype, lambda g, dtype: g)               # the sweep casts the gradient back


def _take(a, indices, axis=None, out=None, mode="raise"):
    if axis is None or (np.ndim(a) == 0 and axis in (0, -1)):
        a, axis = np.ravel(a), 0
    n = a.shape[axis]
    indices = indices if traced(indices) else np.asarray(indices)
    if mode != "raise":
        indices = indices % n if mode == "wrap" else np.clip(indices, 0, n - 1)
    return a[(slice(None),) * (axis % a.ndim) + (indices,)]


def _take_along_axis(arr, indices, axis=-1):
    if axis is None:
        if np.ndim(indices) != 1:
            raise ValueError("np.take_along_axis with axis=None: indices must have one axis, "
                             f"got shape {np.shape(indices)}")
        arr, axis = np.ravel(arr), 0
    shape = indices.shape
    index = [np.arange(n).reshape((-1,) + (1,) * (len(shape) - 1 - i)) if n != 1 else 0
             for i, n in enumerate(arr.shape)]
    index[axis] = indices
    return arr[tuple(index)]


def _sort(a, axis=-1, kind=None, order=None, *, stable=None):
    if axis is None:
        a, axis = np.ravel(a), 0
    return np.take_along_axis(a, np.argsort(a, axis=axis, kind="stable"), axis=axis)


def _partition(a, kth, axis=-1, kind="introselect", order=None):
    if axis is None:
        a, axis = np.ravel(a), 0
    return np.take_along_axis(a, np.argpartition(a, kth, axis=axis), axis=axis)


def _diagonal(a, offset=0, axis1=0, axis2=1):
    a = np.moveaxis(a, (axis1, axis2), (-2, -1))
    rows, columns = a.shape[-2:]
    n = max(0, min(rows + min(offset, 0), columns - max(offset, 0)))
    i = np.arange(n)
    return a[..., i - min(offset, 0), i + max(offset, 0)]


def _diag(v, k=0):
    if np.ndim(v) == 2:
        return np.diagonal(v, k)
    n = v.shape[0] + abs(k)
    i = np.arange(v.shape[0])
    return scatter(v, (i - min(k, 0), i + max(k, 0)), (n, n))


composite(np.take, _take)
composite(np.take_along_axis, _take_along_axis)
composite(np.sort, _sort)
composite(np.partition, _partition)
kink("equal keys keep their order", np.sort)
kink("equal keys: in the order that NumPy finds", np.partition)
composite(np.diagonal, _diagonal)
composite(np.diag, _diag)
composite(np.trace, lambda a, offset=0, axis1=0, axis2=1, dtype=None, out=None:
          np.sum(np.diagonal(a, offset, axis1, axis2), axis=-1, dtype=dtype))
composite(np.triu, lambda m, k=0: np.where(np.tri(*m.shape[-2:], k=k - 1, dtype=bool), 0.0, m))
composite(np.tril, lambda m, k=0: np.where(np.tri(*m.shape[-2:], k=k, dtype=bool), m, 0.0))


# ---------------------------------------------------------------- form

def _reshape_transpose(g, shape, order="C", copy=None, newshape=None):   # NumPy 2.0's name
    if order not in ("C", "F"):
        raise NoRuleError(f"np.reshape with order={order!r} depends on the layout in memory: "
                          "use C")
    return np.reshape(g, shape, order=order)


def _moveaxis_transpose(g, source, destination):
    return np.moveaxis(g, destination, source)


def _back(g, shape):
    return np.reshape(g, shape)


linear(np.reshape, _reshape_transpose)
linear(np.transpose, lambda g, axes=None:
       np.transpose(g, None if axes is None else np.argsort([i % g.ndim for i in axes])))
linear(np.swapaxes, lambda g, axis1, axis2: np.swapaxes(g, axis1, axis2))
linear(np.moveaxis, _moveaxis_transpose)
linear(np.squeeze, lambda g, shape, axis=None: _back(g, shape))
linear(np.expand_dims, lambda g, shape, axis=None: _back(g, shape))
linear(np.broadcast_to, lambda g, shape, subok=False: g)        # the sweep sums it
linear(np.copy, lambda g, order="K", subok=False: g)
composite(np.ravel, lambda a, order="C": np.reshape(a, -1, order=order))
composite(np.atleast_1d, lambda *arys: _at_least(1, arys))
composite(np.atleast_2d, lambda *arys: _at_least(2, arys))


def _at_least(n, arrays):
    out = [np.reshape(a, (1,) * (n - np.ndim(a)) + np.shape(a)) for a in arrays]
    return out[0] if len(out) == 1 else tuple(out)


# ---------------------------------------------------------------- order and repetition

linear(np.flip, lambda g, axis=None: np.flip(g, axis))
linear(np.roll, lambda g, shift, axis=None: np.roll(g, np.negative(shift), axis))
composite(np.flipud, lambda m: np.flip(m, 0))
composite(np.fliplr, lambda m: np.flip(m, 1))


def _rot90(m, k=1, axes=(0, 1)):
    if k % 2 == 0:
        return np.flip(m, axes) if k % 4 else np.copy(m)
    return np.flip(np.swapaxes(m, *axes), axes[0 if k % 4 == 1 else 1])


def _tile(A, reps):
    reps = tuple(reps) if np.iterable(reps) else (reps,)
    shape = (1,) * (len(reps) - np.ndim(A)) + np.shape(A)
    reps = (1,) * (len(shape) - len(reps)) + reps
    pairs = [n for r, s in zip(reps, shape, strict=True) for n in (r, s)]
    ones = [n for s in shape for n in (1, s)]
    return np.reshape(np.broadcast_to(np.reshape(A, ones), pairs),
                      [r * s for r, s in zip(reps, shape, strict=True)])


def _repeat(a, repeats, axis=None):
    if axis is None or (np.ndim(a) == 0 and axis in (0, -1)):
        a, axis = np.ravel(a), 0
    return np.take(a, np.repeat(np.arange(a.shape[axis]), repeats), axis=axis)


composite(np.rot90, _rot90)
composite(np.tile, _tile)
composite(np.repeat, _repeat)


@primitive
def _pad_constant(x, width, constant_values=0):
    return np.pad(x, width, constant_values=constant_values)


def _crop(g, shape, width, constant_values=0):
    return g[tuple(slice(lo, lo + n) for (lo, _), n in zip(width, shape, strict=True))]


linear(_pad_constant, _crop, fills=True)


def _pad(array, pad_width, mode="constant", constant_values=0, reflect_type="even"):
    if isinstance(pad_width, dict):
        each = {k % array.ndim: v for k, v in pad_width.items()}
        pad_width = [each.get(i, 0) for i in range(array.ndim)]
        pad_width = [v if np.iterable(v) else (v, v) for v in pad_width]
    if not array.ndim:
        return np.copy(array)
    width = [tuple(map(int, w)) for w in np.broadcast_to(pad_width, (array.ndim, 2))]
    if mode == "constant":
        return _pad_constant(array, width=width, constant_values=constant_values)
    if mode not in ("edge", "reflect", "symmetric", "wrap") or reflect_type != "even":
        raise NoRuleError(f"np.pad with mode={mode!r}, reflect_type={reflect_type!r} has no "
                          "derivative rule: use constant, edge, reflect, symmetric or wrap")
    for i, w in enumerate(width):
        if any(w):
            array = np.take(array, np.pad(np.arange(array.shape[i]), w, mode), axis=i)
    return array


composite(np.pad, _pad)


# ---------------------------------------------------------------- joining and splitting

@primitive
def _join(*arrays, axis):
    return np.concatenate(arrays, axis)


def _join_vjp(g, shapes, active, axis):
    axis = axis % g.ndim
    stops = np.cumsum([s[axis] for s in shapes])
    head = (slice(None),) * axis
    return [g[(*head, slice(int(stops[i]) - shapes[i][axis], int(stops[i])))] for i in active]


def _join_jvp(ts, arrays, axis):
    return np.concatenate([np.zeros_like(a) if t is None else t
                           for t, a in zip(ts, arrays, strict=True)], axis)


variadic(_join, save=lambda active, arrays: [np.shape(a) for a in arrays], vjp=_join_vjp,
         jvp=_join_jvp, moves=True)


def _concatenate(arrays, axis=0, out=None, *, dtype=None, casting="same_kind"):
    arrays = [np.ravel(a) for a in arrays] if axis is None else arrays
    y = _join(*arrays, axis=axis or 0)
    return y if dtype is None else astype(y, dtype)


def _stack(arrays, axis=0, out=None, *, dtype=None, casting="same_kind"):
    return _concatenate([np.expand_dims(a, axis) for a in arrays], axis, dtype=dtype)


def _block(arrays):
    def depth(a):
        return 1 + max(map(depth, a)) if isinstance(a, list) else 0

    def join(a, level):
        if not isinstance(a, list):
            return a
        return _join(*(join(b, level - 1) for b in a), axis=-level)

    def pad(a, ndim):
        return [pad(b, ndim) for b in a] if isinstance(a, list) else _at_least(ndim, [a])

    def most(a):
        return max(map(most, a)) if isinstance(a, list) else np.ndim(a)
    levels = depth(arrays)
    return join(pad(arrays, max(levels, most(arrays))), levels)


composite(np.concatenate, _concatenate)
composite(np.stack, _stack)
composite(np.block, _block)
composite(np.vstack, lambda tup, **kw: _concatenate([_at_least(2, [a]) for a in tup], 0, **kw))
composite(np.hstack, lambda tup, **kw: _concatenate(
    [_at_least(1, [a]) for a in tup], 0 if np.ndim(tup[0]) < 2 else 1, **kw))
composite(np.column_stack, lambda tup: _concatenate(
    [a if np.ndim(a) > 1 else np.reshape(a, (-1, 1)) for a in tup], 1))
composite(np.append, lambda arr, values, axis=None: _concatenate([arr, values], axis))


def _array_split(ary, indices_or_sections, axis=0):
    n = ary.shape[axis]
    if np.iterable(indices_or_sections):
        cuts = [0, *indices_or_sections, n]
    else:
        size, extra = divmod(n, indices_or_sections)
        cuts = np.cumsum([0] + [size + 1] * extra + [size] * (indices_or_sections - extra))
    head = (slice(None),) * axes(axis, ary.ndim)[0]
    return [ary[(*head, slice(int(lo), int(hi)))] for lo, hi in itertools.pairwise(cuts)]


def _split(ary, indices_or_sections, axis=0):
    if not np.iterable(indices_or_sections) and ary.shape[axis] % indices_or_sections:
        raise ValueError(f"np.split: axis {axis} of length {ary.shape[axis]} does not divide "
                         f"into {indices_or_sections} equal parts: use np.array_split")
    return _array_split(ary, indices_or_sections, axis)


composite(np.split, _split)
composite(np.array_split, _array_split)
composite(np.hsplit, lambda ary, indices_or_sections:
          _split(ary, indices_or_sections, 0 if ary.ndim == 1 else 1))
composite(np.vsplit, lambda ary, indices_or_sections: _split(ary, indices_or_sections, 0))

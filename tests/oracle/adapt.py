"""From PyTorch's way of calling to NumPy's: axes, scalars, widths. Knows no PyTorch."""

import functools

import numpy as np


def over(dim, x):
    """PyTorch's ``dim`` as an axis: a scalar has none, and no dims are all of them."""
    if np.ndim(x) == 0 or dim is None or np.size(dim) == 0:
        return None
    return dim if isinstance(dim, int) else tuple(dim)


def reduction(fn):
    """A reduction of NumPy as PyTorch calls one."""
    def call(x, dim=None, keepdim=False, *, dtype=None):
        more = {} if dtype is None else {"dtype": dtype}
        return fn(x, axis=over(dim, x), keepdims=keepdim, **more)
    return call


def masked(fn, **fixed):
    """A reduction over the elements that a mask chooses: ``where=``."""
    def call(x, dim=None, keepdim=False, *, mask=None, dtype=None):
        where = True if mask is None else np.broadcast_to(mask, np.shape(x))
        return fn(x, axis=over(dim, x), keepdims=keepdim, where=where, **fixed)
    return call


def on_scalars(f):
    """``f`` over one axis, for scalars as well: PyTorch takes them for vectors of one."""
    @functools.wraps(f)
    def call(x, *args, **kwargs):
        if np.ndim(x):
            return f(x, *args, **kwargs)
        y = f(np.reshape(x, (1,)), *args, **kwargs)
        return (tuple(np.reshape(v, ()) for v in y) if isinstance(y, tuple)
                else np.reshape(y, ()))
    return call


def reduced(y, reduction="mean"):
    """A loss for each element, or their mean or sum."""
    return y if reduction == "none" else np.mean(y) if reduction == "mean" else np.sum(y)


def batched(f, ndim=2):
    """``f`` of matrices, which gives a tuple, for batches of matrices, one by one."""
    def call(*arrays):
        if max(map(np.ndim, arrays)) <= ndim:
            return f(*arrays)
        shape = np.shape(arrays[0])[:-ndim]
        flat = [np.reshape(a, (-1, *np.shape(a)[-ndim:])) for a in arrays]
        found = zip(*(f(*each) for each in zip(*flat, strict=True)), strict=True)
        return tuple(np.reshape(np.stack(y), shape + np.shape(y[0])) for y in found)
    return call


def padded(x, pad, mode="constant", value=None):
    """np.pad by PyTorch's widths: from the last axis on, negative ones cut."""
    modes = {"replicate": "edge"}
    pairs = [(pad[i], pad[i + 1]) for i in range(0, len(pad), 2)][::-1]
    pairs = [(0, 0)] * (np.ndim(x) - len(pairs)) + pairs
    width = [(max(a, 0), max(b, 0)) for a, b in pairs]
    more = {"constant_values": value or 0.0} if mode == "constant" else {}
    if mode == "circular":                      # cut first, then repeat what is left
        return np.pad(_cut(x, pairs), width, "wrap")
    return _cut(np.pad(x, width, modes.get(mode, mode), **more), pairs)


def _cut(x, pairs):
    return x[tuple(slice(max(-a, 0), n - max(-b, 0))
                   for (a, b), n in zip(pairs, np.shape(x), strict=True))]

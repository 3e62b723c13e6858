"""Operators of PyTorch that move, pick, repeat and join, in NumPy's words."""

import numpy as np

from .adapt import on_scalars, padded


def _unfold(x, dim, size, step):
    y = np.lib.stride_tricks.sliding_window_view(np.atleast_1d(x), size, dim)
    at = [slice(None)] * (np.ndim(y) - 1)
    at[dim] = slice(None, None, step)
    return y[(*at, slice(None))] if np.ndim(x) else y[0]


def _sizes(x, cuts, dim):
    """np.split by the sizes of the parts, or by one size for all but the last."""
    n = np.shape(x)[dim]
    at = range(cuts, n, cuts) if isinstance(cuts, int) else np.cumsum(cuts)[:-1]
    return np.split(x, list(at), dim)


def _gather(x, dim, index):
    if np.size(index) == 0:
        return np.reshape(np.ravel(x)[:0], np.shape(index))
    y = np.reshape(x, np.shape(x) or (1,))
    at = np.reshape(index, np.shape(index) or (1,)).astype(np.int64)
    part = [slice(None) if i == dim % y.ndim else slice(n) for i, n in enumerate(at.shape)]
    return np.reshape(np.take_along_axis(y[tuple(part)], at, dim), np.shape(index))


def _squeeze(x, *dim):
    if not dim:
        return np.squeeze(x)
    dims = [dim[0]] if isinstance(dim[0], int) else dim[0]
    return np.squeeze(x, tuple(d for d in dims if x.ndim and np.shape(x)[d] == 1))


def _expand(x, shape):
    old = (1,) * (len(shape) - np.ndim(x)) + np.shape(x)
    return np.broadcast_to(x, [n if n >= 0 else m for n, m in zip(shape, old, strict=True)])


def _flatten(x, start_dim=0, end_dim=-1):
    shape = np.shape(x) or (1,)
    end = end_dim % len(shape) + 1
    n = int(np.prod(shape[start_dim:end]))
    return np.reshape(x, (*shape[:start_dim], n, *shape[end:]))


def _unflatten(x, dim, sizes):
    dim, shape = dim % np.ndim(x), np.shape(x)
    return np.reshape(x, (*shape[:dim], *sizes, *shape[dim + 1:]))


def _sum_to(x, *shape):
    shape = shape[0] if not isinstance(shape[0], int) else shape
    old = np.shape(x)
    extra = len(old) - len(shape)
    ones = [i + extra for i, n in enumerate(shape) if n == 1 != old[i + extra]]
    return np.reshape(np.sum(x, axis=(*range(extra), *ones)), tuple(shape))


def _block_diagonal(*arrays):
    arrays = [np.atleast_2d(a) for a in arrays]
    return np.block([[a if i == j else np.zeros((a.shape[0], b.shape[1]))
                      for j, b in enumerate(arrays)] for i, a in enumerate(arrays)])


def _joined(arrays, dim=0):
    """PyTorch leaves out empty vectors, whatever the others are."""
    full = [a for a in arrays if np.shape(a) != (0,)]
    return np.concatenate(full or arrays, dim)


def _many(fn):
    """A function of several arrays that PyTorch gives as such, as a list, or one alone."""
    def call(x, *more, **kwargs):
        return fn(*(x if isinstance(x, (list, tuple)) else (x, *more)), **kwargs)
    return call


SHAPES = {
    # form
    "reshape": np.reshape, "ravel": np.ravel, "flatten": _flatten, "unflatten": _unflatten,
    "permute": np.transpose,
    "transpose": lambda x, a, b: np.swapaxes(x, a, b) if np.ndim(x) else x,
    "T": np.transpose, "t": np.transpose, "mT": np.matrix_transpose, "movedim": np.moveaxis,
    "squeeze": _squeeze, "unsqueeze": np.expand_dims, "clone": np.copy,
    "expand": _expand, "broadcast_to": np.broadcast_to, "sum_to_size": _sum_to,
    "broadcast_tensors": np.broadcast_arrays,
    "atleast_1d": _many(np.atleast_1d), "atleast_2d": _many(np.atleast_2d),
    "atleast_3d": _many(np.atleast_3d),
    # order and repetition
    "flip": lambda x, dims: np.flip(x, tuple(dims)),
    "fliplr": np.fliplr, "flipud": np.flipud,
    "roll": lambda x, shifts, dims=None: np.roll(x, shifts, dims),
    "rot90": lambda x, k=1, dims=(0, 1): np.rot90(x, k, tuple(dims)),
    "tile": np.tile, "repeat": np.tile,
    "repeat_interleave": lambda x, repeats, dim=None, output_size=None: np.repeat(
        x, repeats, dim),
    "constant_pad_nd": lambda x, pad, value=0.0: padded(x, pad, value=value),
    "nn.functional.pad": padded,
    "unfold": _unfold,
    # picking
    "__getitem__": lambda x, index: x[index],
    "select": lambda x, dim, i: np.take(x, i, dim),
    "narrow": lambda x, dim, start, n: np.take(x, np.arange(start, start + n), dim),
    "take": lambda x, index: np.take(x, index),
    "take_along_dim": lambda x, index, dim=None: np.take_along_axis(
        x, index if dim is not None else np.ravel(index), dim),
    "gather": _gather,
    "index_select": on_scalars(lambda x, dim, index: np.take(x, index, dim)),
    "masked_select": lambda x, mask: np.broadcast_arrays(x, mask)[0][
        np.broadcast_to(mask, np.broadcast_shapes(np.shape(x), np.shape(mask)))],
    "diag": lambda x, k=0: np.diag(x, k),
    "diagflat": lambda x, offset=0: np.diagflat(x, offset),
    "diagonal": lambda x, offset=0, dim1=0, dim2=1: np.diagonal(x, offset, dim1, dim2),
    "linalg.diagonal": lambda x, offset=0, dim1=-2, dim2=-1: np.linalg.diagonal(
        np.moveaxis(x, (dim1, dim2), (-2, -1)), offset=offset),
    "tril": lambda x, k=0: np.tril(x, k), "triu": lambda x, k=0: np.triu(x, k),
    "trace": np.trace,
    # joining and splitting
    "cat": _joined,
    "stack": lambda arrays, dim=0: np.stack(arrays, dim),
    "hstack": np.hstack, "vstack": np.vstack, "dstack": np.dstack,
    "column_stack": np.column_stack, "block_diag": _block_diagonal,
    "meshgrid": _many(lambda *arrays, indexing: np.meshgrid(*arrays, indexing=indexing)),
    "split": lambda x, sizes, dim=0: _sizes(x, sizes, dim),
    "split_with_sizes": lambda x, sizes, dim=0: _sizes(x, sizes, dim),
    "chunk": lambda x, n, dim=0: _sizes(x, -(-np.shape(x)[dim] // n), dim),
    "tensor_split": lambda x, cuts, dim=0: np.array_split(
        x, cuts if np.ndim(cuts) else int(cuts), dim),
    "hsplit": np.hsplit, "vsplit": np.vsplit, "dsplit": np.dsplit,
    "unbind": lambda x, dim=0: np.unstack(x, axis=dim),
}

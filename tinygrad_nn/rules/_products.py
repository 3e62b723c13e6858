"""Products: matmul and what is made of it, einsum, and `dense`, that of a linear layer."""

import string

import numpy as np

from .._core import primitive
from .._errors import ShapeError
from .._table import bilinear, composite, variadic
from ..kernels import also_compiled
from ..kernels._blas import matmul
from ..kernels._threads import scratch

# ---------------------------------------------------------------- matmul
# da and db as in any matrix calculus (dA = G B', dB = A' G); a vector is a matrix with one row
# (left) or one column (right). Batch axes that were broadcast are summed by the sweep.

def _matmul_da(g, b, shape):
    if np.ndim(b) == 1:
        return g[..., None] * b if len(shape) > 1 else g * b
    if len(shape) == 1:
        return (b @ g[..., None])[..., 0]
    return g @ np.swapaxes(b, -1, -2)


def _matmul_db(g, a, shape):
    if len(shape) == 1:
        return g * a if np.ndim(a) == 1 else (np.swapaxes(a, -1, -2) @ g[..., None])[..., 0]
    if np.ndim(a) == 1:
        return a[:, None] * g[..., None, :]
    if len(shape) == 2 and np.ndim(a) > 2:      # one large product instead of a batch and a sum
        a, g = _rows(a), _rows(g)
    return np.swapaxes(a, -1, -2) @ g


def _rows(x):
    """A stack of matrices as one matrix with all their rows."""
    n = int(np.prod(x.shape[:-1], dtype=int))             # -1 would not do where an axis is 0
    return np.reshape(x, (n, x.shape[-1]))


bilinear(np.matmul, _matmul_da, _matmul_db)


# ---------------------------------------------------------------- dense

def _skinny(a, b):
    """The multiplications of ``a @ b``, two matrices, if tiles are faster than BLAS; else 0.

    Measured on two threads, each by itself, time over that of OpenBLAS on our threads and on
    its own (float32): 20 x 4096 x 512 0.42 and 0.45, 10 x 4096 x 32 0.33 and 0.56, 64 x 4096 x
    512 0.9 and 1.1, 128 x 784 x 128 0.6 and 1.2; with the rows of b 20 x 1323 x 12288 0.6 and
    0.5, 128 x 32 x 8192 0.8 and 0.6, 128 x 128 x 784 0.9 and 1.3. Below 2 ** 20 multiplications
    OpenBLAS copies nothing and is faster, and so it is for a vector.
    """
    (m, k), n = a.shape, b.shape[1]
    if m * k * n < 1 << 20 or m < 2 or n < 2 or a.dtype != b.dtype or not a.dtype.isnative:
        return 0
    size, (down, along), (b_down, b_along) = a.dtype.itemsize, a.strides, b.strides
    if along == b_down == size:
        fits = k >= 512 and (min(m, n) <= 64 or m * n <= 1 << 15) and down > 0 and b_along > 0
    else:
        fits = n >= 256 and (min(m, k) <= 32 or m * k <= 1 << 14) and b_along == size and (
            b_down > 0)
    return m * k * n if fits and down % size == b_down % size == 0 else 0


@also_compiled("_products", _skinny)
def product(a, b, out=None):
    """``a @ b`` of two plain matrices, into ``out`` where that is given."""
    return matmul(a, b, out)


product.into, product.safe = lambda out, a, b: product(a, b, out=out), True


@primitive
def dense(x, w):
    """``x @ w.T``: (…, in) by (out, in) to (…, out), the product of a linear layer.

    A primitive of its own because its gradient by w is computed as it is stored, (out, in);
    through ``w.T`` it would be a transposed view, to be copied in every step. All its
    derivatives are products of the same kind.
    """
    if not x.shape or w.ndim != 2 or x.shape[-1] != w.shape[1]:
        raise ShapeError(f"dense: x of shape {x.shape} and weights (out, in) of shape "
                         f"{w.shape} do not multiply: the last axis of both must be equal")
    if x.ndim == 2:
        return product(x, w.T)
    return np.reshape(product(_rows(x), w.T), (*x.shape[:-1], len(w)))


def _dense_into(out, x, w):
    if x.ndim != 2:
        if not x.flags.c_contiguous:                        # a broadcast gradient, for example
            there = scratch(x.size, x.dtype, "rows").reshape(x.shape)
            np.copyto(there, x)
            x = there
        x, out = _rows(x), np.reshape(out, (-1, len(w)))
    product(x, w.T, out=out)


dense.into, dense.safe = _dense_into, True
bilinear(dense, lambda g, b: dense(g, b.T), lambda g, a: dense(_rows(g).T, _rows(a).T))


# ---------------------------------------------------------------- made of matmul

def _tensordot(a, b, axes=2):
    if np.iterable(axes):
        left, right = ([i] if isinstance(i, int | np.integer) else list(i) for i in axes)
    else:
        left, right = list(range(np.ndim(a) - axes, np.ndim(a))), list(range(axes))
    left, right = [i % np.ndim(a) for i in left], [i % np.ndim(b) for i in right]
    keep_a = [i for i in range(np.ndim(a)) if i not in left]
    keep_b = [i for i in range(np.ndim(b)) if i not in right]
    sizes_a, sizes_b = [np.shape(a)[i] for i in left], [np.shape(b)[i] for i in right]
    if sizes_a != sizes_b:
        raise ShapeError(f"np.tensordot: shapes {np.shape(a)} and {np.shape(b)}: the axes to "
                         f"sum over, {left} and {right}, have sizes {sizes_a} and {sizes_b}")
    n = int(np.prod(sizes_a, dtype=int))
    shape = [np.shape(a)[i] for i in keep_a] + [np.shape(b)[i] for i in keep_b]
    rows = np.prod([np.shape(a)[i] for i in keep_a], dtype=int)
    columns = np.prod([np.shape(b)[i] for i in keep_b], dtype=int)
    a = np.reshape(np.transpose(a, keep_a + left), (int(rows), n))
    b = np.reshape(np.transpose(b, right + keep_b), (n, int(columns)))
    return np.reshape(a @ b, shape)


def _dot(a, b, out=None):
    if np.ndim(a) == 0 or np.ndim(b) == 0:
        return np.multiply(a, b)
    if np.ndim(b) == 1 or (np.ndim(a) <= 2 and np.ndim(b) == 2):
        return np.matmul(a, b)
    return _tensordot(a, b, ((-1,), (-2,)))


def _inner(a, b):
    if np.ndim(a) == 0 or np.ndim(b) == 0:
        return np.multiply(a, b)
    return _tensordot(a, b, ((-1,), (-1,)))


composite(np.tensordot, _tensordot)
composite(np.dot, _dot)
composite(np.inner, _inner)
composite(np.outer, lambda a, b, out=None: np.reshape(a, (-1, 1)) * np.reshape(b, (1, -1)))
composite(np.vdot, lambda a, b: np.matmul(np.ravel(a), np.ravel(b)))


# ---------------------------------------------------------------- einsum
# Multilinear: the gradient by one operand is an einsum of g with the others. Before it is
# recorded an ellipsis becomes letters, a repeated letter within an operand a diagonal, and an
# axis of length 1 that would be stretched is left out, so that every operand has each letter
# once and all letters one length.

@primitive
def _einsum(*operands, subscripts, optimize=False):
    return np.einsum(subscripts, *operands, optimize=optimize)


def _einsum_vjp(g, operands, active, subscripts, optimize=False):
    ins, out = subscripts.split("->")
    ins = ins.split(",")
    grads = []
    for i in active:
        others = [(s, x) for j, (s, x) in enumerate(zip(ins, operands, strict=True)) if j != i]
        here = set(out).union(*(s for s, _ in others))
        for letter, n in zip(ins[i], np.shape(operands[i]), strict=True):
            if letter not in here:                             # summed in this operand alone
                others.append((letter, np.ones(n, g.dtype)))
        sources = ",".join([out] + [s for s, _ in others])
        grads.append(_einsum(g, *(x for _, x in others), subscripts=f"{sources}->{ins[i]}",
                             optimize=optimize))
    return grads


def _einsum_jvp(ts, operands, **kwargs):
    total = None
    for i, t in enumerate(ts):
        if t is not None:
            part = _einsum(*operands[:i], t, *operands[i + 1:], **kwargs)
            total = part if total is None else total + part
    return total


def _einsum_save(active, operands):
    """An operand that only its own gradient would ask for gives its shape alone."""
    return [x if set(active) - {i} else np.broadcast_to(0.0, np.shape(x))
            for i, x in enumerate(operands)]


variadic(_einsum, save=_einsum_save, vjp=_einsum_vjp, jvp=_einsum_jvp)


def _written_einsum(*operands, optimize=False):
    if not isinstance(operands[0], str):
        operands = _from_sublists(operands)
    subscripts, *arrays = operands
    text, arrow, out = subscripts.replace(" ", "").partition("->")
    ins = text.split(",")
    if len(ins) != len(arrays):
        raise ValueError(f"np.einsum: {subscripts!r} names {len(ins)} operands, "
                         f"{len(arrays)} given")
    spare = [c for c in string.ascii_letters if c not in subscripts]
    dots = [np.ndim(x) - len(s.replace("...", "")) if "..." in s else 0
            for s, x in zip(ins, arrays, strict=True)]
    letters = "".join(spare[:max(dots)])
    ins = [s.replace("...", letters[len(letters) - n:]) for s, n in zip(ins, dots, strict=True)]
    if arrow:
        out = out.replace("...", letters)
    else:
        named = "".join(ins)
        out = letters + "".join(sorted(c for c in set(named) - set(letters)
                                       if named.count(c) == 1))
    pairs = [_without_repeats(s, x) for s, x in zip(ins, arrays, strict=True)]
    longer = {c for s, x in pairs for c, n in zip(s, np.shape(x), strict=True) if n != 1}
    pairs = [_without_ones(s, x, longer) for s, x in pairs]
    ins = ",".join(s for s, _ in pairs)
    return _einsum(*(x for _, x in pairs), subscripts=f"{ins}->{out}", optimize=optimize)


def _without_repeats(letters, x):
    for c in dict.fromkeys(letters):
        while letters.count(c) > 1:
            i, j = letters.index(c), letters.rindex(c)
            x = np.diagonal(x, 0, i, j)                          # the new axis comes last
            letters = "".join(k for n, k in enumerate(letters) if n not in (i, j)) + c
    return letters, x


def _without_ones(letters, x, longer):
    """Leave out axes of length 1 that einsum would stretch to those of other operands."""
    axes = tuple(k for k, n in enumerate(np.shape(x)) if n == 1 and letters[k] in longer)
    if not axes:
        return letters, x
    return "".join(c for k, c in enumerate(letters) if k not in axes), np.squeeze(x, axes)


def _from_sublists(operands):
    """einsum(x, [0, 1], y, [1, 2], [0, 2]) in the form einsum("ab,bc->ac", x, y)."""
    def text(sublist):
        return "".join("..." if i is Ellipsis else string.ascii_letters[i] for i in sublist)
    arrays, lists = operands[:-1:2], operands[1::2]
    out = "->" + text(operands[-1]) if len(operands) % 2 else ""
    if len(operands) % 2 == 0:
        arrays = operands[::2]
    return (",".join(map(text, lists)) + out, *arrays)


composite(np.einsum, _written_einsum)

"""Products of matrices with few rows by compiled loops: arrays in, arrays out. Knows no box.

A library for matrices of all sizes copies both factors into the order in which it reads them;
where one side has few rows, copying takes as long as multiplying. Here the large factor is read
where it lies, once, a page or two of a row at a time.
"""

import math

import numpy as np

from . import _threads as threads
from ._blas import allowed
from ._product_loops import INNER_COLUMNS, INNER_ROWS, LOW, dots, gather, pack, spread

BLOCK = 1 << 13                 # bytes of a row at a time
DEEP = 32                       # rows at a time in `spread`: their pages are found at once
PARTS = 8                       # of a sum of products at most, and of its length in blocks
ALONE = 1 << 22                 # multiplications that are not worth a second thread


def product(plain, a, b, out=None):
    """``a @ b`` of two matrices of one dtype, into ``out``, which is returned.

    The rows of ``a`` and the columns of ``b`` are contiguous, or the rows of ``b``.
    """
    if out is None:
        out = np.empty((len(a), b.shape[1]), a.dtype)
    if a.strides[1] == b.strides[0] == a.itemsize:
        _inner(a, b.T, out)
    else:
        _outer(a, b, out)
    return out


def _inner(p, q, out):
    """``p @ q.T``; the side with more rows is read once."""
    across = len(p) < len(q)
    if across:
        p, q = q, p
    size, length = p.itemsize, p.shape[1]
    block = BLOCK // size
    count = 1 if out.size * length < ALONE else min(PARTS, -(-length // block))
    tall, wide = -(-len(p) // INNER_ROWS), -(-len(q) // INNER_COLUMNS)
    shape = count, tall * wide, INNER_ROWS * INNER_COLUMNS
    parts = threads.scratch(math.prod(shape), p.dtype, "sums").reshape(shape)
    _run(dots, count, p.dtype, _address(p), p.strides[0] // size, len(p), _address(q),
         q.strides[0] // size, len(q), length, block, parts, size)
    gather(parts, out.T if across else out)


def _outer(a, b, out):
    """``a @ b`` as sums of rows of b."""
    size, (m, k), n = a.itemsize, a.shape, b.shape[1]
    block = BLOCK // size
    factors = threads.scratch(-(-m // LOW) * LOW * k, a.dtype, "factors")
    pack(a, factors)
    _run(spread, 1 if out.size * k < ALONE else -(-n // block), a.dtype, factors, m, k,
         _address(b), b.strides[0] // size, n, _address(out), out.strides[0] // size, block,
         DEEP, size)


def _run(loop, items, dtype, *args):
    threads.run(loop, items if items == 1 else min(items, allowed()), 0, dtype, *args)


def _address(a):
    return a.__array_interface__["data"][0]

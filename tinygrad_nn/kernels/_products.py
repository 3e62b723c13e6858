"""Products of matrices with few rows by compiled loops: arrays in, arrays out. Knows no box.

A library for matrices of all sizes copies both factors into the order in which it reads them;
where one side has few rows, copying takes as long as multiplying. Here the large factor is read
where it lies, once, a page or two of a row at a time.

What is divided among threads, and into what, depends on shapes alone, and no vector on where a
matrix begins: the same product gives the same bits on any number of threads, at any place in
memory. (Vectors that begin at a cache line would be read 1.1 to 1.2 times as fast.)
"""

import math

import numpy as np

from . import _threads as threads
from ._blas import allowed
from ._product_loops import INNER_COLUMNS, INNER_ROWS, LOW, dots, gather, pack, spread

BLOCK = 1 << 13                 # bytes of a row at a time in `dots`
PARTS = 8                       # of a sum of products at most, and of its length in blocks
SUMS = 1 << 20                  # numbers in all parts at most, if these are several
STRIP = 1 << 11                 # bytes of a row at a time in `spread`
DEEP = 32                       # rows of them at a time, so that what is read fits the cache
RUN = 8                         # strips side by side for one thread, which fetches the next
WORKERS = 8                     # items that there should be
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
    size, length, small = p.itemsize, p.shape[1], _is_small(p, q)
    block = BLOCK // size
    tiles = -(-len(p) // INNER_ROWS), -(-len(q) // INNER_COLUMNS), INNER_ROWS * INNER_COLUMNS
    count = 1 if small else min(PARTS, -(-length // block),
                                max(1, SUMS // math.prod(tiles)))
    shares = 1 if small else min(-(-WORKERS // count), tiles[0])
    parts = threads.scratch(count * math.prod(tiles), p.dtype, "sums").reshape(count, *tiles)
    _run(dots, count * shares, p.dtype, _address(p), p.strides[0] // size, len(p), _address(q),
         q.strides[0] // size, len(q), length, block, parts, shares, size)
    gather(parts, out.T if across else out)


def _outer(a, b, out):
    """``a @ b`` as sums of rows of b."""
    size, (m, k), n = a.itemsize, a.shape, b.shape[1]
    strip = STRIP // size
    strips = -(-n // strip)
    run = max(1, min(RUN, strips // (2 * WORKERS)))
    factors = threads.scratch(-(-m // LOW) * LOW * k, a.dtype, "factors")
    pack(a, factors)
    _run(spread, 1 if _is_small(a, b.T) else -(-strips // run), a.dtype, factors, m, k,
         _address(b), b.strides[0] // size, n, _address(out), out.strides[0] // size, strip,
         run, DEEP, size)


def _is_small(p, q):
    """Whether ``p @ q.T`` is not worth a second thread."""
    return p.size * len(q) < ALONE


def _run(loop, items, dtype, *args):
    threads.run(loop, items if items == 1 else min(items, allowed()), 0, dtype, *args)


def _address(a):
    return a.__array_interface__["data"][0]

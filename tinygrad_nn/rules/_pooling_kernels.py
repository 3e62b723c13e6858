"""Pooling in plain NumPy: arrays in, arrays out. Knows no box.

Images are planes (N * C, H, W). A window is gone through cell by cell: a cell of all windows at
once is a strided view of the planes, and everything is done with a few whole-array operations
for each cell, block by block of planes, so that what is in the making stays in the cache.

Where numba is installed, `tinygrad_nn.kernels` has compiled forms of max pooling. All of them
write into ``out`` where it is given, and what they need besides is the thread's own.
"""

import functools
import math

import numpy as np

from .._table import masked
from ..kernels import also_compiled
from ..kernels._threads import scratch, zeros
from ._windows import extents, reach

BLOCK = 2 ** 17                 # pixels handled at a time: 512 kB in float32


class Cells:
    """The cells of the windows on planes of shape ``image``."""

    def __init__(self, image, kernel, stride, padding):
        self.image, self.kernel, self.stride, self.padding = image, kernel, stride, padding
        self.out = extents("pooling", image, kernel, stride, padding)
        self.apart = all(k <= s for k, s in zip(kernel, stride, strict=True))
        self.dtype = np.min_scalar_type(kernel[0] * kernel[1] - 1)

    def __iter__(self):
        """(number, the windows that have this cell in the image, these pixels) of each cell."""
        (rows, columns), (h, w) = self.out, self.image
        for i in range(self.kernel[0]):
            to_rows, from_rows = reach(0, rows, i - self.padding[0][0], self.stride[0], h)
            for j in range(self.kernel[1]):
                to, pixels = reach(0, columns, j - self.padding[1][0], self.stride[1], w)
                yield (i * self.kernel[1] + j, (slice(None), to_rows, to),
                       (slice(None), from_rows, pixels))

    def match(self, numbers, k):
        """Where ``numbers`` are ``k``, in this thread's memory."""
        mask = scratch(numbers.size, bool, "mask").reshape(numbers.shape)
        return np.equal(numbers, k, out=mask)

    def blocks(self, *arrays):
        """The same few planes of each array, again and again until all have been had."""
        step = max(1, BLOCK // max(1, self.image[0] * self.image[1]))
        for n in range(0, len(arrays[0]), step):
            yield [a[n:n + step] for a in arrays]


@functools.lru_cache(64)
def _first(out, kernel, stride, padding):
    """The number of the first cell of each window that is in the image (rows, columns)."""
    low = [np.maximum(p - np.arange(n) * s, 0) for n, s, (p, _)
           in zip(out, stride, padding, strict=True)]
    return (low[0][:, None] * kernel[1] + low[1]).astype(
        np.min_scalar_type(kernel[0] * kernel[1] - 1))


def planes(x):
    """(N, C, H, W) as (N * C, H, W), a view where there is one."""
    return np.reshape(x, (x.shape[0] * x.shape[1], *x.shape[2:]))


def _pixels(x, *rest):
    """Of images ``x``, as multiplications that take NumPy as long."""
    return 16 * math.prod(x.shape)


@also_compiled("_pooling", _pixels)
def maxima(x, kernel, stride, padding, out=None):
    """The number of the cell with the largest value of each window; of equal ones the first,
    and a nan is larger than all. Padding is never chosen."""
    cells = Cells(x.shape[2:], kernel, stride, padding)
    chosen = np.empty((*x.shape[:2], *cells.out), cells.dtype) if out is None else out
    for block, numbers in cells.blocks(planes(x), planes(chosen)):
        values = scratch(numbers.size, x.dtype, "values").reshape(numbers.shape)
        _maxima(cells, block, values, numbers, nans=False)
        if np.isnan(np.max(values)):
            _maxima(cells, block, values, numbers, nans=True)
    return chosen


def _maxima(cells, x, values, chosen, nans):
    values.fill(-np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min)
    chosen[...] = _first(cells.out, cells.kernel, cells.stride, cells.padding)
    larger, number = (scratch(chosen.size, dtype, use).reshape(chosen.shape)
                      for dtype, use in ((bool, "mask"), (chosen.dtype, "number")))
    for k, at, pixels in cells:
        pixels, top, mask, n = x[pixels], values[at], larger[at], number[at]
        np.greater(pixels, top, out=mask)
        if nans:
            np.logical_or(mask, np.isnan(pixels), out=mask)
        np.maximum(top, pixels, out=top)
        np.multiply(mask.view(np.uint8), cells.dtype.type(k), out=n)
        np.maximum(chosen[at], n, out=chosen[at])           # cells come in growing order


@also_compiled("_pooling", _pixels)
def pick(x, chosen, kernel, stride, padding, out=None):
    """The value of the chosen cell of each window, 0 where that is padding."""
    cells = Cells(x.shape[2:], kernel, stride, padding)
    y = zeros(out, chosen.shape, x.dtype)
    for x_block, numbers, values in cells.blocks(*map(planes, (x, chosen, y))):
        for k, at, pixels in cells:
            values[at] += _where(x_block[pixels], cells.match(numbers[at], k))
    return y


def _where(x, mask):
    """`masked`, in this thread's memory."""
    return masked(x, mask, out=scratch(x.size, x.dtype, "values").reshape(x.shape))


@also_compiled("_pooling", lambda g, chosen, image, *how: _pixels(g) * math.prod(how[0]))
def put(g, chosen, image, kernel, stride, padding, out=None):
    """Zeros (N, C, *image) with ``g`` (N, C, rows, columns) added at the chosen cells."""
    cells = Cells(image, kernel, stride, padding)
    dx = zeros(out, (*g.shape[:2], *image), g.dtype)
    for part, numbers, total in cells.blocks(*map(planes, (g, chosen, dx))):
        for k, at, pixels in cells:
            mask = cells.match(numbers[at], k)
            if cells.apart:
                masked(part[at], mask, out=total[pixels])
            else:
                total[pixels] += _where(part[at], mask)
    return dx


def total(x, kernel, stride, padding, out=None):
    """The sum of each window; of integers as floats, since those of pixels overflow."""
    cells = Cells(x.shape[2:], kernel, stride, padding)
    dtype = x.dtype if x.dtype.kind == "f" else float
    y = zeros(out, (*x.shape[:2], *cells.out), dtype)
    for x_block, sums in cells.blocks(*map(planes, (x, y))):
        for _, at, pixels in cells:
            sums[at] += x_block[pixels]
    return y


def spread(g, image, kernel, stride, padding, out=None):
    """Zeros (N, C, *image) with ``g`` added at every cell of its window."""
    cells = Cells(image, kernel, stride, padding)
    dx = zeros(out, (*g.shape[:2], *image), g.dtype)
    for part, pixels_of in cells.blocks(*map(planes, (g, dx))):
        for _, at, pixels in cells:
            pixels_of[pixels] += part[at]
    return dx

"""Convolution and its two transposes by compiled loops: arrays in, arrays out. Knows no box.

The arguments are those of the NumPy functions of the same names, after that function itself,
which takes over in the one case where the results would differ by more than rounding: the
tiles multiply zeros with numbers that the definition leaves alone, and 0 * inf is nan. (What
the loops of `conv2d` compute in excess is never stored.)
"""

import numpy as np

from . import _geometry as geometry
from . import _threads as threads
from ._loops import DOT_COLUMNS, DOT_ROWS, TILE_ROWS, correlate, weigh
from ._numba import BYTES

PARTS = 1 << 20                 # numbers in the partial sums of a gradient at most
WORKERS = 8                     # items of work that a gradient by the weights is divided into
ALONE = 1 << 20                 # multiplications that are not worth a second thread


def conv2d(plain, x, w, bias, stride, padding, dilation, groups):
    """The convolution (N, O, rows, columns), with ``bias`` (O,) or None added."""
    dtype = np.result_type(*(a for a in (x, w, bias) if a is not None))
    sweep, phases, offsets = geometry.forward(x.shape, w.shape, stride, padding, dilation,
                                              groups, dtype.itemsize)
    y = np.empty((len(x), len(w), sweep.out_height, sweep.out_width), dtype)
    bias = np.zeros(len(w), dtype) if bias is None else flat(bias, dtype)
    _correlate(flat(x, dtype), len(x), w.reshape(groups, len(w) // groups, -1), bias,
               y.reshape(-1), sweep, phases, offsets)
    return y


def conv2d_dx(plain, g, w, shape, stride, padding, dilation, groups):
    """The gradient by the images, of this ``shape``, from the gradient ``g`` of the result."""
    if not np.isfinite(w).all():
        return plain(g, w, shape, stride, padding, dilation, groups)
    dtype = np.result_type(g, w)
    dx, none = np.zeros(shape, dtype), np.zeros(shape[1], dtype)
    g = flat(g, dtype)
    weights = np.swapaxes(w.reshape(groups, len(w) // groups, w.shape[1], -1), 1, 2)
    for mine, tables in geometry.backward(shape, w.shape, stride, padding, dilation, groups,
                                          dtype.itemsize):
        _correlate(g, shape[0], weights[..., mine].reshape(groups, w.shape[1], -1), none,
                   dx.reshape(-1), *tables)
    return dx


def conv2d_dw(plain, g, x, shape, stride, padding, dilation, groups):
    """The gradient by the weights, of this ``shape``, from the gradient ``g`` of the result."""
    dtype = np.result_type(g, x)
    s, phases, offsets = geometry.forward(x.shape, shape, stride, padding, dilation, groups,
                                          dtype.itemsize, summed=True)
    k, width = len(offsets), BYTES // dtype.itemsize
    filters, columns = geometry.whole(s.filters, DOT_ROWS), geometry.whole(k, DOT_COLUMNS)
    strips = -(-len(x) // s.together) * s.strips
    parts = min(strips, max(1, PARTS // (groups * filters * columns)), WORKERS)
    shares = min(-(-WORKERS // parts), filters // DOT_ROWS)
    sums = np.zeros((parts, groups, filters, columns), dtype)
    size = s.source + 2 * width + filters * s.together * s.positions(width)
    threads.run(weigh, 1 if g.size * k < ALONE else parts * shares, size, dtype,
                flat(g, dtype), flat(x, dtype), len(x), sums, shares, s, phases,
                np.resize(offsets, columns))                # the first ones again, to fill up
    dw = np.sum(sums[:, :, :s.filters, :k], axis=0).reshape(shape)
    if not np.isfinite(dw).all():
        return plain(g, x, shape, stride, padding, dilation, groups)
    return dw


def _correlate(x, batch, w, bias, y, sweep, phases, offsets):
    """Into flat ``y`` from flat ``x``; ``w`` (groups, filters, offsets)."""
    width = BYTES // y.itemsize
    size = sweep.source + 2 * width + TILE_ROWS * sweep.positions(width)
    small = y.size * len(offsets) < ALONE
    threads.run(correlate, 1 if small else batch * sweep.strips, size, y.dtype,
                x, batch, _packed(w, y.dtype), bias, y, sweep, phases, offsets)


def _packed(w, dtype):
    """Weights (groups, filters, k) as `tile` reads them, flat: groups, blocks of TILE_ROWS
    filters, k, the filters of a block. Zeros fill up the last block."""
    groups, filters, k = w.shape
    out = np.zeros((groups, -(-filters // TILE_ROWS), k, TILE_ROWS), dtype)
    for r in range(TILE_ROWS):
        some = w[:, r::TILE_ROWS]
        out[:, :some.shape[1], :, r] = some
    return out.reshape(-1)


def flat(a, dtype):
    """``a`` in one row, as one type of numba's: of this dtype, aligned, writeable."""
    return np.require(a, dtype, ("C", "A", "W")).reshape(-1)

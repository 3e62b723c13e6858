"""Convolution and its two transposes by compiled loops: arrays in, arrays out. Knows no box.

The arguments are those of the NumPy functions of the same names, ``out`` included, after that
function itself, which takes over in the one case where the results would differ by more than
rounding: the tiles multiply zeros with numbers that the definition leaves alone, and 0 * inf is
nan. (What the loops of `conv2d` compute in excess is never stored.)
"""

import math

import numpy as np

from . import _geometry as geometry
from . import _threads as threads
from ._loops import DOT_COLUMNS, DOT_ROWS, TILE_ROWS, correlate, weigh
from ._numba import BYTES
from ._pooled_loops import (
    AT_ONCE,
    crests,
    from_vectors,
    in_vectors,
    spread_cells,
    weigh_cells,
)

PARTS = 1 << 20                 # numbers in the partial sums of a gradient at most
WORKERS = 8                     # items of work that a gradient by the weights is divided into
ALONE = 1 << 20                 # multiplications that are not worth a second thread
NONE = np.empty(0, np.uint8)    # no cells: nothing to do with pooling


def conv2d(plain, x, w, bias, stride, padding, dilation, groups, out=None):
    """The convolution (N, O, rows, columns), with ``bias`` (O,) or None added."""
    sweep, dtype, *rest = _prepared(x, w, bias, stride, padding, dilation, groups)
    y = out
    if out is None:
        y = np.empty((len(x), len(w), sweep.out_height, sweep.out_width), dtype)
    return _correlate(x, w, y, NONE, sweep, *rest)


def conv2d_pooled(plain, x, w, bias, stride, padding, dilation, groups, window,
                  out=None):
    """(the largest of each window of max(convolution, 0), its cell, or that after the last)."""
    sweep, dtype, *rest = _prepared(x, w, bias, stride, padding, dilation, groups, window)
    shape = len(x), len(w), sweep.out_height // window[0], sweep.out_width // window[1]
    y, cells = out or (np.empty(shape, dtype),
                       np.empty(shape, np.min_scalar_type(math.prod(window))))
    return (_crests if window == (2, 2) else _correlate)(x, w, y, cells, sweep, *rest), cells


def _prepared(x, w, bias, *how):
    """(sweep, dtype of the result, phases, offsets, bias)"""
    dtype = np.result_type(*(a for a in (x, w, bias) if a is not None))
    sweep, phases, offsets = geometry.forward(x.shape, w.shape, *how[:4], dtype.itemsize,
                                              *how[4:])
    bias = np.zeros(len(w), dtype) if bias is None else flat(bias, dtype)
    return sweep, dtype, phases, offsets, bias


def conv2d_dx(plain, g, w, shape, stride, padding, dilation, groups, out=None):
    """The gradient by the images, of this ``shape``, from the gradient ``g`` of the result."""
    if not _finite(w):
        return plain(g, w, shape, stride, padding, dilation, groups, out=out)
    dtype = np.result_type(g, w)
    dx, none = threads.zeros(out, shape, dtype), np.zeros(shape[1], dtype)
    weights = np.swapaxes(w.reshape(groups, len(w) // groups, w.shape[1], -1), 1, 2)
    weights = weights.reshape(shape[1], len(w) // groups, -1)
    for mine, tables in geometry.backward(shape, w.shape, stride, padding, dilation, groups,
                                          dtype.itemsize):
        _correlate(g, weights[..., mine], dx, NONE, *tables, none)
    return dx


def conv2d_pooled_dx(plain, g, cells, w, shape, stride, padding, dilation, groups, window,
                     out=None):
    """The same from the gradient behind the pooling of `conv2d_pooled`, and its cells."""
    dtype = np.result_type(g, w)
    width = BYTES // dtype.itemsize
    s, bases, jumps, shifts, places = geometry.cells(
        shape, w.shape, stride, padding, dilation, groups, window, dtype.itemsize, width, True)
    weights = threads.scratch(len(w) * len(shifts) * width, dtype, "weights")
    if not in_vectors(flat(w, dtype), places, weights.reshape(len(w), -1)):
        return plain(g, cells, w, shape, stride, padding, dilation, groups, window, out=out)
    dx = np.empty(shape, dtype) if out is None else out
    threads.run(spread_cells, 1 if g.size * w[0].size < ALONE else len(g) * s.strips,
                s.numbers(width, len(bases)), dtype, flat(g, dtype), flat(cells, cells.dtype),
                len(g), weights, dx.reshape(-1), s, bases, jumps, shifts)
    return dx


def conv2d_dw(plain, g, x, shape, stride, padding, dilation, groups, out=None):
    """The gradient by the weights, of this ``shape``, from the gradient ``g`` of the result."""
    dtype = np.result_type(g, x)
    s, phases, offsets = geometry.forward(x.shape, shape, stride, padding, dilation, groups,
                                          dtype.itemsize, summed=True)
    k, width = len(offsets), BYTES // dtype.itemsize
    filters, columns = geometry.whole(s.filters, DOT_ROWS), geometry.whole(k, DOT_COLUMNS)
    strips = -(-len(x) // s.together) * s.strips
    sums, shares = _sums(strips, groups, filters, columns, dtype, DOT_ROWS)
    sums.fill(0)
    size = s.source + 2 * width + filters * s.together * s.positions(width)
    small = len(x) * s.rows * s.columns * math.prod(shape) < ALONE
    threads.run(weigh, 1 if small else len(sums) * shares, size, dtype,
                flat(g, dtype), flat(x, dtype), len(x), sums, shares,
                s, phases, np.resize(offsets, columns))     # the first ones again, to fill up
    dw = np.empty(shape, dtype) if out is None else out
    np.add.reduce(sums[:, :, :s.filters, :k], axis=0, out=dw.reshape(groups, s.filters, k))
    if not _finite(dw):
        return plain(g, x, shape, stride, padding, dilation, groups, out=out)
    return dw


def conv2d_pooled_dw(plain, g, cells, x, shape, stride, padding, dilation, groups, window,
                     out=None):
    """The same from the gradient behind the pooling of `conv2d_pooled`, and its cells."""
    dtype = np.result_type(g, x)
    width = BYTES // dtype.itemsize
    s, bases, jumps, shifts, places = geometry.cells(
        x.shape, shape, stride, padding, dilation, groups, window, dtype.itemsize, width, False)
    sums, shares = _sums(len(x) * s.strips, 1, shape[0], len(shifts) * width, dtype, groups)
    sums = sums[:, 0]
    small = g.size * math.prod(shape[1:]) < ALONE
    threads.run(weigh_cells, 1 if small else len(sums) * shares, s.numbers(width, len(bases)),
                dtype, flat(g, dtype), flat(cells, cells.dtype), flat(x, dtype), len(x), sums,
                shares, s, bases, jumps, shifts)
    dw = np.empty(shape, dtype) if out is None else out
    if not from_vectors(sums, places, dw.reshape(-1)):
        return plain(g, cells, x, shape, stride, padding, dilation, groups, window, out=out)
    return dw


def _sums(strips, groups, filters, columns, dtype, block):
    """(an array (parts of a sum over ``strips``, groups, filters, columns) of any values,
    shares of the filters in blocks of so many)"""
    parts = min(strips, max(1, PARTS // (groups * filters * columns)), WORKERS)
    sums = threads.scratch(parts * groups * filters * columns, dtype, "sums")
    return (sums.reshape(parts, groups, filters, columns),
            min(-(-WORKERS // parts), filters // block))


def _correlate(x, w, y, cells, sweep, phases, offsets, bias):
    """Into ``y``, which is returned, from ``x``; ``w`` (all filters, what is summed up)."""
    width = BYTES // y.itemsize
    size = sweep.source + 2 * width + TILE_ROWS * sweep.positions(width)
    return _sweep(correlate, size, x, w, TILE_ROWS, y, cells, sweep, phases, offsets, bias)


def _crests(x, w, y, cells, sweep, phases, offsets, bias):
    """The same where windows of 2 x 2 follow."""
    width = BYTES // y.itemsize
    size = sweep.source + width + 2 * width * (AT_ONCE + sweep.columns // 2)
    bias = _packed(bias.reshape(sweep.groups, sweep.filters, 1), y.dtype, width, "bias")
    return _sweep(crests, size, x, w, width, y, cells, sweep, phases, offsets, bias)


def _sweep(loop, size, x, w, block, y, cells, sweep, phases, offsets, bias):
    """Run a loop over strips with the weights in blocks of so many filters."""
    w = w.reshape(sweep.groups, sweep.filters, -1)
    small = len(y) * sweep.rows * sweep.columns * w.size < ALONE
    threads.run(loop, 1 if small else len(y) * sweep.strips, size, y.dtype,
                flat(x, y.dtype), len(y), _packed(w, y.dtype, block, "weights"), bias,
                y.reshape(-1), cells.reshape(-1), sweep, phases, offsets)
    return y


def _packed(w, dtype, block, use):
    """Numbers (groups, filters, k) as tiles read them, flat: groups, blocks of so many filters,
    k, the filters of a block. Zeros fill up the last block."""
    groups, filters, k = w.shape
    blocks = -(-filters // block)
    out = threads.scratch(groups * blocks * k * block, dtype, use)
    out.fill(0)
    out = out.reshape(groups, blocks, k, block)
    full = filters // block
    out[:, :full] = w[:, :full * block].reshape(groups, full, block, k).swapaxes(2, 3)
    if full < blocks:
        out[:, -1, :, :filters - full * block] = w[:, full * block:].swapaxes(1, 2)
    return out.reshape(-1)


def _finite(a):
    """Whether every element is."""
    there = threads.scratch(a.size, bool, "finite").reshape(a.shape)
    return np.isfinite(a, out=there).all()


def flat(a, dtype):
    """``a`` in one row, as one type of numba's: of this dtype, aligned, writeable."""
    return np.require(a, dtype, ("C", "A", "W")).reshape(-1)

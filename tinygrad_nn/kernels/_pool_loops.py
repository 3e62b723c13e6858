"""Max pooling, compiled by numba: the loops over planes (N * C), flat arrays. See `_numba`.

A window's cells are numbered row by row. What lies outside of the image is never chosen.
"""

import numpy as np

from ._loops import next_item
from ._numba import compiled, pairs


@compiled
def clipped(window, size, s_padding, s_kernel, s_stride):
    """(where a window begins, its first cell in the image, the one after its last)."""
    start = window * s_stride - s_padding
    return start, max(0, -start), min(s_kernel, size - start)


@compiled
def maxima(x, chosen, planes, s, scratch, counter):
    """The number of the cell with the largest value of each window: the first of equal ones; a
    nan is larger than all. A window of -inf alone has the first cell that is in the image."""
    by_pairs = (s.kernel_rows == s.kernel_columns == s.down == s.along == 2
                and s.top == s.left == 0)
    least, zero = x.dtype.type(-np.inf), x.dtype.type(0)
    while True:
        n = next_item(counter, planes)
        if n == planes:
            return
        at = n * s.rows * s.columns
        if by_pairs:
            for r in range(s.rows):
                pairs(scratch, 0, chosen, at, x, (n * s.height + 2 * r) * s.width, s.width,
                      zero, s.columns)
                at += s.columns
            continue
        for r in range(s.rows):
            top, i_first, i_stop = clipped(r, s.height, s.top, s.kernel_rows, s.down)
            for c in range(s.columns):
                left, j_first, j_stop = clipped(c, s.width, s.left, s.kernel_columns, s.along)
                best = least
                cell = i_first * s.kernel_columns + j_first
                for i in range(i_first, i_stop):
                    row = (n * s.height + top + i) * s.width + left
                    for j in range(j_first, j_stop):
                        value = x[np.uintp(row + j)]
                        if value > best or value != value:
                            best, cell = value, i * s.kernel_columns + j
                chosen[np.uintp(at)] = cell
                at += 1


@compiled
def place(n, r, c, cell, s):
    """Where the pixel under a cell of the window of result (r, c) of plane n is."""
    h = r * s.down - s.top + cell // s.kernel_columns
    return (n * s.height + h) * s.width + c * s.along - s.left + cell % s.kernel_columns


@compiled
def pick(x, chosen, y, planes, s, scratch, counter):
    """The value of the chosen cell of each window; zero where there is no such cell."""
    cells = s.kernel_rows * s.kernel_columns
    while True:
        n = next_item(counter, planes)
        if n == planes:
            return
        at = n * s.rows * s.columns
        for r in range(s.rows):
            for c in range(s.columns):
                cell = np.int64(chosen[np.uintp(at)])
                y[np.uintp(at)] = 0
                if cell < cells:
                    y[np.uintp(at)] = x[np.uintp(place(n, r, c, cell, s))]
                at += 1


@compiled
def put(g, chosen, dx, planes, s, scratch, counter):
    """Add ``g`` at the chosen cell of each window, to zeros; nowhere if there is no such."""
    cells = s.kernel_rows * s.kernel_columns
    while True:
        n = next_item(counter, planes)
        if n == planes:
            return
        at = n * s.rows * s.columns
        for r in range(s.rows):
            for c in range(s.columns):
                cell = np.int64(chosen[np.uintp(at)])
                if cell < cells:
                    dx[np.uintp(place(n, r, c, cell, s))] += g[np.uintp(at)]
                at += 1

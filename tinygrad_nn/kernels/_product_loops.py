"""The loops of matrix products around the tiles, compiled by numba. See `_product_tiles`."""

import numpy as np

from ._numba import compiled, lanes, take
from ._product_tiles import (
    HEIGHTS,
    INNER,
    WIDTH,
    inner,
    low,
    low_narrow,
    middle,
    middle_narrow,
    tall,
    tall_narrow,
)

INNER_ROWS, INNER_COLUMNS = INNER
TALL, MIDDLE, LOW = HEIGHTS


@compiled
def dots(p, p_step, p_rows, q, q_step, q_rows, length, block, parts, shares, size, scratch,
         counter):
    """``p @ q'`` in parts (n, tiles down, tiles across, numbers of a tile), to be added up.

    Part t is of its share of the length, whichever thread it falls to; the rows of a part may
    be ``shares`` items of work.
    """
    blocks = (length + block - 1) // block
    count, down, across, numbers = parts.shape
    out = parts.reshape(parts.size)
    while True:
        work = take(counter, 0)
        if work >= count * shares:
            return
        t, share = work // shares, work % shares
        first, last = share * down // shares, (share + 1) * down // shares
        start = (t * down + first) * across * numbers
        for i in range(start, start + (last - first) * across * numbers):
            out[np.uintp(i)] = 0
        for k in range(t * blocks // count * block, (t + 1) * blocks // count * block, block):
            some, at = min(block, length - k), start
            for i in range(first * INNER_ROWS, min(last * INNER_ROWS, p_rows), INNER_ROWS):
                here, row = p + (i * p_step + k) * size, INNER_ROWS
                for j in range(0, q_rows, INNER_COLUMNS):
                    # Each tile fetches one of the rows of p that come next (W2: 23 ms; with all
                    # of them fetched by the first tile 28).
                    inner(out, at, here, p_step, p_rows - 1 - i, q + (j * q_step + k) * size,
                          q_step, q_rows - 1 - j, some, here + row * p_step * size)
                    at += numbers
                    row = min(row + 1, 2 * INNER_ROWS - 1)


@compiled
def gather(parts, out):
    """The sums of `dots` as a matrix."""
    rows, columns = out.shape
    for i in range(rows):
        for j in range(0, columns, INNER_COLUMNS):
            for c in range(min(INNER_COLUMNS, columns - j)):
                number = i % INNER_ROWS * INNER_COLUMNS + c
                total = parts[0, i // INNER_ROWS, j // INNER_COLUMNS, number]
                for t in range(1, len(parts)):
                    total += parts[t, i // INNER_ROWS, j // INNER_COLUMNS, number]
                out[i, j + c] = total


@compiled
def pack(a, out):
    """Factors as the tiles of `spread` read them: tiles, columns of ``a``, rows of a tile; the
    last row of ``a`` fills up the last tile."""
    rows, columns = a.shape
    at = first = 0
    while first < rows:
        height = TALL if rows - first > MIDDLE else MIDDLE if rows - first > LOW else LOW
        for k in range(columns):
            for r in range(height):
                out[at] = a[min(first + r, rows - 1), k]
                at += 1
        first += height


@compiled
def strip(a, at, height, out, out_step, last, onward, x, x_step, count, ahead, columns, size):
    """Some rows of `spread`, of one tile, along a block of columns."""
    width = lanes(a)
    wide = WIDTH * width
    whole = columns // wide * wide * size
    for c in range(0, whole, wide * size):
        if height == TALL:
            tall(out + c, out_step, last, onward, a, at, x + c, x_step, count, ahead, width)
        elif height == MIDDLE:
            middle(out + c, out_step, last, onward, a, at, x + c, x_step, count, ahead, width)
        else:
            low(out + c, out_step, last, onward, a, at, x + c, x_step, count, ahead, width)
    for c in range(whole, columns * size, width * size):
        some = min(width, columns - c // size)
        if height == TALL:
            tall_narrow(out + c, out_step, last, onward, a, at, x + c, x_step, count, ahead,
                        some)
        elif height == MIDDLE:
            middle_narrow(out + c, out_step, last, onward, a, at, x + c, x_step, count, ahead,
                          some)
        else:
            low_narrow(out + c, out_step, last, onward, a, at, x + c, x_step, count, ahead,
                       some)


@compiled
def spread(a, rows, depth, x, x_step, columns, out, out_step, block, run, deep, size, scratch,
           counter):
    """``a @ x`` with the factors as `pack` gives them, into ``out``: runs of blocks of columns,
    each block for ``deep`` rows of x at a time, while the next ones are fetched."""
    while True:
        first_block = take(counter, 0) * run
        if first_block * block >= columns:
            return
        for start in range(first_block * block, min((first_block + run) * block, columns),
                           block):
            some = min(block, columns - start)
            for k in range(0, depth, deep):
                ahead = deep * x_step if k + deep < depth else block - k * x_step
                first = 0
                while first < rows:
                    last = rows - 1 - first
                    height = TALL if last >= MIDDLE else MIDDLE if last >= LOW else LOW
                    strip(a, first * depth + k * height, height,
                          out + (first * out_step + start) * size, out_step, last, min(k, 1),
                          x + (k * x_step + start) * size, x_step, min(deep, depth - k),
                          0 if first else ahead, some, size)
                    first += height

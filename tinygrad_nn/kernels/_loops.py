"""The loops around the tiles, compiled by numba. Addresses are not checked here: see `_numba`.

Each thread takes strips, some rows of the result of one image, one after the other: it copies
what they need of the source into its scratch memory, so that no tile meets the border of an
image or the end of an array, and multiplies there.

Arrays of numbers are flat. The scratch memory of a strip: the source, a vector's length more,
then the rows of results (or, in `weigh`, of gradients).
"""

import numpy as np

from ._numba import (
    DOTS,
    TILE,
    compiled,
    dots,
    lanes,
    narrow_tile,
    row,
    take,
    tile,
)

TILE_ROWS, TILE_VECTORS = TILE
DOT_ROWS, DOT_COLUMNS = DOTS


@compiled
def whole(number, of):
    """``number`` rounded up to a multiple."""
    return (number + of - 1) // of * of


@compiled
def next_item(counter, items):
    """The number of an item of work that nobody has taken, or ``items`` when there is none.

    Half of the threads take from the end on, so that with two each has the same images from
    kernel to kernel, which its own cache may still hold: a fifth less time for all convolutions
    of a small network.
    """
    if take(counter, 0) >= items:
        return items
    if len(counter) > 3:
        return items - 1 - take(counter, 2)
    return take(counter, 1)


@compiled
def fill(out, at, stop):
    """Zeros."""
    for i in range(at, stop):
        out[np.uintp(i)] = 0                # an unsigned index cannot count from the end


@compiled
def gather(x, n, group, first, s, phases, out, out_at):
    """Copy the source of a strip: for each channel and phase strip + halo rows."""
    zero, plane = out.dtype.type(0), (s.strip + s.halo) * s.pitch
    for channel in range(s.channels):
        images = ((n * s.groups + group) * s.channels + channel) * s.height
        for a in range(s.phases):
            start = phases[a, 1] - s.left
            low = min(max(0, -(start // s.along)), s.pitch)
            high = max(low, min(s.pitch, (s.width - 1 - start) // s.along + 1))
            at = out_at + (channel * s.phases + a) * s.together * plane
            for u in range(first, first + s.strip + s.halo):
                h = u * s.down + phases[a, 0] - s.top
                if h < 0 or h >= s.height:
                    fill(out, at, at + s.pitch)
                else:
                    source = (images + h) * s.width + start
                    fill(out, at, at + low)
                    if s.along == 1:
                        row(out, at + low, x, source + low, high - low, zero)
                    else:
                        for q in range(low, high):
                            out[np.uintp(at + q)] = x[np.uintp(source + q * s.along)]
                    fill(out, at + high, at + s.pitch)
                at += s.pitch


@compiled
def crest(sums, sums_at, term, y, chosen, at, rows, s):
    """The largest of each window of ``max(sums + term, 0)``, and its cell: that after the last
    one where it is 0, since nothing comes from there."""
    wide, dead = s.out_width // s.pool_columns, s.pool_rows * s.pool_columns
    zero = y.dtype.type(0)
    for _ in range(rows // s.pool_rows):
        for c in range(wide):
            best, cell = y.dtype.type(-np.inf), 0
            for i in range(s.pool_rows):
                for j in range(s.pool_columns):
                    here = sums_at + i * s.pitch + c * s.pool_columns + j
                    value = sums[np.uintp(here)] + term
                    if value > best or value != value:
                        best, cell = value, i * s.pool_columns + j
            y[np.uintp(at + c)], chosen[np.uintp(at + c)] = best, cell
        for c in range(at, at + wide):
            value, cell = y[np.uintp(c)], chosen[np.uintp(c)]
            chosen[np.uintp(c)] = cell if value > 0 else dead
            y[np.uintp(c)] = zero if value <= 0 else value          # a nan stays
        at += wide
        sums_at += s.pool_rows * s.pitch


@compiled
def scatter(sums, sums_at, term, y, y_at, rows, s):
    """Rows of results, plus ``term``, to where they belong."""
    for _ in range(rows):
        if s.step_column == 1:
            row(y, y_at, sums, sums_at, s.columns, term)
        else:
            for c in range(s.columns):
                y[np.uintp(y_at + c * s.step_column)] = sums[np.uintp(sums_at + c)] + term
        sums_at += s.pitch
        y_at += s.step_row * s.out_width


@compiled
def correlate(x, batch, w, bias, y, y_cells, s, phases, offsets, scratch, counter):
    """The sums of a sweep; ``w``: (groups, filters / TILE_ROWS, offsets, TILE_ROWS).

    ``y_cells``: not empty where max pooling follows.
    """
    width, count = lanes(scratch), len(offsets)
    wide = TILE_VECTORS * width
    plane = (s.strip + s.halo) * s.pitch
    sums = whole(s.channels * s.phases * plane + width, width)
    step = whole((s.strip - 1) * s.pitch + s.columns, width)
    strips = (s.rows + s.strip - 1) // s.strip
    blocks = (s.filters + TILE_ROWS - 1) // TILE_ROWS
    while True:
        item = next_item(counter, batch * strips)
        if item == batch * strips:
            return
        n, first = item // strips, item % strips * s.strip
        rows = min(s.strip, s.rows - first)
        positions = whole((rows - 1) * s.pitch + s.columns, width)
        for group in range(s.groups):
            gather(x, n, group, first, s, phases, scratch, 0)
            for block in range(blocks):
                weights = (group * blocks + block) * count * TILE_ROWS
                p = 0
                while p + wide <= positions:
                    tile(scratch, sums + p, step, w, weights, scratch, p, offsets, count)
                    p += wide
                while p < positions:
                    narrow_tile(scratch, sums + p, step, w, weights, scratch, p, offsets, count)
                    p += width
                for r in range(min(TILE_ROWS, s.filters - block * TILE_ROWS)):
                    f = group * s.filters + block * TILE_ROWS + r
                    image = n * s.groups * s.filters + f
                    if len(y_cells):
                        at = image * (s.out_height // s.pool_rows) + first // s.pool_rows
                        crest(scratch, sums + r * step, bias[f], y, y_cells,
                              at * (s.out_width // s.pool_columns), rows, s)
                    else:
                        at = image * s.out_height + s.start_row + first * s.step_row
                        scatter(scratch, sums + r * step, bias[f], y,
                                at * s.out_width + s.start_column, rows, s)


@compiled
def lay_out(g, plane, first, rows, s, out, at, step):
    """The rows of a strip of gradients as those of the results lie, zeros between them."""
    end = at + step
    source = (plane * s.out_height + first) * s.out_width
    for _ in range(rows):
        row(out, at, g, source, s.columns, out.dtype.type(0))
        fill(out, at + s.columns, min(at + s.pitch, end))
        at += s.pitch
        source += s.out_width
    fill(out, at, end)


@compiled
def weigh(g, x, batch, parts, shares, s, phases, offsets, scratch, counter):
    """The gradient by the weights, ``parts`` (n, groups, filters, offsets), the last two in
    whole tiles, to be added up.

    Part t is of its share of strips, whichever thread they fall to, so that the sum is the same
    each time; the filters of a part may be ``shares`` items of work.
    """
    width = lanes(scratch)
    parts_count, _, filters, columns = parts.shape
    out = parts.reshape(parts.size)
    plane = (s.strip + s.halo) * s.pitch
    length = s.channels * s.phases * s.together * plane
    gradients = whole(length + width, width)
    step = whole((s.strip - 1) * s.pitch + s.columns, width)
    strips = (s.rows + s.strip - 1) // s.strip
    items = (batch + s.together - 1) // s.together * strips
    blocks = filters // DOT_ROWS
    while True:
        work = next_item(counter, parts_count * shares)
        if work == parts_count * shares:
            return
        t, share = work // shares, work % shares
        low = share * blocks // shares * DOT_ROWS
        high = (share + 1) * blocks // shares * DOT_ROWS
        for item in range(t * items // parts_count, (t + 1) * items // parts_count):
            n, first = item // strips * s.together, item % strips * s.strip
            rows, times = min(s.strip, s.rows - first), min(s.together, batch - n)
            for group in range(s.groups):
                for m in range(times):
                    gather(x, n + m, group, first, s, phases, scratch, m * plane)
                    for f in range(low, min(high, s.filters)):
                        image = ((n + m) * s.groups + group) * s.filters + f
                        at = gradients + (f * s.together + m) * step
                        lay_out(g, image, first, rows, s, scratch, at, step)
                # The zeros at the end of g meet what is behind a plane: no leftovers there.
                fill(scratch, length, gradients)
                if times < s.together:
                    gather(x, n, group, first, s, phases, scratch, times * plane)
                for f in range(low, high, DOT_ROWS):
                    to = ((t * s.groups + group) * filters + f) * columns
                    there = gradients + f * s.together * step
                    for k in range(0, columns, DOT_COLUMNS):
                        dots(out, to + k, columns, scratch, there, s.together * step, step,
                             scratch, 0, plane, offsets, k, step, times)

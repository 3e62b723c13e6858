"""The loops around the tiles of `_pooled_tiles`, compiled by numba: convolution with pooling.

Forward the source lies in the scratch memory as in `_loops`. Backward nothing of the size of
the convolution's result is made: each pooled gradient meets, or reaches, the one window of
pixels that its cell tells, a quarter of the multiplications of the dense gradient under 2 x 2
windows. There a pixel's channels lie side by side, and a window's rows of them are vectors.
"""

import numpy as np

from ._loops import fill, gather, next_item, whole
from ._numba import compiled, lanes
from ._pooled_tiles import (
    PEAKS,
    peaks_1,
    peaks_2,
    peaks_3,
    peaks_4,
    peaks_5,
    peaks_6,
    spread_1,
    spread_3,
    spread_9,
    turn,
    weigh_1,
    weigh_3,
    weigh_9,
)

AT_ONCE = 128                   # results of which the vectors are turned into rows at once


@compiled
def crests(x, batch, w, bias, y, cells, s, phases, offsets, scratch, counter):
    """The sums of a sweep under windows of 2 x 2: the largest of each, or 0, and its cell.

    ``w``: (groups, filters in whole vectors, offsets, vector), ``bias`` the same without k.
    """
    width, count = lanes(scratch), len(offsets)
    values = whole(s.channels * s.phases * (s.strip + s.halo) * s.pitch, width)
    tall, wide = s.out_height // 2, s.out_width // 2
    step = max(1, AT_ONCE // wide)
    numbers = values + step * wide * width
    strips = (s.rows + s.strip - 1) // s.strip
    blocks = (s.filters + width - 1) // width
    tiles = (wide + PEAKS - 1) // PEAKS
    while True:
        item = next_item(counter, batch * strips)
        if item == batch * strips:
            return
        n, first = item // strips, item % strips * s.strip
        rows = min(s.strip, s.rows - first) // 2
        for group in range(s.groups):
            gather(x, n, group, first, s, phases, scratch, 0)
            for block in range(blocks):
                number = group * blocks + block
                filters = min(width, s.filters - block * width)
                image = (n * s.groups + group) * s.filters + block * width
                for low in range(0, rows, step):
                    high = min(rows, low + step)
                    at = 0
                    for r in range(low, high):
                        for t in range(tiles):
                            c = t * wide // tiles
                            peaks(scratch, values + at, numbers + at,
                                  2 * (r * s.pitch + c), s.pitch, w, number * count * width,
                                  offsets, count, bias, number * width,
                                  (t + 1) * wide // tiles - c)
                            at += ((t + 1) * wide // tiles - c) * width
                    to = (image * tall + first // 2 + low) * wide
                    for p in range(0, (high - low) * wide, width):
                        some = min(width, (high - low) * wide - p)
                        turn(y, to + p, tall * wide, scratch, values + p * width, width, some,
                             filters)
                        turn(cells, to + p, tall * wide, scratch, numbers + p * width, width,
                             some, filters)


@compiled
def peaks(out, out_at, cells_at, x_at, pitch, w, w_at, offsets, count, bias, bias_at, n):
    """A tile of ``n`` results, of and into ``out``."""
    if n == 6:
        peaks_6(out, out_at, cells_at, out, x_at, pitch, w, w_at, offsets, count, bias, bias_at)
    elif n == 5:
        peaks_5(out, out_at, cells_at, out, x_at, pitch, w, w_at, offsets, count, bias, bias_at)
    elif n == 4:
        peaks_4(out, out_at, cells_at, out, x_at, pitch, w, w_at, offsets, count, bias, bias_at)
    elif n == 3:
        peaks_3(out, out_at, cells_at, out, x_at, pitch, w, w_at, offsets, count, bias, bias_at)
    elif n == 2:
        peaks_2(out, out_at, cells_at, out, x_at, pitch, w, w_at, offsets, count, bias, bias_at)
    else:
        peaks_1(out, out_at, cells_at, out, x_at, pitch, w, w_at, offsets, count, bias, bias_at)


@compiled
def list_gradients(g, cells, at, count, s, bases, jumps, out, out_at, places, places_at):
    """Of ``count`` pooled results the gradients and the windows that they belong to, and one
    more, of nothing; a result that came from no cell has the gradient 0."""
    zero = out.dtype.type(0)
    for i in range(count):
        cell = np.int32(cells[np.uintp(at + i)])
        out[np.uintp(out_at + i)] = g[np.uintp(at + i)] if cell < s.dead else zero
    if s.by_two:                                    # in vectors: three times as fast
        down, along = np.int32(jumps[2]), np.int32(jumps[1])
        for i in range(count):
            cell = np.int32(cells[np.uintp(at + i)])
            places[np.uintp(places_at + i)] = (bases[np.uintp(i)] + (cell & 1) * along
                                               + (cell >> 1 & 1) * down)
    else:
        for i in range(count):
            places[np.uintp(places_at + i)] = (bases[np.uintp(i)]
                                               + jumps[np.uintp(cells[np.uintp(at + i)])])
    out[np.uintp(out_at + count)] = zero
    places[np.uintp(places_at + count)] = 0


@compiled
def gather_pixels(x, n, group, first, rows, s, out):
    """Copy rows of an image, from ``first`` on, the channels of a pixel side by side, with
    zeros around the image."""
    width = lanes(out)
    low, high = min(s.left, s.pitch), min(s.pitch, s.left + s.width)
    plane = s.height * s.width
    for u in range(rows):
        at, h = u * s.pitch * s.pixel, first + u
        if h < 0 or h >= s.height:
            fill(out, at, at + s.pitch * s.pixel)
            continue
        fill(out, at, at + low * s.pixel)
        fill(out, at + high * s.pixel, at + s.pitch * s.pixel)
        source = ((n * s.groups + group) * s.channels * s.height + h) * s.width - s.left
        if s.channels < 4:
            for c in range(s.channels):
                for q in range(low, high):
                    out[np.uintp(at + q * s.pixel + c)] = x[np.uintp(source + q)]
                source += plane
            continue
        for c in range(0, s.channels, width):
            for q in range(low, high, width):
                turn(out, at + q * s.pixel + c, s.pixel, x, source + c * plane + q, plane,
                     min(width, s.channels - c), min(width, high - q))


@compiled
def weigh_cells(g, cells, x, batch, parts, shares, s, bases, jumps, shifts, scratch, counter):
    """The gradient by the weights, ``parts`` (n, groups, filters, numbers of a window in whole
    vectors), to be added up: parts and shares as in `weigh`."""
    width, vectors = lanes(scratch), len(shifts)
    places = scratch.view(np.int32)
    parts_count, out = parts.shape[0], parts.reshape(parts.size)
    list_at = whole(s.tall * s.pitch * s.pixel + width, width)
    places_at = (list_at + len(bases) + 1) * (len(places) // len(scratch))
    strips = (s.rows + s.strip - 1) // s.strip
    while True:
        work = next_item(counter, parts_count * shares)
        if work == parts_count * shares:
            return
        t, share = work // shares, work % shares
        filters = range(share * s.filters // shares, (share + 1) * s.filters // shares)
        for item in range(t * batch * strips // parts_count,
                          (t + 1) * batch * strips // parts_count):
            n, first = item // strips, item % strips * s.strip
            rows = min(s.strip, s.rows - first)
            count = rows * s.columns
            for group in range(s.groups):
                gather_pixels(x, n, group, first * s.down - s.top,
                              (rows - 1) * s.down + s.reach + 1, s, scratch)
                for f in filters:
                    at = (n * s.groups + group) * s.filters + f
                    list_gradients(g, cells, (at * s.rows + first) * s.columns, count, s, bases,
                                   jumps, scratch, list_at, places, places_at)
                    to = ((t * s.groups + group) * s.filters + f) * vectors * width
                    v = 0
                    while v < vectors:
                        if vectors - v >= 9:
                            weigh_9(scratch, 0, shifts, v, out, to + v * width, scratch,
                                    list_at, places, places_at, count + count % 2)
                            v += 9
                        elif vectors - v >= 3:
                            weigh_3(scratch, 0, shifts, v, out, to + v * width, scratch,
                                    list_at, places, places_at, count + count % 2)
                            v += 3
                        else:
                            weigh_1(scratch, 0, shifts, v, out, to + v * width, scratch,
                                    list_at, places, places_at, count + count % 2)
                            v += 1


@compiled
def spread_cells(g, cells, batch, w, dx, s, bases, jumps, shifts, scratch, counter):
    """The gradient by the images; ``w``: (groups, filters, vectors of a window)."""
    width, vectors = lanes(scratch), len(shifts)
    places = scratch.view(np.int32)
    list_at = whole(s.tall * s.pitch * s.pixel, width)
    places_at = (list_at + len(bases) + 1) * (len(places) // len(scratch))
    strips = (s.height + s.strip - 1) // s.strip
    while True:
        item = next_item(counter, batch * strips)
        if item == batch * strips:
            return
        n, first = item // strips, item % strips * s.strip
        stop = min(first + s.strip, s.height)
        # The pooled rows that reach these, and the row of the image that the first one reaches.
        low = max(0, (first + s.top - s.reach) // s.down)
        high = max(low, min(s.rows, (stop - 1 + s.top) // s.down + 1))
        origin, count = low * s.down - s.top, (high - low) * s.columns
        rows = max(stop - origin, (high - low - 1) * s.down + s.reach + 1)
        for group in range(s.groups):
            fill(scratch, 0, rows * s.pitch * s.pixel)
            for f in range(s.filters):
                at = (n * s.groups + group) * s.filters + f
                list_gradients(g, cells, (at * s.rows + low) * s.columns, count, s, bases,
                               jumps, scratch, list_at, places, places_at)
                of = (group * s.filters + f) * vectors * width
                v = 0
                while v < vectors:
                    if vectors - v >= 9:
                        spread_9(scratch, 0, shifts, v, w, of + v * width, scratch, list_at,
                                 places, places_at, count)
                        v += 9
                    elif vectors - v >= 3:
                        spread_3(scratch, 0, shifts, v, w, of + v * width, scratch, list_at,
                                 places, places_at, count)
                        v += 3
                    else:
                        spread_1(scratch, 0, shifts, v, w, of + v * width, scratch, list_at,
                                 places, places_at, count)
                        v += 1
            for h in range(first, stop):
                source = ((h - origin) * s.pitch + s.left) * s.pixel
                to = ((n * s.groups + group) * s.channels * s.height + h) * s.width
                for c in range(0, s.channels, width):
                    for q in range(0, s.width, width):
                        turn(dx, to + c * s.height * s.width + q, s.height * s.width, scratch,
                             source + q * s.pixel + c, s.pixel, min(width, s.width - q),
                             min(width, s.channels - c))

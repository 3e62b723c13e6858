"""The loops around the tiles of `_pooled_tiles`, compiled by numba: convolution with pooling.

Forward the source lies in the scratch memory as in `_loops`. Backward nothing of the size of
the convolution's result is made: each pooled gradient meets, or reaches, the one window of
pixels that its cell tells, a quarter of the multiplications of the dense gradient under 2 x 2
windows. There a pixel's channels lie side by side, and a window's rows of them are vectors.

Measured on one thread with AVX-512, 32 filters on 16 channels of 13 x 13: against dense
gradients by rows four times as fast by the images, three times by the weights; against the
tiles of `_loops`, which also compute what lies between rows, 1.7 times forward.
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

AT_ONCE = 256                   # results of which the vectors are turned into rows at once


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
    zero, down, along = out.dtype.type(0), jumps[s.dead // 2], jumps[1]
    for i in range(count):
        cell, place = np.int32(cells[np.uintp(at + i)]), bases[np.uintp(i)]
        out[np.uintp(out_at + i)] = g[np.uintp(at + i)] if cell < s.dead else zero
        if s.by_two:                                # no table: vectors
            place += (cell & 1) * along + (cell >> 1 & 1) * down
        else:
            place += jumps[np.uintp(cell)]
        places[np.uintp(places_at + i)] = place
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
def in_vectors(w, places, out):
    """The weights of filters, one after the other, into vectors of zeros (filters, numbers of a
    window) at the places; whether all are finite."""
    finite, count = True, len(places)
    for f in range(out.shape[0]):
        out[f] = 0
        for k in range(count):
            value = w[np.uintp(f * count + k)]
            finite &= np.isfinite(value)
            out[f, np.uintp(places[k])] = value
    return finite


@compiled
def from_vectors(parts, places, out):
    """The same back: sums of ``parts`` (n, filters, numbers of a window) into ``out``."""
    finite, count = True, len(places)
    for f in range(parts.shape[1]):
        for k in range(count):
            value = out.dtype.type(0)
            for t in range(parts.shape[0]):
                value += parts[t, f, np.uintp(places[k])]
            finite &= np.isfinite(value)
            out[np.uintp(f * count + k)] = value
    return finite


@compiled
def weigh_window(x, shifts, w, at, g_at, places, places_at, count):
    """Of one filter: its weights from ``at`` on, pixels and gradients in ``x``."""
    v, step = 0, lanes(x)
    while v < len(shifts):
        if v + 9 <= len(shifts):
            weigh_9(x, 0, shifts, v, w, at, x, g_at, places, places_at, count)
            v, at = v + 9, at + 9 * step
        elif v + 3 <= len(shifts):
            weigh_3(x, 0, shifts, v, w, at, x, g_at, places, places_at, count)
            v, at = v + 3, at + 3 * step
        else:
            weigh_1(x, 0, shifts, v, w, at, x, g_at, places, places_at, count)
            v, at = v + 1, at + step


@compiled
def spread_window(x, shifts, w, at, g_at, places, places_at, count):
    """The same of `spread_1`, `spread_3` and `spread_9`."""
    v, step = 0, lanes(x)
    while v < len(shifts):
        if v + 9 <= len(shifts):
            spread_9(x, 0, shifts, v, w, at, x, g_at, places, places_at, count)
            v, at = v + 9, at + 9 * step
        elif v + 3 <= len(shifts):
            spread_3(x, 0, shifts, v, w, at, x, g_at, places, places_at, count)
            v, at = v + 3, at + 3 * step
        else:
            spread_1(x, 0, shifts, v, w, at, x, g_at, places, places_at, count)
            v, at = v + 1, at + step


@compiled
def weigh_cells(g, cells, x, batch, parts, shares, s, bases, jumps, shifts, scratch, counter):
    """The gradient by the weights, ``parts`` (n, groups * filters, numbers of a window in whole
    vectors), to be added up. Parts and shares as in `weigh`; what was in the parts is lost."""
    count, _, window = parts.shape
    places, out = scratch.view(np.int32), parts.reshape(parts.size)
    list_at = whole(s.tall * s.pitch * s.pixel + lanes(scratch), lanes(scratch))
    places_at = (list_at + len(bases) + 1) * (len(places) // len(scratch))
    items = batch * s.strips
    while True:
        work = next_item(counter, count * shares)
        if work == count * shares:
            return
        t, share = work // shares, work % shares
        low, high = share * s.filters // shares, (share + 1) * s.filters // shares
        for group in range(s.groups):
            first = (t * s.groups + group) * s.filters
            fill(out, (first + low) * window, (first + high) * window)
        for item in range(t * items // count, (t + 1) * items // count):
            n, first = item // s.strips, item % s.strips * s.strip
            rows = min(s.strip, s.rows - first)
            results = rows * s.columns
            for group in range(s.groups):
                gather_pixels(x, n, group, first * s.down - s.top,
                              (rows - 1) * s.down + s.reach + 1, s, scratch)
                for f in range(group * s.filters + low, group * s.filters + high):
                    at = ((n * s.groups * s.filters + f) * s.rows + first) * s.columns
                    list_gradients(g, cells, at, results, s, bases, jumps, scratch, list_at,
                                   places, places_at)
                    weigh_window(scratch, shifts, out,
                                 (t * s.groups * s.filters + f) * window, list_at, places,
                                 places_at, results + results % 2)


@compiled
def spread_cells(g, cells, batch, w, dx, s, bases, jumps, shifts, scratch, counter):
    """The gradient by the images; ``w``: (groups * filters, vectors of a window), flat."""
    width = lanes(scratch)
    places, plane = scratch.view(np.int32), s.height * s.width
    list_at = whole(s.tall * s.pitch * s.pixel, width)
    places_at = (list_at + len(bases) + 1) * (len(places) // len(scratch))
    while True:
        item = next_item(counter, batch * s.strips)
        if item == batch * s.strips:
            return
        n, first = item // s.strips, item % s.strips * s.strip
        stop = min(first + s.strip, s.height)
        # The pooled rows that reach these, and the row of the image that the first one reaches.
        low = max(0, (first + s.top - s.reach) // s.down)
        high = max(low, min(s.rows, (stop - 1 + s.top) // s.down + 1))
        origin, results = low * s.down - s.top, (high - low) * s.columns
        rows = max(stop - origin, (high - low - 1) * s.down + s.reach + 1)
        for group in range(s.groups):
            fill(scratch, 0, rows * s.pitch * s.pixel)
            for f in range(group * s.filters, (group + 1) * s.filters):
                at = ((n * s.groups * s.filters + f) * s.rows + low) * s.columns
                list_gradients(g, cells, at, results, s, bases, jumps, scratch, list_at, places,
                               places_at)
                spread_window(scratch, shifts, w, f * len(shifts) * width, list_at, places,
                              places_at, results)
            for h in range(first, stop):
                source = ((h - origin) * s.pitch + s.left) * s.pixel
                to = ((n * s.groups + group) * s.channels * s.height + h) * s.width
                for c in range(0, s.channels, width):
                    for q in range(0, s.width, width):
                        turn(dx, to + c * plane + q, plane, scratch, source + q * s.pixel + c,
                             s.pixel, min(width, s.width - q), min(width, s.channels - c))

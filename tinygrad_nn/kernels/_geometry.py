"""Convolution as sums over shifted rows of numbers: shapes, places, sizes. Integers only.

Lay the rows of an image (with its padding) behind each other: then the pixel that the weight
(i, j) of a kernel meets is, for *every* output, the same number of places away. So all outputs
of an image are one long row ``y[p] = sum over k of w[k] * x[offsets[k] + p]``, k over channels
and the kernel's rows and columns. Between two rows lie a few outputs that belong to none; they
are computed and left. What else there is, is in the offsets and in how the rows are copied:

- stride s: the image is dealt out to s x s images ("phases"), of every s-th row and column; a
  weight meets only one of them;
- dilation: larger offsets;
- the gradient by the images: the same sum over the gradient of the result, with the offsets
  turned round; with a stride, each phase of the images has the weights that meet it.

Rejected: products with patches, which are 9 copies of an image under 3 x 3.

Behind max pooling (`cells`) most of that gradient would be zeros. There each pooled result has
one window of pixels, the channels of a pixel lie side by side in the strip, and a row of the
window is a few vectors.
"""

import functools
from typing import NamedTuple

import numpy as np

SOURCE = 1 << 17                # bytes that a strip's source should have at most
STRIPS = 16                     # there should be at least, for the threads
LONG = 1 << 10                  # positions that are worth adding up a tile of `dots` for
TOGETHER = 1 << 19              # bytes of source of several images at most
NEAR = 1 << 15                  # bytes of pixels under pooled results, for the first cache


class Sweep(NamedTuple):
    """One such sum: source images (N, groups * channels, height, width) to results (N, groups *
    filters, out_height, out_width), of which those in steps from a start on are computed."""

    groups: int
    channels: int
    filters: int
    height: int
    width: int
    top: int                    # rows of zeros before the source; negative: rows left out
    left: int
    down: int                   # distance of the source's rows, and columns, in a phase
    along: int
    rows: int                   # of results
    columns: int
    out_height: int
    out_width: int
    start_row: int
    start_column: int
    step_row: int
    step_column: int
    pool_rows: int              # of a window of max pooling, of the convolution's result
    pool_columns: int
    phases: int                 # of the source that are used
    halo: int                   # more rows of source than of results in a strip
    pitch: int                  # of rows in a strip
    strip: int                  # rows of results in a strip
    together: int               # images in a strip, of which each plane follows the last one's

    @property
    def strips(self):
        return -(-self.rows // self.strip)

    @property
    def plane(self):
        """Numbers in a channel's phase of an image in a strip."""
        return (self.strip + self.halo) * self.pitch

    @property
    def source(self):
        """Numbers in the source of a strip."""
        return self.channels * self.phases * self.together * self.plane

    def positions(self, lanes):
        """The length of a strip's row of results, in whole vectors."""
        return whole((self.strip - 1) * self.pitch + self.columns, lanes)


def whole(number, of):
    """``number`` rounded up to a multiple."""
    return -(-number // of) * of


def extents(image, kernel, stride, padding, dilation):
    """(rows, columns) of the results."""
    return tuple((n + sum(p) - d * (k - 1) - 1) // s + 1 for n, p, d, k, s in zip(
        image, padding, dilation, kernel, stride, strict=True))


def _sweep(batch, size, phase, shift, summed, by, **known):
    """(sweep, phases, offsets) from the phase and the shift (n, 2) of each weight.

    ``size``: of a number in bytes; ``summed``: whether positions are summed up; ``by``: what
    the rows of a strip are to be a multiple of.
    """
    phases, number = np.unique(phase, axis=0, return_inverse=True)
    halo, wide = (int(n) for n in shift.max(axis=0))
    pitch, rows = known["columns"] + wide, known["rows"]
    a_row = known["channels"] * len(phases) * pitch * size
    strip = max(SOURCE // a_row - halo, 2 * halo, 1)
    strip = min(strip, rows if summed else -(-rows // -(-STRIPS // max(batch, 1))))
    strip = -(-rows // -(-rows // strip))                       # of about equal height
    strip = whole(strip, by)
    together = 1
    if summed and strip == rows:
        together = min(LONG // (rows * pitch), TOGETHER // (a_row * (rows + halo)), batch)
    sweep = Sweep(**known, phases=len(phases), halo=halo, pitch=pitch, strip=strip,
                  together=max(together, 1))
    planes = np.arange(sweep.channels)[:, None] * sweep.phases + number.ravel()
    offsets = planes * (sweep.together * sweep.plane) + shift @ (pitch, 1)
    return sweep, phases, offsets.ravel()


@functools.lru_cache(256)
def forward(x, w, stride, padding, dilation, groups, size, window=(1, 1), summed=False):
    """(sweep, phases, offsets) of the convolution of images ``x`` with kernels ``w``; of its
    results what is in whole windows."""
    batch, channels, *image = x
    height, width = extents(image, w[2:], stride, padding, dilation)
    taps = np.indices(w[2:]).reshape(2, -1).T * dilation
    return _sweep(
        batch, size, taps % stride, taps // stride, summed, window[0], groups=groups,
        channels=channels // groups, filters=w[0] // groups, height=image[0], width=image[1],
        top=padding[0][0], left=padding[1][0], down=stride[0], along=stride[1],
        rows=height // window[0] * window[0], columns=width // window[1] * window[1],
        out_height=height, out_width=width, start_row=0, start_column=0, step_row=1,
        step_column=1, pool_rows=window[0], pool_columns=window[1])


@functools.lru_cache(256)
def backward(x, w, stride, padding, dilation, groups, size):
    """The same of the gradient by the images, for each phase of them that a weight meets:
    [(the numbers of these weights, (sweep, phases, offsets))]."""
    batch, channels, *image = x
    height, width = extents(image, w[2:], stride, padding, dilation)
    taps = np.indices(w[2:]).reshape(2, -1).T * dilation
    phase, shift = taps % stride, taps // stride
    found = []
    for a in np.unique(phase, axis=0):
        mine = np.flatnonzero((phase == a).all(axis=1))
        most = shift[mine].max(axis=0)
        first, count, start = zip(*map(_reached, a, image, stride, padding), strict=True)
        if all(count):
            found.append((mine, _sweep(
                batch, size, np.zeros_like(shift[mine]), most - shift[mine], False, 1,
                groups=groups, channels=w[0] // groups, filters=channels // groups,
                height=height, width=width, top=int(most[0]) - first[0],
                left=int(most[1]) - first[1], down=1, along=1, rows=count[0],
                columns=count[1], out_height=image[0], out_width=image[1],
                start_row=start[0], start_column=start[1], step_row=stride[0],
                step_column=stride[1], pool_rows=1, pool_columns=1)))
    return found


def _reached(phase, size, stride, padding):
    """Of the padded rows ``phase``, ``phase + stride``, … those in the image: (the number of
    the first, how many, where in the image the first is)."""
    before = padding[0] - int(phase)
    first = max(0, -(-before // stride))
    start = first * stride - before
    return first, max(0, -(-(size - start) // stride)), start


class Cells(NamedTuple):
    """The images' part in the gradient behind max pooling: pixels with their channels side by
    side, in strips, and the window of them that each pooled result depends on."""

    groups: int
    channels: int
    filters: int
    height: int
    width: int
    top: int                    # rows of zeros before the image
    left: int
    rows: int                   # of pooled results
    columns: int
    dead: int                   # the number of cells
    by_two: bool                # 2 x 2 cells
    down: int                   # rows of the image from one window to the next
    reach: int                  # from the first row of a window to the last
    pixel: int                  # numbers from one pixel of a strip to the next
    pitch: int                  # pixels in a row of a strip
    strip: int                  # rows in a strip: pooled ones, or those of the images
    tall: int                   # rows of the image, with zeros around, that it needs at most
    strips: int

    def numbers(self, lanes, listed):
        """In the scratch memory: pixels, a vector, and for each listed result two."""
        return whole(self.tall * self.pitch * self.pixel + lanes, lanes) + 2 * (listed + 1)


@functools.lru_cache(256)
def cells(x, w, stride, padding, dilation, groups, window, size, lanes, by_images):
    """(cells, places of the windows, of their cells, of the vectors in a window, and of the
    weights in these vectors), of convolution of images ``x`` with kernels ``w``, then pooling.

    ``by_images``: for the gradient by the images, where pixels are whole vectors, so that no
    vector reaches into the next one; otherwise for that by the weights.
    """
    _, channels, *image = x
    results = extents(image, w[2:], stride, padding, dilation)
    rows, columns = (n // k for n, k in zip(results, window, strict=True))
    (down, reach), (along, wide) = (
        (k * s, (k - 1) * s + (n - 1) * d)
        for k, s, n, d in zip(window, stride, w[2:], dilation, strict=True))
    (top, _), (left, _) = padding
    pixel, pitch = w[1], (columns - 1) * along + wide + 1
    if by_images:
        pixel, pitch = whole(pixel, lanes), max(pitch, left + image[1])
    fitting = NEAR // (pitch * pixel * size)
    if by_images:
        strip = _equal(image[0], max(fitting - 2 * reach, 4 * (reach + 1)))
        tall = min(strip + 2 * reach + down, max(top + image[0], (rows - 1) * down + reach + 1))
        listed = min(rows, (strip + reach) // down + 2)
    else:
        strip = _equal(rows, max((fitting - reach) // down, -(-reach // down), 1))
        tall, listed = (strip - 1) * down + reach + 1, strip
    found = Cells(groups, channels // groups, w[0] // groups, *image, top, left, rows, columns,
                  window[0] * window[1], window == (2, 2), down, reach, pixel, pitch, strip,
                  tall, -(-(image[0] if by_images else rows) // strip))
    bases = np.add.outer(np.arange(listed) * (down * pitch), np.arange(columns) * along)
    jumps = np.add.outer(np.arange(window[0]) * (stride[0] * pitch),
                         np.arange(window[1]) * stride[1])
    return (found, (bases.ravel() * pixel).astype(np.int32),
            np.append(jumps.ravel() * pixel, 0).astype(np.int32),
            *_vectors(w, dilation, pixel, pitch, lanes))


def _equal(rows, most):
    """Rows in strips of at most so many, of about equal height."""
    return -(-rows // -(-rows // min(most, rows)))


def _vectors(w, dilation, pixel, pitch, lanes):
    """(the places of the vectors that cover a window, from its first pixel on; the places in
    these vectors of the weights, channel by channel)"""
    channels, i, j = np.indices(w[1:]).reshape(3, -1)
    row, place = i, j * pixel + channels                # neighbours share vectors
    starts, length = np.arange(w[2]) * (dilation[0] * pitch), w[3] * pixel
    if dilation[1] > 1:
        row, place, length = i * w[3] + j, channels, pixel
        starts = np.add.outer(starts, np.arange(w[3]) * dilation[1]).ravel()
    of_a_row = np.arange(0, length, lanes)
    shifts = np.add.outer(starts * pixel, of_a_row).ravel()
    return shifts, row * (len(of_a_row) * lanes) + place

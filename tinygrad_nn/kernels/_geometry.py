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

Rejected: channels innermost and filters in the vector (the prototype's way), as fast in the
inner loop, but images are turned round on the way in and out, and fewer than 16 filters leave
part of a vector empty; products with patches, which are 9 copies of an image under 3 x 3.
"""

import functools
from typing import NamedTuple

import numpy as np

SOURCE = 1 << 17                # bytes that a strip's source should have at most
STRIPS = 16                     # there should be at least, for the threads
LONG = 1 << 10                  # positions that are worth adding up a tile of `dots` for
TOGETHER = 1 << 19              # bytes of source of several images at most


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
def backward(x, w, stride, padding, dilation, groups, size, window=(1, 1)):
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
                step_column=stride[1], pool_rows=window[0], pool_columns=window[1])))
    return found


def _reached(phase, size, stride, padding):
    """Of the padded rows ``phase``, ``phase + stride``, … those in the image: (the number of
    the first, how many, where in the image the first is)."""
    before = padding[0] - int(phase)
    first = max(0, -(-before // stride))
    start = first * stride - before
    return first, max(0, -(-(size - start) // stride)), start

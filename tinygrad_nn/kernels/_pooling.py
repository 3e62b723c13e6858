"""Max pooling by compiled loops: arrays in, arrays out. Knows no box.

The arguments are those of the NumPy functions of the same names, ``out`` included, after that
function itself.
"""

from typing import NamedTuple

import numpy as np

from . import _threads as threads
from ._convolution import flat
from ._geometry import extents
from ._pool_loops import maxima as _maxima
from ._pool_loops import pick as _pick
from ._pool_loops import put as _put

ALONE = 1 << 15                 # pixels that are not worth a second thread


class Windows(NamedTuple):
    """Windows on planes of ``height`` x ``width`` pixels, ``rows`` x ``columns`` of them."""

    height: int
    width: int
    rows: int
    columns: int
    kernel_rows: int
    kernel_columns: int
    down: int
    along: int
    top: int
    left: int


def _windows(image, kernel, stride, padding):
    rows, columns = extents(image, kernel, stride, padding, (1, 1))
    return Windows(*image, rows, columns, *kernel, *stride, padding[0][0], padding[1][0])


def _run(loop, images, s, dtype, *args):
    """The loop, plane by plane; what ``maxima`` does not need goes to the scratch memory."""
    planes = images[0] * images[1]
    small = planes * s.height * s.width < ALONE
    threads.run(loop, 1 if small else planes, max(s.columns, 1), dtype, *args, planes, s)


def maxima(plain, x, kernel, stride, padding, out=None):
    """The number of the cell with the largest value of each window."""
    s = _windows(x.shape[2:], kernel, stride, padding)
    chosen = out
    if out is None:
        chosen = np.empty((*x.shape[:2], s.rows, s.columns),
                          np.min_scalar_type(kernel[0] * kernel[1] - 1))
    _run(_maxima, x.shape, s, x.dtype, flat(x, x.dtype), chosen.reshape(-1))
    return chosen


def pick(plain, x, chosen, kernel, stride, padding, out=None):
    """The value of the chosen cell of each window."""
    s = _windows(x.shape[2:], kernel, stride, padding)
    y = np.empty(chosen.shape, x.dtype) if out is None else out
    _run(_pick, x.shape, s, x.dtype, flat(x, x.dtype), flat(chosen, chosen.dtype),
         y.reshape(-1))
    return y


def put(plain, g, chosen, image, kernel, stride, padding, out=None):
    """Zeros (N, C, *image) with ``g`` (N, C, rows, columns) added at the chosen cells."""
    s = _windows(image, kernel, stride, padding)
    dx = threads.zeros(out, (*g.shape[:2], *image), g.dtype)
    _run(_put, g.shape, s, g.dtype, flat(g, g.dtype), flat(chosen, chosen.dtype),
         dx.reshape(-1))
    return dx

"""Pooling: the largest value or the average of windows.

Max pooling is a selection: `_maxima`, with derivative zero, finds the cells, and `_pick` takes
them. So what is kept for the backward pass is one byte for each result, and not the images.
`_pick` and `_put` are each other's transposes. (To hand on the values that `_maxima` has seen
would save a third of the time, and make an operation that is no function of its arguments.)
"""

import math

import numpy as np

from .._core import primitive
from .._errors import ShapeError
from .._table import kink, linear, zero
from . import _pooling_kernels as kernels
from ._windows import extents, images, pair, windows


def max_pool2d(x, kernel_size, stride=None, padding=0):
    """The largest value of each window of images (N, C, H, W): (N, C, rows, columns).

    ``kernel_size``, ``stride`` (the kernel's size unless given) and ``padding`` (pixels of -inf
    around the image): ints or pairs for rows and columns. The gradient goes to the largest
    element, of equal ones to the first.

    >>> import numpy as np, tinygrad_nn as tn
    >>> tn.nn.max_pool2d(np.arange(16.0).reshape(1, 1, 4, 4), 2)[0, 0]
    array([[ 5.,  7.],
           [13., 15.]])
    """
    found = _fitting("max_pool2d", x, kernel_size, stride, padding)
    return _pick(x, _maxima(x, windows=found), windows=found)


def avg_pool2d(x, kernel_size, stride=None, padding=0, *, count_include_pad=True):
    """The average of each window of images (N, C, H, W); arguments as in `max_pool2d`.

    Padding counts as zeros, or not at all with ``count_include_pad=False``.

    >>> import numpy as np, tinygrad_nn as tn
    >>> tn.nn.avg_pool2d(np.arange(16.0).reshape(1, 1, 4, 4), 2)[0, 0]
    array([[ 2.5,  4.5],
           [10.5, 12.5]])
    """
    found = _fitting("avg_pool2d", x, kernel_size, stride, padding)
    if count_include_pad:
        return _total(x, windows=found) / float(math.prod(found[0]))
    ones = np.ones((1, 1, *x.shape[2:]), x.dtype)
    return _total(x, windows=found) / kernels.total(ones, *found)


def adaptive_avg_pool2d(x, output_size):
    """Averages over as many parts of images (N, C, H, W) as ``output_size`` says.

    ``output_size``: an int or a pair for rows and columns. Part ``i`` of ``n`` reaches from
    ``floor(i H / n)`` to ``ceil((i + 1) H / n)``, as in PyTorch.

    >>> import numpy as np, tinygrad_nn as tn
    >>> tn.nn.adaptive_avg_pool2d(np.arange(16.0).reshape(1, 1, 4, 4), (1, 2))[0, 0]
    array([[6.5, 8.5]])
    """
    images("adaptive_avg_pool2d", x)
    rows, columns = pair("adaptive_avg_pool2d: output_size", output_size)
    if not all(x.shape[2:]):
        raise ShapeError(f"adaptive_avg_pool2d: images of shape {x.shape} have no pixels")
    y = _parts(x, n=rows)
    return np.swapaxes(_parts(np.swapaxes(y, 2, 3), n=columns), 2, 3)


def _fitting(what, x, *settings):
    """(kernel, stride, padding) as the kernels take them, or an error."""
    images(what, x)
    found = windows(what, *settings)
    extents(what, x.shape[2:], *found)
    return found


# ---------------------------------------------------------------- the largest value

@primitive
def _maxima(x, windows):
    return kernels.maxima(x, *windows)


@primitive
def _pick(x, chosen, windows):
    return kernels.pick(x, chosen, *windows)


@primitive
def _put(g, chosen, image, windows):
    return kernels.put(g, chosen, image, *windows)


_maxima.into = lambda out, x, windows: kernels.maxima(x, *windows, out=out)
_pick.into = lambda out, x, chosen, windows: kernels.pick(x, chosen, *windows, out=out)
_put.into = lambda out, g, chosen, image, windows: kernels.put(g, chosen, image, *windows,
                                                               out=out)
_maxima.safe = _pick.safe = _put.safe = True
zero(_maxima)
linear(_pick, lambda g, shape, chosen, windows: _put(g, chosen, image=shape[2:],
                                                     windows=windows), selects=True)
linear(_put, lambda g, chosen, windows, image=None: _pick(g, chosen, windows=windows),
       fills=True)
kink("of equal elements the first", _maxima)


# ---------------------------------------------------------------- averages

@primitive
def _total(x, windows):
    return kernels.total(x, *windows)


@primitive
def _spread(g, image, windows):
    return kernels.spread(g, image, *windows)


_total.into = lambda out, x, windows: kernels.total(x, *windows, out=out)
_spread.into = lambda out, g, image, windows: kernels.spread(g, image, *windows, out=out)
_total.safe = _spread.safe = True
linear(_total, lambda g, shape, windows: _spread(g, image=shape[2:], windows=windows))
linear(_spread, lambda g, windows, image=None: _total(g, windows=windows))


def _bounds(size, n):
    """First and last + 1 element of each of ``n`` parts."""
    return [(i * size // n, -(-(i + 1) * size // n)) for i in range(n)]


@primitive
def _parts(x, n):
    """The averages of ``n`` parts of axis 2."""
    return np.stack([np.mean(x[:, :, low:high], axis=2)
                     for low, high in _bounds(x.shape[2], n)], axis=2)


@primitive
def _parts_back(g, size):
    """The transpose: each gradient shared out over its part."""
    dx = np.zeros((*g.shape[:2], size, g.shape[3]), g.dtype)
    for k, (low, high) in enumerate(_bounds(size, g.shape[2])):
        dx[:, :, low:high] += g[:, :, k:k + 1] / (high - low)
    return dx


linear(_parts, lambda g, shape, n: _parts_back(g, size=shape[2]))
linear(_parts_back, lambda g, shape, size: _parts(g, n=shape[2]))

"""Convolution, bias, ReLU and max pooling as one operation, for windows that do not overlap.

What is kept for the backward pass is one byte for each result, its cell in the window (or the
one after the last where ReLU gives 0), and the gradients by images and weights are read off
the pooled gradient and these bytes: nothing of the size of the convolution's result is made,
four times that of what comes out of 2 x 2 windows. Values are bit for bit those of `conv2d`,
`relu` and `max_pool2d` in a row, as long as both run in the same form of `tinygrad_nn.kernels`;
gradients are sums of the same products, compiled in another order.

`_peaks`, with derivative zero, does the work and gives values and cells; `_pooled` hands the
values on and has the derivatives. The cells are a constant in all of them.
"""

import math

import numpy as np

from .._core import primitive
from .._table import bilinear, rule, zero
from ..kernels import also_compiled
from . import _convolution_kernels as convolution
from . import _pooling_kernels as pooling
from ._convolution import _conv2d
from ._pooling import _pick
from ._windows import extents

NO_PADDING = ((0, 0), (0, 0))


# ---------------------------------------------------------------- arrays in, arrays out

@also_compiled("_convolution", lambda x, w, bias, stride, *how:
               convolution.multiplications(x.shape, w.shape) // math.prod(stride))
def conv2d_pooled(x, w, bias, stride, padding, dilation, groups, window, out=None):
    """(the largest of each window of max(convolution, 0), its cell, or that after the last)."""
    z = np.maximum(convolution.conv2d(x, w, bias, stride, padding, dilation, groups), 0)
    cells = pooling.maxima(z, window, window, NO_PADDING)
    dead = math.prod(window)
    y, chosen = out or (None, np.empty(cells.shape, np.min_scalar_type(dead)))
    y = pooling.pick(z, cells, window, window, NO_PADDING, out=y)
    chosen[...] = np.where(y > 0, cells, dead)
    return y, chosen


@also_compiled("_convolution", lambda g, cells, w, *how:
               convolution.multiplications(g.shape, w.shape) * math.prod(how[-1]))
def conv2d_pooled_dx(g, cells, w, shape, stride, padding, dilation, groups, window,
                     out=None):
    """The gradient by the images, of this ``shape``, from that of the pooled result."""
    g = _spread(g, cells, shape, w.shape, stride, padding, dilation, window)
    return convolution.conv2d_dx(g, w, shape, stride, padding, dilation, groups, out=out)


@also_compiled("_convolution", lambda g, cells, x, shape, *how:
               convolution.multiplications(g.shape, shape) * math.prod(how[-1]))
def conv2d_pooled_dw(g, cells, x, shape, stride, padding, dilation, groups, window,
                     out=None):
    """The gradient by the weights, of this ``shape``, from that of the pooled result."""
    g = _spread(g, cells, x.shape, shape, stride, padding, dilation, window)
    return convolution.conv2d_dw(g, x, shape, stride, padding, dilation, groups, out=out)


def _spread(g, cells, x, w, stride, padding, dilation, window):
    """The gradient of the convolution's result, for images ``x`` and kernels ``w``."""
    image = extents("conv2d", x[2:], w[2:], stride, padding, dilation)
    return pooling.put(g, cells, image, window, window, NO_PADDING)


# ---------------------------------------------------------------- operations and rules

@primitive
def _peaks(x, w, b, how, window):
    return conv2d_pooled(x, w, b, *how, window)


@primitive
def _pooled(x, w, b, values, chosen, how, window):
    return values


@primitive
def _pooled_dx(g, w, chosen, into, how, window):
    return conv2d_pooled_dx(g, chosen, w, into, *how, window)


@primitive
def _pooled_dw(g, x, chosen, into, how, window):
    return conv2d_pooled_dw(g, chosen, x, into, *how, window)


def _peaks_into(out, x, w, b, how, window):
    conv2d_pooled(x, w, b, *how, window, out=out)


def _dx_into(out, g, w, chosen, into, how, window):
    conv2d_pooled_dx(g, chosen, w, into, *how, window, out=out)


def _dw_into(out, g, x, chosen, into, how, window):
    conv2d_pooled_dw(g, chosen, x, into, *how, window, out=out)


_peaks.into, _pooled_dx.into, _pooled_dw.into = _peaks_into, _dx_into, _dw_into
_peaks.safe = _pooled_dx.safe = _pooled_dw.safe = True


def conv2d_relu_max_pool2d(x, w, b, how, window):
    """``max_pool2d(relu(conv2d(x, w, b)), window)``, for what the layers have checked."""
    values, chosen = _peaks(x, w, b, how=how, window=window)
    return _pooled(x, w, b, values, chosen, how=how, window=window)


def _chosen(z, chosen, window):
    """Of the convolution's tangents those at the cells."""
    return _pick(z, chosen, windows=(window, window, NO_PADDING))


def _alive(g, chosen, window):
    return np.where(np.less(chosen, math.prod(window)), g, 0.0)


def _by_x(g, b, chosen, shape, how, window):
    return _pooled_dx(g, b, chosen=chosen, into=shape, how=how, window=window)


def _by_w(g, a, chosen, shape, how, window):
    return _pooled_dw(g, a, chosen=chosen, into=shape, how=how, window=window)


zero(_peaks)
rule(_pooled,
     vjp=(_by_x, _by_w,
          lambda g, chosen, window: np.sum(_alive(g, chosen, window), axis=(0, 2, 3)),
          None, None),
     jvp=(lambda t, b, chosen, how, window: _chosen(_conv2d(t, b, how=how), chosen, window),
          lambda t, a, chosen, how, window: _chosen(_conv2d(a, t, how=how), chosen, window),
          lambda t, y, chosen, window: _alive(
              np.broadcast_to(np.reshape(t, (-1, 1, 1)), y.shape), chosen, window),
          None, None))
bilinear(_pooled_dx, lambda g, b, chosen, how, window, into=None:
         _chosen(_conv2d(g, b, how=how), chosen, window),
         lambda g, a, shape, chosen, how, window, into=None: _by_w(a, g, chosen, shape, how,
                                                                   window))
bilinear(_pooled_dw, lambda g, b, chosen, how, window, into=None:
         _chosen(_conv2d(b, g, how=how), chosen, window),
         lambda g, a, shape, chosen, how, window, into=None: _by_x(a, g, chosen, shape, how,
                                                                   window))

"""Convolution: three bilinear functions that are each other's derivatives.

With y = conv(x, w), a gradient g of y gives dx(g, w) and dw(g, x), both bilinear again, and for
all of the right shapes ``<g, conv(x, w)> = <dx(g, w), x> = <dw(g, x), w>``. So each rule below
is read off this line, and every order of derivative, in both modes, is made of the same three
kernels. (It is the cross-correlation that everybody calls convolution: Goodfellow, Bengio,
Courville, *Deep Learning* (2016), chapter 9.1.)
"""

from typing import NamedTuple

import numpy as np

from .._core import primitive
from .._errors import ShapeError
from .._table import bilinear, rule
from . import _convolution_kernels as kernels
from ._windows import extents, images, pair, sides, whole


class Steps(NamedTuple):
    """How a kernel goes over images."""

    stride: tuple           # (rows, columns)
    padding: tuple          # ((above, below), (left, right))
    dilation: tuple         # (rows, columns)
    groups: int


def conv2d(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Images (N, C, H, W) under kernels (O, C / groups, kh, kw): (N, O, rows, columns).

    ``bias`` (O,) is added. ``stride``, ``dilation``: the distance of windows, and of the pixels
    within one; ``padding``: zeros around the image, or "same" or "valid"; each an int or a pair
    for rows and columns. ``groups``: channels in so many parts, which do not see each other.
    Shapes that do not fit raise `ShapeError`, settings that are none ``ValueError``.

    >>> import numpy as np, tinygrad_nn as tn
    >>> x, w = np.arange(9.0).reshape(1, 1, 3, 3), np.ones((1, 1, 2, 2))
    >>> tn.nn.conv2d(x, w)[0, 0]
    array([[ 8., 12.],
           [20., 24.]])
    >>> tn.nn.conv2d(x, w, stride=2, padding=1).shape
    (1, 1, 2, 2)
    """
    how = steps(x, weight, bias, stride, padding, dilation, groups)
    if bias is None:
        return _conv2d(x, weight, how=how)
    return _conv2d_with_bias(x, weight, bias, how=how)


def steps(x, weight, bias, stride, padding, dilation, groups):
    """The settings of `conv2d` as its kernels take them, or an error."""
    images("conv2d", x)
    if len(np.shape(weight)) != 4:
        raise ShapeError("conv2d expects kernels of shape (O, C / groups, kh, kw), got "
                         f"{np.shape(weight)}")
    kernel = weight.shape[2:]
    stride, dilation = pair("conv2d: stride", stride), pair("conv2d: dilation", dilation)
    padding = sides("conv2d: padding", padding, kernel, stride, dilation)
    how = Steps(stride, padding, dilation, whole("conv2d: groups", groups))
    _check(x, weight, bias, how)
    return how


def _check(x, weight, bias, how):
    outputs, channels = weight.shape[:2]
    if outputs % how.groups or not min(weight.shape):
        raise ShapeError(f"conv2d: {outputs} kernels of shape {weight.shape[1:]} cannot be put "
                         f"into {how.groups} groups")
    if x.shape[1] != channels * how.groups:
        raise ShapeError(
            f"conv2d: images of shape {x.shape} have {x.shape[1]} channels, weights of shape "
            f"{weight.shape} in {how.groups} group(s) expect {channels * how.groups}")
    if bias is not None and np.shape(bias) != (outputs,):
        raise ShapeError(f"conv2d: a bias of shape {np.shape(bias)} for {outputs} kernels, "
                         f"expected ({outputs},)")
    extents("conv2d", x.shape[2:], weight.shape[2:], *how[:3])


@primitive
def _conv2d(x, w, how):
    return kernels.conv2d(x, w, None, *how)


@primitive
def _conv2d_with_bias(x, w, b, how):
    """The same plus b: added to each block while that is in the cache, it costs nothing."""
    return kernels.conv2d(x, w, b, *how)


@primitive
def _conv2d_dx(g, w, into, how):
    return kernels.conv2d_dx(g, w, into, *how)


@primitive
def _conv2d_dw(g, x, into, how):
    return kernels.conv2d_dw(g, x, into, *how)


_conv2d.into = lambda out, x, w, how: kernels.conv2d(x, w, None, *how, out=out)
_conv2d_with_bias.into = lambda out, x, w, b, how: kernels.conv2d(x, w, b, *how, out=out)
_conv2d_dx.into = lambda out, g, w, into, how: kernels.conv2d_dx(g, w, into, *how, out=out)
_conv2d_dw.into = lambda out, g, x, into, how: kernels.conv2d_dw(g, x, into, *how, out=out)
for _fn in (_conv2d, _conv2d_with_bias, _conv2d_dx, _conv2d_dw):
    _fn.safe = True


def _by_x(g, b, shape, how):
    return _conv2d_dx(g, b, into=shape, how=how)


def _by_w(g, a, shape, how):
    return _conv2d_dw(g, a, into=shape, how=how)


bilinear(_conv2d, _by_x, _by_w)
bilinear(_conv2d_dx, lambda g, b, how, into=None: _conv2d(g, b, how=how),
         lambda g, a, shape, how, into=None: _conv2d_dw(a, g, into=shape, how=how))
bilinear(_conv2d_dw, lambda g, b, how, into=None: _conv2d(b, g, how=how),
         lambda g, a, shape, how, into=None: _conv2d_dx(a, g, into=shape, how=how))
rule(_conv2d_with_bias, vjp=(_by_x, _by_w, lambda g: np.sum(g, axis=(0, 2, 3))),
     jvp=(lambda t, b, how: _conv2d(t, b, how=how), lambda t, a, how: _conv2d(a, t, how=how),
          lambda t, y: np.broadcast_to(np.reshape(t, (-1, 1, 1)), y.shape)))

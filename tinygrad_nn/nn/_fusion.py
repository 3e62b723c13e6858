"""Layers in a row that run as one operation where kernels for it are compiled."""

from .._errors import ShapeError
from ..rules._convolution import steps
from ..rules._convolution_pooled import conv2d_pooled, conv2d_relu_max_pool2d
from ..rules._windows import extents
from ._activations import ReLU
from ._convolution import Conv2d
from ._pooling import MaxPool2d

KINDS = (Conv2d, ReLU, MaxPool2d)


def fused(modules, x):
    """What the first three layers make of ``x``, as one operation; None where they are not
    convolution with bias, ReLU and max pooling by windows side by side, or where that does not
    pay (`tinygrad_nn.kernels`), or fails: then one layer after the other says what is wrong."""
    if type(modules[0]) is not Conv2d or tuple(map(type, modules[:3])) != KINDS:
        return None
    convolution, _, pool = modules[:3]
    w, b, window = convolution.weight, convolution.bias, pool.kernel_size
    if (b is None or pool.stride != window or any(pool.padding)
            or any("forward" in vars(m) for m in modules[:3])):     # replaced by somebody
        return None
    try:
        how = steps(x, w, b, convolution.stride, convolution.padding, convolution.dilation,
                    convolution.groups)
        extents("max_pool2d", extents("conv2d", x.shape[2:], w.shape[2:], *how[:3]), window,
                window, ((0, 0), (0, 0)))
    except (ShapeError, ValueError):
        return None
    if not conv2d_pooled.pays(x, w, b, *how, window):
        return None
    return conv2d_relu_max_pool2d(x, w, b, how, window)

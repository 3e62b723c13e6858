"""`Conv2d`: kernels that go over images."""

import math

import numpy as np

from .._tensor import Tensor
from ..rules import conv2d
from ..rules._windows import pair, sides, whole
from ._module import Module


class Conv2d(Module):
    """`conv2d` with weights of its own: (N, in_channels, H, W) to (N, out_channels, rows,
    columns).

    ``weight`` (out_channels, in_channels / groups, kh, kw) and ``bias`` (out_channels,) start
    uniform in ±1/sqrt(in_channels / groups * kh * kw), as in PyTorch. ``kernel_size``,
    ``stride``, ``padding``, ``dilation``: integers or pairs for rows and columns; padding may
    be "same" or "valid". ``rng``: a seed or a NumPy Generator; ``dtype``: of the parameters.

    >>> import numpy as np, tinygrad_nn as tn
    >>> layer = tn.nn.Conv2d(3, 8, 3, padding="same", rng=0)
    >>> layer(np.ones((5, 3, 32, 32), np.float32)).shape
    (5, 8, 32, 32)
    """

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1,
                 groups=1, bias=True, *, rng=None, dtype=np.float32):
        whole("Conv2d: groups", groups)
        for name, n in (("in_channels", in_channels), ("out_channels", out_channels)):
            if whole(f"Conv2d: {name}", n) % groups:
                raise ValueError(f"Conv2d: {name}={n} does not divide into groups={groups}")
        kernel = pair("Conv2d: kernel_size", kernel_size)
        self.stride = pair("Conv2d: stride", stride)
        self.dilation = pair("Conv2d: dilation", dilation)
        sides("Conv2d: padding", padding, kernel, self.stride, self.dilation)
        self.padding, self.groups = padding, groups
        shape = (out_channels, in_channels // groups, *kernel)
        rng, bound = np.random.default_rng(rng), 1 / math.sqrt(math.prod(shape[1:]))
        self.weight = Tensor(rng.uniform(-bound, bound, shape).astype(dtype))
        self.bias = (Tensor(rng.uniform(-bound, bound, out_channels).astype(dtype)) if bias
                     else None)

    def forward(self, x):
        return conv2d(x, self.weight, self.bias, self.stride, self.padding, self.dilation,
                      self.groups)

    def _multiply_adds(self, x_shape, y_shape):
        return math.prod(y_shape) * math.prod(self.weight.shape[1:])

    def _settings(self):
        out, channels, *kernel = self.weight.shape
        text = f"{channels * self.groups}, {out}, kernel_size={tuple(kernel)}"
        for name, usual in (("stride", (1, 1)), ("padding", 0), ("dilation", (1, 1)),
                            ("groups", 1)):
            if getattr(self, name) != usual:
                text += f", {name}={getattr(self, name)!r}"
        return text + ("" if self.bias is not None else ", bias=False")

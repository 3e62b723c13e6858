"""Pooling of images (N, C, H, W), and `Flatten`."""

import numpy as np

from .._errors import ShapeError
from ..rules import adaptive_avg_pool2d, avg_pool2d, max_pool2d
from ..rules._windows import pair, windows
from ._module import Module


class _Pool(Module):
    """What the two have in common: pairs for rows and columns."""

    def __init__(self, kernel_size, stride=None, padding=0):
        self.kernel_size, self.stride, sides = windows(type(self).__name__, kernel_size, stride,
                                                       padding)
        self.padding = tuple(before for before, _ in sides)

    def _settings(self):
        text = f"kernel_size={self.kernel_size}"
        text += f", stride={self.stride}" if self.stride != self.kernel_size else ""
        return text + (f", padding={self.padding}" if any(self.padding) else "")


class MaxPool2d(_Pool):
    """`max_pool2d`: the largest value of each window; ``stride`` is the window unless given."""

    def forward(self, x):
        return max_pool2d(x, self.kernel_size, self.stride, self.padding)


class AvgPool2d(_Pool):
    """`avg_pool2d`: the average of each window; ``stride`` is the window unless given."""

    def __init__(self, kernel_size, stride=None, padding=0, *, count_include_pad=True):
        super().__init__(kernel_size, stride, padding)
        self.count_include_pad = count_include_pad

    def forward(self, x):
        return avg_pool2d(x, self.kernel_size, self.stride, self.padding,
                          count_include_pad=self.count_include_pad)

    def _settings(self):
        return super()._settings() + ("" if self.count_include_pad
                                      else ", count_include_pad=False")


class AdaptiveAvgPool2d(Module):
    """`adaptive_avg_pool2d`: averages over as many parts as ``output_size`` says."""

    def __init__(self, output_size):
        self.output_size = pair("AdaptiveAvgPool2d: output_size", output_size)

    def forward(self, x):
        return adaptive_avg_pool2d(x, self.output_size)

    def _settings(self):
        return f"{self.output_size}"


class Flatten(Module):
    """Axes ``start_dim`` to ``end_dim``, the last included, as one: images become rows.

    >>> import numpy as np, tinygrad_nn as tn
    >>> tn.nn.Flatten()(np.ones((5, 3, 4, 4))).shape
    (5, 48)
    """

    def __init__(self, start_dim=1, end_dim=-1):
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, x):
        shape, n = np.shape(x), np.ndim(x)
        if not (-n <= self.start_dim < n and -n <= self.end_dim < n
                and self.start_dim % n <= self.end_dim % n):
            raise ShapeError(f"{self!r}: there are no such axes in shape {shape}")
        start, end = self.start_dim % n, self.end_dim % n
        size = int(np.prod(shape[start:end + 1], dtype=int))    # -1 fails where an axis is 0
        return np.reshape(x, (*shape[:start], size, *shape[end + 1:]))

    def _settings(self):
        usual = (self.start_dim, self.end_dim) == (1, -1)
        return "" if usual else f"start_dim={self.start_dim}, end_dim={self.end_dim}"

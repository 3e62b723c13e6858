"""Problems for the kernels of convolution, and what they and the plain ones give."""

import contextlib
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import strategies as st

from tinygrad_nn.rules import _convolution_kernels as plain
from tinygrad_nn.rules import _convolution_pooled as plain_pooled

pytest.importorskip("numba")

from tinygrad_nn.kernels import _convolution as fast
from tinygrad_nn.kernels import _geometry as geometry
from tinygrad_nn.kernels import _threads as threads

EPS = {np.float32: 1e-5, np.float64: 1e-13}
RNG = np.random.default_rng(0)


def close(got, want, dtype):
    assert got.shape == want.shape and got.dtype == dtype
    largest = np.abs(want).max(initial=0)
    assert np.abs(got - want).max(initial=0) <= EPS[dtype] * (largest + 1)


class Problem(NamedTuple):
    """Shapes, of which hypothesis can print a failing one, and a seed."""

    dtype: type
    x: tuple
    w: tuple
    bias: bool
    how: tuple                  # stride, padding, dilation, groups
    seed: int

    def arrays(self):
        """(x, w, bias or None, g, how)"""
        rng = np.random.default_rng(self.seed)
        out = geometry.extents(self.x[2:], self.w[2:], *self.how[:3])
        x, w, bias, g = (rng.standard_normal(shape).astype(self.dtype) for shape in (
            self.x, self.w, self.w[:1], (self.x[0], self.w[0], *out)))
        return x, w, bias if self.bias else None, g, self.how


@st.composite
def problems(draw, dtypes=(np.float32, np.float64)):
    """Odd sizes of every kind."""
    n = st.integers
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    channels, filters = draw(n(1, 7)), draw(n(1, 19) if groups == 1 else n(1, 5))
    kernel, stride = (draw(n(1, 5)), draw(n(1, 5))), (draw(n(1, 4)), draw(n(1, 4)))
    dilation = draw(n(1, 3)), draw(n(1, 3))
    padding = tuple((draw(n(0, 4)), draw(n(0, 4))) for _ in range(2))
    image = [max(1, d * (k - 1) + 1 - sum(p)) + draw(n(0, 40))
             for k, d, p in zip(kernel, dilation, padding, strict=True)]
    return Problem(draw(st.sampled_from(dtypes)), (draw(n(1, 5)), groups * channels, *image),
                   (groups * filters, channels, *kernel), draw(st.booleans()),
                   (stride, padding, dilation, groups), draw(n(0, 2**16)))


@contextlib.contextmanager
def changed(module, **values):
    """Other constants for a while; what was computed from them is forgotten."""
    old = {name: getattr(module, name) for name in values}
    caches = geometry.forward, geometry.backward, geometry.cells, threads._team
    try:
        for name, value in values.items():
            setattr(module, name, value)
        for cache in caches:
            cache.cache_clear()
        yield
    finally:
        for name, value in old.items():
            setattr(module, name, value)
        for cache in caches:
            cache.cache_clear()


def all_three(x, w, bias, g, how):
    return (fast.conv2d(None, x, w, bias, *how), fast.conv2d_dx(None, g, w, x.shape, *how),
            fast.conv2d_dw(None, g, x, w.shape, *how))


def wanted(x, w, bias, g, how):
    x, w, g = (a.astype(np.float64) for a in (x, w, g))
    return (plain.conv2d.plain(x, w, bias, *how),
            plain.conv2d_dx.plain(g, w, x.shape, *how),
            plain.conv2d_dw.plain(g, x, w.shape, *how))


def pooled_all(x, w, bias, how, window, g=None):
    """(y, cells, dx, dw) of the compiled forms of convolution, ReLU and pooling as one."""
    y, cells = fast.conv2d_pooled(None, x, w, bias, *how, window)
    if g is None:
        g = np.random.default_rng(1).standard_normal(y.shape).astype(y.dtype)
    dw = plain_pooled.conv2d_pooled_dw.plain
    return (y, cells, fast.conv2d_pooled_dx(None, g, cells, w, x.shape, *how, window),
            fast.conv2d_pooled_dw(dw, g, cells, x, w.shape, *how, window))

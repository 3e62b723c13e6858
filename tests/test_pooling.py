"""Pooling against loops, finite differences and PyTorch; what it keeps, what it refuses."""

import itertools
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from measuring import memory

import tinygrad_nn as tn
from tinygrad_nn import Tensor, nn
from tinygrad_nn.rules import _pooling_kernels as kernels
from tinygrad_nn.testing import laid_out, layouts

RNG = np.random.default_rng(0)


def same(a, b, **kw):
    np.testing.assert_allclose(a, b, **{"rtol": 1e-11, "atol": 1e-13, **kw})


# ---------------------------------------------------------------- the definition, in loops

def cells(image, kernel, stride, padding):
    """{place in the result: the pixels of its window that are in the image, in order}."""
    sizes = [(n + 2 * p - k) // s + 1 for n, p, k, s in zip(image, padding, kernel, stride,
                                                            strict=True)]
    found = {}
    for r, c in itertools.product(*map(range, sizes)):
        window = itertools.product(range(kernel[0]), range(kernel[1]))
        pixels = [(r * stride[0] + i - padding[0], c * stride[1] + j - padding[1])
                  for i, j in window]
        found[r, c] = [(i, j) for i, j in pixels if 0 <= i < image[0] and 0 <= j < image[1]]
    return found, sizes


def naive(x, kernel, stride, padding, choose):
    """Values, and for each the pixels and shares that they are made of, by ``choose``."""
    found, sizes = cells(x.shape[2:], kernel, stride, padding)
    y, g = np.zeros((*x.shape[:2], *sizes)), RNG.standard_normal((*x.shape[:2], *sizes))
    dx = np.zeros(x.shape)
    for n, c in itertools.product(*map(range, x.shape[:2])):
        for at, pixels in found.items():
            for pixel, share in choose([(x[n, c][p], p) for p in pixels]):
                y[n, c][at] += share * x[n, c][pixel]
                dx[n, c][pixel] += share * g[n, c][at]
    return y, g, dx


def largest(pixels):
    return [(max(pixels, key=lambda vp: vp[0])[1], 1.0)]        # max() gives the first


@st.composite
def poolings(draw):
    """(x, kernel, stride, padding); some values are equal."""
    kernel = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    stride = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    image = [max(1, k - 2 * p) + draw(st.integers(0, 4)) for k, p in zip(kernel, padding,
                                                                        strict=True)]
    shape = draw(st.integers(0, 2)), draw(st.integers(1, 2)), *image
    x = np.random.default_rng(draw(st.integers(0, 2**16))).integers(-4, 4, shape) / 2
    return laid_out(x, draw(layouts())), kernel, stride, padding


@settings(max_examples=80, deadline=None)
@given(poolings(), st.sampled_from([1, 20, 2**17]))
def test_max_pooling_is_that_of_loops(drawn, block):
    x, *how = drawn
    old, kernels.BLOCK = kernels.BLOCK, block
    try:
        want, g, dx = naive(x, *how, largest)
        t = Tensor(x)
        y = nn.max_pool2d(t, *how)
        y.backward(g)
    finally:
        kernels.BLOCK = old
    np.testing.assert_array_equal(y.data, want)
    same(t.grad, dx)
    moved = RNG.standard_normal(x.shape)                   # forward mode: <g, J v> = <J' g, v>
    slope = tn.jvp(lambda x: nn.max_pool2d(x, *how), (x,), (moved,))[1]
    same(np.sum(slope * g), np.sum(moved * dx), atol=1e-11)


@settings(max_examples=60, deadline=None)
@given(poolings(), st.booleans())
def test_average_pooling_is_that_of_loops(drawn, count_pad):
    x, kernel, stride, padding = drawn
    cells_of_all = kernel[0] * kernel[1]
    want, g, dx = naive(x, kernel, stride, padding, lambda pixels: [
        (p, 1 / (cells_of_all if count_pad else len(pixels))) for _, p in pixels])
    t = Tensor(x)
    y = nn.avg_pool2d(t, kernel, stride, padding, count_include_pad=count_pad)
    y.backward(g)
    same(y.data, want)
    same(t.grad, dx)


@settings(max_examples=60, deadline=None)
@given(poolings())
def test_torch_agrees(drawn):
    torch = pytest.importorskip("torch")
    x, *how = drawn
    if not x.size:
        return
    for ours, theirs in ((nn.max_pool2d, torch.nn.functional.max_pool2d),
                         (nn.avg_pool2d, torch.nn.functional.avg_pool2d),
                         (partial(nn.avg_pool2d, count_include_pad=False), partial(
                             torch.nn.functional.avg_pool2d, count_include_pad=False))):
        t, leaf = Tensor(x), torch.tensor(x.copy(), requires_grad=True)
        y, want = ours(t, *how), theirs(leaf, *how)
        g = RNG.standard_normal(y.shape)
        y.backward(g)
        want.backward(torch.tensor(g))
        same(y.data, want.detach().numpy(), rtol=1e-10)
        same(t.grad, leaf.grad.numpy(), rtol=1e-10)


@settings(max_examples=20, deadline=None)
@given(poolings())
def test_all_pass_the_gradient_kit(drawn):
    x, *how = drawn
    x = RNG.permutation(np.arange(1.0, x.size + 1)).reshape(x.shape)[:1] / 7     # no ties
    for f in (nn.max_pool2d, nn.avg_pool2d):
        assert tn.gradcheck(lambda x, f=f: f(x, *how) ** 2, x, order=2)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, (4, 2), (9, 11)])
def test_adaptive_averages(size):
    x = RNG.standard_normal((2, 3, 7, 5))
    rows, columns = size if isinstance(size, tuple) else (size, size)
    y = nn.adaptive_avg_pool2d(x, size)
    for i, j in itertools.product(range(rows), range(columns)):
        part = x[:, :, 7 * i // rows:-(-7 * (i + 1) // rows),
                 5 * j // columns:-(-5 * (j + 1) // columns)]
        same(y[:, :, i, j], part.mean(axis=(2, 3)))
    assert tn.gradcheck(lambda x: nn.adaptive_avg_pool2d(x, size) ** 2, x[:1, :1], order=2)
    assert nn.AdaptiveAvgPool2d(size)(x.astype(np.float32)).dtype == np.float32


def test_torch_agrees_on_adaptive_averages():
    torch = pytest.importorskip("torch")
    for size in (1, 3, (2, 9), (7, 5)):
        x = RNG.standard_normal((2, 3, 7, 5))
        t, leaf = Tensor(x), torch.tensor(x, requires_grad=True)
        y, want = nn.adaptive_avg_pool2d(t, size), torch.nn.functional.adaptive_avg_pool2d(
            leaf, size)
        (y ** 2).sum().backward()
        (want ** 2).sum().backward()
        same(y.data, want.detach().numpy(), rtol=1e-10)
        same(t.grad, leaf.grad.numpy(), rtol=1e-10)


# ---------------------------------------------------------------- what is special

def test_of_equal_elements_the_first_gets_the_gradient_also_of_minus_infinities():
    for value in (0.0, 2.5, -np.inf):
        t = Tensor(np.full((1, 1, 4, 4), value))
        nn.max_pool2d(t, 3, 2, 1).sum().backward()
        want = np.zeros((4, 4))
        want[[0, 0, 1, 1], [0, 1, 0, 1]] = 1
        np.testing.assert_array_equal(t.grad[0, 0], want)       # none to the padding


def test_a_nan_is_larger_than_all_and_gets_the_gradient():
    x = np.arange(16.0).reshape(1, 1, 4, 4)
    x[0, 0, 0, 0] = x[0, 0, 2, 3] = np.nan
    t = Tensor(x)
    y = nn.max_pool2d(t, 2)
    np.testing.assert_array_equal(y.data[0, 0], [[np.nan, 7], [13, np.nan]])
    y.backward(np.ones((1, 1, 2, 2)))
    np.testing.assert_array_equal(np.argwhere(t.grad[0, 0]), [[0, 0], [1, 3], [2, 3], [3, 1]])


def test_what_was_not_chosen_has_gradient_zero_whatever_else():
    """A selection, as in `np.where`: of sqrt at 0, not chosen, nothing arrives."""
    x = np.array([[0.0, 4.0], [0.0, 9.0]]).reshape(1, 1, 2, 2)
    f = lambda x: np.sum(nn.max_pool2d(np.sqrt(x), 1, 1) * 0.0 + nn.max_pool2d(np.sqrt(x), 2))
    for g in (tn.grad(lambda x: np.sum(nn.max_pool2d(np.sqrt(x), 2)))(x),
              tn.jacobian(lambda x: np.sum(nn.max_pool2d(np.sqrt(x), 2)))(x)):
        np.testing.assert_array_equal(g[0, 0], [[0, 0], [0, 1 / 6]])
    second = tn.hessian(lambda x: np.sum(nn.max_pool2d(np.sqrt(x), 2)))(x).reshape(4, 4)
    same(second, np.diag([0, 0, 0, -0.25 * 9 ** -1.5]))
    assert np.isnan(tn.grad(f)(x)).any()                   # 0 * inf, where all are chosen
    out = nn.max_pool2d(Tensor(x), 2)
    out.backward(np.full(out.shape, np.inf))
    slope = tn.jvp(lambda x: nn.max_pool2d(np.sqrt(x), 2), (x,), (np.ones(x.shape),))[1]
    same(slope, np.full((1, 1, 1, 1), 1 / 6))


def test_an_infinite_gradient_stays_where_it_was_chosen():
    t = Tensor(np.arange(16.0).reshape(1, 1, 4, 4))
    nn.max_pool2d(t, 2).backward(np.full((1, 1, 2, 2), np.inf))
    assert (t.grad[0, 0][1::2, 1::2] == np.inf).all() and np.isinf(t.grad).sum() == 4
    t.grad = None
    nn.max_pool2d(t, 3, 1).backward(np.full((1, 1, 2, 2), np.inf))
    assert np.isinf(t.grad).sum() == 4 and not np.isnan(t.grad).any()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
@pytest.mark.parametrize("f", [nn.max_pool2d, nn.avg_pool2d])
@pytest.mark.parametrize("how", [(2,), (3, 2, 1)])
def test_dtypes_stay(dtype, f, how):
    x = RNG.integers(-9, 9, (2, 3, 6, 6)).astype(dtype)
    t, wide = Tensor(x), Tensor(x.astype(np.float64))
    for v in (t, wide):
        (f(v, *how) ** 2).sum().backward()
    assert f(t, *how).dtype == dtype and t.grad.dtype == dtype
    rounding = 20 * max(np.finfo(dtype).eps, 1e-16)
    same(t.grad, wide.grad, rtol=rounding, atol=rounding)
    whole = RNG.integers(-9, 9, (2, 3, 6, 6))
    np.testing.assert_array_equal(nn.max_pool2d(whole, 2), nn.max_pool2d(whole + 0.0, 2))


def test_averages_of_pixels_that_are_integers_do_not_overflow():
    x = RNG.integers(0, 256, (2, 3, 6, 6)).astype(np.uint8)
    for f in (lambda x: nn.avg_pool2d(x, 3, 2, 1), lambda x: nn.adaptive_avg_pool2d(x, (2, 4)),
              lambda x: nn.avg_pool2d(x, 3, 2, 1, count_include_pad=False)):
        same(f(x), f(x.astype(float)))
        same(f(x > 99), f((x > 99).astype(float)))


def test_windows_of_more_than_255_cells():
    x = RNG.standard_normal((1, 2, 40, 40))
    t = Tensor(x)
    y = nn.max_pool2d(t, 20)
    y.backward(np.ones(y.shape))
    want, _, _ = naive(x, (20, 20), (20, 20), (0, 0), largest)
    np.testing.assert_array_equal(y.data, want)
    np.testing.assert_array_equal(t.grad, np.isin(x, want))


def test_max_pooling_keeps_a_byte_for_each_result():
    x = Tensor(RNG.standard_normal((8, 16, 64, 64)))
    nn.max_pool2d(x, 2)                                 # what a thread needs besides stays
    with memory() as used:
        y = nn.max_pool2d(x, 2)
        kept = used()[0] - y.data.nbytes
        assert kept < y.size * 1.1 + 10_000


# ---------------------------------------------------------------- layers and errors

def test_layers_hand_their_settings_on():
    x = RNG.standard_normal((2, 3, 9, 9))
    for layer, want, text in (
            (nn.MaxPool2d(2), nn.max_pool2d(x, 2), "MaxPool2d(kernel_size=(2, 2))"),
            (nn.MaxPool2d((3, 2), 1, 1), nn.max_pool2d(x, (3, 2), 1, 1),
             "MaxPool2d(kernel_size=(3, 2), stride=(1, 1), padding=(1, 1))"),
            (nn.AvgPool2d(3, padding=1), nn.avg_pool2d(x, 3, padding=1),
             "AvgPool2d(kernel_size=(3, 3), padding=(1, 1))"),
            (nn.AvgPool2d(3, 2, 1, count_include_pad=False),
             nn.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
             "AvgPool2d(kernel_size=(3, 3), stride=(2, 2), padding=(1, 1), "
             "count_include_pad=False)"),
            (nn.AdaptiveAvgPool2d((2, 3)), nn.adaptive_avg_pool2d(x, (2, 3)),
             "AdaptiveAvgPool2d((2, 3))")):
        same(layer(x), want)
        assert repr(layer) == text and layer.parameters() == []


@pytest.mark.parametrize("layer", [nn.MaxPool2d, nn.AvgPool2d])
@pytest.mark.parametrize("arguments, message", [
    ((0,), "kernel_size must be an integer of at least 1, got 0"),
    ((2, 0), "stride must be an integer of at least 1, got 0"),
    ((2, 1, -1), "padding must be an integer of at least 0, got -1"),
    ((2, 1, 2), r"padding \(2, 2\) is more than half of the window \(2, 2\)"),
    (("2",), "kernel_size must be an integer"),
    (((2, 2, 2),), "kernel_size must be an integer or a pair")])
def test_settings_that_are_none(layer, arguments, message):
    with pytest.raises(ValueError, match=layer.__name__ + ": " + message):
        layer(*arguments)
    with pytest.raises(ValueError, match=message):
        (nn.max_pool2d if layer is nn.MaxPool2d else nn.avg_pool2d)(np.ones((1, 1, 5, 5)),
                                                                    *arguments)


@pytest.mark.parametrize("layer", [nn.MaxPool2d(3), nn.AvgPool2d(3)])
@pytest.mark.parametrize("shape, message", [
    ((2, 3, 2, 9), "a window of 3 x 3 pixels does not fit into images of 2 x 9"),
    ((3, 9, 9), r"expects images of shape \(N, C, H, W\), got \(3, 9, 9\)")])
def test_a_window_that_is_too_large_is_named_with_the_layers_path(layer, shape, message):
    with pytest.raises(tn.ShapeError, match=message) as error:
        nn.Sequential(nn.ReLU(), layer)(Tensor(np.ones(shape)))
    assert str(error.value).startswith(f"1 ({layer!r}): ")


def test_adaptive_settings_that_are_none():
    with pytest.raises(ValueError, match="output_size must be an integer of at least 1, got 0"):
        nn.AdaptiveAvgPool2d((2, 0))
    with pytest.raises(tn.ShapeError, match="have no pixels"):
        nn.adaptive_avg_pool2d(np.ones((1, 1, 0, 3)), 2)

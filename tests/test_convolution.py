"""Convolution against loops, finite differences and PyTorch; what it refuses; its memory."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from measuring import memory

import tinygrad_nn as tn
from tinygrad_nn import Tensor, nn
from tinygrad_nn.rules import _convolution_kernels as kernels
from tinygrad_nn.testing import laid_out, layouts

RNG = np.random.default_rng(0)


def same(a, b, **kw):
    np.testing.assert_allclose(a, b, **{"rtol": 1e-11, "atol": 1e-12, **kw})


# ---------------------------------------------------------------- the definition, in loops

def terms(x, w, stride, padding, dilation, groups):
    """(place in y, in w, in x) of every product that a convolution adds up."""
    (n, _, height, width), (outputs, channels, kh, kw) = x, w
    rows, columns = ((size + sum(p) - d * (k - 1) - 1) // s + 1 for size, p, d, k, s in zip(
        (height, width), padding, dilation, (kh, kw), stride, strict=True))
    for m, o, r, c in itertools.product(*map(range, (n, outputs, rows, columns))):
        for q, i, j in itertools.product(*map(range, (channels, kh, kw))):
            h = r * stride[0] + i * dilation[0] - padding[0][0]
            v = c * stride[1] + j * dilation[1] - padding[1][0]
            if 0 <= h < height and 0 <= v < width:
                first = o // (outputs // groups) * channels
                yield (m, o, r, c), (o, q, i, j), (m, first + q, h, v)


def naive(x, w, shape, how):
    y = np.zeros(shape)
    for at, weight, pixel in terms(x.shape, w.shape, *how):
        y[at] += x[pixel] * w[weight]
    return y


def naive_gradients(g, x, w, how):
    dx, dw = np.zeros(x.shape), np.zeros(w.shape)
    for at, weight, pixel in terms(x.shape, w.shape, *how):
        dx[pixel] += g[at] * w[weight]
        dw[weight] += g[at] * x[pixel]
    return dx, dw


@st.composite
def convolutions(draw, most=3):
    """(x, w, b, settings of conv2d, settings in full): small, and of any kind."""
    one_or_two, small, none_to_two = map(st.integers, (1, 1, 0), (2, most, 2))
    groups = draw(st.integers(1, 3))
    channels, each = draw(one_or_two), draw(one_or_two)
    kernel, stride = ((draw(small), draw(small)) for _ in range(2))
    dilation, pad = (draw(one_or_two), draw(one_or_two)), (draw(none_to_two), draw(none_to_two))
    n = draw(none_to_two)
    image = [max(1, d * (k - 1) + 1 - 2 * p) + draw(st.integers(0, most))
             for k, p, d in zip(kernel, pad, dilation, strict=True)]
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    x, w = (laid_out(rng.standard_normal(s), draw(layouts())) for s in (
        (n, groups * channels, *image), (groups * each, channels, *kernel)))
    b = rng.standard_normal(groups * each) if draw(st.booleans()) else None
    full = stride, tuple((p, p) for p in pad), dilation, groups
    return x, w, b, (stride, pad, dilation, groups), full


@settings(max_examples=60, deadline=None)
@given(convolutions(), st.sampled_from([1, 30, 2**18]))
def test_values_and_gradients_are_those_of_loops(drawn, block):
    x, w, b, how, full = drawn
    old, kernels.BLOCK = kernels.BLOCK, block              # of many blocks, or of one
    try:
        x, w = Tensor(x), Tensor(w)
        y = nn.conv2d(x, w, b, *how)
        g = np.random.default_rng(1).standard_normal(y.shape)
        want = naive(x.data, w.data, y.shape, full)
        same(y.data, want if b is None else want + b[:, None, None])
        y.backward(g)
    finally:
        kernels.BLOCK = old
    for got, wanted in zip((x.grad, w.grad), naive_gradients(g, x.data, w.data, full),
                           strict=True):
        same(got, wanted)


@settings(max_examples=25, deadline=None)
@given(convolutions(most=2))
def test_any_convolution_passes_the_gradient_kit(drawn):
    x, w, b, how, _ = drawn
    before = x.copy(), w.copy()
    if b is None:
        assert tn.gradcheck(lambda x, w: nn.conv2d(x, w, None, *how), x, w, order=2)
    else:
        assert tn.gradcheck(lambda x, w, b: nn.conv2d(x, w, b, *how), x, w, b, order=2)
    np.testing.assert_array_equal(x, before[0])
    np.testing.assert_array_equal(w, before[1])


@settings(max_examples=60, deadline=None)
@given(convolutions(), st.sampled_from([np.float32, np.float64]))
def test_torch_agrees(drawn, dtype):
    torch = pytest.importorskip("torch")
    x, w, b, how, _ = drawn
    arrays = [a.astype(dtype) for a in (x, w, b) if a is not None]
    ours = [Tensor(a) for a in arrays]
    theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
    y = nn.conv2d(*ours[:2], *ours[2:] or [None], *how)
    stride, pad, dilation, groups = how
    t = torch.nn.functional.conv2d(*theirs, stride=stride, padding=pad, dilation=dilation,
                                   groups=groups)
    close = {"rtol": 1e-10, "atol": 1e-11} if dtype == np.float64 else {"rtol": 1e-4,
                                                                         "atol": 1e-4}
    same(y.data, t.detach().numpy(), **close)
    assert y.dtype == dtype
    g = np.random.default_rng(1).standard_normal(y.shape).astype(dtype)
    y.backward(g)
    t.backward(torch.tensor(g))
    for a, v in zip(ours, theirs, strict=True):
        same(a.grad, v.grad.numpy(), **close)
        assert a.grad.dtype == dtype


def test_second_order_of_a_network_is_torchs():
    torch = pytest.importorskip("torch")
    x, w, v = (RNG.standard_normal(s) for s in ((2, 3, 7, 6), (4, 3, 3, 2), (2, 2, 3, 3)))
    direction = RNG.standard_normal(w.shape)

    def loss(w, x, v):
        y = nn.conv2d(np.tanh(nn.conv2d(x, w, stride=(2, 1), padding=1)), v, groups=2,
                      dilation=(1, 2))
        return np.sum(np.tanh(y) ** 2)

    def theirs(w, x, v):
        conv = torch.nn.functional.conv2d
        y = conv(conv(x, w, stride=(2, 1), padding=1).tanh(), v, groups=2, dilation=(1, 2))
        return (y.tanh() ** 2).sum()
    got = tn.hvp(lambda w: loss(w, x, v), w, direction)
    tx, tv, td = map(torch.tensor, (x, v, direction))
    _, want = torch.autograd.functional.hvp(lambda w: theirs(w, tx, tv), torch.tensor(w), td)
    same(got, want.numpy(), rtol=1e-10)
    twice = tn.grad(lambda w: np.sum(tn.grad(loss, argnums=1)(w, x, v) ** 2))(w)
    leaf, pixels = torch.tensor(w, requires_grad=True), torch.tensor(x, requires_grad=True)
    inner, = torch.autograd.grad(theirs(leaf, pixels, tv), pixels, create_graph=True)
    (inner ** 2).sum().backward()
    same(twice, leaf.grad.numpy(), rtol=1e-10)


# ---------------------------------------------------------------- details

@pytest.mark.parametrize("kernel, dilation", [(1, 1), (3, 1), (4, 1), ((2, 5), (3, 2))])
def test_same_padding_gives_as_many_outputs_as_pixels(kernel, dilation):
    x = RNG.standard_normal((2, 1, 6, 9))
    layer = nn.Conv2d(1, 1, kernel, padding="same", dilation=dilation, rng=0, dtype=np.float64)
    y = layer(x)
    assert y.shape == x.shape
    kh, kw = layer.weight.shape[2:]
    total = [d * (k - 1) for k, d in zip((kh, kw), layer.dilation, strict=True)]
    wide = np.pad(x, ((0, 0), (0, 0), *((n // 2, n - n // 2) for n in total)))
    same(y.data, nn.conv2d(wide, layer.weight, layer.bias, dilation=dilation).data)
    valid = nn.conv2d(x, layer.weight, padding="valid", dilation=1)
    assert valid.shape[2:] == (6 - kh + 1, 9 - kw + 1)


@pytest.mark.parametrize("images, weights, result", [
    (np.float32, np.float32, np.float32), (np.float32, np.float64, np.float64),
    (np.uint8, np.float32, np.float32), (np.float64, np.float32, np.float64)])
def test_dtypes_are_numpys(images, weights, result):
    x = RNG.integers(0, 255, (2, 3, 5, 5)).astype(images)
    w = Tensor(RNG.standard_normal((4, 3, 3, 3)).astype(weights))
    y = nn.conv2d(x, w)
    y.sum().backward()
    assert y.dtype == result and w.grad.dtype == weights
    want = naive(x, w.data, y.shape, ((1, 1), ((0, 0), (0, 0)), (1, 1), 1))
    same(y.data, want, rtol=1e-4 if result == np.float32 else 1e-12, atol=1e-2)


def test_the_gradient_of_images_is_not_computed_where_nobody_asks(monkeypatch):
    monkeypatch.setattr(kernels, "conv2d_dx", lambda *args: pytest.fail("computed"))
    layer = nn.Conv2d(3, 4, 3, rng=0)
    layer(np.ones((1, 3, 5, 5), np.float32)).sum().backward()
    assert layer.weight.grad.shape == (4, 3, 3, 3)
    layer.freeze()
    assert isinstance(layer(np.ones((1, 3, 5, 5), np.float32)), np.ndarray)


def test_a_channel_by_itself_and_a_pixel_at_a_time():
    x = RNG.standard_normal((2, 6, 5, 5))
    w = RNG.standard_normal((6, 1, 3, 3))
    y = nn.conv2d(x, w, groups=6)
    for c in range(6):
        same(y[:, c:c + 1], nn.conv2d(x[:, c:c + 1], w[c:c + 1]))
    w = RNG.standard_normal((4, 6, 1, 1))
    same(nn.conv2d(x, w), np.einsum("ocij,nchw->nohw", w, x))


def test_many_images_need_no_more_buffer_than_a_few():
    x, w = np.ones((64, 8, 64, 64), np.float32), np.ones((8, 8, 3, 3), np.float32)
    y = nn.conv2d(x, w)
    how = ((1, 1), ((0, 0), (0, 0)), (1, 1), 1)
    for f, result in (
            (lambda n: kernels.conv2d(x[:n], w, None, *how), y.nbytes),
            (lambda n: kernels.conv2d_dx(y[:n], w, x[:n].shape, *how), x.nbytes),
            (lambda n: kernels.conv2d_dw(y[:n], x[:n], w.shape, *how), w.nbytes)):
        f(2)                                                # with numba it compiles
        with memory() as used:
            f(64)
            assert used()[1] < result + 4 * 2**20           # all patches: 72 MB


# ---------------------------------------------------------------- the layer

@pytest.mark.filterwarnings("ignore:Using padding='same'")
def test_the_layer_is_torchs():
    torch = pytest.importorskip("torch")
    for settings_ in ({}, {"stride": 2, "padding": 1, "groups": 2}, {"padding": "same"},
                      {"dilation": (1, 2), "bias": False, "padding": (2, 0)}):
        theirs = torch.nn.Conv2d(4, 6, (3, 2), **settings_, dtype=torch.float64)
        ours = nn.Conv2d(4, 6, (3, 2), **settings_, dtype=np.float64)
        ours.load_state_dict(theirs.state_dict())
        x = RNG.standard_normal((2, 4, 7, 8))
        same(ours(x).data, theirs(torch.tensor(x)).detach().numpy(), rtol=1e-10)


def test_the_layers_parameters():
    layer = nn.Conv2d(4, 100, (3, 5), groups=2, rng=0)
    assert [(n, p.shape) for n, p in layer.named_parameters()] == [
        ("weight", (100, 2, 3, 5)), ("bias", (100,))]
    bound = 1 / np.sqrt(2 * 3 * 5)
    for p in layer.parameters():
        assert p.dtype == np.float32
        assert 0.9 * bound < np.abs(p.data).max() <= bound and abs(p.data.mean()) < bound / 4
    same(layer.weight.data, nn.Conv2d(4, 100, (3, 5), groups=2, rng=0).weight.data)
    assert layer._multiply_adds((8, 4, 9, 9), (8, 100, 7, 5)) == 8 * 100 * 7 * 5 * 2 * 3 * 5
    assert repr(layer) == "Conv2d(4, 100, kernel_size=(3, 5), groups=2)"
    other = nn.Conv2d(1, 1, 3, 2, "valid", 3, bias=False)
    assert repr(other) == ("Conv2d(1, 1, kernel_size=(3, 3), stride=(2, 2), padding='valid', "
                           "dilation=(3, 3), bias=False)")


# ---------------------------------------------------------------- errors

@pytest.mark.parametrize("arguments, message", [
    ({"in_channels": 0}, "in_channels must be an integer of at least 1, got 0"),
    ({"out_channels": 2.5}, "out_channels must be an integer"),
    ({"kernel_size": 0}, "kernel_size must be an integer of at least 1, got 0"),
    ({"kernel_size": (3, 3, 3)}, r"kernel_size must be an integer or a pair.*\(3, 3, 3\)"),
    ({"stride": 0}, "Conv2d: stride must be an integer of at least 1, got 0"),
    ({"stride": (1, 0)}, "stride must be an integer of at least 1, got 0"),
    ({"padding": -1}, "padding must be an integer of at least 0, got -1"),
    ({"padding": "full"}, "padding must be 'same', 'valid' or numbers, got 'full'"),
    ({"padding": "same", "stride": 2}, r"padding='same' needs stride 1, got \(2, 2\)"),
    ({"dilation": 0}, "dilation must be an integer of at least 1, got 0"),
    ({"groups": 0}, "groups must be an integer of at least 1, got 0"),
    ({"groups": 3}, "in_channels=4 does not divide into groups=3"),
    ({"groups": 4}, "out_channels=6 does not divide into groups=4")])
def test_settings_that_are_none(arguments, message):
    with pytest.raises(ValueError, match=message):
        nn.Conv2d(**{"in_channels": 4, "out_channels": 6, "kernel_size": 3, **arguments})


@pytest.mark.parametrize("shape, arguments, message", [
    ((2, 3, 8, 8), {}, r"\(2, 3, 8, 8\) have 3 channels, weights.* expect 4"),
    ((2, 4, 8), {}, r"expects images of shape \(N, C, H, W\), got \(2, 4, 8\)"),
    ((2, 4, 2, 8), {}, "a window of 3 x 3 pixels does not fit into images of 2 x 8$"),
    ((2, 4, 3, 8), {"dilation": 3, "padding": 1},
     "a window of 7 x 7 pixels does not fit into images of 3 x 8, 5 x 10 with their padding")])
def test_images_that_do_not_fit_are_named_with_the_layers_path(shape, arguments, message):
    model = nn.Sequential(nn.ReLU(), nn.Sequential(nn.Conv2d(4, 6, 3, **arguments)))
    for x in (np.ones(shape, np.float32), Tensor(np.ones(shape))):
        with pytest.raises(tn.ShapeError, match=message) as error:
            model(x)
        assert str(error.value).startswith("1.0 (Conv2d(4, 6, kernel_size=(3, 3)")


@pytest.mark.parametrize("w, b, groups, message", [
    ((4, 3, 3), None, 1, r"kernels of shape \(O, C / groups, kh, kw\), got \(4, 3, 3\)"),
    ((4, 1, 3, 3), None, 3, "4 kernels .* cannot be put into 3 groups"),
    ((4, 3, 0, 3), None, 1, "cannot be put"),
    ((4, 3, 3, 3), (3,), 1, r"a bias of shape \(3,\) for 4 kernels"),
    ((4, 3, 3, 3), (), 1, r"a bias of shape \(\) for 4 kernels")])
def test_weights_that_do_not_fit(w, b, groups, message):
    with pytest.raises(tn.ShapeError, match=message):
        nn.conv2d(Tensor(np.ones((1, 3, 5, 5))), np.ones(w), b if b is None else np.ones(b),
                  groups=groups)

"""Initialisers: ranges, moments, fans, seeds; orthogonality; what is refused."""

import math

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn.nn import init

SHAPE = (60, 40, 3, 2)                          # fan-in 240, fan-out 360
BOUNDS = {  # name: (call, bound of a uniform distribution or None, standard deviation)
    "uniform": (lambda **kw: init.uniform(SHAPE, -0.5, 0.5, **kw), 0.5, 0.5 / math.sqrt(3)),
    "normal": (lambda **kw: init.normal(SHAPE, std=0.7, **kw), None, 0.7),
    "xavier_uniform": (lambda **kw: init.xavier_uniform(SHAPE, 2.0, **kw),
                       2 * math.sqrt(6 / 600), 2 * math.sqrt(2 / 600)),
    "xavier_normal": (lambda **kw: init.xavier_normal(SHAPE, **kw), None, math.sqrt(2 / 600)),
    "kaiming_uniform": (lambda **kw: init.kaiming_uniform(SHAPE, **kw), math.sqrt(6 / 240),
                        math.sqrt(2 / 240)),
    "kaiming_normal": (lambda **kw: init.kaiming_normal(SHAPE, 0.5, "fan_out", **kw), None,
                       math.sqrt(2 / (1.25 * 360))),
    "lecun_normal": (lambda **kw: init.lecun_normal(SHAPE, **kw), None, math.sqrt(1 / 240)),
}


@pytest.mark.parametrize("name", BOUNDS)
def test_ranges_and_moments(name):
    call, bound, std = BOUNDS[name]
    x = call(rng=0)
    assert x.shape == SHAPE and x.dtype == np.float32
    assert x.std() == pytest.approx(std, rel=0.03)
    assert abs(x.mean()) < 4 * std / math.sqrt(x.size)
    if bound is None:
        assert 3.3 < np.abs(x).max() / std < 6          # tails as of a normal distribution
        assert np.mean(np.abs(x) < std) == pytest.approx(0.6827, abs=0.02)
    else:
        assert 0.999 * bound < np.abs(x).max() <= np.float32(bound)


@pytest.mark.parametrize("call", [
    *(call for call, _, _ in BOUNDS.values()), lambda **kw: init.orthogonal(SHAPE, **kw),
    lambda **kw: init.trunc_normal(SHAPE, **kw)])
def test_the_seed_decides_and_precision_does_not(call):
    x = call(rng=7, dtype=np.float64)
    assert x.dtype == np.float64
    np.testing.assert_array_equal(call(rng=np.random.default_rng(7)), x.astype(np.float32))
    assert (call(rng=8) != x.astype(np.float32)).any()
    rng = np.random.default_rng(7)
    first, second = call(rng=rng), call(rng=rng)
    assert (first != second).any()
    assert (call() != call()).any()


def test_constants():
    np.testing.assert_array_equal(init.zeros((2, 3)), np.zeros((2, 3), np.float32))
    np.testing.assert_array_equal(init.ones(4, dtype=np.float64), np.ones(4))
    np.testing.assert_array_equal(init.constant((), 2.5), np.float32(2.5))
    assert init.normal((), rng=0).shape == init.trunc_normal((), rng=0).shape == ()
    assert init.zeros(3).dtype == np.float32 and init.ones(3, dtype=float).dtype == np.float64


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 4), (6, 2, 2), (2, 3, 2, 1), (1, 1)])
def test_orthogonal(shape):
    w = init.orthogonal(shape, gain=3.0, rng=0, dtype=np.float64)
    assert w.shape == shape
    w = w.reshape(shape[0], -1)
    product = w @ w.T if w.shape[0] <= w.shape[1] else w.T @ w
    np.testing.assert_allclose(product, 9 * np.eye(len(product)), atol=1e-12)


def test_orthogonal_matrices_are_drawn_evenly():
    """Without the sign of R the corner of Q would always be negative, or always positive."""
    corners = np.array([init.orthogonal((3, 3), rng=k)[0, 0] for k in range(200)])
    assert 60 < (corners > 0).sum() < 140 and abs(corners.mean()) < 0.15


@pytest.mark.parametrize(("mean", "std", "low", "high"), [
    (0.0, 1.0, -2.0, 2.0), (0.5, 0.02, 0.46, 0.54), (0.0, 1.0, -np.inf, np.inf),
    (0.0, 1.0, 1.0, 1.5), (0.0, 1.0, 4.0, 20.0), (1.0, 2.0, -9.0, 0.0)])
def test_trunc_normal(mean, std, low, high):
    x = init.trunc_normal(20000, mean, std, low, high, rng=0, dtype=np.float64)
    assert low <= x.min() and x.max() <= high
    a, b = (low - mean) / std, (high - mean) / std
    part = (tn.erfc(a / math.sqrt(2)) - tn.erfc(b / math.sqrt(2))) / 2
    density = [math.exp(-v * v / 2) / math.sqrt(2 * math.pi) for v in (a, b)]
    expected = mean + std * (density[0] - density[1]) / part
    assert x.mean() == pytest.approx(expected, abs=5 * x.std() / math.sqrt(x.size))
    for q in (0.1, 0.5, 0.9):                            # the share below each quantile
        v = (np.quantile(x, q) - mean) / std
        below = (tn.erfc(a / math.sqrt(2)) - tn.erfc(v / math.sqrt(2))) / 2
        assert below / part == pytest.approx(q, abs=0.02)


@pytest.mark.parametrize("call", [init.xavier_uniform, init.xavier_normal, init.lecun_normal,
                                  init.kaiming_uniform, init.kaiming_normal, init.orthogonal])
@pytest.mark.parametrize("shape", [(3,), (), 4, (3, 0), (0, 3)])
def test_weights_without_fans(call, shape):
    with pytest.raises(tn.ShapeError, match=rf"init\.{call.__name__} is for weights of shape"):
        call(shape)


@pytest.mark.parametrize(("call", "sentence"), [
    (lambda: init.uniform(3, 2.0, 1.0), r"low=2\.0 must not be above high=1\.0"),
    (lambda: init.normal(3, std=-1.0), "std must be at least 0, got -1.0"),
    (lambda: init.trunc_normal(3, std=0.0), "std must be positive"),
    (lambda: init.trunc_normal(3, low=1.0, high=1.0), "leave nothing of a normal"),
    (lambda: init.trunc_normal(3, low=20.0, high=30.0), "leave nothing of a normal"),
    (lambda: init.kaiming_normal((2, 2), mode="fan"), "mode='fan', expected 'fan_in' or")])
def test_refusals(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()


def test_bounds_and_deviations_are_pytorchs():
    torch = pytest.importorskip("torch")
    generator = torch.Generator().manual_seed(0)
    w = torch.empty(SHAPE, dtype=torch.float64)
    for name, arguments in (("xavier_uniform", {"gain": 2.0}), ("xavier_normal", {"gain": 0.5}),
                            ("kaiming_uniform", {"a": 0.3}),
                            ("kaiming_normal", {"a": 1.0, "mode": "fan_out"}),
                            ("orthogonal", {"gain": 2.0}), ("trunc_normal", {"std": 0.5})):
        theirs = getattr(torch.nn.init, name + "_")(w, generator=generator, **arguments)
        ours = getattr(init, name)(SHAPE, rng=0, dtype=np.float64, **arguments)
        assert ours.std() == pytest.approx(theirs.std().item(), rel=0.03)
        if name.endswith("uniform"):
            assert np.abs(ours).max() == pytest.approx(theirs.abs().max().item(), rel=1e-3)

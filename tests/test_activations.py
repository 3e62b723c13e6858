"""Activations: formulas, kinks, extremes, the error function, and PyTorch as an oracle."""

import math

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn import Tensor, nn

A = np.array
X = np.concatenate([np.linspace(-8, 8, 65) + 0.01, A([0.3, -30.0, 30.0, 1e-9])])


def phi(x):
    return math.erfc(-x / math.sqrt(2)) / 2


def density(x):
    return math.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def logistic(x):
    return math.exp(min(x, 0)) / (1 + math.exp(-abs(x)))


FORMULAS = {  # name: (function, the value for one number)
    "leaky_relu": (tn.leaky_relu, lambda x: x if x > 0 else 0.01 * x),
    "leaky_relu, 0.3": (lambda x: tn.leaky_relu(x, 0.3), lambda x: x if x > 0 else 0.3 * x),
    "elu": (tn.elu, lambda x: x if x > 0 else math.expm1(x)),
    "elu, 2": (lambda x: tn.elu(x, alpha=2.0), lambda x: x if x > 0 else 2 * math.expm1(x)),
    "silu": (tn.silu, lambda x: x * logistic(x)),
    "gelu": (tn.gelu, lambda x: x * phi(x)),
    "gelu, tanh": (lambda x: tn.gelu(x, "tanh"), lambda x: x * logistic(
        2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x ** 3))),
    "softplus": (tn.softplus, lambda x: max(x, 0) + math.log1p(math.exp(-abs(x)))),
    "sigmoid": (tn.sigmoid, logistic),
    "erf": (tn.erf, math.erf),
    "erfc": (tn.erfc, math.erfc),
}
SLOPES = {
    "leaky_relu": lambda x: 1.0 if x > 0 else 0.01,
    "elu": lambda x: 1.0 if x > 0 else math.exp(x),
    "silu": lambda x: logistic(x) * (1 + x * logistic(-x)),
    "gelu": lambda x: phi(x) + x * density(x),
    "erf": lambda x: 2 / math.sqrt(math.pi) * math.exp(-x * x),
    "erfc": lambda x: -2 / math.sqrt(math.pi) * math.exp(-x * x),
}
CURVES = {
    "leaky_relu": lambda x: 0.0,
    "elu": lambda x: 0.0 if x > 0 else math.exp(x),
    "silu": lambda x: logistic(x) * logistic(-x) * (
        2 + x * (logistic(-x) - logistic(x))),
    "gelu": lambda x: density(x) * (2 - x * x),
    "erf": lambda x: -4 * x / math.sqrt(math.pi) * math.exp(-x * x),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_values_are_those_of_the_formula(name):
    f, formula = FORMULAS[name]
    want = A([formula(float(x)) for x in X])
    np.testing.assert_allclose(f(X), want, rtol=3e-13, atol=1e-300)
    single = f(X.astype(np.float32))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, want, rtol=3e-5, atol=1e-30)
    assert f(X[:0]).shape == (0,) and np.ndim(f(0.5)) == 0 and f(X[:6].reshape(2, 3)).ndim == 2
    np.testing.assert_array_equal(f(X[::-2]), f(X)[::-2])
    t = f(Tensor(X))
    np.testing.assert_array_equal(t.data, f(X))


@pytest.mark.parametrize("name", SLOPES)
def test_first_derivatives(name):
    f, slope = FORMULAS[name][0], SLOPES[name]
    want = A([slope(float(x)) for x in X])
    got = tn.grad(lambda x: np.sum(f(x)))(X)
    np.testing.assert_allclose(got, want, rtol=1e-13, atol=1e-16)
    np.testing.assert_allclose(tn.jvp(f, (X,), (np.ones_like(X),))[1], want, rtol=1e-13,
                               atol=1e-16)
    w = Tensor(X.astype(np.float32))
    f(w).sum().backward()
    assert w.grad.dtype == np.float32
    np.testing.assert_allclose(w.grad, want, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", CURVES)
def test_second_derivatives(name):
    f = FORMULAS[name][0]
    want = A([CURVES[name](float(x)) for x in X])
    got = tn.hvp(lambda x: np.sum(f(x)), X, np.ones_like(X))
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-14)
    twice = tn.grad(lambda x: np.sum(tn.grad(lambda x: np.sum(f(x)))(x)))(X)
    np.testing.assert_allclose(twice, want, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["elu", "silu", "gelu", "gelu, tanh"])
def test_extremes(name, dtype):
    """No overflow and no nan, not even at infinity, up to the second order."""
    f = FORMULAS[name][0]
    big = np.finfo(dtype).max
    x = A([-np.inf, -big, -1e4, -800.0, 800.0, 1e4, big, np.inf], dtype)
    one = np.ones_like(x)
    with np.errstate(divide="raise", over="raise", invalid="raise"), tn.debug_nans():
        y = f(x)
        first = [tn.grad(lambda v: f(v[0]))(x[i:i + 1])[0] for i in range(len(x))]
        forward = tn.jvp(f, (x,), (one,))[1]
        second = [tn.grad(tn.grad(f))(v) for v in x]
    np.testing.assert_array_equal(y, np.where(x > 0, x, -1.0 if name == "elu" else 0.0))
    np.testing.assert_array_equal(first, (x > 0).astype(dtype))
    np.testing.assert_array_equal(forward, first)
    np.testing.assert_array_equal(second, 0)
    assert y.dtype == dtype and forward.dtype == dtype


def test_kinks():
    for f, at_zero in ((tn.relu, 0.0), (tn.leaky_relu, 0.01), (lambda x: tn.elu(x, 0.5), 0.5),
                       (lambda x: tn.leaky_relu(x, 0.2), 0.2)):
        assert tn.grad(f)(0.0) == at_zero
        assert tn.jvp(f, (0.0,), (1.0,))[1] == at_zero
    assert tn.grad(tn.grad(tn.elu))(0.0) == 0


def test_a_dead_side_stays_dead():
    """Beyond a kink nothing of the other side's derivative remains, though it overflows."""
    def f(x):
        return np.sum(tn.elu(x) ** 2)
    np.testing.assert_allclose(tn.grad(f)(A([800.0, 1e30])), [1600, 2e30])
    np.testing.assert_allclose(tn.hvp(f, A([800.0, 1e30]), np.ones(2)), [2, 2])


# ---------------------------------------------------------------- the error function

def test_erf_and_erfc_are_exact_to_a_few_units_in_the_last_place():
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.uniform(-27, 27, 5000), rng.normal(size=5000), [0.46875, 4, -4],
                        rng.uniform(-0.47, 0.47, 2000), 10.0 ** rng.uniform(-300, 0, 500)])
    np.testing.assert_allclose(tn.erf(x), [math.erf(v) for v in x], rtol=1e-15)
    want = A([math.erfc(v) for v in x])
    normal = want > 1e-307
    np.testing.assert_allclose(tn.erfc(x)[normal], want[normal], rtol=1.5e-15)
    for dtype in (np.float32, np.float16):
        got = tn.erfc(x[:100].astype(dtype))
        assert got.dtype == dtype
        np.testing.assert_allclose(got, [math.erfc(v) for v in x[:100].astype(dtype)],
                                   rtol=20 * np.finfo(dtype).eps, atol=1e-7)


def test_erf_at_the_ends():
    ends = A([-np.inf, -1e300, -0.0, 0.0, 1e300, np.inf, np.nan])
    with np.errstate(divide="raise", over="raise", invalid="raise"):
        np.testing.assert_array_equal(tn.erf(ends), [-1, -1, -0.0, 0, 1, 1, np.nan])
        np.testing.assert_array_equal(tn.erfc(ends), [2, 2, 1, 1, 0, 0, np.nan])
    assert np.signbit(tn.erf(-0.0))
    assert tn.erf([0, 1]).dtype == np.float64 and isinstance(tn.erf(0.5), np.float64)


def test_erf_goes_block_by_block_over_any_layout():
    x = np.random.default_rng(0).normal(size=(3, 2, 5000))
    want = np.vectorize(math.erf)(x[:, :, ::9])
    np.testing.assert_allclose(tn.erf(x)[:, :, ::9], want, rtol=1e-15)
    np.testing.assert_array_equal(tn.erf(x.T), tn.erf(x).T)
    np.testing.assert_array_equal(tn.erf(x[::-1, :, ::3]), tn.erf(x)[::-1, :, ::3])


# ---------------------------------------------------------------- layers

LAYERS = {
    "ReLU()": (nn.ReLU(), tn.relu), "LeakyReLU(negative_slope=0.01)": (
        nn.LeakyReLU(), tn.leaky_relu),
    "LeakyReLU(negative_slope=0.2)": (nn.LeakyReLU(0.2), lambda x: tn.leaky_relu(x, 0.2)),
    "ELU(alpha=1.0)": (nn.ELU(), tn.elu), "ELU(alpha=0.5)": (
        nn.ELU(0.5), lambda x: tn.elu(x, 0.5)),
    "GELU(approximate='none')": (nn.GELU(), tn.gelu), "GELU(approximate='tanh')": (
        nn.GELU("tanh"), lambda x: tn.gelu(x, "tanh")),
    "SiLU()": (nn.SiLU(), tn.silu), "Softplus()": (nn.Softplus(), tn.softplus),
    "Tanh()": (nn.Tanh(), np.tanh), "Sigmoid()": (nn.Sigmoid(), tn.sigmoid),
    "Softmax(dim=-1)": (nn.Softmax(), tn.softmax),
    "Softmax(dim=0)": (nn.Softmax(0), lambda x: tn.softmax(x, axis=0)),
}


@pytest.mark.parametrize("text", LAYERS)
def test_layers(text):
    layer, f = LAYERS[text]
    x = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    assert repr(layer) == text and layer.parameters() == [] and layer.state_dict() == {}
    assert type(layer(x)) is np.ndarray and layer(x).dtype == np.float32
    np.testing.assert_array_equal(layer(x), f(x))
    assert isinstance(layer(Tensor(x)), Tensor)
    assert tn.gradcheck(layer, x.astype(float), order=2)


@pytest.mark.parametrize("dim", [2, -3])
def test_softmax_over_an_axis_that_is_none_is_named_with_its_path(dim):
    with pytest.raises(tn.ShapeError, match=rf"^0: Softmax\(dim={dim}\): there is no such axis "
                       r"in shape \(4, 3\)"):
        nn.Sequential(nn.Softmax(dim))(np.ones((4, 3)))
    assert nn.Softmax()(3.0) == 1


@pytest.mark.parametrize("f", [tn.softmax, tn.log_softmax, tn.logsumexp])
def test_integers_count_as_floats(f):
    z = A([[1, 2], [3, -4]])
    for kind in (int, np.uint8, np.bool_):
        np.testing.assert_array_equal(f(z.astype(kind)), f(z.astype(kind).astype(float)))
    np.testing.assert_array_equal(f(z.tolist()), f(z))


@pytest.mark.parametrize("wrong", ["erf", None, True])
def test_gelu_refuses_other_approximations(wrong):
    for use in (lambda: nn.GELU(wrong), lambda: tn.gelu(X, wrong),
                lambda: tn.gelu(Tensor(X), approximate=wrong)):
        with pytest.raises(ValueError, match=r"approximate=.*expected 'none' or 'tanh'"):
            use()


# ---------------------------------------------------------------- PyTorch

@pytest.mark.parametrize("name", [
    "ReLU", "LeakyReLU", "ELU", "GELU", "SiLU", "Softplus", "Tanh", "Sigmoid", "Softmax",
    "GELU tanh", "ELU 0.3"])
def test_pytorch_agrees_to_second_order(name):
    torch = pytest.importorskip("torch")
    kind, _, setting = name.partition(" ")
    args = ([{"tanh": "tanh"}.get(setting) or float(setting)] if setting
            else [-1] if kind == "Softmax" else [])
    keywords = {"approximate": args.pop()} if setting == "tanh" else {}
    ours = getattr(nn, kind)(*args, **keywords)
    theirs = getattr(torch.nn, kind)(*args, **keywords)
    rng = np.random.default_rng(0)
    x, w = rng.normal(0, 3, (6, 8)), rng.normal(size=(6, 8))
    x[0, :2] = 0.0
    t = torch.tensor(x, requires_grad=True)
    y = theirs(t)
    g, = torch.autograd.grad((y * torch.tensor(w)).sum(), t, create_graph=True)
    h, = torch.autograd.grad((g ** 2).sum(), t)

    def first(x):
        return tn.grad(lambda x: np.sum(ours(x) * w))(x)
    for got, want in ((ours(x), y.detach()), (first(x), g.detach()),
                      (tn.grad(lambda x: np.sum(first(x) ** 2))(x), h)):
        np.testing.assert_allclose(got, want.numpy(), rtol=1e-10, atol=1e-10)


def test_pytorch_agrees_on_erf():
    torch = pytest.importorskip("torch")
    np.testing.assert_allclose(tn.erf(X), torch.erf(torch.tensor(X)).numpy(), rtol=1e-15)
    np.testing.assert_allclose(tn.erfc(X), torch.erfc(torch.tensor(X)).numpy(), rtol=1e-14)

"""Transforms within transforms, beside backward(), no_grad and stop_gradient."""

import itertools
import random

import numpy as np
import pytest
from derivatives import ONCE, by_vjp, forward, same

import tinygrad_nn as tn
from tinygrad_nn import Tensor

A = np.array


# ---------------------------------------------------------------- nesting

def smooth(x):
    return np.sin(x) * np.exp(-x * x / 2) + x ** 3 / (1 + x * x) + np.tanh(x)


@pytest.mark.parametrize("order", [*itertools.product(ONCE, repeat=2),
                          ("grad", "jvp", "grad"), ("jvp", "grad", "jvp"), ("grad",) * 3,
                            ("jvp",) * 3, ("vjp", "jvp", "jacobian"), ("jvp", "jvp", "grad"),
                            ("grad", "grad", "jvp"), ("jacobian", "grad", "vjp"), ("grad",) * 4,
                            ("jvp", "grad", "jvp", "grad"), ("jvp",) * 4])
def test_transforms_nest_in_any_order(order):
    f = smooth
    for name in order:
        f = ONCE[name](f)
    x, n = 0.7, len(order)
    series = np.polynomial.chebyshev.Chebyshev.interpolate(smooth, 60, [x - 1, x + 1])
    same(f(x), series.deriv(n)(x), rtol=1e-8)


ELEMENTWISE = [np.sin, np.tanh, tn.softplus, np.abs, tn.relu, lambda x: x ** 2, np.arctan,
               lambda x: np.where(x > 0.1, x, 0.3 * x), lambda x: np.clip(x, -0.7, 0.9),
               lambda x: 2.0 / (3 + np.sin(x)), lambda x: 2.0 ** np.tanh(x),
               lambda x: np.sqrt(1 + x * x), lambda x: np.arctan2(x, 2.0)]
PAIRS = [lambda a, b: a + b, lambda a, b: a * b, lambda a, b: a / (2 + np.sin(b)), np.maximum,
         np.minimum, np.hypot, np.logaddexp, lambda a, b: np.where(a > b, a * b, np.tanh(b))]
SHAPES = [lambda x: np.sum(x) * 0.2, lambda x: x.reshape(-1), lambda x: x.T, lambda x: x[None],
          lambda x: np.sum(x, axis=0) * 0.4, lambda x: np.mean(x, axis=-1, keepdims=True),
          lambda x: np.max(x, axis=0), lambda x: np.cumsum(x, axis=-1) * 0.4,
          lambda x: np.sort(x, axis=-1), lambda x: tn.softmax(x), lambda x: x[::-1],
          lambda x: tn.logsumexp(x, axis=-1), lambda x: np.take(x, [0, -1, 0], axis=0),
          lambda x: np.linalg.norm(x, axis=-1), lambda x: np.var(x, axis=0),
          lambda x: x[..., None] * x[..., None, :] * 0.3, lambda x: x[A([0, 0])],
          lambda x: np.concatenate([x, 2 * x]),
          lambda x: np.einsum("...i,...i->...", x, x) * 0.3,
          lambda x: x @ np.ones((np.shape(x)[-1], 2)) * 0.3, lambda x: np.outer(x, x)[:2] * 0.3]


def random_program(seed):
    def f(x):
        draw = random.Random(seed)
        values = [x]
        for _ in range(10):
            a, b = draw.choice(values[-3:]), draw.choice(values[-4:])
            kind = draw.random()
            if kind < 0.35:
                a = draw.choice(ELEMENTWISE)(a)
            elif kind < 0.65:
                same_shape = np.shape(a) == np.shape(b)
                a = draw.choice(PAIRS)(a, b if same_shape else np.sum(b) * 0.1)
            else:
                a = draw.choice(SHAPES if np.ndim(a) else ELEMENTWISE)(a)
            values.append(a if np.size(a) < 40 else np.sum(a) * 0.1)
        return values[-1] * 1.0
    return f


@pytest.mark.parametrize("seed", range(40))
def test_all_transforms_agree_on_random_programs(seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=[(3,), (2, 2), (2, 3), (1,), (1, 3)][seed % 5])
    f = random_program(seed)
    y, v = f(x), rng.normal(size=x.shape)
    w = rng.normal(size=np.shape(y))
    total = lambda x: np.sum(f(x) * w)
    along = lambda g: lambda x: tn.jvp(g, (x,), (v,))[1]
    jac, units = tn.jacobian(f)(x), np.eye(x.size).reshape(x.size, *x.shape)
    columns = np.stack([tn.jvp(f, (x,), (u,))[1] for u in units], axis=-1)
    near = lambda a, b: same(a, b, rtol=1e-7, atol=1e-9 * max(1, np.max(np.abs(b))))
    near(jac, columns.reshape(jac.shape))
    first = np.tensordot(w, jac, w.ndim)
    near(tn.vjp(f, x)[1](w)[0], first)
    near(along(f)(x), np.tensordot(jac, v, v.ndim))
    leaf = Tensor(x)
    f(leaf).backward(w)
    near(leaf.grad, first)
    step = lambda g, u: (g(x + 1e-6 * u) - g(x - 1e-6 * u)) / 2e-6
    same([step(total, u) for u in units], first.ravel(), rtol=1e-4, atol=1e-5)
    second = np.tensordot(tn.hessian(total)(x), v, v.ndim)
    near(tn.hvp(total, x, v), second)
    near(tn.grad(lambda x: np.sum(tn.grad(total)(x) * v))(x), second)
    near(tn.grad(along(total))(x), second)
    near(along(along(total))(x), np.sum(second * v))


def test_forward_over_reverse_over_forward_of_arrays():
    rng = np.random.default_rng(0)
    x, u, v = rng.normal(size=(3, 4))
    f = lambda x: np.sum(np.exp(x) * np.sin(x[::-1]))
    inner = lambda x: tn.jvp(f, (x,), (u,))[1]
    got = tn.jvp(tn.grad(inner), (x,), (v,))[1]
    d3 = tn.jacobian(tn.hessian(f))(x)
    same(got, np.einsum("ijk,j,k->i", d3, u, v))
    outer = lambda x: np.sum(tn.jvp(tn.grad(f), (x,), (u,))[1] * v)
    same(tn.grad(outer)(x), np.einsum("ijk,j,k->i", d3, u, v))


@pytest.mark.parametrize("outer", ONCE)
@pytest.mark.parametrize("inner", ONCE)
def test_perturbations_are_not_confused(outer, inner):
    d, e = ONCE[outer], ONCE[inner]
    assert d(lambda x: x * e(lambda y: x + y)(1.0))(3.0) == 1
    assert d(lambda x: x * e(lambda y: x * y)(2.0))(3.0) == 6
    assert d(lambda x: e(lambda y: x * x * y)(x))(3.0) == 6
    assert d(lambda x: e(lambda y: y * y * x)(x))(3.0) == 12
    assert d(lambda x: x * e(lambda y: e(lambda z: x * y * z)(y))(x))(3.0) == 6


def test_a_closure_that_keeps_the_variable_of_another_transform():
    # the amazing bug of Manzyuk et al.: the derivative of a function of functions
    def shift(f):
        return lambda u: lambda x: f(x + u)
    derivative = lambda g: lambda f: lambda x: tn.jvp(lambda u: g(u)(f)(x), (0.0,), (1.0,))[1]
    hat = derivative(lambda u: lambda f: shift(f)(u))
    same(hat(hat(np.exp))(1.0), np.exp(1.0))
    same(tn.grad(lambda u: tn.grad(lambda x: np.exp(x + u) * u)(0.0))(1.0), 2 * np.exp(1.0))


def test_inner_results_are_boxes_of_the_outer_transform_only():
    seen = []

    def f(x):
        g = tn.grad(lambda y: y ** 3)(x)
        seen.append(g)
        constant = tn.grad(lambda y: y ** 3)(2.0)
        seen.append(constant)
        return g * constant
    assert tn.grad(f)(1.0) == 6 * 12
    assert isinstance(seen[0], Tensor) and type(seen[1]) is np.ndarray


def test_second_derivatives_through_every_transform_in_a_loss():
    """A small physics-informed loss: u'' + u = 0, differentiated by its parameters."""
    rng = np.random.default_rng(0)
    w = {"a": rng.normal(size=4), "b": rng.normal(size=4), "c": rng.normal(size=4)}
    points = A([0.1, 0.7, 1.3])

    def u(w, t):
        return np.sum(w["c"] * np.tanh(w["a"] * t + w["b"]))

    def loss(w):
        residuals = [tn.grad(tn.grad(lambda t: u(w, t)))(t) + u(w, t) for t in points]
        return np.mean(np.stack(residuals) ** 2)

    def loss_forward(w):
        second = forward(forward(lambda t: u(w, t)))
        return np.mean(np.stack([second(t) + u(w, t) for t in points]) ** 2)
    assert tn.gradcheck(loss, w)
    g, h = tn.grad(loss)(w), tn.grad(loss_forward)(w)
    for k in w:
        same(g[k], h[k], rtol=1e-9)


# ---------------------------------------------------------------- closures over Tensors

def test_a_result_that_depends_on_a_tensor_is_a_tensor():
    w = Tensor(A([1.0, 2.0]))
    x = A([3.0, 4.0])
    f = lambda x: np.sum(x * x * w)
    results = [tn.grad(f)(x), tn.value_and_grad(f)(x)[0], tn.vjp(f, x)[0],
               tn.vjp(f, x)[1](1.0)[0], *tn.jvp(f, (x,), (x,)), tn.jacobian(f)(x),
               tn.hessian(f)(x), tn.hvp(f, x, x)]
    assert all(isinstance(r, Tensor) for r in results)
    assert type(tn.grad(lambda x: np.sum(x * x) + np.sum(w))(x)) is np.ndarray
    assert w.grad is None


@pytest.mark.parametrize("run, want", [
    (lambda f, x: np.sum(tn.grad(f)(x) ** 2), [72.0, 256.0]),
    (lambda f, x: np.sum(tn.jacobian(f)(x) ** 2), [72.0, 256.0]),
    (lambda f, x: np.sum(tn.vjp(f, x)[1](2.0)[0]), [12.0, 16.0]),
    (lambda f, x: tn.jvp(f, (x,), (A([1.0, 10.0]),))[1], [6.0, 80.0]),
    (lambda f, x: np.sum(tn.hvp(f, x, A([1.0, 10.0]))), [2.0, 20.0]),
    (lambda f, x: np.sum(tn.hessian(f)(x) ** 2), [8.0, 16.0]),
    (lambda f, x: tn.value_and_grad(f)(x)[0], [9.0, 16.0]),
])
def test_gradient_penalties(run, want):
    w = Tensor(A([1.0, 2.0]))
    x = A([3.0, 4.0])
    y = run(lambda x: np.sum(x * x * w), x)
    y.backward()
    assert type(w.grad) is np.ndarray
    same(w.grad, want)
    if w.grad is not None:
        w.grad = None
        with tn.no_grad():
            assert not isinstance(run(lambda x: np.sum(x * x * w), x), Tensor)


def test_a_gradient_penalty_in_a_network():
    rng = np.random.default_rng(0)
    model = tn.nn.Sequential(tn.nn.Linear(2, 8, rng=0, dtype=np.float64), tn.nn.Sigmoid(),
                             tn.nn.Linear(8, 1, rng=1, dtype=np.float64))
    x = rng.normal(size=(5, 2))

    def loss():
        g = tn.grad(lambda x: np.sum(model(x)))(x)
        return np.mean((np.sum(g * g, axis=1) - 1) ** 2)
    loss().backward()
    w = model[0].weight
    for i in ((0, 0), (3, 1)):
        up, down = w.data.copy(), w.data.copy()
        up[i] += 1e-6
        down[i] -= 1e-6
        w.data = up; above = loss().item()
        w.data = down; below = loss().item()
        same(w.grad[i], (above - below) / 2e-6, rtol=1e-6)
    assert model[2].bias.grad is None or not model[2].bias.grad.any()


def test_tensors_as_arguments_of_transforms():
    w = Tensor(A([1.0, 2.0]))
    g = tn.grad(lambda x: np.sum(x ** 3))(w)
    assert isinstance(g, Tensor)
    same(g.data, [3, 12])
    g.sum().backward()
    same(w.grad, [6, 12])
    y, dy = tn.jvp(np.sin, (w,), (np.ones(2),))
    assert isinstance(y, Tensor) and isinstance(dy, Tensor)
    y, dy = tn.jvp(lambda x: x * 3.0, (np.ones(2),), (w,))
    assert isinstance(dy, Tensor)


# ---------------------------------------------------------------- backward() and transforms

@pytest.mark.parametrize("transform", [
    tn.grad, forward, tn.value_and_grad, tn.jacobian, tn.hessian, by_vjp,
    lambda f: lambda x: tn.hvp(f, x, x), lambda f: tn.grad(tn.grad(f)),
    lambda f: forward(tn.grad(f))])
def test_backward_on_the_variable_of_a_transform_names_value_and_grad(transform):
    w = Tensor(2.0)
    for f in (lambda x: (x * x).backward() or x, lambda x: (w * x).backward() or x,
              lambda x: x.backward() or x, lambda x: np.sum(x).backward(1.0) or x):
        with pytest.raises(tn.GraphError, match="value_and_grad"):
            transform(f)(1.0)
    assert w.grad is None


def test_backward_on_other_tensors_within_a_transform():
    w = Tensor(2.0)

    def f(x):
        (w * w * 3).backward()
        return x * w.grad
    assert tn.grad(f)(1.0) == 12


def test_grad_of_a_transforms_variable_is_untouched():
    seen = []
    tn.grad(lambda x: seen.append(x) or x * x)(1.0)
    assert seen[0].grad is None
    with pytest.raises(tn.GraphError):
        seen[0].backward()


def test_a_transform_that_fails_leaves_nothing_behind():
    for transform in (tn.grad, forward, tn.jacobian, tn.hessian, by_vjp):
        with pytest.raises(ZeroDivisionError):
            transform(lambda x, t=transform: t(lambda y: y * x / (1 // 0))(x))(1.0)
        assert tn.grad(tn.grad(lambda x: x ** 3))(1.0) == 6
        w = Tensor(3.0)
        (w * w).backward()
        assert w.grad == 6


# ---------------------------------------------------------------- no_grad

@pytest.mark.parametrize("name", ONCE)
def test_no_grad_does_not_reach_running_transforms(name):
    with tn.no_grad():
        same(ONCE[name](smooth)(0.7), tn.grad(smooth)(0.7))
        same(ONCE[name](ONCE[name](smooth))(0.7), tn.grad(tn.grad(smooth))(0.7))

    def f(x):
        with tn.no_grad():
            return np.sin(x) * x
    same(ONCE[name](f)(0.7), np.cos(0.7) * 0.7 + np.sin(0.7))
    same(tn.grad(ONCE[name](f))(0.7), 2 * np.cos(0.7) - 0.7 * np.sin(0.7))


def test_under_no_grad_user_level_tensors_are_constants_of_a_transform():
    w = Tensor(3.0)
    with tn.no_grad():
        g = tn.grad(lambda x: x * x * w)(2.0)
        assert type(g) is np.ndarray and g == 12
        assert not isinstance(tn.jvp(lambda x: x * w, (2.0,), (1.0,))[1], Tensor)
        _, g = tn.value_and_grad(lambda x: (x * w).sum())(np.ones(2))
        same(g, [3, 3])


# ---------------------------------------------------------------- stop_gradient

@pytest.mark.parametrize("name", ONCE)
def test_stop_gradient_in_every_mode_and_order(name):
    d = ONCE[name]
    assert d(lambda x: x * tn.stop_gradient(x))(3.0) == 3
    assert d(lambda x: tn.stop_gradient(x * x))(3.0) == 0
    assert d(lambda x: tn.stop_gradient(x) ** 2 * x ** 2)(3.0) == 54
    for e in ONCE.values():
        assert e(d(lambda x: x * x * tn.stop_gradient(x)))(3.0) == 6
        assert e(lambda x: d(lambda y: y * tn.stop_gradient(y) * x)(x))(3.0) == 3
        assert e(lambda x: tn.stop_gradient(d(lambda y: y ** 3)(x)) * x)(3.0) == 27
        assert e(lambda x: d(lambda y: tn.stop_gradient(x) * y)(2.0) * x)(3.0) == 3


def test_stop_gradient_of_tensors_arrays_and_numbers():
    w = Tensor(A([1.0, 2.0]))
    y = tn.stop_gradient(w * w)
    assert type(y) is np.ndarray
    (w * y).sum().backward()
    same(w.grad, [1, 4])
    assert tn.stop_gradient(3.0) == 3.0
    a = np.ones(2)
    same(tn.stop_gradient(a), a)


def test_stop_gradient_is_a_constant_in_hessians():
    f = lambda x: np.sum(tn.stop_gradient(x) * x ** 2)
    same(tn.hessian(f)(A([1.0, 2.0])), np.diag([2.0, 4.0]))
    same(tn.hvp(f, A([1.0, 2.0]), A([1.0, 1.0])), [2, 4])

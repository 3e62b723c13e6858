"""Structural zeros and kinks: what a selection did not select has gradient zero, only that.

Every case is asked in six ways: reverse, forward, and the four second orders made of them.
"""

import warnings

import numpy as np
import pytest
from derivatives import forward

import tinygrad_nn as tn

A = np.array
FIRST = {"reverse": tn.grad, "forward": forward}
SECOND = {"reverse of reverse": lambda f: tn.grad(tn.grad(f)),
          "forward of reverse": lambda f: forward(tn.grad(f)),
          "reverse of forward": lambda f: tn.grad(forward(f)),
          "forward of forward": lambda f: forward(forward(f))}


def check(f, at, first, second):
    """First and second derivative of a scalar function, in each of the six ways."""
    for ways, want in ((FIRST, first), (SECOND, second)):
        for name, derivative in ways.items():
            with np.errstate(all="ignore"):
                got = derivative(f)(at)
            np.testing.assert_allclose(got, want, rtol=1e-9, err_msg=name)


# ---------------------------------------------------------------- a scalar at 0

def two_uses(x):
    y = np.log(x)
    return np.where(x > 0, y, 0.0) + np.where(x > 0, 2 * y, x)


def three_uses(x):
    y = np.sqrt(x)
    return np.where(x > 0, y, 0.0) + np.where(x > 1, 2 * y, x) * np.maximum(y - 1.0, 2.0)


SCALARS = {
    "log": (lambda x: np.where(x > 0, np.log(x), 0.0), 0, 0),
    "log of the other branch": (lambda x: np.where(x > 0, np.log(x), 3 * x * x + x), 1, 6),
    "x log x": (lambda x: np.where(x > 0, x * np.log(x), 0.0), 0, 0),
    "sqrt": (lambda x: np.where(x > 0, np.sqrt(x), 0.0), 0, 0),
    "overflow": (lambda x: np.where(x >= 0, x * x, np.exp(1000 * (x + 1))), 0, 2),
    "power": (lambda x: np.where(x > 0, x ** 1.5, 0.0), 0, 0),
    "negative power": (lambda x: np.where(x > 0, x ** -2.0, x), 1, 0),
    "sin x / x": (lambda x: np.where(x > 0, np.sin(x) / x, 1.0), 0, 0),
    "1 / sqrt, nested where": (
        lambda x: np.where(x > 0, 1 / np.sqrt(np.where(x > 1, x, x)) * 2.0, x * 3.0), 3, 0),
    "where in where": (
        lambda x: np.where(x > -1, np.where(x > 0, np.log(x), x * x), np.log(-x)), 0, 2),
    "select": (lambda x: np.select([x > 0, x < 0], [np.log(x), -x], 0.0), 0, 0),
    "select, default": (
        lambda x: np.select([x > 0, x < 0], [np.log(x), np.log(-x)], x * x), 0, 2),
    "maximum": (lambda x: np.maximum(np.sqrt(x) - 1.0, -0.5), 0, 0),
    "minimum": (lambda x: np.minimum(1 / x, 1 + 2 * x), 2, 0),
    "clip": (lambda x: np.clip(np.sqrt(x) - 5.0, -1.0, 1.0), 0, 0),
    "clip of log": (lambda x: np.clip(np.log(x), -1.0, 1.0) + x * x, 0, 2),
    "relu": (lambda x: tn.relu(np.sqrt(x) - 1.0), 0, 0),
    "relu of -inf": (lambda x: tn.relu(np.log(x)), 0, 0),
    "abs in the other branch": (lambda x: np.where(x > 0, np.abs(np.log(x)), x), 1, 0),
    "two uses": (two_uses, 1, 0),
    "three uses": (three_uses, 2, 0),
    "max of stack": (lambda x: np.max(np.stack([np.log(x), x, 1 / (x - 1) - 1])), 1, 0),
    "min of stack": (lambda x: np.min(np.stack([1 / x, 3 * x, x + 1])), 3, 0),
    "abs of nan": (lambda x: np.where(x > 0, np.abs(x * np.log(x)), x * x), 0, 2),
    "maximum of nan": (lambda x: np.where(x > 0, np.maximum(x * np.log(x), x), x * x), 0, 2),
    "max of nan": (
        lambda x: np.where(x > 0, np.max(np.stack([x * np.log(x), x])), x * x), 0, 2),
    "min of nan": (
        lambda x: np.where(x > 0, np.min(np.stack([x * np.log(x), x])), x * x), 0, 2),
    "clip of nan": (lambda x: np.where(x > 0, np.clip(x * np.log(x), -1.0, 1.0), x * x), 0, 2),
    "sort of nan": (
        lambda x: np.where(x > 0, np.sort(np.stack([x * np.log(x), x]))[0], x * x), 0, 2),
    "nan_to_num": (lambda x: np.nan_to_num(x * np.log(x)) + x * x, 0, 2),
    "var": (lambda x: np.where(x > 0, np.var(np.stack([np.log(x), x])), x * x), 0, 2),
    "index": (lambda x: np.stack([np.log(x), x * x])[1], 0, 2),
    "boolean index": (lambda x: np.stack([np.log(x), x * x])[A([False, True])].sum(), 0, 2),
    "integer index": (lambda x: np.stack([np.log(x), x * x])[A([1, 1])].sum(), 0, 4),
    "take": (lambda x: np.take(np.stack([np.log(x), x * x]), A([1])).sum(), 0, 2),
    "sort": (lambda x: np.sort(np.stack([np.log(x), x * x]))[1], 0, 2),
    "split": (lambda x: np.split(np.stack([np.log(x), x * x]), 2)[1].sum(), 0, 2),
    "diagonal": (
        lambda x: np.diagonal(np.stack([np.stack([x, np.log(x)])] * 2))[:1].sum(), 1, 0),
    "triu": (
        lambda x: np.triu(np.stack([np.stack([x, x]), np.stack([np.log(x), x])])).sum(), 3, 0),
    "max, not selected": (
        lambda x: np.where(False, np.max(np.stack([x, np.log(x)])), x), 1, 0),
    "matmul": (lambda x: np.where(x > 0, np.stack([np.log(x), x]) @ np.ones(2), x * x), 0, 2),
    "einsum": (
        lambda x: np.where(x > 0, np.einsum("i->", np.stack([np.log(x), x])), x * x), 0, 2),
    "norm": (
        lambda x: np.where(x > 0, np.linalg.norm(np.stack([np.log(x), x])), x * x), 0, 2),
    "logsumexp": (
        lambda x: np.where(x > 0, tn.logsumexp(np.stack([np.log(x), x])), x * x), 0, 2),
    "softmax": (lambda x: np.where(x > 0, tn.softmax(np.stack([1 / x, x]))[0], x * x), 0, 2),
    "log of select": (lambda x: np.where(x > 0, np.log(np.where(x > 0, x, x * x)), x), 1, 0),
    "a denominator": (lambda x: x / np.where(x > 0, np.sqrt(x), 1.0), 1, 0),
    "long way": (lambda x: np.where(x > 0, np.tanh(np.exp(-np.log(x) * 2) / 3 - 1), x), 1, 0),
}


@pytest.mark.parametrize("name", SCALARS)
def test_what_is_not_selected_has_gradient_zero(name):
    f, first, second = SCALARS[name]
    check(f, 0.0, first, second)


@pytest.mark.parametrize("name", ["log", "sqrt", "clip", "two uses", "select", "power", "relu"])
def test_also_in_float32_and_third_order(name):
    f, first, second = SCALARS[name]
    check(f, np.float32(0), first, second)
    with np.errstate(all="ignore"):
        assert tn.grad(tn.grad(tn.grad(f)))(0.0) == 0
        assert forward(forward(forward(f)))(0.0) == 0
        assert tn.grad(forward(tn.grad(f)))(0.0) == 0
        assert forward(tn.grad(forward(f)))(0.0) == 0


@pytest.mark.parametrize("name", SCALARS)
def test_backward_says_the_same(name):
    f, first, _ = SCALARS[name]
    w = tn.Tensor(0.0)
    with np.errstate(all="ignore"):
        f(w).backward()
    assert w.grad == first


# ---------------------------------------------------------------- numeric zeros lose nothing

def square_of_difference(x):
    return np.where(x > 0, (np.exp(x) - 1) ** 2, (np.exp(x) - 1) ** 2)


@pytest.mark.parametrize("f, first, second", [
    (lambda x: (np.exp(x) - 1) ** 2, 0, 2), (lambda x: np.expm1(x) * np.expm1(x), 0, 2),
    (square_of_difference, 0, 2), (lambda x: np.where(x >= 0, 3 * x * x, 0.0), 0, 6),
    (lambda x: np.where(x >= 0, x ** 2, np.log(x)), 0, 2),
    (lambda x: np.maximum(x * x, -1.0), 0, 2),
    (lambda x: np.stack([np.log(x), np.sin(x) ** 2])[1], 0, 2),
    (lambda x: np.clip(x * x, -1.0, 1.0), 0, 2), (lambda x: tn.relu(x * x + 1), 0, 2),
    (lambda x: np.where(x > -1, x, np.sqrt(x)) * x, 0, 2), (lambda x: x ** 2.0, 0, 2),
    (lambda x: (1 - np.cos(x)) * 2, 0, 2),
    (lambda x: np.sum(np.stack([x, x])[A([0, 1])] ** 2), 0, 4),
    (lambda x: np.where(x < 1, 0.0 * x + x * x, 7.0), 0, 2), (lambda x: x ** 3 + 0.0 * x, 0, 0),
])
def test_a_numeric_zero_is_not_a_structural_zero(f, first, second):
    check(f, 0.0, first, second)


@pytest.mark.parametrize("f", [
    lambda x: np.sqrt(x) ** 2, lambda x: np.sqrt(x) * np.sqrt(x), lambda x: np.sqrt(x) * 0.0,
    lambda x: np.where(x >= 0, np.sqrt(x) * 0.0, 0.0),
    lambda x: 0.0 * np.log(x + 1) + 0.0 * np.sqrt(x),
    lambda x: np.sqrt(x * x), lambda x: np.sqrt(np.sum(np.stack([x, x]) ** 2)),
    lambda x: (np.sqrt(x) * 0.0).reshape(1).sum(),
])
def test_arithmetic_with_zero_is_numpys(f):
    with np.errstate(all="ignore"):
        assert np.isnan(tn.grad(f)(0.0))
        assert np.isnan(tn.jvp(f, (0.0,), (1.0,))[1])


# ---------------------------------------------------------------- warnings

def test_our_own_divisions_do_not_warn():
    f = lambda x: np.sum(np.where(x > 1, np.sqrt(x), 0.0) + np.sqrt(x))
    x = A([0.0, 4.0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tn.grad(f)(x)
        tn.jvp(f, (x,), (x,))
        tn.hvp(f, x, x)
        tn.hessian(f)(x)
        w = tn.Tensor(x)
        f(w).backward()
        tn.vjp(np.sqrt, x)[1](x)


@pytest.mark.parametrize("run", [tn.grad, forward, lambda f: lambda x: f(tn.Tensor(x))])
def test_the_users_own_warn_as_in_numpy(run):
    with pytest.warns(RuntimeWarning, match="divide by zero encountered in log"):
        run(lambda x: np.where(x > 0, np.log(x), 0.0))(0.0)
    with np.errstate(all="raise"), pytest.raises(FloatingPointError):
        run(lambda x: np.where(x > 0, np.log(x), 0.0))(0.0)


# ---------------------------------------------------------------- kinks

KINKS = {
    "relu": (tn.relu, [0.0], [0.0]),
    "abs": (np.abs, [0.0], [0.0]), "fabs": (np.fabs, [0.0], [0.0]),
    "absolute": (np.absolute, [0.0, -0.0], [0.0, 0.0]),
    "maximum of a tie": (lambda x: np.maximum(x[0], x[1]), [2.0, 2.0], [0.5, 0.5]),
    "minimum of a tie": (lambda x: np.minimum(x[0], x[1]), [2.0, 2.0], [0.5, 0.5]),
    "maximum with a constant": (lambda x: np.maximum(x, 2.0), [2.0], [0.5]),
    "maximum with itself": (lambda x: np.maximum(x, x), [2.0], [1.0]),
    "max of a tie": (np.max, [1.0, 3.0, 3.0], [0, 0.5, 0.5]),
    "max of equals": (np.max, [3.0, 3.0, 3.0], [1 / 3, 1 / 3, 1 / 3]),
    "min of a tie": (np.min, [1.0, 3.0, 1.0], [0.5, 0, 0.5]),
    "max by rows": (lambda x: np.max(x.reshape(2, 2), axis=1), [1.0, 1.0, 2.0, 3.0],
                    [0.5, 0.5, 0, 1]),
    "clip at its limits": (lambda x: np.clip(x, 0.0, 1.0), [0.0, 1.0, 0.5, 2.0],
                           [0.5, 0.5, 1, 0]),
    "norm": (np.linalg.norm, [0.0, 0.0], [0.0, 0.0]),
    "norm by rows": (lambda x: np.linalg.norm(x.reshape(2, 2), axis=1), [0.0, 0.0, 3.0, 4.0],
                     [0, 0, 0.6, 0.8]),
    "norm 1": (lambda x: np.linalg.norm(x, 1), [0.0, -2.0], [0, -1]),
    "norm inf": (lambda x: np.linalg.norm(x, np.inf), [2.0, -2.0], [0.5, -0.5]),
    "hypot": (lambda x: np.hypot(x[0], x[1]), [0.0, 0.0], [0, 0]),
    "sort of equal keys": (lambda x: np.sort(x)[0], [2.0, 2.0, 2.0], [1, 0, 0]),
    "x ** 0": (lambda x: x ** 0, [0.0, 2.0], [0, 0]),
    "x ** 0.0": (lambda x: x ** 0.0, [0.0], [0]), "x ** 1": (lambda x: x ** 1, [0.0], [1]),
    "0 ** p": (lambda p: 0.0 ** p, [2.0, 0.5], [0, 0]),
    "sign": (lambda x: np.sign(x) * x, [0.0, -2.0], [0, -1]),
    "ptp of a tie": (np.ptp, [1.0, 1.0, 3.0], [-0.5, -0.5, 1]),
    "floor": (lambda x: x - np.floor(x), [1.0, 1.5], [1, 1]),
}


@pytest.mark.parametrize("name", KINKS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_table_of_kinks(name, dtype):
    f, x, want = KINKS[name]
    x = A(x, dtype)
    tolerance = 1e-6 if dtype is np.float32 else 1e-15
    np.testing.assert_allclose(tn.grad(lambda x: np.sum(f(x)))(x), want, rtol=tolerance)
    got = [tn.jvp(lambda x: np.sum(f(x)), (x,), (unit,))[1] for unit in np.eye(len(x))]
    np.testing.assert_allclose(got, want, rtol=tolerance)
    w = tn.Tensor(x)
    f(w).sum().backward()
    np.testing.assert_allclose(w.grad, want, rtol=tolerance)


@pytest.mark.parametrize("f", [
    tn.relu, np.abs, lambda x: np.maximum(x, 0.0), lambda x: np.max(np.stack([x, -x])),
    lambda x: np.linalg.norm(np.stack([x, 2 * x])), lambda x: np.hypot(x, x),
    lambda x: np.clip(x, 0.0, 1.0), lambda x: x ** 0,
])
def test_at_a_kink_the_second_derivative_is_zero(f):
    for derivative in SECOND.values():
        assert derivative(f)(0.0) == 0


def test_an_unselected_tangent_that_is_not_finite_is_zero():
    x = A([-1.0, 0.0, 1.0])
    _, dy = tn.jvp(tn.relu, (x,), (A([np.nan, np.inf, 1.0]),))
    np.testing.assert_array_equal(dy, [0, 0, 1])
    _, dy = tn.jvp(np.max, (x,), (A([np.nan, np.inf, 1.0]),))
    assert dy == 1
    w = tn.Tensor(x)
    tn.relu(w).backward(A([np.nan, np.inf, 1.0]))
    np.testing.assert_array_equal(w.grad, [0, 0, 1])


def test_composed_lengths_follow_numpys_arithmetic():
    def length(x):
        return np.sqrt(np.sum(x ** 2))
    assert np.isnan(tn.grad(length)(np.zeros(2))).all()
    assert np.isnan(tn.jvp(length, (np.zeros(2),), (np.ones(2),))[1])
    np.testing.assert_array_equal(tn.grad(np.linalg.norm)(np.zeros(2)), 0)

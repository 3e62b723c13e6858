"""Values and gradients at very large and very small magnitudes and at infinity."""

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn import Tensor

pytestmark = pytest.mark.usefixtures("silence")


# Against the formulas in a wider format; e = exp(-|x|) keeps all digits at either end.

def wide(x):
    x = np.asarray(x, np.longdouble)
    return x, np.exp(-np.abs(x))


def sigmoid_of(x, e):
    return np.where(x >= 0, 1, e) / (1 + e)


def bump(x, e):
    return e / (1 + e) ** 2


def softplus_of(x, e):
    return np.maximum(x, 0) + np.log1p(e)


def pair(f, k=None):
    """``f`` of the vector [x, 0], or one of its elements."""
    def of(x):
        y = f(np.concatenate([np.reshape(x, 1), np.zeros(1, x.dtype)]))
        return y if k is None else y[k]
    return of


SIGMOID = (sigmoid_of, bump, lambda x, e: bump(x, e) * (1 - 2 * sigmoid_of(x, e)))
SOFTPLUS = (softplus_of, sigmoid_of, bump)
STABLE = {      # a function of a number with its derivatives, and the same at -inf and inf
    "sigmoid": (tn.sigmoid, SIGMOID, (0, 0, 0), (1, 0, 0)),
    "softplus": (tn.softplus, SOFTPLUS, (0, 0, 0), (np.inf, 1, 0)),
    "logaddexp": (lambda x: np.logaddexp(x, np.zeros((), x.dtype)), SOFTPLUS, (0, 0, 0),
                  (np.inf, 1, 0)),
    "logsumexp": (pair(tn.logsumexp), SOFTPLUS, (0, 0, 0), (np.inf, 1, 0)),
    "softmax": (pair(tn.softmax, 0), SIGMOID, (0, 0, 0), None),         # inf / inf
    "log_softmax": (pair(tn.log_softmax, 0), (
        lambda x, e: -softplus_of(-x, e), lambda x, e: sigmoid_of(-x, e),
        lambda x, e: -bump(x, e)), (-np.inf, 1, 0), None),
    "log1p": (np.log1p, (lambda x, e: np.log1p(x), lambda x, e: 1 / (1 + x),
                         lambda x, e: -1 / (1 + x) ** 2), None, (np.inf, 0, 0)),
    "expm1": (np.expm1, (lambda x, e: np.expm1(x), lambda x, e: np.exp(x),
                         lambda x, e: np.exp(x)), (-1, 0, 0), (np.inf, np.inf, np.inf)),
}
SECOND = (lambda f, x: tn.grad(tn.grad(f))(x), lambda f, x: tn.hvp(f, x, np.ones_like(x)),
          lambda f, x: tn.hessian(f)(x), lambda f, x: tn.grad(
              lambda x: tn.jvp(f, (x,), (np.ones_like(x),))[1])(x))


def orders(f, x):
    """Value, first derivatives and second derivatives, each in several ways."""
    w = Tensor(x)
    f(w).backward()
    first = [w.grad, tn.grad(f)(x), tn.jvp(f, (x,), (np.ones_like(x),))[1], tn.jacobian(f)(x)]
    return [f(x)], first, [second(f, x) for second in SECOND]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", STABLE)
def test_large_and_small_magnitudes(name, dtype):
    f, formulas, below, above = STABLE[name]
    limits = np.finfo(dtype)
    points = [s * v for s in (1, -1) for v in (1e4, 700.0, 30.0, 1e-4, 1e-30, 0.0, limits.tiny,
                                               limits.smallest_subnormal)]
    for x in np.array(points, dtype):
        with np.errstate(all="ignore"):
            want = [np.asarray(formula(*wide(x))).astype(dtype) for formula in formulas]
        if not np.isfinite(want).all():
            continue                                    # log1p(-1e4), expm1(1e4)
        with tn.debug_nans():
            found = orders(f, x)
        for each, exact in zip(found, want, strict=True):
            for got in each:
                assert got.dtype == dtype
                np.testing.assert_allclose(got, exact, rtol=64 * limits.eps, atol=limits.eps)
    for x, want in ((-np.inf, below), (np.inf, above)):
        for each, exact in zip(orders(f, dtype(x)), want or (), strict=bool(want)):
            for got in each:
                np.testing.assert_array_equal(got, exact)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_distant_elements_of_softmax_and_logsumexp(dtype):
    x = np.array([1e4, -1e4, 1e4, 0.0], dtype)
    with tn.debug_nans():
        np.testing.assert_array_equal(tn.grad(tn.logsumexp)(x), [0.5, 0, 0.5, 0])
        np.testing.assert_allclose(tn.hessian(tn.logsumexp)(x)[::2, ::2],
                                   [[0.25, -0.25], [-0.25, 0.25]])
        jac = tn.jacobian(tn.log_softmax)(x)
        np.testing.assert_array_equal(jac, np.eye(4) - [0.5, 0, 0.5, 0])
        np.testing.assert_array_equal(tn.grad(lambda x: tn.log_softmax(x)[1])(x),
                                      [-0.5, 1, -0.5, 0])
        np.testing.assert_allclose(tn.jacobian(tn.softmax)(x)[0], [0.25, 0, -0.25, 0])

"""`jacobian` and `hessian`, many rows at once: structural zeros, counts, kinds of function."""

import numpy as np
import pytest
from jacobians import agree, by_columns, by_pullback, by_rows

import tinygrad_nn as tn
from tinygrad_nn import Tensor, _transforms

A = np.array


# ---------------------------------------------------------------- structural zeros

ZEROS = {   # a function of a vector, exact at [0, 2, 0, 3], with the Jacobian's diagonal there
    "log": (lambda x: np.where(x > 0, np.log(x), 0.0), [0, 1 / 2, 0, 1 / 3]),
    "sqrt": (lambda x: np.where(x > 0, np.sqrt(x), x), [1, 0.5 / 2 ** 0.5, 1, 0.5 / 3 ** 0.5]),
    "x * log(x)": (lambda x: np.where(x > 0, x * np.log(x), 0.0),
                   [0, 1 + np.log(2), 0, 1 + np.log(3)]),
    "x ** 1.5": (lambda x: np.where(x > 0, x ** -1.5, 0.0), [0, -1.5 * 2 ** -2.5, 0,
                                                            -1.5 * 3 ** -2.5]),
    "maximum": (lambda x: np.maximum(1.0, np.log(x)), [0, 0, 0, 1 / 3]),
    "two uses": (lambda x: (lambda b: np.where(x > 0, b, 0.0) + np.where(x > 1, b * b, x))(
        np.log(x)), [1, 1 / 2 + np.log(2), 1, 1 / 3 + 2 * np.log(3) / 3]),
    "matmul after": (lambda x: np.eye(4) @ np.where(x > 0, np.log(x), 0.0)[:, None],
                     [0, 1 / 2, 0, 1 / 3]),
    "rows": (lambda x: np.where(x > 0, np.log(x), 0.0)[None] * np.ones((1, 1)),
             [0, 1 / 2, 0, 1 / 3]),
}


@pytest.mark.parametrize("path", [by_rows, by_columns])
@pytest.mark.parametrize("name", ZEROS)
def test_structural_zeros(name, path):
    f, diagonal = ZEROS[name]
    with np.errstate(all="ignore"):
        (block,), = path(lambda x: {"y": f(x)}, (A([0.0, 2.0, 0.0, 3.0]),)).values()
    np.testing.assert_allclose(np.reshape(block, (4, 4)), np.diag(diagonal), rtol=1e-14)


@pytest.mark.parametrize("rows", [1, 3, 256])
def test_structural_zeros_in_hessians(rows, monkeypatch):
    monkeypatch.setattr(_transforms, "ROWS", rows)
    x = A([0.0, 2.0, 0.0, 3.0])
    with np.errstate(all="ignore"):
        for f, second in [(lambda x: np.where(x > 0, np.log(x), 0.0), lambda x: -1 / x ** 2),
                          (lambda x: np.where(x > 0, x ** 1.5, x * x),
                           lambda x: 0.75 * x ** -0.5),
                          (lambda x: np.where(x > 0, np.sqrt(x), 0.0),
                           lambda x: -0.25 * x ** -1.5)]:
            want = np.where(x > 0, second(x), 2.0 if f(A(0.5)) == 0.5 ** 1.5 else 0.0)
            np.testing.assert_allclose(tn.hessian(lambda x, f=f: np.sum(f(x)))(x),
                                       np.diag(want), rtol=1e-13)


PLACED = {      # roots of values of which some do not depend on x = [1, 4]
    "concatenate": lambda x: np.concatenate([np.zeros(1), x]),
    "stack": lambda x: np.stack([x, np.zeros(2)]), "pad": lambda x: np.pad(x, 1),
    "diag": lambda x: np.diag(x), "tril": lambda x: np.tril(np.ones((2, 2)) * x),
    "block": lambda x: np.block([[x, np.zeros(1)]]),
    "where": lambda x: np.where(x > 2, x, 0.0), "relu": lambda x: tn.relu(x - 2),
    "maximum": lambda x: np.maximum(x - 2, 0.0), "clip": lambda x: np.clip(x - 2, 0.0, 9.0),
    "select": lambda x: np.select([x > 2], [x], 0.0),
    "two selections": lambda x: np.where(x > 2, x, 0.0) + np.maximum(0.0, x - 2),
    "a selection moved": lambda x: np.where(x > 2, x, 0.0)[::-1].reshape(2, 1) * 2,
    "a selection of a smooth function": lambda x: np.where(x > 2, np.sin(x) ** 2, 0.0),
}


@pytest.mark.parametrize("name", PLACED)
def test_what_does_not_depend_on_x_has_tangent_zero(name):
    """The root has an infinite derivative at these zeros; they are constants."""
    x, v = A([1.0, 4.0]), A([0.7, -1.3])
    f = lambda x: np.sqrt(PLACED[name](x))
    total = lambda x: np.sum(f(x) ** 3) + np.sum(f(x))
    along = lambda f: lambda x: tn.jvp(f, (x,), (v,))[1]
    g = tn.grad(total)(x)
    assert np.isfinite(g).all() and g.any()
    np.testing.assert_allclose(along(total)(x), g @ v, rtol=1e-13)
    (rows,), (columns,) = (path(lambda x: {"y": f(x)}, (x,))["y"] for path in
                           (by_rows, by_columns))
    np.testing.assert_allclose(rows, columns, rtol=1e-13)
    np.testing.assert_allclose(np.tensordot(rows, v, 1), along(f)(x), rtol=1e-13)
    h = tn.hessian(total)(x)
    assert np.isfinite(h).all()
    np.testing.assert_allclose(h @ v, tn.hvp(total, x, v), rtol=1e-13)
    np.testing.assert_allclose(h @ v, tn.grad(along(total))(x), rtol=1e-13)
    np.testing.assert_allclose(v @ h @ v, along(along(total))(x), rtol=1e-13)


@pytest.mark.parametrize("f", [
    lambda x: np.sqrt(np.concatenate([x * x, np.zeros(1)])),
    lambda x: np.sqrt(np.where(x >= 0, x * x, 0.0)),
    lambda x: np.sqrt(np.maximum(0.0 * x, -1.0)),
    lambda x: np.sqrt(np.where(x > 0, x, 0.0) + x), lambda x: np.sqrt(x + tn.relu(x)),
    lambda x: np.sqrt(np.where(x > 0, x, 0.0) + np.where(x > -1, x, 0.0)),
    lambda x: np.sqrt(np.pad(x, 1) + np.concatenate([np.zeros(1), x, np.zeros(1)]))[1:],
    lambda x: np.sqrt(np.where(x > 0, x, 0.0) * (x + 1) + x),
    lambda x: np.sqrt(np.sum(np.stack([np.where(x > 0, x, 0.0), x]), axis=0))])
def test_a_tangent_that_is_numerically_zero_is_not_dropped(f):
    """What depends on x has NumPy's arithmetic at 0, in forward mode too: inf or nan."""
    x = A([0.0])
    with np.errstate(all="ignore"):
        assert not np.isfinite(tn.grad(lambda x: f(x)[0])(x)).any()
        assert not np.isfinite(tn.jvp(f, (x,), (np.ones(1),))[1][0])
        for path in (by_rows, by_columns):
            (block,) = path(lambda x: {"y": f(x)}, (x,))["y"]
            assert not np.isfinite(block[0, 0])


def test_a_numeric_zero_is_no_structural_zero():
    assert tn.hessian(lambda x: np.sum((np.exp(x) - 1) ** 2))(A([0.0]))[0, 0] == 2


# ---------------------------------------------------------------- many rows

@pytest.mark.parametrize("n", [255, 256, 257, 600])
def test_more_rows_than_are_swept_at_once(n):
    x = np.random.default_rng(0).normal(size=n)
    x[::7] = 0
    with np.errstate(all="ignore"):
        jac = tn.jacobian(lambda x: np.where(x != 0, np.log(x * x), 0.0) + 2 * x)(x)
        want = np.where(x != 0, 2 / x, 0.0) + 2
    np.testing.assert_allclose(jac, np.diag(want), rtol=1e-13)
    w = np.random.default_rng(1).normal(size=(n, 2))
    hes = tn.hessian(lambda x: np.sum((x @ w) ** 2))(x)
    np.testing.assert_allclose(hes, 2 * w @ w.T, rtol=1e-12, atol=1e-12)


@pytest.fixture
def counted():
    """An elementwise operation and the number of times that its rule was asked."""
    calls = []

    @tn.primitive
    def cube(x):
        return x ** 3

    def slope(x):
        calls.append(1)
        return 3 * x * x
    tn.rules.elementwise(cube, slope)
    return cube, calls


@pytest.mark.parametrize("n, sweeps", [(1, 1), (100, 1), (256, 1), (257, 2), (600, 3)])
def test_a_rule_runs_once_for_many_rows(counted, n, sweeps):
    cube, calls = counted
    x = np.linspace(-1, 1, n)
    jac = tn.jacobian(lambda x: np.where(x > 0, cube(x), x) * 2.0)(x)
    np.testing.assert_allclose(jac, np.diag(np.where(x > 0, 6 * x * x, 2.0)))
    assert len(calls) == sweeps


def test_a_rule_of_a_hessian_runs_once_for_many_rows(counted):
    cube, calls = counted
    x = np.linspace(-1, 1, 200)
    hes = tn.hessian(lambda x: np.sum(cube(x)))(x)
    np.testing.assert_allclose(hes, np.diag(6 * x))
    assert len(calls) <= 3                              # one for the gradient's own sweep


def test_the_function_runs_once_for_all_rows():
    calls = []
    tn.jacobian(lambda x: (calls.append(1), np.sin(x))[1])(np.ones(300))
    assert calls == [1]


# ---------------------------------------------------------------- kinds of function

@pytest.mark.parametrize("path", [by_rows, by_columns])
@pytest.mark.parametrize("x_dtype, c_dtype", [("f4", "f4"), ("f4", "f8"), ("f8", "f4")])
def test_blocks_have_the_dtype_of_their_variable(path, x_dtype, c_dtype):
    x, c = np.ones(3, x_dtype), np.full(3, 2, c_dtype)
    (block,), = path(lambda x: {"y": x * c}, (x,)).values()
    assert block.dtype == x.dtype
    np.testing.assert_array_equal(block, 2 * np.eye(3))


@pytest.fixture
def halves():
    """An operation that gives two arrays."""
    @tn.primitive
    def halves(x):
        return 2 * x, x * x
    tn.rules.rule(halves, several=True, vjp=lambda g, x: 2 * g[0] + 2 * x * g[1],
                  jvp=lambda t, x: (2 * t, 2 * x * t))
    return halves


@pytest.mark.parametrize("path", [by_rows, by_columns])
@pytest.mark.parametrize("use, diagonal", [
    (lambda a, b: a * b, lambda x: 6 * x * x), (lambda a, b: a, lambda x: 2 + 0 * x),
    (lambda a, b: np.sin(b), lambda x: 2 * x * np.cos(x * x)),
    (lambda a, b: np.where(a > 0, np.log(b), a), lambda x: np.where(x > 0, 2 / x, 2))])
def test_operations_that_give_several_arrays(halves, path, use, diagonal):
    x = A([1.0, -2.0, 0.5])
    (block,), = path(lambda x: {"y": use(*halves(x))}, (x,)).values()
    np.testing.assert_allclose(block, np.diag(diagonal(x)), rtol=1e-14)


def test_hessians_of_operations_that_give_several_arrays(halves):
    x = A([1.0, -2.0, 0.5])
    hes = tn.hessian(lambda x: np.sum(np.multiply(*halves(x))))(x)
    np.testing.assert_allclose(hes, np.diag(12 * x), rtol=1e-14)


def test_outputs_that_are_variables_constants_and_integers():
    x = A([1.0, 2.0])
    jac = tn.jacobian(lambda x, y: (x, y[0], A([5.0]), x > 1, np.argmax(x), 2.5), (0, 1))
    got = jac(x, A([3.0]))
    want = [(np.eye(2), np.zeros((2, 1))), (np.zeros(2), np.ones(1)),
            *[(np.zeros((*s, 2)), np.zeros((*s, 1))) for s in [(1,), (2,), (), ()]]]
    for pair, (a, b) in zip(got, want, strict=True):
        np.testing.assert_array_equal(pair[0], a)
        np.testing.assert_array_equal(pair[1], b)


def test_one_output_and_a_variable_used_as_they_are():
    x = np.arange(3.0)
    np.testing.assert_array_equal(tn.jacobian(lambda x: x)(x), np.eye(3))
    twice = tn.jacobian(lambda x: (x, x * 1))(x)
    assert not np.shares_memory(*twice)
    np.testing.assert_array_equal(twice[1], np.eye(3))


@pytest.mark.parametrize("n", [1, 3])
def test_products_of_matrices_with_one_row_or_column(n):
    """The batched product must not mistake a single row for an axis that was broadcast."""
    x, w = np.arange(float(n))[:, None] + 1, np.full((1, n), 2.0)
    for f in (lambda x: x @ w, lambda x: w @ x, lambda x: (w @ x) * x, lambda x: x.T @ x):
        want = by_pullback(lambda x, f=f: {"y": f(x)}, (x,))
        for path in (by_rows, by_columns):
            agree(path(lambda x, f=f: {"y": f(x)}, (x,)), want)


def test_of_a_function_that_closes_over_tensors():
    w = Tensor(A([2.0, 3.0]))
    jac = tn.jacobian(lambda x: np.where(x > 0, w * x * x, x))(A([1.0, -1.0]))
    assert isinstance(jac, Tensor)
    np.testing.assert_array_equal(jac.data, [[4, 0], [0, 1]])
    np.sum(jac ** 2).backward()
    np.testing.assert_array_equal(w.grad, [16, 0])


def test_within_other_transforms():
    f = lambda x: np.stack([x[0] * x[1], np.sin(x[0])])
    total = lambda x: np.sum(tn.jacobian(f)(x) ** 2)
    x = A([0.5, 2.0])
    want = [2 * x[0] - 2 * np.cos(x[0]) * np.sin(x[0]), 2 * x[1]]
    np.testing.assert_allclose(tn.grad(total)(x), want)
    np.testing.assert_allclose(tn.jvp(total, (x,), (A([1.0, 0.0]),))[1], want[0])
    third = tn.jacobian(tn.hessian(lambda x: x[0] ** 3 * x[1]))(x)
    np.testing.assert_allclose(third, tn.jacobian(tn.jacobian(tn.grad(
        lambda x: x[0] ** 3 * x[1])))(x))
    assert third[0, 0, 0] == 6 * x[1] and third[0, 0, 1] == 6 * x[0] == third[1, 0, 0]


def test_a_change_within_the_function_is_seen():
    def f(x):
        c = np.ones(2)
        y = x * c
        c[:] = 5
        return y
    with pytest.raises(tn.MutationError, match=r"np.multiply needs .*test_jacobian.py, line"):
        tn.jacobian(f)(np.ones(2))


def test_no_warnings_but_the_users_own():
    with np.errstate(all="raise"):
        tn.jacobian(lambda x: np.where(x > 0, np.sqrt(x), 0.0))(A([0.0, 4.0]))
        with pytest.raises(FloatingPointError):
            tn.jacobian(np.log)(A([0.0]))

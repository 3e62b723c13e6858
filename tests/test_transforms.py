"""Derivatives of functions: every transform and its arguments."""

import numpy as np
import pytest
from derivatives import same
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_nn as tn
from tinygrad_nn import Tensor

A = np.array


# ---------------------------------------------------------------- grad and value_and_grad

@pytest.mark.parametrize("x, dtype", [
    (2.0, "f8"), (np.float64(2), "f8"), (A(2.0), "f8"), (np.float32(2), "f4")])
def test_grad_of_a_scalar(x, dtype):
    g = tn.grad(lambda x: x ** 3)(x)
    assert type(g) is np.ndarray and g.shape == () and g.dtype == dtype
    assert float(g) == 12.0


@pytest.mark.parametrize("shape", [(), (1,), (0,), (2, 3)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gradients_have_the_form_of_the_argument(shape, dtype):
    x = np.full(shape, 2, dtype)
    kept = x.copy()
    v, g = tn.value_and_grad(lambda x: np.sum(x * x))(x)
    assert type(g) is np.ndarray and g.shape == shape and g.dtype == dtype
    assert np.shape(v) == () and v.dtype == dtype and not isinstance(v, Tensor)
    same(g, 2 * kept)
    np.testing.assert_array_equal(x, kept)
    assert not np.shares_memory(g, x) and g.flags.writeable


def test_value_and_grad_is_the_value_and_the_grad():
    v, g = tn.value_and_grad(lambda x, y: np.sum(x * y))(A([1.0, 2.0]), A([3.0, 4.0]))
    assert v == 11
    same(g, [3, 4])


def f3(a, b, c=2.0, *, d=1.0):
    return np.sum(a * a) * 1.0 + np.sum(a * b) * c + d * np.sum(b)


@pytest.mark.parametrize("argnums, want", [
    (0, [8.0, 12.0]), (1, [3.0, 5.0]), (-1, 11.0), (2, 11.0), ((0,), ([8.0, 12.0],)),
    ((1, 0), ([3.0, 5.0], [8.0, 12.0])), ([0, 2], ([8.0, 12.0], 11.0)), ((-2,), ([3.0, 5.0],)),
])
def test_argnums(argnums, want):
    a, b, c = A([1.0, 2.0]), A([3.0, 4.0]), 2.0
    got = tn.grad(f3, argnums=argnums)(a, b, c)
    assert isinstance(got, tuple) == (not isinstance(argnums, int))
    value, got2 = tn.value_and_grad(f3, argnums)(a, b, c)
    assert value == f3(a, b, c)
    if isinstance(argnums, int):
        want, got, got2 = (want,), (got,), (got2,)
    for w, x, y in zip(want, got, got2, strict=True):
        same(x, w)
        same(y, w)


def test_keyword_arguments_pass_through_and_are_constants():
    a, b = A([1.0]), A([2.0])
    same(tn.grad(f3, 1)(a, b, c=3.0, d=5.0), [8.0])
    same(tn.jacobian(f3, 1)(a, b, c=3.0, d=5.0), [8.0])
    same(tn.hessian(f3)(a, b, c=3.0, d=5.0), [[2.0]])


@pytest.mark.parametrize("transform", [tn.grad, tn.value_and_grad, tn.jacobian, tn.hessian])
@pytest.mark.parametrize("argnums", [3, -4, (0, 3)])
def test_an_argnum_that_is_not_there(transform, argnums):
    with pytest.raises((TypeError, ValueError, IndexError), match=r"argnums|argument"):
        transform(f3, argnums)(A([1.0]), A([2.0]), 2.0)


def test_other_arguments_may_be_anything():
    def f(x, mode, table, n):
        return x ** n if mode == "power" else table[mode] * x
    assert tn.grad(f)(2.0, "power", None, 3) == 12
    assert tn.grad(f)(2.0, "b", {"b": 7.0}, object()) == 7


def test_has_aux():
    def f(x):
        y = x * x
        return np.sum(y), {"y": y, "name": "square", "n": [3, np.sum(y > 1)]}
    x = A([1.0, 2.0])
    g, aux = tn.grad(f, has_aux=True)(x)
    (value, aux2), g2 = tn.value_and_grad(f, has_aux=True)(x)
    same(g, [2, 4])
    same(g2, [2, 4])
    assert value == 5
    for found in (aux, aux2):
        assert type(found["y"]) is np.ndarray and found["name"] == "square"
        assert found["n"] == [3, 1]
        same(found["y"], [1, 4])
    (g, h), aux = tn.grad(lambda a, b: (np.sum(a * b), a), argnums=(0, 1), has_aux=True)(x, x)
    same(g, h)
    same(aux, x)


def test_aux_of_a_nested_transform_is_differentiable():
    def outer(x):
        g, aux = tn.grad(lambda y: (y ** 3 * x, y * x), has_aux=True)(x)
        return g * aux                              # 3 x^3 * x^2
    same(tn.grad(outer)(2.0), 15 * 2.0 ** 4)


@pytest.mark.parametrize("y", [3.0, [1.0, 2.0], (1.0,), (1.0, 2.0, 3.0)])
def test_has_aux_wants_a_pair(y):
    with pytest.raises(TypeError, match=r"has_aux.*auxiliary"):
        tn.grad(lambda x: y, has_aux=True)(1.0)


def test_the_gradient_of_what_does_not_depend_on_it_is_zero():
    x = A([1.0, 2.0])
    for f in (lambda x: 3.0, lambda x: np.float64(3), lambda x: A(3.0),
              lambda x: np.sum(x > 1.0),
              lambda x: np.sum(np.sign(x)), lambda x: np.sum(tn.stop_gradient(x)),
              lambda x: np.sum(np.floor(x)), lambda x: np.sum(x.data)):
        g = tn.grad(f)(x)
        assert type(g) is np.ndarray and g.dtype == float
        same(g, [0, 0])
        same(tn.jvp(f, (x,), (x,))[1], 0)
        same(tn.jacobian(f)(x), [0, 0])
        same(tn.hessian(f)(x), np.zeros((2, 2)))
        same(tn.hvp(f, x, x), [0, 0])
    same(tn.grad(lambda x, y: np.sum(x), 1)(x, np.ones((2, 2), np.float32)), np.zeros((2, 2)))


@pytest.mark.parametrize("f, message", [
    (lambda x: x, r"scalar.*\(2,\)"), (lambda x: x[:1], r"scalar.*\(1,\)"),
    (lambda x: x.data, r"scalar.*\(2,\)"),
])
def test_grad_of_what_is_not_a_scalar(f, message):
    with pytest.raises(tn.ShapeError, match=message):
        tn.grad(f)(A([1.0, 2.0]))


@pytest.mark.parametrize("y", [None, "a", [1.0], {"a": 1.0}])
def test_grad_of_what_is_not_an_array(y):
    with pytest.raises(TypeError, match=r"returned (NoneType|str|list|dict)"):
        tn.grad(lambda x: y)(1.0)


@pytest.mark.parametrize("x", [1, [1, 2], A([1, 2]), True, 1j, "a", None, A([1j])])
def test_arguments_that_cannot_be_differentiated(x):
    for run in (lambda: tn.grad(lambda x: 0.0)(x), lambda: tn.vjp(lambda x: 0.0, x),
                lambda: tn.jacobian(lambda x: 0.0)(x), lambda: tn.hessian(lambda x: 0.0)(x),
                lambda: tn.jvp(lambda x: 0.0, (x,), (x,))):
        with pytest.raises(TypeError, match="real floating"):
            run()


def test_the_error_of_an_argument_says_which():
    with pytest.raises(TypeError, match="argument 1 "):
        tn.grad(lambda x, y: x, argnums=1)(1.0, 2)


def test_names_and_docstrings_stay():
    def energy(x):
        """Half of it."""
        return x / 2
    for transform in (tn.grad, tn.value_and_grad, tn.jacobian, tn.hessian):
        assert transform(energy).__name__ == "energy"
        assert transform(energy).__doc__ == "Half of it."


# ---------------------------------------------------------------- vjp and jvp

def test_vjp():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 3)), rng.normal(size=(3, 4))
    y, pullback = tn.vjp(np.matmul, a, b)
    same(y, a @ b)
    assert type(y) is np.ndarray
    for _ in range(3):                              # as often as one likes
        g = rng.normal(size=(2, 4))
        da, db = pullback(g)
        same(da, g @ b.T)
        same(db, a.T @ g)
        assert type(da) is np.ndarray
    assert isinstance(pullback(g), tuple)
    assert isinstance(tn.vjp(np.sin, 1.0)[1](1.0), tuple)


def test_pullbacks_do_not_share_memory():
    _, pullback = tn.vjp(lambda a, b: a + b, np.zeros(3), np.zeros(3))
    seed = np.ones(3)
    a, b = pullback(seed)
    a += 5
    same(b, 1)
    same(seed, 1)
    same(pullback(seed)[0], 1)


def test_lists_as_seeds_and_tangents():
    x = A([1.0, 2.0])
    same(tn.vjp(np.sin, x)[1]([1.0, 10.0])[0], np.cos(x) * [1, 10])
    same(tn.vjp(np.sin, x)[1]([1, 10])[0], np.cos(x) * [1, 10])
    same(tn.jvp(np.sin, (x,), ([1, 10],))[1], np.cos(x) * [1, 10])
    same(tn.vjp(lambda x: [x, x * 2], 3.0)[1]([1.0, 10.0])[0], 21)


@pytest.mark.parametrize("g", [A([1j, 0]), [None, None], A(["a", "b"])])
def test_seeds_and_tangents_that_are_not_real(g):
    _, pullback = tn.vjp(np.sin, np.ones(2))
    for run in (lambda: pullback(g), lambda: tn.jvp(np.sin, (np.ones(2),), (g,))):
        with pytest.raises((TypeError, ValueError)):
            run()


@pytest.mark.parametrize("g", [np.ones(2), np.ones((1, 3)), 1.0, np.ones((3, 1))])
def test_pullback_and_tangents_refuse_other_shapes(g):
    _, pullback = tn.vjp(np.sin, np.ones(3))
    for run in (lambda: pullback(g), lambda: tn.jvp(np.sin, (np.ones(3),), (g,)),
                lambda: tn.hvp(lambda x: np.sum(x), np.ones(3), g)):
        with pytest.raises(tn.ShapeError) as error:
            run()
        assert str(np.shape(g)) in str(error.value) and "(3,)" in str(error.value)


def test_jvp():
    rng = np.random.default_rng(0)
    a, b, da, db = (rng.normal(size=s) for s in ((2, 3), (3, 4), (2, 3), (3, 4)))
    y, dy = tn.jvp(np.matmul, (a, b), (da, db))
    same(y, a @ b)
    same(dy, da @ b + a @ db)
    assert type(y) is np.ndarray and type(dy) is np.ndarray
    y, dy = tn.jvp(lambda x: np.exp(x) > 1, (a,), (da,))
    assert dy.shape == (2, 3) and not dy.any()
    y, dy = tn.jvp(np.float32(3).__mul__, (np.float32(2),), (1,))
    assert dy == 3 and dy.dtype == np.float32


@pytest.mark.parametrize("xs, ts", [(1.0, 1.0), ((1.0,), 1.0), (1.0, (1.0,)), ((1.0,), ()),
                                    ((1.0,), (1.0, 1.0)), (A([1.0]), A([1.0]))])
def test_jvp_wants_two_tuples_of_one_length(xs, ts):
    with pytest.raises((TypeError, ValueError), match=r"tuple|form"):
        tn.jvp(lambda x: x, xs, ts)


def test_a_function_may_be_called_with_several_argument_kinds():
    y, dy = tn.jvp(lambda a, b: a * b[0] + b[1]["c"], (2.0, [3.0, {"c": 4.0}]),
                   (1.0, [0.0, {"c": 1.0}]))
    assert y == 10 and dy == 4


@given(st.integers(0, 2 ** 32 - 1))
@settings(max_examples=25, deadline=None)
def test_forward_and_reverse_are_adjoint(seed):
    rng = np.random.default_rng(seed)
    n, m = rng.integers(1, 4, 2)
    x, t, w = rng.normal(size=(n, m)), rng.normal(size=(n, m)), rng.normal(size=(m, n))

    def f(x):
        h = np.tanh(x @ w) + np.where(x.sum() > 0, x[:, :1], np.sin(x).sum())
        return {"a": h * tn.softplus(h), "b": np.concatenate([x, np.maximum(x, 0.3)], axis=1)}
    y, pullback = tn.vjp(f, x)
    g = {k: rng.normal(size=v.shape) for k, v in y.items()}
    _, dy = tn.jvp(f, (x,), (t,))
    same(sum(np.sum(g[k] * dy[k]) for k in g), np.sum(pullback(g)[0] * t), rtol=1e-9)


# ---------------------------------------------------------------- jacobian, hessian, hvp

@pytest.mark.parametrize("n_in, n_out", [(3, 2), (2, 3), (1, 4), (4, 1), (3, 3)])
def test_jacobian(n_in, n_out):
    rng = np.random.default_rng(0)
    w, x = rng.normal(size=(n_out, n_in)), rng.normal(size=n_in)
    jac = tn.jacobian(lambda x: np.sin(w @ x))(x)
    same(jac, np.cos(w @ x)[:, None] * w)
    assert type(jac) is np.ndarray


@pytest.mark.parametrize("in_shape", [(), (2,), (2, 3), (0,)])
@pytest.mark.parametrize("out_shape", [(), (4,), (3, 1), (0,)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_jacobian_shapes(in_shape, out_shape, dtype):
    x = np.ones(in_shape, dtype)
    f = lambda x: np.broadcast_to(np.sum(x * x), out_shape)
    jac = tn.jacobian(f)(x)
    assert jac.shape == out_shape + in_shape and jac.dtype == dtype
    same(jac, np.full(jac.shape, 2.0))
    hes = tn.hessian(lambda x: np.sum(x * x))(x)
    assert hes.shape == in_shape * 2 and hes.dtype == dtype


@pytest.mark.parametrize("argnums", [0, 1, -1, (0, 1), (-1,), (1, 0)])
def test_jacobian_and_hessian_with_argnums(argnums):
    a, b = A([1.0, 2.0]), A([3.0, 4.0])
    f = lambda a, b: a * b * b
    each = {0: np.diag([9.0, 16.0]), 1: np.diag([6.0, 16.0])}
    mixed = np.diag([6.0, 8.0])
    second = {(0, 0): np.zeros((2, 2)), (0, 1): mixed, (1, 0): mixed,
              (1, 1): np.diag([2.0, 4.0])}
    jac = tn.jacobian(f, argnums)(a, b)
    hes = tn.hessian(lambda a, b: np.sum(f(a, b)), argnums)(a, b)
    if isinstance(argnums, int):
        same(jac, each[argnums % 2])
        same(hes, second[argnums % 2, argnums % 2])
        return
    numbers = [k % 2 for k in argnums]
    assert isinstance(jac, tuple) and isinstance(hes, tuple)
    for k, j, row in zip(numbers, jac, hes, strict=True):
        same(j, each[k])
        for m, h in zip(numbers, row, strict=True):
            same(h, second[k, m])


def test_hessian_and_hvp():
    rng = np.random.default_rng(0)
    x, v = rng.normal(size=(2, 3)), rng.normal(size=(2, 3))
    f = lambda x: np.sum(np.sin(x) @ np.exp(x).T)
    hes = tn.hessian(f)(x)
    assert hes.shape == (2, 3, 2, 3)
    same(hes, np.transpose(hes, (2, 3, 0, 1)))
    same(tn.hvp(f, x, v), np.tensordot(hes, v, 2))
    step = 1e-6 * v
    same(tn.hvp(f, x, v), (tn.grad(f)(x + step) - tn.grad(f)(x - step)) / 2e-6, rtol=1e-7)
    assert type(tn.hvp(f, x, v)) is np.ndarray


def test_jacobian_of_simple_functions():
    x, w = A([1.0, 2.0]), Tensor([3.0, 4.0])
    same(tn.jacobian(lambda x: x)(x), np.eye(2))
    same(tn.jacobian(lambda x: x[:1])(x), [[1, 0]])
    same(tn.jacobian(lambda x: np.concatenate([x, A([3.0]), x * x]))(x),
         [[1, 0], [0, 1], [0, 0], [2, 0], [0, 4]])
    same(tn.jacobian(lambda x: np.stack([x * x, x]))(2.0), [4, 1])
    same(tn.jacobian(lambda x: (x.sum() ** A([1.0, 2.0])) * x.sum())(x), [[6, 6], [27, 27]])
    for f in (lambda x: x * w, lambda x: np.stack([np.sum(x * w)]), lambda x: (x * w)[:1]):
        jac = tn.jacobian(f)(x)
        jac.sum().backward()
        assert isinstance(jac, Tensor) and w.grad[0] == 1
        w.grad = None


@pytest.mark.parametrize("f", [lambda x: np.sin(x)[:1] * A([2.0]),
                               lambda x: np.concatenate([np.sin(x)] * 3) * A([2.0])])
def test_the_dtype_of_a_jacobian_does_not_depend_on_the_mode(f):
    """Rows (reverse) or columns (forward): as with grad, it is that of the argument."""
    assert tn.jacobian(f)(A([1.0, 2.0], np.float32)).dtype == np.float32


def test_jacobian_of_jacobian_is_the_tensor_of_second_derivatives():
    f = lambda x: A([[1.0, 2.0], [3.0, 4.0]]) @ (x ** 3)
    got = tn.jacobian(tn.jacobian(f))(A([1.0, 2.0]))
    want = np.zeros((2, 2, 2))
    for k in range(2):
        want[:, k, k] = A([[1.0, 2.0], [3.0, 4.0]])[:, k] * 6 * (k + 1)
    same(got, want)
    third = tn.jacobian(tn.hessian(lambda x: np.sum(x ** 3)))(A([1.0, 2.0]))
    assert third.shape == (2, 2, 2) and third[1, 1, 1] == 6

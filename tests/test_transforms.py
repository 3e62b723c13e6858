"""Derivatives of functions: every transform, its arguments, and their nesting in any order."""

import collections
import itertools
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_nn as tn
from tinygrad_nn import Tensor

A = np.array
Pair = collections.namedtuple("Pair", "w b")


def forward(f):
    """The derivative of a function of a scalar, by forward mode."""
    return lambda x: tn.jvp(f, (x,), (np.ones(np.shape(x)),))[1]


def by_vjp(f):
    return lambda x: tn.vjp(f, x)[1](np.ones(np.shape(x)))[0]


ONCE = {"grad": tn.grad, "jvp": forward, "vjp": by_vjp, "jacobian": tn.jacobian}


def same(a, b, **kw):
    np.testing.assert_allclose(a, b, **{"rtol": 1e-12, "atol": 1e-12, **kw})


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


# ---------------------------------------------------------------- trees

def loss_of_tree(p):
    return np.sum(p["layers"][0].w * 2) + np.sum(p["layers"][1].b ** 2) + p["scale"] * 3 \
        + np.sum(p["t"][0] * p["t"][1][0])


def tree():
    return {"layers": [Pair(np.ones(2), 1.0), Pair(A(0.5), A([1.0, 2.0]))],
            "scale": np.float32(2), "t": (A([1.0]), [A([4.0], np.float32)]),
            "none": [], "e": ()}


def test_arguments_may_be_nested_trees():
    g = tn.grad(loss_of_tree)(tree())
    assert list(g) == ["layers", "scale", "t", "none", "e"]
    assert type(g["layers"][0]) is Pair and type(g["t"]) is tuple and type(g["t"][1]) is list
    same(g["layers"][0].w, [2, 2])
    same(g["layers"][0].b, 0)
    same(g["layers"][1].b, [2, 4])
    assert g["scale"] == 3 and g["scale"].dtype == np.float32
    same(g["t"][0], [4])
    assert g["t"][1][0].dtype == np.float32 and g["none"] == [] and g["e"] == ()


def test_trees_in_the_other_transforms():
    p = {"a": A([1.0, 2.0]), "b": (A([3.0, 4.0]), 2.0)}
    f = lambda p: (p["a"] * p["b"][0], {"s": np.sum(p["a"]) * p["b"][1]})
    y, pullback = tn.vjp(f, p)
    assert type(y) is tuple and type(y[1]) is dict
    same(y[0], [3, 8])
    same(y[1]["s"], 6)
    g, = pullback((A([1.0, 10.0]), {"s": 2.0}))
    same(g["a"], [3 + 4, 40 + 4])
    same(g["b"][0], [1, 20])
    same(g["b"][1], 6)
    t = {"a": A([1.0, 0.0]), "b": (A([0.0, 1.0]), 1.0)}
    y2, dy = tn.jvp(f, (p,), (t,))
    same(y2[0], y[0])
    same(dy[0], [3, 2])
    same(dy[1]["s"], 2 + 3)
    jac = tn.jacobian(f)(p)
    same(jac[0]["a"], np.diag([3, 4]))
    same(jac[0]["b"][0], np.diag([1, 2]))
    same(jac[0]["b"][1], [0, 0])
    same(jac[1]["s"]["a"], [2, 2])
    same(jac[1]["s"]["b"][1], 3)
    total = lambda p: np.sum(p["a"] ** 2 * p["b"][0]) * p["b"][1]
    hes = tn.hessian(total)(p)
    same(hes["a"]["a"], np.diag([12, 16]))
    same(hes["a"]["b"][1], [6, 16])
    same(hes["b"][1]["a"], [6, 16])
    same(hes["b"][0]["b"][0], np.zeros((2, 2)))
    h = tn.hvp(total, p, t)
    same(h["a"], [12 + 6, 16 + 8])
    same(h["b"][1], 6 + 4)


def test_dictionaries_are_matched_by_key():
    x = {"a": 1.0, "b": 2.0}
    f = lambda d: d["a"] * 10 + d["b"] * 100
    swapped = {"b": 0.0, "a": 1.0}
    assert tn.jvp(f, (x,), (swapped,))[1] == 10
    assert tn.hvp(lambda d: f(d) ** 2 / 2, x, swapped)["a"] == 100
    _, pullback = tn.vjp(lambda x: {"a": x * 10, "b": x * 100}, 1.0)
    assert pullback(swapped)[0] == 10


@pytest.mark.parametrize("other", [
    {"x": 1.0, "y": 2.0}, {"a": 1.0}, {"a": 1.0, "b": 2.0, "c": 3.0}, [1.0, 2.0], (1.0, 2.0),
    1.0, {"a": [1.0], "b": 2.0},
])
def test_trees_of_another_form_are_refused(other):
    x = {"a": 1.0, "b": 2.0}
    f = lambda d: d["a"] * 10 + d["b"]
    _, pullback = tn.vjp(lambda x: {"a": x, "b": x}, 1.0)
    for run in (lambda: tn.jvp(f, (x,), (other,)), lambda: pullback(other),
                lambda: tn.hvp(f, x, other)):
        with pytest.raises((tn.ShapeError, TypeError)):
            run()


def test_containers_keep_their_kind():
    x = collections.OrderedDict(b=1.0, a=A([2.0, 3.0]))
    g = tn.grad(lambda d: d["b"] * np.sum(d["a"]))(x)
    assert list(g) == ["b", "a"] and g["b"] == 5
    g = tn.grad(lambda p: p.w * p.b)(Pair(2.0, 3.0))
    assert type(g) is Pair and (g.w, g.b) == (3, 2)
    nested = [[1.0, [2.0, (3.0,)]]]
    assert tn.grad(lambda t: t[0][0] * t[0][1][0] * t[0][1][1][0])(nested) == [[6, [3, (2,)]]]


def test_a_tree_used_in_two_arguments():
    p = [1.0, 2.0]
    a, b = tn.grad(lambda p, q: p[0] * q[1], argnums=(0, 1))(p, p)
    assert a == [2, 0] and b == [0, 1]


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


# ---------------------------------------------------------------- operations of one's own

@pytest.fixture
def rules():
    """The functions that add rules; what a test added is taken away again."""
    from tinygrad_nn import _table
    kept = dict(_table.RULES)
    yield tn.rules
    _table.RULES.clear()
    _table.RULES.update(kept)


def third_order(f, *inputs):
    """First and second order against finite differences, third in all modes."""
    assert tn.gradcheck(f, *inputs, order=2)
    x = inputs[0]
    v = np.random.default_rng(1).normal(size=np.shape(x))

    def total(x):
        y = f(x, *inputs[1:])
        return np.sum(y * np.cos(np.arange(np.size(y)).reshape(np.shape(y))))
    d1 = lambda f: lambda x: np.sum(tn.grad(f)(x) * v)
    d2 = lambda f: lambda x: tn.jvp(f, (x,), (v,))[1]
    all_ways = [p(q(r(total)))(x) for p, q, r in itertools.product((d1, d2), repeat=3)]
    same(all_ways, all_ways[0], rtol=1e-9, atol=1e-10)
    h = 1e-5
    slope = (d1(d1(total))(x + h * v) - d1(d1(total))(x - h * v)) / (2 * h)
    same(all_ways[0], slope, rtol=1e-6, atol=1e-7)


X = A([[0.3, 1.2, 0.8], [1.7, 0.5, 2.1]])
B = A([[1.1, 0.4, 0.9], [0.6, 1.3, 0.7]])


def test_a_primitive_without_a_rule_is_a_plain_function_of_arrays(rules):
    @tn.primitive
    def nothing(x, scale=1.0):
        """Doc."""
        return x * scale
    same(nothing(A([1.0]), scale=2.0), [2.0])
    assert nothing.__doc__ == "Doc."
    for run in (lambda: nothing(Tensor([1.0])), lambda: tn.grad(nothing)(1.0),
                lambda: tn.jvp(nothing, (1.0,), (1.0,)),
                lambda: nothing(A([1.0]), scale=Tensor(2.0))):
        with pytest.raises(tn.NoRuleError, match=r"nothing has no .*rule.*tinygrad_nn\.rules"):
            run()


def test_an_elementwise_rule(rules):
    @tn.primitive
    def gauss(x):
        assert type(x) is np.ndarray or np.isscalar(x)
        return np.exp(-x * x)
    rules.elementwise(gauss, lambda y, x: -2 * x * y)
    third_order(gauss, X)
    w = Tensor(X)
    assert "gauss" in repr(gauss(w))
    gauss(w).sum().backward()
    same(w.grad, -2 * X * np.exp(-X * X))
    assert tn.grad(gauss)(0.0) == 0 and type(gauss(X)) is np.ndarray


def test_an_elementwise_rule_of_two_arguments(rules):
    @tn.primitive
    def power_product(a, b):
        return a * a * np.exp(b)
    rules.elementwise(power_product, lambda a, b: 2 * a * np.exp(b), lambda y: y)
    third_order(power_product, X, B)
    third_order(lambda a: power_product(a, a[0]), X)                    # broadcasting
    third_order(lambda b: power_product(2.0, b), X)
    same(tn.grad(lambda a, b: np.sum(power_product(b=b, a=a)), 1)(X, B), X * X * np.exp(B))


def test_constant_partials(rules):
    @tn.primitive
    def mix(a, b, c):
        return 2 * a - b + 0.5 * c
    rules.elementwise(mix, 2, -1, 0.5)
    a, b, c = tn.grad(lambda *xs: np.sum(mix(*xs)), (0, 1, 2))(X, B, X)
    same([a[0, 0], b[0, 0], c[0, 0]], [2, -1, 0.5])
    assert tn.gradcheck(mix, X, B, X, order=2)


def test_a_rule_with_an_argument_that_has_no_derivative(rules):
    @tn.primitive
    def scale(x, k):
        return x * k
    rules.elementwise(scale, lambda b: b, None)
    same(tn.grad(lambda x: np.sum(scale(x, x)))(X), X)


def test_a_select_rule(rules):
    @tn.primitive
    def leaky(x):
        return np.where(x > 0, x, 0.1 * x)
    rules.select(leaky, lambda x: np.where(x > 0, 1.0, 0.1))
    third_order(leaky, X - 1)

    @tn.primitive
    def positive(x):
        return np.where(x > 0, x, 0.0)
    rules.select(positive, lambda x: x > 0)
    with np.errstate(all="ignore"):
        for d in (tn.grad, forward):
            assert d(lambda x: positive(np.log(x)))(0.0) == 0
            for e in (tn.grad, forward):
                assert e(d(lambda x: positive(np.sqrt(x) - 1)))(0.0) == 0


def test_a_linear_rule(rules):
    @tn.primitive
    def differences(x, step=1):
        return x[..., step:] - x[..., :-step]

    def transpose(g, step=1):
        before = ((0, 0),) * (g.ndim - 1)
        return np.pad(g, (*before, (step, 0))) - np.pad(g, (*before, (0, step)))
    rules.linear(differences, transpose)
    third_order(lambda x: differences(x) ** 3, X)
    third_order(lambda x: differences(x, 2) ** 3, X)
    third_order(lambda x: differences(x, step=2) ** 3, X)
    same(tn.grad(lambda x: differences(x)[1])(A([1.0, 2.0, 4.0])), [0, -1, 1])


def test_a_linear_rule_that_reads_the_shape_keeps_no_value(rules):
    @tn.primitive
    def first(x):
        return x[0]
    rules.linear(first, lambda g, shape: np.concatenate([g[None], np.zeros(shape)[1:]]))
    third_order(lambda x: np.sin(first(x)), X)


def test_a_bilinear_rule(rules):
    @tn.primitive
    def correlate(a, b):
        return np.sum(a * b, axis=-1)
    rules.bilinear(correlate, lambda g, b: g[..., None] * b, lambda g, a: g[..., None] * a)
    third_order(correlate, X, B)
    third_order(lambda x: correlate(x, x) ** 2, X)
    third_order(lambda x: correlate(B, np.sin(x)), X)


def test_a_rule_of_its_own_kind(rules):
    @tn.primitive
    def normalise(x, eps=0.0):
        return x / np.sqrt(np.sum(x * x) + eps)

    def tangent(t, y, x, eps=0.0):
        return (t - y * np.sum(y * t)) / np.sqrt(np.sum(x * x) + eps)
    rules.rule(normalise, vjp=lambda g, y, x, eps=0.0: tangent(g, y, x, eps), jvp=tangent)
    third_order(normalise, X)
    third_order(lambda x: normalise(x, eps=0.5), X)

    @tn.primitive
    def quotient(a, b):
        return np.sum(a) / b
    rules.rule(quotient, vjp=(lambda g, shape, b: np.broadcast_to(np.sum(g / b), shape),
                              lambda g, y, b: -g * y / b),
               jvp=(lambda t, b: np.sum(t) / b, lambda t, y, b: -t * y / b))
    third_order(quotient, X, B)
    third_order(lambda b: quotient(X, b), B)


def test_a_composite_rule(rules):
    @tn.primitive
    def swish(x, beta=1.0):
        return x / (1 + np.exp(-beta * x))
    rules.composite(swish, lambda x, beta=1.0: x * tn.sigmoid(beta * x))
    third_order(swish, X)
    third_order(lambda x: swish(x, beta=2.0), X)
    beta = Tensor(1.5)
    swish(X, beta=beta).sum().backward()
    same(beta.grad, tn.grad(lambda b: np.sum(X * tn.sigmoid(b * X)))(1.5))


def test_a_variadic_rule(rules):
    @tn.primitive
    def product(*arrays):
        y = 1.0
        for a in arrays:
            y = y * a
        return y

    def others(arrays, i):
        y = 1.0
        for j, a in enumerate(arrays):
            y = y * a if j != i else y
        return y

    def jvp(ts, arrays):
        return sum(t * others(arrays, i) for i, t in enumerate(ts) if t is not None)
    rules.variadic(product, save=lambda active, arrays: arrays,
                   vjp=lambda g, saved, active: [g * others(saved, i) for i in active], jvp=jvp)
    third_order(lambda x: product(x, B, np.sin(x), x), X)
    a, b = Tensor(X), Tensor(B)
    product(a, X, b).sum().backward()
    same(a.grad, X * B)
    same(b.grad, X * X)


def test_a_zero_rule(rules):
    @tn.primitive
    def steps(x):
        return np.floor(x * 2) / 2
    rules.zero(steps)
    assert type(steps(Tensor([1.3]))) is np.ndarray
    for d in ONCE.values():
        assert d(lambda x: steps(x) * x)(1.3) == 1.0
        assert d(d(lambda x: steps(x) * x * x))(1.3) == 2.0


def test_one_function_has_one_rule(rules):
    f = tn.primitive(lambda x: x)
    rules.elementwise(f, 1)
    with pytest.raises(ValueError, match="already"):
        rules.elementwise(f, 2)


def test_more_arguments_that_are_no_arrays(rules):
    @tn.primitive
    def scaled_product(a, b, scale, *, power=1):
        return a * b * scale ** power
    rules.bilinear(scaled_product, lambda g, b, scale, power=1: g * b * scale ** power,
                   lambda g, a, scale, power=1: g * a * scale ** power)
    third_order(lambda x: scaled_product(x, np.sin(x), 2.0), X)
    third_order(lambda x: scaled_product(x, B, scale=2.0, power=3), X)
    assert tn.grad(lambda x: scaled_product(b=x, a=x, scale=2.0, power=2))(3.0) == 24


def test_a_gradient_by_a_keyword_is_refused(rules):
    @tn.primitive
    def scaled(x, factor=2.0):
        return x * factor
    rules.elementwise(scaled, lambda a, factor=2.0: factor)
    same(tn.grad(lambda x: scaled(x, factor=3.0))(1.0), 3.0)
    with pytest.raises(tn.NoRuleError, match=r"scaled.*factor="):
        scaled(X, factor=Tensor(2.0))


def test_a_rule_for_a_numpy_function(rules):
    from tinygrad_nn import _table
    _table.RULES.pop(np.sinc, None)
    with pytest.raises(tn.NoRuleError, match=r"np\.sinc"):
        np.sinc(Tensor(X))
    rules.elementwise(np.sinc, lambda y, x: (np.cos(np.pi * x) - y) / x)
    third_order(np.sinc, X)


def test_primitives_in_a_deep_nesting(rules):
    cube = tn.primitive(lambda x: x * x * x)
    rules.elementwise(cube, lambda x: 3 * x * x)
    for p, q, r in itertools.product(ONCE.values(), repeat=3):
        same(p(q(r(lambda x: cube(x) * x)))(2.0), 48.0)

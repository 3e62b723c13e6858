"""`custom_vjp` and `custom_jvp`: rules of one's own for whole functions."""

import functools
import inspect

import numpy as np
import pytest
from derivatives import ONCE, ORDERS, same

import tinygrad_nn as tn
from tinygrad_nn import Tensor

A = np.array


# ---------------------------------------------------------------- functions with both rules
# Each with what it is: the plain function, its reverse rule, its forward rule.

def wave(x):
    return np.sin(x) * x


def product(a, b):
    return np.tanh(a @ b)


PLAIN = {
    "wave": (wave, lambda g, x: g * (np.cos(x) * x + np.sin(x)),
             lambda xs, ts: (np.cos(xs[0]) * xs[0] + np.sin(xs[0])) * ts[0],
             (A([0.5, -1.0]),)),
    "product": (product,
                lambda g, a, b: ((g * (1 - product(a, b) ** 2)) @ b.T,
                                 a.T @ (g * (1 - product(a, b) ** 2))),
                lambda xs, ts: (1 - product(*xs) ** 2) * (ts[0] @ xs[1] + xs[0] @ ts[1]),
                (A([[0.5, -1.0]]), A([[0.2, 0.3], [-0.4, 0.1]]))),
    "broadcast": (lambda a, b: a * b * b, lambda g, a, b: (g * b * b, np.sum(2 * g * a * b)),
                  lambda xs, ts: ts[0] * xs[1] ** 2 + 2 * xs[0] * xs[1] * ts[1],
                  (A([0.5, -1.0]), A(0.7))),
    "sum": (lambda x: np.sum(x ** 3, axis=0), lambda g, x: 3 * x * x * g,
            lambda xs, ts: np.sum(3 * xs[0] ** 2 * ts[0], axis=0),
            (A([[0.5, -1.0], [0.2, 0.3]]),)),
}


def made(kind, name):
    f, vjp, jvp, _ = PLAIN[name]
    return tn.custom_vjp(f, vjp) if kind == "custom_vjp" else tn.custom_jvp(f, jvp)


KINDS = pytest.mark.parametrize("kind", ["custom_vjp", "custom_jvp"])


@KINDS
@pytest.mark.parametrize("name", PLAIN)
def test_custom_functions_agree_with_the_plain_ones(kind, name):
    f, xs = PLAIN[name][0], PLAIN[name][3]
    custom = made(kind, name)
    np.testing.assert_array_equal(custom(*xs), f(*xs))
    assert not isinstance(custom(*xs), Tensor)
    tn.gradcheck(custom, *xs)
    everything = range(len(xs))
    for a, b in zip(tn.jacobian(custom, everything)(*xs), tn.jacobian(f, everything)(*xs),
                    strict=True):
        same(a, b)
    for k in everything:
        scalar = lambda g, *xs: np.sum(np.sin(g(*xs)))
        same(tn.hessian(functools.partial(scalar, custom), k)(*xs),
             tn.hessian(functools.partial(scalar, f), k)(*xs))
        one = lambda g, x, k=k: g(*[x if i == k else v for i, v in enumerate(xs)])
        t = np.ones_like(xs[k])                     # a tangent for one of the arguments alone
        for a, b in zip(tn.jvp(functools.partial(one, custom), (xs[k],), (t,)),
                        tn.jvp(functools.partial(one, f), (xs[k],), (t,)), strict=True):
            same(a, b)
        g = tn.vjp(functools.partial(one, custom), xs[k])[1](np.ones(f(*xs).shape))[0]
        assert g.shape == xs[k].shape
        same(g, tn.vjp(functools.partial(one, f), xs[k])[1](np.ones(f(*xs).shape))[0])


@KINDS
@pytest.mark.parametrize("order", ORDERS, ids="-".join)
def test_every_order_and_mode(kind, order):
    custom, plain = made(kind, "wave"), wave
    for name in order:
        custom, plain = ONCE[name](custom), ONCE[name](plain)
    got, want = custom(0.7), plain(0.7)
    same(got, want, rtol=1e-10)
    assert not isinstance(got, Tensor)


@KINDS
def test_the_rule_is_used_instead_of_the_operations(kind):
    """A rule that is ten times too large shows where it is asked."""
    f = (tn.custom_vjp(np.sin, lambda g, x: 10 * g * np.cos(x)) if kind == "custom_vjp" else
         tn.custom_jvp(np.sin, lambda xs, ts: 10 * ts[0] * np.cos(xs[0])))
    x = A([0.3, 0.6])
    total = lambda x: np.sum(f(x))
    want = 10 * np.cos(x)
    same(tn.grad(total)(x), want)
    same(tn.value_and_grad(total)(x)[0], np.sum(np.sin(x)))
    same(tn.jvp(f, (x,), (np.ones(2),))[1], want)
    same(tn.vjp(f, x)[1](np.ones(2))[0], want)
    same(tn.jacobian(f)(x), np.diag(want))
    same(tn.hessian(total)(x), np.diag(-10 * np.sin(x)))
    same(tn.hvp(total, x, np.ones(2)), -10 * np.sin(x))
    same(tn.grad(tn.remat(total))(x), want)
    same(tn.grad(lambda x: np.sum(f(f(x))))(x), 100 * np.cos(np.sin(x)) * np.cos(x))
    w = Tensor(x)
    f(w).sum().backward()
    same(w.grad, want)


def test_gradients_that_are_not_those_of_the_function():
    """What a custom_vjp is for: clipped gradients, straight-through estimators."""
    through = tn.custom_vjp(np.round, lambda g, x: g)
    x = A([0.4, 1.6])
    np.testing.assert_array_equal(through(x), [0, 2])
    np.testing.assert_array_equal(tn.grad(lambda x: np.sum(through(x) * x))(x),
                                  through(x) + x)
    backwards = tn.custom_vjp(lambda x: x, lambda g, x: -g)
    assert tn.grad(lambda x: backwards(x) ** 2)(3.0) == -6
    clipped = tn.custom_vjp(lambda x: x, lambda g, x: np.clip(g, -1.0, 1.0))
    np.testing.assert_array_equal(
        tn.grad(lambda x: np.sum(clipped(x) * A([100.0, 0.5])))(np.ones(2)), [1, 0.5])


def test_a_rule_that_is_exact_where_the_operations_are_not():
    f = tn.custom_jvp(lambda x: np.log(1 + np.exp(x)),
                      lambda xs, ts: ts[0] * tn.sigmoid(xs[0]))
    for x in (-1e4, 0.0, 30.0):
        assert tn.grad(f)(x) == tn.sigmoid(x)
        assert tn.grad(tn.grad(f))(x) == tn.sigmoid(x) * (1 - tn.sigmoid(x))


@KINDS
def test_the_function_itself_sees_arrays_alone_and_runs_once(kind):
    seen = []

    def f(x):
        seen.append(type(x))
        return np.square(x)
    custom = (tn.custom_vjp(f, lambda g, x: 2 * g * x) if kind == "custom_vjp" else
              tn.custom_jvp(f, lambda xs, ts: 2 * xs[0] * ts[0]))
    assert custom(Tensor([3.0])).data == 9 and seen == [np.ndarray]
    tn.grad(lambda x: np.sum(custom(x)))(np.ones(2))
    tn.grad(tn.grad(lambda x: custom(x) * 1.0))(A(1.0))
    assert set(seen) == {np.ndarray}


@KINDS
def test_name_and_docstring_stay(kind):
    def area(r):
        """Of a circle."""
        return np.pi * r * r
    custom = getattr(tn, kind)(area, lambda *args: None)
    assert custom.__name__ == "area" and custom.__doc__ == "Of a circle."
    assert list(inspect.signature(custom).parameters) == ["r"]
    assert getattr(tn, kind)(np.sin, None).__name__ == "sin"
    named = getattr(tn, kind)(functools.partial(np.multiply, 2.0), None)
    assert named(3.0) == 6
    assert "made by area" in repr(custom(Tensor(1.0)))


@KINDS
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtypes_are_kept(kind, dtype):
    f = (tn.custom_vjp(lambda x: x * x, lambda g, x: np.asarray(2.0) * np.ones(3)) if
         kind == "custom_vjp" else
         tn.custom_jvp(lambda x: x * x, lambda xs, ts: np.asarray(2.0) * np.ones(3)))
    x = np.ones(3, dtype)
    assert f(Tensor(x)).dtype == dtype
    assert tn.grad(lambda x: np.sum(f(x)))(x).dtype == dtype
    assert tn.jvp(f, (x,), (x,))[1].dtype == dtype
    assert tn.jacobian(f)(x).dtype == dtype


# ---------------------------------------------------------------- arguments

def test_none_is_a_gradient_of_zero():
    f = tn.custom_vjp(lambda a, b: a * b, lambda g, a, b: (g * b, None))
    a, b = A([2.0, 3.0]), A([4.0, 5.0])
    total = lambda a, b: np.sum(f(a, b))
    got = tn.grad(total, (0, 1))(a, b)
    np.testing.assert_array_equal(got[0], b)
    np.testing.assert_array_equal(got[1], 0)
    assert got[1].shape == (2,) and not tn.grad(total, 1)(a, b).any()
    np.testing.assert_array_equal(tn.jvp(f, (a, b), (a, b))[1], a * b)
    nothing = tn.custom_vjp(lambda x: 2 * x, lambda g, x: None)
    assert tn.grad(nothing)(3.0) == 0 and tn.jvp(nothing, (3.0,), (1.0,))[1] == 0
    assert tn.grad(lambda x: nothing(x) * x)(3.0) == 6


def test_a_list_of_gradients_is_a_tuple_of_them():
    f = tn.custom_vjp(lambda a, b: a * b, lambda g, a, b: [g * b, g * a])
    assert tn.grad(f, (0, 1))(2.0, 3.0) == (3, 2)


def power(x, n, how, offset=0.0):
    return {"plain": x ** n, "negative": -x ** n}[how] + offset


POWER = {
    "custom_vjp": tn.custom_vjp(power, lambda g, x, n, how, *offset: (
        g * n * x ** (n - 1) * (1 if how == "plain" else -1), None, None,
        *[g for _ in offset])),
    "custom_jvp": tn.custom_jvp(power, lambda xs, ts: (
        ts[0] * xs[1] * xs[0] ** (xs[1] - 1) * (1 if xs[2] == "plain" else -1)
        + (ts[3] if len(ts) > 3 else 0.0))),
}


@KINDS
def test_integers_and_strings_as_arguments(kind):
    f, x = POWER[kind], A([1.0, 2.0])
    total = lambda *args: np.sum(f(*args))
    np.testing.assert_array_equal(tn.grad(total)(x, 3, "plain"), [3, 12])
    np.testing.assert_array_equal(tn.grad(total)(x, 3, "negative"), [-3, -12])
    assert tn.grad(total, 3)(x, 3, "plain", A([5.0, 5.0])).tolist() == [1, 1]
    np.testing.assert_array_equal(
        tn.jvp(lambda x: f(x, 3, "plain"), (x,), (np.ones(2),))[1], [3, 12])
    np.testing.assert_array_equal(
        tn.hessian(lambda x: total(x, 3, "plain", 1.0))(x), np.diag([6.0, 12.0]))
    w = Tensor(x)
    f(w, 2, "negative", A([0.0, 1.0])).sum().backward()
    np.testing.assert_array_equal(w.grad, [-2, -4])


def test_tangents_of_what_is_not_floating_are_none():
    seen = []

    def jvp(xs, ts):
        assert isinstance(xs, tuple) and isinstance(ts, tuple) and len(xs) == len(ts)
        seen.append([t is None for t in ts])
        assert all(t is None or t.shape == np.shape(x) for x, t in zip(xs, ts, strict=True))
        return ts[0][xs[1]] * xs[4] + ts[4] * xs[0][xs[1]]
    f = tn.custom_jvp(lambda x, i, flag, name, c, none: x[i] * c, jvp)
    args = (A([1, 0]), True, "name", 2.0, None)
    x = A([5.0, 7.0])
    np.testing.assert_array_equal(tn.grad(lambda x: np.sum(f(x, *args)))(x), [2, 2])
    np.testing.assert_array_equal(tn.jvp(lambda x: f(x, *args), (x,), (A([1.0, 0.0]),))[1],
                                  [0, 2])
    assert seen and all(s == [False, True, True, True, False, True] for s in seen)


def test_a_gradient_for_an_integer_is_not_asked_for():
    f = tn.custom_vjp(lambda x, n: x * n, lambda g, x, n: (g * n, g * x))
    assert tn.grad(f)(2.0, 3) == 3 and tn.jvp(lambda x: f(x, 3), (2.0,), (1.0,))[1] == 3


@KINDS
def test_one_argument_given_twice(kind):
    f = (tn.custom_vjp(np.multiply, lambda g, a, b: (g * b, g * a * 10)) if
         kind == "custom_vjp" else
         tn.custom_jvp(np.multiply, lambda xs, ts: ts[0] * xs[1] + 10 * xs[0] * ts[1]))
    assert tn.grad(lambda x: f(x, x))(3.0) == 33
    assert tn.jvp(lambda x: f(x, x), (3.0,), (1.0,))[1] == 33
    w = Tensor(3.0)
    f(w, w * 1).backward()
    assert w.grad == 33


@KINDS
@pytest.mark.parametrize("y, kind_of", [(lambda x: x > 0, "b"), (lambda x: np.argmax(x), "i")])
def test_results_that_are_not_floating_are_plain(kind, y, kind_of):
    custom = getattr(tn, kind)(y, lambda *args: 1 / 0)
    got = custom(Tensor([1.0, 2.0]))
    assert not isinstance(got, Tensor) and got.dtype.kind == kind_of
    assert not tn.grad(lambda x: np.sum(custom(x) * 1.0))(np.ones(2)).any()


@KINDS
def test_no_grad_and_plain_arguments(kind):
    custom = made(kind, "wave")
    with tn.no_grad():
        assert not isinstance(custom(Tensor(1.0)), Tensor)
        assert tn.grad(custom)(0.7) == tn.grad(wave)(0.7)
    assert custom(0.7) == wave(0.7)


@KINDS
def test_a_function_that_closes_over_tensors_of_a_lower_level(kind):
    w = Tensor(3.0)
    custom = (tn.custom_vjp(lambda x: x * w, lambda g, x: g * w * w) if kind == "custom_vjp"
              else tn.custom_jvp(lambda x: x * w, lambda xs, ts: ts[0] * w * w))
    value, g = tn.value_and_grad(custom)(2.0)
    value.backward()
    assert w.grad == 2
    g.backward()
    assert w.grad == 2 + 6
    got = tn.grad(lambda v: tn.grad(tn.custom_vjp(lambda x: x * v, lambda g, x: g * v))(2.0))
    assert got(5.0) == 1


def test_numbers_of_python_are_arrays_of_no_axes():
    assert tn.grad(tn.custom_vjp(lambda x: 2 * x, lambda g, x: 5.0))(1.0) == 5
    assert tn.jvp(tn.custom_jvp(lambda x: 2 * x, lambda xs, ts: 5.0), (1.0,), (1.0,))[1] == 5
    whole = tn.custom_vjp(lambda x: 2 * x, lambda g, x: np.full(2, 5))
    assert tn.grad(lambda x: np.sum(whole(x)))(np.ones(2)).dtype == np.float64


# ---------------------------------------------------------------- custom rules and mutation

@KINDS
@pytest.mark.parametrize("write", ["leaf", "constant"])
def test_changed_arguments_are_noticed(kind, write):
    f = (tn.custom_vjp(product, PLAIN["product"][1]) if kind == "custom_vjp"
         else tn.custom_jvp(product, PLAIN["product"][2]))
    w, c = Tensor([[1.0, 2.0]]), np.ones((2, 2))
    y = f(w, c).sum()
    (w.data if write == "leaf" else c)[:] = 9
    with pytest.raises(tn.MutationError, match=r"product needs .*test_custom.py, line \d+"):
        y.backward()


def test_a_function_that_returns_its_argument():
    same_again = tn.custom_vjp(lambda x: x, lambda g, x: 7 * g)
    w = Tensor([1.0, 2.0])
    y = same_again(w)
    np.sum(np.sin(y)).backward()
    same(w.grad, 7 * np.cos(w.data))
    z = np.sin(same_again(w)).sum()
    w.data[:] = 9
    with pytest.raises(tn.MutationError):
        z.backward()

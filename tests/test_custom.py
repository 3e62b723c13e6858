"""`custom_vjp`, `custom_jvp` and `remat`: rules of one's own, and values computed again."""

import functools
import inspect
import itertools
import threading

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn import Tensor

A = np.array


def same(a, b, **kw):
    np.testing.assert_allclose(a, b, **{"rtol": 1e-12, "atol": 1e-12, **kw})


def forward(f):
    """The derivative along ones, by forward mode."""
    return lambda x: tn.jvp(f, (x,), (np.ones(np.shape(x)),))[1]


def by_vjp(f):
    return lambda x: tn.vjp(f, x)[1](np.ones(np.shape(x)))[0]


ONCE = {"grad": tn.grad, "jvp": forward, "vjp": by_vjp, "jacobian": tn.jacobian}
ORDERS = [*itertools.product(["grad", "jvp"], repeat=1),
          *itertools.product(["grad", "jvp"], repeat=2),
          *itertools.product(["grad", "jvp"], repeat=3), ("vjp",) * 3,
          ("vjp", "jacobian", "jvp"), ("jacobian", "jvp", "vjp"), ("grad",) * 4, ("jvp",) * 4]


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


# ---------------------------------------------------------------- what is refused

WRONG_SHAPES = [((2, 3), (3,)), ((), (3,)), ((1,), (3,)), ((4,), (3,)), ((3, 1), (3,)),
                ((1, 3), (3,)), ((3,), ()), ((3,), (1,)), ((1,), ()), ((0,), (3,))]
DERIVATIVES = {"grad": lambda f, x: tn.grad(lambda x: np.sum(f(x)))(x),
               "jvp": lambda f, x: tn.jvp(f, (x,), (x,)),
               "backward": lambda f, x: f(Tensor(x)).backward(x),
               "jacobian": lambda f, x: tn.jacobian(f)(x),
               "hvp": lambda f, x: tn.hvp(lambda x: np.sum(f(x) ** 2), x, x)}
SAYS = {"custom_vjp": "custom_vjp: the gradient by argument 0", "custom_jvp": "the tangent"}


@KINDS
@pytest.mark.parametrize("given, shape", WRONG_SHAPES)
def test_a_rule_of_another_shape_is_refused(kind, given, shape):
    """Not summed, not broadcast: it would be a wrong derivative without a word."""
    custom = getattr(tn, kind)(lambda x: 2 * x, lambda *args: np.ones(given))
    for derivative in DERIVATIVES.values():
        with pytest.raises(tn.ShapeError) as error:
            derivative(custom, np.ones(shape))
        for part in (SAYS[kind], str(given), str(shape)):
            assert part in str(error.value)


@KINDS
@pytest.mark.parametrize("given", ["text", {}, object(), A([None] * 3), A([1j, 0, 0])],
                         ids=["str", "dict", "object", "objects", "complex"])
def test_a_rule_that_gives_no_real_array_is_refused(kind, given):
    custom = getattr(tn, kind)(lambda x: 2 * x, lambda *args: given)
    for derivative in DERIVATIVES.values():
        with pytest.raises(TypeError, match=SAYS[kind]):
            derivative(custom, np.ones(3))


@pytest.mark.parametrize("given", [None, (np.ones(3),)], ids=["None", "tuple"])
def test_custom_jvp_wants_one_tangent(given):
    custom = tn.custom_jvp(lambda x: 2 * x, lambda xs, ts: given)
    for derivative in DERIVATIVES.values():
        with pytest.raises((TypeError, tn.ShapeError), match="tangent"):
            derivative(custom, np.ones(3))


@pytest.mark.parametrize("grads, n", [((), 0), ((1.0, 1.0), 2), ([1.0, 2.0, 3.0], 3)])
def test_another_number_of_gradients_is_refused(grads, n):
    custom = tn.custom_vjp(lambda x: 2 * x, lambda g, x: grads)
    for derivative in DERIVATIVES.values():
        with pytest.raises(TypeError, match=f"custom_vjp: the rule returned {n} gradients for "
                                            "1 argument"):
            derivative(custom, np.ones(3))


def test_numbers_of_python_are_arrays_of_no_axes():
    assert tn.grad(tn.custom_vjp(lambda x: 2 * x, lambda g, x: 5.0))(1.0) == 5
    assert tn.jvp(tn.custom_jvp(lambda x: 2 * x, lambda xs, ts: 5.0), (1.0,), (1.0,))[1] == 5
    whole = tn.custom_vjp(lambda x: 2 * x, lambda g, x: np.full(2, 5))
    assert tn.grad(lambda x: np.sum(whole(x)))(np.ones(2)).dtype == np.float64


def test_the_shape_error_says_which_argument():
    f = tn.custom_vjp(np.multiply, lambda g, a, b: (g * b, np.sum(g * a)))
    with pytest.raises(tn.ShapeError, match=r"custom_vjp.*argument 1.*\(\).*\(2,\)"):
        tn.grad(lambda b: np.sum(f(np.ones(2), b)))(np.ones(2))


@KINDS
def test_functions_that_give_several_arrays_are_refused(kind):
    custom = getattr(tn, kind)(lambda x: (x, 2 * x), lambda *args: None)
    message = "gave several arrays"
    with pytest.raises(tn.NoRuleError, match=message):
        custom(Tensor(1.0))
    with pytest.raises(tn.NoRuleError, match=message):
        tn.jvp(custom, (1.0,), (1.0,))
    assert custom(1.0) == (1, 2)


@KINDS
def test_keyword_arguments_are_refused_by_name(kind):
    custom = getattr(tn, kind)(lambda x, n=2: x ** n, lambda *args: None)
    with pytest.raises((TypeError, tn.NoRuleError), match=r"\bn\b"):
        custom(Tensor(3.0), n=3)


@KINDS
@pytest.mark.parametrize("wrap", [lambda x: [x, x], lambda x: (x, x), lambda x: {"a": x}],
                         ids=["list", "tuple", "dict"])
def test_containers_of_tensors_are_refused(kind, wrap):
    """The rule could not be asked for their gradients: it would be passed over silently."""
    total = lambda xs: xs["a"] if isinstance(xs, dict) else xs[0] * xs[1]
    for f, args in ((total, ()), (lambda a, xs: a * total(xs), (2.0,)),
                    (lambda a, xs: a * total(xs), (Tensor(2.0),))):
        custom = getattr(tn, kind)(f, lambda *args: None)
        with pytest.raises(TypeError, match=kind):
            custom(*args, wrap(Tensor(3.0)))
    assert custom(2.0, wrap(3.0)) in (6, 18)            # plain values may be anything


@KINDS
def test_a_function_that_closes_over_a_variable_of_the_same_level_is_refused(kind):
    """Its gradient would be lost: it has to be an argument."""
    def times(v):
        rule = (lambda g, x: g * v) if kind == "custom_vjp" else (lambda xs, ts: ts[0] * v)
        return getattr(tn, kind)(lambda x: x * v, rule)
    with pytest.raises(tn.TinygradError, match=r"closes over a Tensor.*as an argument"):
        tn.grad(lambda v: times(v)(v))(3.0)
    with pytest.raises(tn.TinygradError, match=r"closes over a Tensor.*as an argument"):
        times(Tensor(3.0))(Tensor(2.0)).backward()


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


@KINDS
def test_an_exception_in_a_rule_touches_no_leaf(kind):
    def fail(*args):
        raise KeyError("mine")
    w = Tensor(1.0)
    y = getattr(tn, kind)(lambda x: x * 2, fail)(w) + w
    with pytest.raises(KeyError, match="mine"):
        y.backward()
    assert w.grad is None
    (w * 2).backward()
    assert w.grad == 2


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


# ---------------------------------------------------------------- remat: the same derivatives

def layers(x):
    for _ in range(3):
        x = np.sin(x) * x + np.where(x > 0, np.log1p(np.abs(x)), x)
    return x


@pytest.mark.parametrize("order", ORDERS, ids="-".join)
def test_remat_in_every_order_and_mode(order):
    again, plain = tn.remat(layers), layers
    for name in order:
        again, plain = ONCE[name](again), ONCE[name](plain)
    same(again(0.7), plain(0.7), rtol=1e-9)


def total(f):
    return lambda x: np.sum(np.sin(f(x)))


REMAT = {   # wrapped in another way, always the same function
    "the whole": lambda x: tn.remat(layers)(x),
    "twice": lambda x: tn.remat(tn.remat(layers))(x),
    "nested": lambda x: tn.remat(
        lambda x: tn.remat(np.sin)(x) * 1.0 + layers(x) - np.sin(x))(x),
    "within": lambda x: tn.remat(lambda y: y * 1.0)(layers(x)),
    "a closure": lambda x: tn.remat(lambda c: layers(x) * c)(1.0),
    "a computed closure": lambda x: (lambda z: tn.remat(lambda c: layers(z) * c)(1.0))(+x),
    "closure and argument": lambda x: tn.remat(lambda z: layers(z) + 0.5 * x - 0.5 * z)(x),
    "one argument twice": lambda x: tn.remat(lambda a, b: 2 * layers(a) - layers(b))(x, x),
    "a chain": lambda x: functools.reduce(lambda v, _: tn.remat(
        lambda x: np.sin(x) * x + np.where(x > 0, np.log1p(np.abs(x)), x))(v), range(3), x),
    "a grad inside": lambda x: tn.remat(tn.grad(lambda v, c: np.sum(v * c)))(np.ones(2),
                                                                             layers(x)),
    "a jvp inside": lambda x: tn.remat(lambda x: tn.jvp(lambda v: v * layers(x), (x,), (
        np.ones(2),))[1])(x),
    "a custom function inside": lambda x: tn.remat(lambda x: tn.custom_vjp(
        layers, lambda g, x: tn.vjp(layers, x)[1](g)[0])(x))(x),
    "within a custom rule": lambda x: tn.custom_vjp(
        layers, lambda g, x: tn.vjp(tn.remat(layers), x)[1](g)[0])(x),
}


@pytest.mark.parametrize("name", REMAT)
def test_remat_in_every_arrangement(name):
    f, x, v = REMAT[name], A([0.7, -0.3]), A([1.0, -2.0])
    same(f(x), layers(x))
    assert not isinstance(f(x), Tensor)
    same(tn.grad(total(f))(x), tn.grad(total(layers))(x))
    for a, b in zip(tn.jvp(f, (x,), (v,)), tn.jvp(layers, (x,), (v,)), strict=True):
        same(a, b)
    same(tn.jacobian(f)(x), tn.jacobian(layers)(x))
    same(tn.hessian(total(f))(x), tn.hessian(total(layers))(x), rtol=1e-10)
    same(tn.hvp(total(f), x, v), tn.hvp(total(layers), x, v), rtol=1e-10)
    same(tn.grad(lambda x: np.sum(tn.grad(total(f))(x) ** 2))(x),
         tn.grad(lambda x: np.sum(tn.grad(total(layers))(x) ** 2))(x), rtol=1e-10)
    pullback = tn.vjp(f, x)[1]
    for g in (v, -v):                               # any number of times
        same(pullback(g)[0], tn.vjp(layers, x)[1](g)[0])
    w = Tensor(x)
    f(w * 1.0).backward(v)
    same(w.grad, tn.vjp(layers, x)[1](v)[0])


def model():
    return tn.nn.Sequential(tn.nn.Linear(3, 5, rng=0), tn.nn.ReLU(), tn.nn.Linear(5, 2, rng=1))


def test_a_module_and_its_parameters():
    x = np.random.default_rng(0).normal(size=(4, 3)).astype("f4")
    plain, again = model(), model()
    wrapped = tn.remat(again)
    opts = [tn.optim.SGD(m.parameters(), lr=0.1) for m in (plain, again)]
    for _ in range(3):
        for run, opt in zip((plain, wrapped), opts, strict=True):
            np.sum(run(x) ** 2).backward()
            opt.step()
            opt.zero_grad()
    for a, b in zip(plain.parameters(), again.parameters(), strict=True):
        np.testing.assert_array_equal(a.data, b.data)
    layered = model()
    *most, last = [tn.remat(layer) for layer in layered]
    y = x
    for layer in most:
        y = layer(y)
    np.sum(last(y) ** 2).backward()
    np.sum(model_of(plain := model(), x) ** 2).backward()
    for a, b in zip(plain.parameters(), layered.parameters(), strict=True):
        np.testing.assert_array_equal(a.grad, b.grad)


def model_of(module, x):
    return module(x)


def test_the_gradient_of_a_closure_and_an_argument_at_different_levels():
    w = Tensor(A([2.0, 3.0]))
    f = tn.remat(lambda x: np.sum(w * x ** 3))
    g = tn.grad(f)(A([1.0, 2.0]))
    assert isinstance(g, Tensor)
    np.sum(g).backward()
    np.testing.assert_array_equal(w.grad, [3, 12])
    w.grad = None
    np.sum(tn.grad(lambda x: tn.remat(lambda: np.sum(w * x ** 3))())(A([1.0, 2.0]))).backward()
    np.testing.assert_array_equal(w.grad, [3, 12])


def test_arguments_that_are_not_arrays():
    f = tn.remat(lambda x, i, how, c=1.0: getattr(np, how)(x[i]) * c)
    x = A([1.0, 2.0])
    for args, want in [((1, "square"), [0, 4]), ((slice(None), "square"), [2, 4]),
                       ((A([0, 0]), "square", 3.0), [12, 0]), (((0,), "negative"), [-1, 0])]:
        got = tn.grad(lambda x, args=args: np.sum(f(x, *args)))(x)
        np.testing.assert_array_equal(got, want)
        w = Tensor(x)
        np.sum(f(w, *args)).backward()
        np.testing.assert_array_equal(w.grad, want)


def test_lists_and_dicts_of_tensors_as_arguments():
    a, b = Tensor(2.0), Tensor(3.0)
    tn.remat(lambda xs: xs[0] * np.square(xs[1]))([a, b * 1.0]).backward()
    assert a.grad == 9 and b.grad == 12
    p = {"a": 2.0, "b": 3.0}
    f = lambda p: p["a"] * np.square(p["b"])
    assert tn.grad(tn.remat(f))(p) == {"a": 9, "b": 12}
    assert tn.jvp(tn.remat(f), (p,), ({"a": 1.0, "b": 0.0},))[1] == 9


def test_keyword_arguments_of_remat():
    f = tn.remat(lambda x, n=2, c=1.0: c * x ** n)
    assert tn.grad(lambda x: f(x, n=3))(2.0) == 12
    assert tn.grad(lambda c: f(2.0, n=3, c=c))(1.0) == 8
    w = Tensor(2.0)
    f(x=w, c=w).backward()
    assert w.grad == 12


def test_functions_whose_result_is_not_computed_from_the_arguments():
    x = A([2.0, 3.0])
    for f, want in [(lambda x: x, x * 2), (lambda x: A([5.0, 5.0]), [5, 5]),
                    (lambda x: x > 2, [0, 1]), (lambda x: tn.stop_gradient(x), x),
                    (lambda x: np.argmax(x), [1, 1]), (lambda x: 1.0, [1, 1])]:
        got = tn.grad(lambda x, f=f: np.sum(tn.remat(f)(x) * x))(x)
        np.testing.assert_array_equal(got, want)
    np.testing.assert_array_equal(
        tn.grad(lambda x: np.sum(tn.remat(lambda c: x)(1.0) * x))(x), 2 * x)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_remat_keeps_shapes_and_dtypes(dtype):
    for shape in ((), (0,), (2, 1)):
        x = np.full(shape, 0.5, dtype)
        f = tn.remat(lambda x, c: np.sin(x) * c)
        y, pullback = tn.vjp(f, x, np.ones((3, 1, 1), dtype))
        gx, gc = pullback(y)
        assert gx.shape == shape and gc.shape == (3, 1, 1) and gx.dtype == gc.dtype == dtype


def test_remat_shows_name_docstring_and_value():
    def block(x):
        """One."""
        return np.sin(x) * 2
    again = tn.remat(block)
    assert again.__name__ == "block" and again.__doc__ == "One."
    assert "made by block" in repr(again(Tensor(1.0)))
    assert again(1.0) == block(1.0) and not isinstance(again(1.0), Tensor)


# ---------------------------------------------------------------- remat: when f runs

@pytest.fixture
def counted():
    calls = []

    def f(x):
        calls.append(type(x))
        return np.sin(x) * x
    return f, calls


def test_the_function_runs_once_forward_and_once_backward(counted):
    f, calls = counted
    again, w = tn.remat(f), Tensor(1.0)
    y = again(w)
    assert len(calls) == 1
    y.backward()
    assert len(calls) == 2
    calls.clear()
    again(1.0)
    tn.jvp(again, (1.0,), (1.0,))                       # forward mode stores nothing anyway
    assert len(calls) == 2
    calls.clear()
    pullback = tn.vjp(again, 1.0)[1]
    pullback(1.0), pullback(2.0)
    assert len(calls) == 3


def test_under_no_grad_the_function_runs_once(counted):
    f, calls = counted
    with tn.no_grad():
        y = tn.remat(f)(Tensor(1.0))
    assert not isinstance(y, Tensor) and len(calls) == 1


def test_what_does_not_take_part_is_not_computed_again(counted):
    f, calls = counted
    w = Tensor(1.0)
    unused = tn.remat(f)(w)
    (w * 2).backward()
    assert len(calls) == 1 and w.grad == 2
    del unused


def test_backward_under_no_grad():
    """As without remat: no_grad is about recording, not about the backward pass."""
    w, c = Tensor(2.0), Tensor(3.0)
    y = tn.remat(lambda x: np.sin(x * c))(w)
    with tn.no_grad():
        y.backward()
    same(w.grad, 3 * np.cos(6.0))
    same(c.grad, 2 * np.cos(6.0))


def test_backward_in_another_thread():
    w = Tensor(2.0)
    y = tn.remat(np.sin)(w)
    with tn.no_grad():
        thread = threading.Thread(target=y.backward)
        thread.start()
        thread.join()
    same(w.grad, np.cos(2.0))


def test_a_used_graph_says_so():
    w = Tensor(2.0)
    y = tn.remat(np.sin)(w)
    y.backward()
    with pytest.raises(tn.GraphError, match="used up by an earlier backward"):
        y.backward()
    z = w * 2
    y = tn.remat(lambda x: x * z)(1.0)
    z.backward()
    with pytest.raises(tn.GraphError, match="used up by an earlier backward"):
        y.backward()


def test_an_exception_while_computing_again_touches_no_leaf():
    calls = []

    def f(x):
        calls.append(1)
        if len(calls) == 2:
            raise KeyError("mine")
        return x * x
    w = Tensor(3.0)
    y = tn.remat(f)(w) + w
    with pytest.raises(KeyError, match="mine"):
        y.backward()
    assert w.grad is None
    with pytest.raises(KeyError):
        tn.remat(lambda x: {}[x])(w)


# ---------------------------------------------------------------- remat: edges

UNSELECTED = {
    "remat of one branch": lambda x: np.where(x > 0, tn.remat(np.sqrt)(x), 0.0),
    "remat of the selection": tn.remat(lambda x: np.where(x > 0, np.sqrt(x), 0.0)),
    "remat between": lambda x: np.where(x > 0, tn.remat(lambda v: 2 * v)(np.sqrt(x)), 0.0),
    "a closure": lambda x: np.where(x > 0, tn.remat(lambda c: c * np.sqrt(x))(1.0), 0.0),
    "an index": lambda x: tn.remat(np.sqrt)(x)[np.asarray([3.0, 0.0]) > 0],
}


@pytest.mark.parametrize("name", UNSELECTED)
def test_structural_zeros_pass_through(name):
    """remat changes when a value is computed, not what its derivative is."""
    f, x = UNSELECTED[name], A([4.0, 0.0])
    slope = 0.5 if name == "remat between" else 0.25
    same(tn.grad(lambda x: np.sum(f(x)))(x), [slope, 0])
    same(tn.jvp(lambda x: np.sum(f(x)), (x,), (np.ones(2),))[1], slope)
    same(tn.hessian(lambda x: np.sum(f(x)))(x), np.diag([-slope / 8, 0]))


def draws():
    rng = np.random.default_rng(0)
    return lambda x: x * rng.normal(size=2)


def closing_over(c):
    return lambda x: np.sin(x) * c


MUTATED = {     # f, its argument, and the array that is changed between forward and backward
    "the leaf": lambda: (np.sin, (w := Tensor([1.0, 2.0]),), w.data),
    "a constant": lambda: (np.multiply, (Tensor([1.0, 2.0]), c := np.ones(2)), c),
    "a leaf in the closure": lambda: (closing_over(w := Tensor([1.0, 2.0])),
                                      (Tensor([1.0, 2.0]),), w.data),
    "a constant in the closure": lambda: (closing_over(c := A([1.0, 2.0])),
                                          (Tensor([1.0, 2.0]),), c),
    "a view of a leaf in the closure": lambda: (
        closing_over((w := Tensor([1.0, 2.0]))[:]), (Tensor([1.0, 2.0]),), w.data),
    "a term in the closure": lambda: (
        (lambda c: lambda x: np.sin(x + c))(c := A([1.0, 2.0])), (Tensor([1.0, 2.0]),), c),
    "the base of an argument": lambda: (
        np.sin, ((w := Tensor([1.0, 2.0]))[::-1],), w.data),
}


@pytest.mark.parametrize("name", MUTATED)
def test_a_change_between_forward_and_backward_is_noticed(name):
    f, args, array = MUTATED[name]()
    y = np.sum(tn.remat(f)(*args))
    array[:] = 9
    with pytest.raises(tn.MutationError, match="chang"):
        y.backward()


def test_the_message_names_the_function_and_the_line():
    w = Tensor([1.0, 2.0])
    y = tn.remat(wave)(w)
    line = inspect.currentframe().f_lineno - 1
    w.data[:] = 9
    with pytest.raises(tn.MutationError, match=rf"wave needs .*test_custom.py, line {line}"):
        y.sum().backward()


def test_the_message_on_other_values_names_the_function_and_the_line_too():
    c = A([1.0, 2.0])
    y = tn.remat(closing_over(c))(Tensor([1.0, 2.0]))
    line = inspect.currentframe().f_lineno - 1
    c[:] = 9
    with pytest.raises(tn.MutationError, match=rf"lambda.*test_custom.py, line {line}"):
        y.sum().backward()


def test_other_values_the_second_time_are_noticed():
    """Random draws and state of Python: wrong gradients, were they taken as they are."""
    y = np.sum(tn.remat(draws())(Tensor([1.0, 2.0])))
    with pytest.raises(tn.GraphError, match="remat"):
        y.backward()
    state = [2.0]
    y = tn.remat(lambda x: x * state[0])(Tensor(1.0))
    state[0] = 3.0
    with pytest.raises(tn.GraphError, match="remat"):
        y.backward()


def test_what_was_not_changed_is_not_refused():
    c, w = A([1.0, 2.0]), Tensor([1.0, 2.0])
    x = w * 1.0
    y = np.sum(tn.remat(lambda x: np.sin(x) * c)(x))
    w.data[:] = 9                                   # not read: x is a value of its own
    y.backward()
    same(w.grad, np.cos([1.0, 2.0]) * c)

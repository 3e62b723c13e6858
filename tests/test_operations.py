"""Operations of one's own: a rule of every kind, differentiable to any order."""

import itertools

import numpy as np
import pytest
from derivatives import ONCE, forward, same

import tinygrad_nn as tn
from tinygrad_nn import Tensor

A = np.array


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

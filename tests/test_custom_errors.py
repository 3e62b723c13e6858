"""`custom_vjp` and `custom_jvp`: which rules and which functions are refused, and how."""

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn import Tensor

A = np.array
KINDS = pytest.mark.parametrize("kind", ["custom_vjp", "custom_jvp"])
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

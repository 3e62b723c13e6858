"""The checker is itself checked: it must catch rules wrong by 0.05 %, in either mode."""

import numpy as np
import pytest

import tinygrad_nn as tn

X = np.array([[0.3, -1.2, 2.0], [0.7, 1.1, -0.4]])


def operation(vjp_factor=1.0, jvp_factor=1.0, second=1.0):
    """x * sin(x) as a primitive whose rules are wrong by a factor."""
    @tn.primitive
    def xsin(x):
        return x * np.sin(x)

    @tn.primitive
    def slope(x):
        return np.sin(x) + x * np.cos(x)
    tn.rules.elementwise(slope, lambda x: second * (2 * np.cos(x) - x * np.sin(x)))
    tn.rules.rule(xsin, vjp=lambda g, x: vjp_factor * g * slope(x),
                  jvp=lambda t, x: jvp_factor * t * slope(x))
    return xsin


def test_right_rules_pass():
    f = operation()
    assert tn.gradcheck(f, X) and tn.gradcheck(f, X, order=2)
    assert tn.gradcheck(lambda x: np.sum(f(x)), X)


@pytest.mark.parametrize("factor", [1.0005, 0.9995, -1.0, 0.0])
def test_a_wrong_reverse_rule_is_caught(factor):
    f = operation(vjp_factor=factor)
    with pytest.raises(tn.GradcheckError, match="reverse mode, order 1"):
        tn.gradcheck(f, X)
    assert tn.gradcheck(f, X, modes=("forward",))


@pytest.mark.parametrize("factor", [1.0005, 0.9995, -1.0, 0.0])
def test_a_wrong_forward_rule_is_caught(factor):
    f = operation(jvp_factor=factor)
    with pytest.raises(tn.GradcheckError, match="forward mode, order 1"):
        tn.gradcheck(f, X)
    assert tn.gradcheck(f, X, modes=("reverse",))


@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_a_wrong_second_derivative_is_caught(mode):
    f = operation(second=1.0005)
    assert tn.gradcheck(f, X, modes=(mode,))
    with pytest.raises(tn.GradcheckError, match=f"{mode} mode, order 2"):
        tn.gradcheck(f, X, order=2, modes=(mode,))


def test_the_report_names_input_index_values_and_tolerance():
    f = operation(vjp_factor=2.0)
    with pytest.raises(tn.GradcheckError) as caught:
        tn.gradcheck(lambda a, b: a["w"] * 2 + f(b), {"w": np.ones(2)}, np.array([0.0, 1.0]))
    text = str(caught.value)
    right = np.sin(1.0) + np.cos(1.0)
    for part in ("reverse mode", "input 1 at index (1,)", f"is {2 * right:.8g}"[:10],
                 f"{right:.7g}", "tolerance", "1 of 4 entries"):
        assert part in text
    assert isinstance(caught.value, AssertionError)


def test_inputs_stay_as_they_were_and_trees_are_named():
    x = X.astype(np.float32)
    x.flags.writeable = False
    assert tn.gradcheck(lambda p: np.tanh(p["x"][0]) @ p["x"][1].T, {"x": [x, x]})
    np.testing.assert_array_equal(x, X.astype(np.float32))
    f = operation(jvp_factor=1.001)
    with pytest.raises(tn.GradcheckError, match=r"input 0\['x'\]\[1\] at index"):
        tn.gradcheck(lambda p: p["x"][0] * f(p["x"][1]), {"x": [X, X]})


def test_a_derivative_that_is_nan_is_caught():
    @tn.primitive
    def square(x):
        return x * x
    tn.rules.elementwise(square, lambda x: 2 * x * np.nan)
    with pytest.raises(tn.GradcheckError, match="is nan"):
        tn.gradcheck(square, X)


@pytest.mark.parametrize("shape", [(), (0,), (2, 0), (1,)])
def test_odd_shapes(shape):
    assert tn.gradcheck(lambda x: np.exp(x) * 2, np.full(shape, 0.5))


@pytest.mark.parametrize(("kwargs", "sentence"), [
    ({"order": 3}, "order=3: expected 1 or 2"), ({"modes": ("sideways",)}, "sideways"),
    ({"modes": ()}, "expected 'forward', 'reverse' or both")])
def test_wrong_arguments(kwargs, sentence):
    with pytest.raises(ValueError, match=sentence):
        tn.gradcheck(np.exp, X, **kwargs)


def test_a_function_that_is_not_differentiable_says_so():
    with pytest.raises(tn.NoRuleError, match=r"np\.fft\.fft of a Tensor is refused"):
        tn.gradcheck(lambda x: np.abs(np.fft.fft(x)), X)

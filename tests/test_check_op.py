"""`check_op` passes what is right and finds what a hundred normal draws miss, as one small
example that can be pasted; `check_function` does it for any function."""

import inspect

import numpy as np
import pytest
from hypothesis import strategies as st

import tinygrad_nn as tn
from tinygrad_nn._table import RULES
from tinygrad_nn.testing import ROWS, arrays, check_function, check_op, total

A = np.array


def again(text):
    """The value of code that was printed."""
    return eval(text, {"np": np, "tn": tn})


@pytest.fixture
def operation():
    """Make x * x * x an operation with a rule; forgotten afterwards."""
    made = []

    def make(rule=lambda x: 3 * x * x, f=lambda x: x * x * x, kind=tn.rules.elementwise):
        @tn.primitive
        def cube(*xs):
            return f(*xs)
        cube.__signature__ = inspect.signature(f)
        kind(cube, *(rule if isinstance(rule, tuple) else (rule,)))
        made.append(cube)
        return cube
    yield make
    for fn in made:
        del RULES[fn]


# ---------------------------------------------------------------- check_op

@pytest.mark.parametrize("fn, ref, kwargs", [
    (np.exp, None, {}), (tn.relu, lambda x: np.maximum(x, 0), {}), (np.sqrt, None, {}),
    (np.hypot, lambda a, b: np.sqrt(a * a + b * b), {}), (np.matmul, None, {}),
    (tn.softmax, lambda x, axis: np.exp(x - x.max(axis, keepdims=True)) / np.sum(
        np.exp(x - x.max(axis, keepdims=True)), axis, keepdims=True), {
            "arguments": ["real"], "keywords": {"axis": st.sampled_from([0, -1])}}),
    (np.linalg.inv, None, {"arguments": [arrays(domain="well_conditioned")]}),
    (lambda x, w: np.tanh(x) * w, None, {}), (np.maximum, None, {"arguments": ["real"] * 2})])
def test_what_is_right_passes(fn, ref, kwargs):
    check_op(fn, ref, **kwargs)


def test_what_is_right_passes_every_time(operation):
    for _ in range(3):
        check_op(operation(), lambda x: x ** 3, examples=50)


def failure(*args, **kwargs):
    """(the first line of what check_op says, the code of its example without the imports)."""
    with pytest.raises(tn.GradcheckError) as error:
        check_op(*args, **kwargs)
    assert error.value.example in str(error.value)
    lines = error.value.example.splitlines()
    assert lines[0] == "import numpy as np, tinygrad_nn as tn"
    return str(error.value).partition("\n")[0], lines[2:]


POINTS = [0.0, 1.0, 0.5, -1.0, 2.0, -0.5, 1.5, 1e30, -1e30]


def wrong_at(*points):
    return lambda x: np.where(np.isin(tn.stop_gradient(x), points), 4 * x * x + 1, 3 * x * x)


@pytest.mark.parametrize("point", POINTS)
def test_a_derivative_wrong_at_one_point_only(operation, point):
    says, lines = failure(operation(wrong_at(point)), order=1)
    assert says.startswith("check_op of cube: gradcheck: wrong")
    assert lines == [f"x0 = np.array({point})", "print(tn.gradcheck(cube, x0))"]


def test_normal_draws_miss_all_of_these_points(operation):
    cube = operation(wrong_at(*POINTS))
    for seed in range(100):
        assert tn.gradcheck(cube, np.random.default_rng(seed).normal(size=3))


def test_a_derivative_wrong_at_ties(operation):
    both = operation((lambda a, b: (a >= b) * 1.0, lambda a, b: (b >= a) * 1.0),
                     lambda a, b: np.maximum(a, b))
    says, lines = failure(both)
    assert "what ties is counted twice" in says
    a, b = (again(line.partition(" = ")[2]) for line in lines[:2])
    assert a == b == 0

    largest = operation(f=lambda x: np.max(x, initial=-9), rule=(
        lambda g, x, y: g * (x == y), lambda t, x, y: np.sum(t * (x == y))),
        kind=lambda fn, vjp, jvp: tn.rules.rule(fn, vjp, jvp))
    says, lines = failure(largest)
    x = again(lines[0].partition(" = ")[2])
    assert x.size == 2 and x.ravel()[0] == x.ravel()[1]


def rule_of(vjp, jvp):
    return {"rule": (vjp, jvp), "kind": lambda fn, vjp, jvp: tn.rules.rule(fn, vjp, jvp)}


def written(x):
    x *= 1.0
    return x * x * x


def written_unless_read_only(x):
    if x.flags.writeable:
        x += 1
    return x * x * x


MISTAKES = {  # what is wrong: (how the operation is made, what is said, the example)
    "0.05 %": ({"rule": lambda x: 3.0015 * x * x}, "gradcheck: wrong", "np.array(0.25)"),
    "second order": ({"rule": lambda x: 3 * tn.stop_gradient(x * x)}, "gradcheck: wrong",
                     "np.array(0.25)"),
    "forward mode": (rule_of(lambda g, x: 3 * g * x * x, lambda t, x: 2 * t * x * x),
                     "tn.testing.total along ones is", "np.array(0.25)"),
    "modes differ at a kink": ({"f": lambda x: np.abs(x), **rule_of(
        lambda g, x: np.where(x < 0, -g, g), lambda t, x: np.where(x > 0, t, -t))},
        "in forward mode", "np.array(0.0)"),
    "precision": ({"f": lambda x: x.astype(float) ** 3},
                  "the result is float64, expected float32", "np.array(0.25, 'float32')"),
    "writes": ({"f": written}, "ValueError of arrays: output array is read-only",
               "tn.testing.laid_out(np.array([0.25, 0.1]), 'read-only')"),
    "writes if it may": ({"f": written_unless_read_only}, "it writes to its argument 0",
                         "np.array(0.25)"),
    "empty": ({"f": lambda x: x ** 3 * (1 if x.size else 1 // 0)},
              "ZeroDivisionError of arrays", "np.zeros((0,))"),
    "0-d": ({"f": lambda x: x ** 3 + 0 * len(x)}, "TypeError of arrays: len", "np.array(0.25)"),
    "layout": ({"f": lambda x: np.ravel(x, "K"), **rule_of(
        lambda g, shape: np.reshape(g, shape), lambda t: np.ravel(t, "K"))},
        "of contiguous arrays",
        "tn.testing.laid_out(np.array([[0.25, 0.1], [0.06, 0.07]]), 'F')"),
    "overflow": ({"f": lambda x: np.arctan(x) * 1.0, "rule": lambda x: 1 / (1 + x * x) * (
        x * x / (x * x))}, "gradcheck: wrong", "np.array(0.0)"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes(operation, name):
    made, says, example = MISTAKES[name]
    said, lines = failure(operation(**made))
    assert says in said
    assert lines[0] == f"x0 = {example}"


def test_values_are_those_of_ref(operation):
    says, lines = failure(operation(), lambda x: x ** 3 + (x > 2))
    assert "the function gives" in says
    x = again(lines[0].partition(" = ")[2])
    assert np.any(x > 2) and lines[1] == "print(cube(x0))"
    says, _ = failure(operation(), lambda x: np.sum(x ** 3))
    assert "shape (1,)" in says or "shape (0,)" in says
    says, _ = failure(operation(), lambda x: [x ** 3, x])
    assert says == "check_op of cube: the function gives 1 arrays, ref gives 2"
    says, _ = failure(operation(), lambda x: (x ** 3).astype(np.float64))
    assert "the result is float32, expected float64" in says


def test_keywords_are_drawn_and_shown():
    @tn.primitive
    def scaled(x, factor=1.0):
        return x * factor
    tn.rules.elementwise(scaled, lambda factor=1.0: factor * (1 + (factor > 2)))
    try:
        check_op(scaled, lambda x, factor: factor * x, keywords={"factor": 2.0}, examples=20)
        says, lines = failure(scaled, keywords={"factor": st.sampled_from([1.0, 3.0])})
        assert "gradcheck: wrong" in says
        assert lines[-1] == (
            "print(tn.gradcheck((lambda x0: scaled(x0, factor=3.0)), x0, order=2))")
    finally:
        del RULES[scaled]


def test_what_ref_does_not_take_is_left_out(operation):
    def ref(x):
        if x.ndim != 1:
            raise ValueError("vectors only")
        return x ** 3
    check_op(operation(f=lambda x: x ** 3 * (1 if x.ndim == 1 else 2)), ref, examples=50)
    with pytest.raises(tn.GradcheckError, match="at none of 0 drawn points"):
        check_op(operation(), lambda x: 1 / 0, examples=5)


def test_nothing_measured_is_a_failure(operation):
    with pytest.raises(tn.GradcheckError, match=r"none of \d+ drawn points .* the domain"):
        check_op(operation(f=lambda x: x * np.nan), examples=20)


def test_how_many_arguments():
    for fn in (max, lambda *xs: xs[0], lambda axis=0: axis):
        with pytest.raises(ValueError, match=r"how many arrays does .* take\?.* arguments="):
            check_op(fn)
    with pytest.raises(ValueError, match="domain='reel'"):
        check_op(np.exp, arguments=["reel"])


def test_a_row_in_the_example():
    index = next(k for k, r in enumerate(ROWS) if r.fn is np.sqrt)
    wrong = ROWS[index]
    call, wrong.call = wrong.call, lambda x: np.sqrt(x) + 0 * tn.stop_gradient(x) + (
        x - tn.stop_gradient(x))
    try:
        says, lines = failure(wrong)
    finally:
        wrong.call = call
    assert says.startswith("check_op of sqrt: gradcheck: wrong")
    assert lines[0].startswith("x0 = ")


# ---------------------------------------------------------------- check_function

def test_check_function():
    weights = {"w": A([0.25, -1.0]), "b": A(0.5)}
    check_function(lambda p, x: np.tanh(p["w"] * x + p["b"]), weights, arrays((2,)), order=2,
                   examples=20)
    check_function(lambda x: np.abs(x), arrays(special=True), examples=20)
    with pytest.raises(tn.GradcheckError) as error:
        check_function(lambda x, c: np.sum(x * tn.stop_gradient(x)) * c, arrays(), 2.0)
    assert error.value.report.verdict == "wrong"
    assert error.value.example.splitlines()[-3:-1] == ["x0 = np.array(0.25)", "x1 = 2.0"]
    with pytest.raises(tn.GradcheckError, match="ZeroDivisionError in gradcheck"):
        check_function(lambda x: x * (1 // 0), arrays())
    with pytest.raises(tn.GradcheckError, match="at none of"):
        check_function(lambda x: x * np.inf, arrays(), examples=20)


def test_total_tells_elements_apart():
    assert total(A([1.0, 2.0])) != total(A([2.0, 1.0]))
    assert total({"a": A([1.0, 10.0]), "n": 3}) == 21.0 and total([]) == 0.0
    assert total(np.ones(3, np.float32)).dtype == np.float32

"""The checker is itself checked: what it must catch, what it must pass, and what it says."""

import os
import subprocess
import sys

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn import _gradcheck

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


def caught(f, *inputs, **kwargs):
    """The report of a check that must fail."""
    with pytest.raises(tn.GradcheckError) as failure:
        tn.gradcheck(f, *inputs, **kwargs)
    assert str(failure.value) == str(failure.value.report)
    return failure.value.report


def test_right_rules_pass():
    f = operation()
    assert tn.gradcheck(f, X) and tn.gradcheck(f, X, order=2)
    assert tn.gradcheck(lambda x: np.sum(f(x)), X, order=3)
    report = tn.gradcheck(f, X, full=True)
    assert report.digits > 10 and report.directions == X.size and report.verdict == "right"


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("factor", [1.0005, 0.9995, -1.0, 0.0, 1 + 1e-8, np.nan])
def test_a_wrong_rule_is_caught_in_its_mode(factor, full):
    f = operation(vjp_factor=factor)
    report = caught(f, X, full=full)
    assert {w[0] for w in report.wrong} == {"reverse"} and report.blamed == "xsin"
    assert tn.gradcheck(f, X, modes=("forward",), full=full)
    f = operation(jvp_factor=factor)
    report = caught(f, X, full=full)
    assert {w[0] for w in report.wrong} == {"forward"} and report.blamed == "xsin"
    assert tn.gradcheck(f, X, modes="reverse", full=full)


@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_a_wrong_second_derivative_is_caught(mode):
    f = operation(second=1.0005)
    assert tn.gradcheck(f, X, modes=(mode,))
    report = caught(f, X, order=2, modes=(mode,))
    assert report.blamed == "slope" and report.wrong[0][:2] == (mode, 2)


def test_one_wrong_entry_of_many_is_found_by_halving():
    @tn.primitive
    def almost(x):
        return x * x
    tn.rules.rule(almost, vjp=lambda g, x: 2 * x * g * factors, jvp=lambda t, x: 2 * x * t)
    x = np.random.default_rng(0).normal(size=(40, 25)) + 3
    factors = np.ones(x.shape)
    factors[17, 4] = 1.0005
    report = caught(lambda x: np.sum(np.sqrt(almost(x))), x)
    (mode, order, name, output, index, got, want, bar), = report.wrong
    assert (mode, order, name, output, index) == ("reverse", 1, "input 0", "", (17, 4))
    assert got == pytest.approx(1.0005) and want == pytest.approx(1.0, abs=1e-6) and bar < 1e-6
    report = caught(almost, x)                              # the output too, of many
    assert report.wrong[0][3:5] == ("[17, 4]", (17, 4))
    assert report.evaluations < 2000


def test_the_report_names_input_index_values_and_operation():
    f = operation(vjp_factor=2.0)
    report = caught(lambda a, b: a["w"] * 2 + f(b), {"w": np.ones(2)}, np.array([0.0, 1.0]))
    right = np.sin(1.0) + np.cos(1.0)
    text = str(report)
    for part in ("gradcheck: wrong", "reverse mode, order 1", "input 1 at index (1,)",
                 f"is {2 * right:.8g}"[:10], f"give {right:.7g}", "output[1]",
                 "to blame: the rule of xsin, used in " + __file__, "input 0['w'] (2,)"):
        assert part in text
    assert issubclass(tn.GradcheckError, AssertionError)


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})


def test_the_snippet_runs_on_its_own_and_fails_the_same_way(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(
        "import numpy as np, tinygrad_nn as tn\n@tn.primitive\ndef cube(x, n):\n"
        "    return x ** n\n"
        "tn.rules.elementwise(cube, lambda x, n: 1.001 * n * x ** (n - 1))\n")
    monkeypatch.syspath_prepend(tmp_path)
    import mine
    report = caught(lambda x: np.sum(np.exp(-mine.cube(x, n=3))), X)
    assert report.blamed == "cube"
    done = run(report.snippet)
    assert done.returncode == 1 and "GradcheckError: gradcheck: wrong" in done.stderr
    assert "the rule of cube" in done.stderr
    big = np.linspace(0.5, 1.0, 500)
    report = caught(lambda x: mine.cube(x, n=3), big)
    done = run(report.snippet)
    assert "the rule of cube" in done.stderr


def test_a_wrong_composite_is_blamed_after_its_parts():
    def double(x):
        return 2 * x

    def spread(x):
        return np.sum(x * x)
    for fn in (double, spread):
        fn.__array_function__ = None
    outer = tn.primitive(spread)
    tn.rules.composite(outer, lambda x: np.sum(x * x * 1.001))
    assert caught(lambda x: np.sqrt(outer(x)), X).blamed == "spread"
    inner = operation(vjp_factor=2.0)
    through = tn.primitive(double)
    tn.rules.composite(through, lambda x: 2 * x + 0 * inner(x))
    assert caught(lambda x: np.sin(through(x) + inner(x)), X).blamed == "xsin"


# ---------------------------------------------------------------- kinks and special points

def test_any_value_between_the_one_sided_derivatives_is_right():
    def ramp(at_zero):
        @tn.primitive
        def ramp(x):
            return np.where(x > 0, 3 * x, -x)
        tn.rules.elementwise(ramp, lambda x: np.where(x > 0, 3.0, np.where(x < 0, -1.0,
                                                                           at_zero)))
        return ramp
    for value in (-1.0, 0.0, 2.9, 3.0):
        report = tn.gradcheck(ramp(value), np.array([0.0, 1.0, -2.0]))
        assert report.kinks == ["ramp"] and "at a kink of ramp" in str(report)
    for value in (-1.1, 3.1, np.nan, np.inf):
        report = caught(ramp(value), np.array([1.0, 0.0, -2.0]))
        assert report.blamed == "ramp"
        assert report.wrong[-1][0] == "reverse" and report.wrong[-1][4] == (1,)
    assert tn.gradcheck(ramp(9.0), np.array([0.1, 1.0])).kinks == []


@pytest.mark.parametrize(("f", "kinks"), [
    (lambda x: tn.relu(np.sin(x)), ["relu"]), (np.abs, ["np.absolute"]),
    (lambda x: np.max(x[:2]) + np.sum(x), ["np.max"]), (np.sort, ["np.sort"]),
    (lambda x: np.maximum(x, 0) - np.minimum(x, 0), ["np.maximum", "np.minimum"]),
    (lambda x: np.linalg.norm(x[:2]), ["np.linalg.norm"]),
    (lambda x: np.clip(x, 0, 5), ["np.clip"])])
def test_our_own_kinks_pass_in_both_modes_and_orders(f, kinks):
    report = tn.gradcheck(f, np.array([0.0, 0.0, -2.0]), order=2)
    assert report.kinks == kinks


def test_equal_numbers_may_be_sorted_in_any_order_but_counted_once():
    x = np.array([1.0, 2.0, 1.0, 1.0, 1.0])
    for full in (False, True):
        assert tn.gradcheck(np.sort, x, order=2, full=full).kinks == ["np.sort"]
    half = operation(0.5)
    report = caught(lambda x: np.concatenate([np.sort(x), half(x)]), x)
    assert report.blamed == "xsin"

    @tn.primitive
    def top(x):
        return np.max(x)
    tn.rules.rule(top, vjp=lambda g, x: g * (x == np.max(x)),
                  jvp=lambda t, x: np.sum(t * (x == np.max(x))))
    assert tn.gradcheck(top, x) and caught(top, np.ones(3)).blamed == "top"


def test_a_jump_excuses_only_the_slope_beside_it():
    @tn.primitive
    def step(x):
        return np.where(x >= 1, 3 * x, x)
    tn.rules.elementwise(step, lambda x: np.where(x == 1, 1.0, np.where(x > 1, 3.0, 1.0)))
    assert tn.gradcheck(step, np.array([0.5, 1.5]))
    assert caught(step, np.array([0.5, 1.0])).blamed == "step"


def test_conventions_that_do_not_add_up_are_said():
    report = tn.gradcheck(lambda x: tn.relu(x) - tn.relu(-x), np.array([0.0, 1.0]))
    assert report.kinks == ["relu"]
    assert "does not add up to a derivative of the whole" in str(report)


def test_a_branch_at_a_point_is_wrong_and_no_operation_is_to_blame():
    def sinc(x):
        return np.where(x == 0, 1.0, np.sin(x) / np.where(x == 0, 1.0, x))
    assert tn.gradcheck(sinc, np.array([0.0, 0.5]))
    report = caught(sinc, np.array([0.0, 0.5]), order=2)
    assert report.blamed is None and "decides otherwise beside this point" in str(report)
    assert report.wrong[0][2:5] == ("input 0", "[0]", (0,))


def test_special_magnitudes():
    for f in (np.square, np.arctan, lambda x: x / (1 + np.abs(x)), np.tanh):
        assert tn.gradcheck(f, np.array([1e30, 1.0, 5e-324, -0.0, 1e-20, -1e30]))
    assert tn.gradcheck(np.sqrt, np.array([0.0, 1.0]))               # infinite, and said so
    assert tn.gradcheck(np.floor, np.array([2.0, 0.5]))              # a jump
    assert tn.gradcheck(lambda x: np.frexp(x)[0], np.array([0.25, 0.3]))
    assert tn.gradcheck(lambda x: np.unique(x)[:1], np.array([0.25, 0.25, 0.3]))
    assert tn.gradcheck(lambda x: np.sum(tn.softmax(x)), X)          # zero, but for rounding


@pytest.mark.parametrize("full", [False, True])
def test_inputs_that_are_not_finite_are_left_as_they_are(full):
    x = np.array([1.0, np.nan, 1e30, np.inf])
    report = tn.gradcheck(lambda x: np.where(np.isfinite(x), x * x, 0.0), x, full=full)
    assert report.digits > 9 and report.directions == 2
    double = operation(2.0)
    x[2] = -1e12
    assert caught(lambda x: double(np.where(np.isfinite(x), x, 0.0)), x).blamed == "xsin"


@pytest.mark.parametrize(("f", "x", "reason"), [
    (np.log, 0.0, "f is -inf at this point"), (np.sin, 1e12, "too noisy"),
    (np.sqrt, -1.0, "f is nan"),
    (lambda x: x * np.random.default_rng().uniform(), 1.0, "other values at the same inputs")])
def test_what_cannot_be_measured_is_said(f, x, reason):
    report = caught(f, np.array([x]))
    assert report.verdict == "unmeasured" and reason in str(report)


# ---------------------------------------------------------------- arguments

def test_inputs_stay_as_they_were_and_trees_are_named():
    x = X.astype(np.float32)
    x.flags.writeable = False
    report = tn.gradcheck(lambda p: np.tanh(p["x"][0]) @ p["x"][1].T, {"x": [x, x]})
    assert [r[0] for r in report.rows[::2]] == ["input 0['x'][0]", "input 0['x'][1]"]
    np.testing.assert_array_equal(x, X.astype(np.float32))
    f = operation(jvp_factor=1.001)
    assert "input 0['x'][1] at index" in str(
        caught(lambda p: p["x"][0] * f(p["x"][1]), {"x": [X, X]}))


def test_outputs_of_any_form():
    f = operation(vjp_factor=1.01)
    assert tn.gradcheck(lambda x: {"a": x @ x.T, "b": [np.sum(x), np.zeros(0)]}, X, order=2)
    report = caught(lambda x: {"a": x @ x.T, "b": [f(x)]}, X, full=True)
    assert report.wrong[0][3].startswith("[1][")


def test_a_function_that_changes_its_argument_does_no_harm():
    def f(x):
        y = x * 2
        if isinstance(x, np.ndarray):
            x *= 0
        return y
    assert tn.gradcheck(f, X, order=2)


@pytest.mark.parametrize("shape", [(), (0,), (2, 0), (1,)])
def test_odd_shapes(shape):
    assert tn.gradcheck(lambda x: np.exp(x) * 2, np.full(shape, 0.5), order=2)


@pytest.mark.parametrize(("kwargs", "sentence"), [
    ({"order": 0}, "order=0: expected 1 or 2"), ({"modes": ("sideways",)}, "sideways"),
    ({"modes": ()}, "expected 'forward', 'reverse' or both")])
def test_wrong_arguments(kwargs, sentence):
    with pytest.raises(ValueError, match=sentence):
        tn.gradcheck(np.exp, X, **kwargs)


def test_inputs_that_are_no_numbers_are_refused():
    with pytest.raises(TypeError, match="input 1 holds <U1: derivatives are by real numbers"):
        tn.gradcheck(lambda x, s: x, X, {"name": "a"})


def test_a_function_that_is_not_differentiable_says_so():
    with pytest.raises(tn.NoRuleError, match=r"np\.fft\.fft of a Tensor is refused"):
        tn.gradcheck(lambda x: np.abs(np.fft.fft(x)), X)


def test_a_large_scalar_function_takes_few_evaluations():
    x = np.random.default_rng(0).normal(size=10_000)
    report = tn.gradcheck(lambda x: np.sum(np.tanh(x) * np.exp(-x * x)), x)
    assert report.evaluations < 50 and report.digits > 8
    w = np.random.default_rng(1).normal(size=(10_000, 50)) / 100
    assert tn.gradcheck(lambda x: np.sum(tn.relu(x @ w)), x).evaluations < 50


def test_observers_see_every_report():
    seen = []
    _gradcheck.observers.append(seen.append)
    try:
        report = tn.gradcheck(lambda x: tn.relu(np.exp(x)), X)
    finally:
        _gradcheck.observers.remove(seen.append)
    assert seen == [report] and report.operations == ("np.exp", "relu")

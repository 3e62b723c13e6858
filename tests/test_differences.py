"""Derivatives by differences: their error bars hold, and kinks, jumps and borders are seen."""

import numpy as np
import pytest

from tinygrad_nn._differences import FINER, START, slope


def at(f, x, v, start=START):
    """The slope of ``f`` at x along v; everything in arrays of one element."""
    x, v = np.array([float(x)]), np.array([float(v)])
    with np.errstate(all="ignore"):
        return slope(lambda t: f(x + t * v), f(x), 2.3e-16, start)


SMOOTH = {      # name: f, its derivative, points
    "exp": (np.exp, np.exp, [0.0, 0.5, -3.0, 20.0]),
    "log": (np.log, lambda x: 1 / x, [0.2, 1.0, 1e-3, 50.0]),
    "tan": (np.tan, lambda x: 1 / np.cos(x) ** 2, [0.3, 1.5]),
    "power": (lambda x: x ** 20, lambda x: 20 * x ** 19, [0.5, -1.1]),
    "rational": (lambda x: 1 / (1 + 25 * x * x), lambda x: -50 * x / (1 + 25 * x * x) ** 2,
                 [0.0, 0.2, 1.0]),
    "fast": (lambda x: np.sin(30 * x), lambda x: 30 * np.cos(30 * x), [0.1, 2.0]),
    "offset": (lambda x: 1e8 + np.sin(x), np.cos, [0.5]),
    "constant": (lambda x: 0 * x + 3, lambda x: 0 * x, [0.7]),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_the_error_bar_holds_and_is_narrow(name):
    f, derivative, points = SMOOTH[name]
    for x in points:
        v = max(abs(x), 0.01)
        s = at(f, x, v)
        want = v * derivative(np.array(x))
        assert abs(s.value[0] - want) <= 10 * s.error[0] + 1e-14 * abs(want), (x, s.value, want)
        assert s.error[0] <= 1e-8 * max(abs(want), abs(f(np.array(x))))
        assert s.resolved[0] and not (s.kink[0] or s.jump[0] or s.grows[0])


def test_a_computation_in_float32_has_a_wide_bar():
    s = at(lambda x: np.exp(x.astype(np.float32)).astype(float), 0.5, 0.5)
    assert abs(s.value[0] - 0.5 * np.exp(0.5)) <= 10 * s.error[0]
    assert 1e-8 < s.error[0] < 1e-3


@pytest.mark.parametrize(("f", "low", "high"), [
    (np.abs, -1, 1), (lambda x: np.maximum(x, 0) * np.exp(x), 0, 1),
    (lambda x: np.where(x > 0, 3 * x, -x * x), 0, 3)])
def test_a_kink_has_two_derivatives(f, low, high):
    for start in (START, START * FINER):
        s = at(f, 0, 1, start)
        assert s.kink[0] and not s.jump[0] and s.resolved[0]
        np.testing.assert_allclose([s.low[0], s.high[0]], [low, high], atol=1e-6)


@pytest.mark.parametrize("f", [np.sign, lambda x: np.where(x > 0, x + 1, x),
                               lambda x: np.where(x == 0, 1.0, x)])
def test_a_jump_is_no_kink(f):
    s = at(f, 0, 1)
    assert s.jump[0] and not s.kink[0]


def test_beside_a_kink_only_short_steps_resolve():
    def f(x):
        return np.abs(x - 0.999) * np.exp(x)
    coarse, fine = at(f, 1, 1), at(f, 1, 1, START * FINER)
    want = (1.001) * np.e
    assert coarse.jump[0] or not coarse.resolved[0]
    assert fine.resolved[0] and not (fine.kink[0] or fine.jump[0])
    both = coarse.better(fine)
    assert abs(both.value[0] - want) <= 10 * both.error[0] < 1e-6


def test_steps_too_long_for_a_fast_function_are_known():
    coarse, fine = at(np.sin, 1e5, 1e5), at(np.sin, 1e5, 1e5, START * FINER ** 2)
    assert not coarse.resolved[0] and fine.resolved[0]
    assert abs(fine.value[0] - 1e5 * np.cos(1e5)) <= 10 * fine.error[0] < 1


def test_the_border_of_a_domain():
    s = at(lambda x: x ** 2.5, 0, 1)                # not a number to the left
    assert abs(s.value[0]) <= 10 * s.error[0] < 1e-3 and s.grows[0] == 0
    s = at(np.sqrt, 0, 1)                           # infinite to the right
    assert s.grows[0] == 1
    assert at(lambda x: -np.cbrt(x), 0, 1).grows[0] == -1
    s = at(np.log, 1e-7, 0.01)                      # steps that leave it are shortened
    assert abs(s.value[0] - 1e5) <= 10 * s.error[0] < 1


def test_elements_are_judged_apart_and_projected_together():
    x, v = np.array([0.5, 0.0, 0.0]), np.ones(3)

    def f(x):
        return np.array([np.exp(x[0]), np.abs(x[1]), np.sign(x[2])])
    s = slope(lambda t: f(x + t * v), f(x), 2.3e-16)
    np.testing.assert_array_equal(s.kink, [False, True, False])
    np.testing.assert_array_equal(s.jump, [False, False, True])
    p = s.projected(np.array([2.0, -3.0, 0.0]))
    assert p.kink[0] and not p.jump[0]
    np.testing.assert_allclose([p.low[0], p.high[0]],
                               [2 * np.exp(0.5) - 3, 2 * np.exp(0.5) + 3], rtol=1e-6)


def test_beside_a_jump_the_slope_of_the_continuous_side_counts():
    s = at(lambda x: np.where(x >= 0, 2 * x, x - 1), 0, 1)
    assert s.jump[0]
    np.testing.assert_allclose([s.low[0], s.high[0]], 2, atol=1e-6)
    s = at(np.sign, 0, 1)
    assert s.low[0] == -np.inf and s.high[0] == np.inf

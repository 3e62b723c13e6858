"""PyTorch as an oracle: its own samples give the same values and derivatives here.

Skipped without torch and expecttest; torch is imported by the first test, not by collecting.
"""

import importlib.util

import numpy as np
import pytest
from oracle.kinks import POINTS, SAMPLES
from oracle.mapping import NAMES, REFUSED, TOLERANCES

import tinygrad_nn as tn

if not all(map(importlib.util.find_spec, ("torch", "expecttest"))):
    pytest.skip("needs torch and expecttest", allow_module_level=True)


@pytest.fixture(scope="module")
def runner():
    from oracle import runner
    return runner


@pytest.mark.parametrize("name", NAMES)
def test_operator(runner, name):
    result = runner.run(name)
    assert result.samples, "PyTorch has no samples of it any more"
    assert not result.mismatches, "\n".join(result.mismatches)
    assert bool(result.refused) == (name in REFUSED), set(result.refused)
    if name in REFUSED:
        phrase, _ = REFUSED[name]
        assert all(phrase in message for message in result.refused)


def test_all_operators_together(runner):
    results = [runner.run(name) for name in NAMES]
    total, done = sum(r.samples for r in results), sum(r.run for r in results)
    assert len(results) >= 90 and done >= 0.98 * total
    assert not any(r.mismatches for r in results)
    assert runner.table(["abs", "quantile"]).startswith("| operator | samples | run |")


def test_what_is_listed_as_different_is_different(runner):
    for name in TOLERANCES:
        result = runner.run(name)
        assert max(result.value, result.gradient, result.tangent) > runner.TOLERANCE
    assert all(runner.run(name.partition("/")[0]).kinks for name in SAMPLES)


@pytest.mark.parametrize("point", POINTS, ids=repr)
def test_where_a_derivative_jumps(runner, point):
    mine, theirs, forward = runner.at_point(point)
    for a, b in zip(mine, point.ours or theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-14, atol=1e-15)
    if point.ours:
        assert point.why
        assert not all(np.allclose(a, b) for a, b in zip(point.ours, theirs, strict=True))
    assert forward < 1e-14


# ---------------------------------------------------------------- a checker that can fail

@tn.primitive
def _wrong_forward(x):
    return np.exp(x)


tn.rules.rule(_wrong_forward, vjp=lambda g, y: g * y, jvp=lambda t, y: 1.000001 * t * y)


@pytest.mark.parametrize(("what", "call"), [
    ("value", lambda x: np.exp(x) * (1 + 1e-7)),
    ("ShapeError", lambda x: np.exp(x)[None]),
    ("gradient", lambda x: np.exp(x) + 1e-6 * (x - tn.stop_gradient(x))),
    ("tangent", _wrong_forward),
    ("TypeError", lambda x, y: np.exp(x)),
    ("ZeroDivisionError", lambda x: np.exp(x) / (1 // 0)),
])
def test_a_wrong_call_is_a_mismatch(runner, what, call):
    result = runner.examine("exp", {"exp": call})
    assert result.samples == 3 and any(what in m for m in result.mismatches)


def test_a_function_without_a_rule_is_refused(runner):
    result = runner.examine("exp", {"exp": tn.primitive(lambda x: np.exp(x))})
    assert len(result.refused) == 3 and not result.run and not result.mismatches

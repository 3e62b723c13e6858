"""Programs of right rules raise no alarm, and what the example of checking shows is true.

`TINYGRAD_NN_PROGRAMS=1000` asks for so many programs instead of 150.
"""

import os

import check_gradients
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

import tinygrad_nn as tn
from tinygrad_nn._gradcheck import check

MANY = int(os.environ.get("TINYGRAD_NN_PROGRAMS", "150"))


@pytest.mark.filterwarnings("ignore")
def test_drawn_programs_give_no_false_alarm():
    seen = []

    @settings(max_examples=MANY, deadline=None, suppress_health_check=list(HealthCheck))
    @given(tn.testing.programs())
    def run(program):
        order = 1 + len(seen) % 2
        report = check(program, program.inputs, order=order)
        seen.append(report.verdict)
        assert report.verdict != "wrong", report
    run()
    assert len(seen) >= MANY and seen.count("unmeasured") <= max(5, 0.01 * MANY)


@pytest.mark.parametrize(("x2", "x3", "order"), [
    (0.83, 0.83, 1),                    # the inputs' rounding, times 432
    (2.28, 2.29, 2), (0.78, 0.79, 2)])  # coarse steps that skip over as many jumps each
def test_nested_staircases_are_right(x2, x3, order):
    """Straight pieces, some only 1e-5 long, between jumps; found by drawn programs."""
    def f(x0, x1, x2, x3):
        return np.remainder(x3, np.remainder(x2, np.remainder(x0, x1)))
    assert tn.gradcheck(f, 0.25, 0.1, x2, x3, order=order).verdict == "right"


def test_the_example_finds_every_mistake(capsys):
    check_gradients.an_operation()
    check_gradients.a_layer()
    check_gradients.a_model()
    text = capsys.readouterr().out
    assert text.count("gradcheck: right") == 2 and text.count("gradcheck: wrong") == 3
    assert "to blame: the rule of softsign" in text
    assert text.count("to blame: the rule of gate") == 2


def test_a_trap_that_normal_draws_miss_shrinks_to_one_number(capsys):
    check_gradients.a_trap()
    text = capsys.readouterr().out
    assert "right at 100 x 10 normal draws" in text
    assert "x0 = np.array(0.0)\nprint(tn.gradcheck(exp_ratio, x0))" in text


def test_a_mistake_that_is_not_found_ends_the_example():
    with pytest.raises(SystemExit, match="not found"):
        check_gradients.show(tn.gradcheck, np.exp, np.ones(2))

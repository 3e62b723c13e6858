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
    assert len(seen) >= MANY and seen.count("unmeasured") <= 5 + 0.01 * MANY


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

"""Drawn programs: they run, come back from what is printed of them, cover the table, shrink."""

from collections import Counter

import numpy as np
from hypothesis import HealthCheck, find, given, settings

import tinygrad_nn as tn
from tinygrad_nn._table import RULES
from tinygrad_nn.testing import Program, _programs, programs

A = np.array
quick = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


def again(text):
    """The value of code that was printed."""
    return eval(text, {"np": np, "tn": tn})


def test_programs_run_are_finite_and_come_back():
    sizes, names = Counter(), Counter()

    @settings(quick, max_examples=150)
    @given(programs())
    def check(p):
        sizes[len(p.text.splitlines())] += 1
        y = p(*p.inputs)
        for v in y if isinstance(y, tuple) else (y,):
            assert np.asarray(v).dtype == np.float64 and np.all(np.isfinite(v))
        q = again(repr(p))
        assert (q.text, str(q), repr(q)) == (p.text, str(p), repr(p))
        for a, b in zip(p.inputs, q.inputs, strict=True):
            np.testing.assert_array_equal(a, b)
        scope = {"np": np, "tn": tn}
        exec(str(p), scope)                             # the text is the function
        np.testing.assert_equal(scope["program"](*p.inputs), y)
        names.update(op.name for op in tn._blame.recorded(p, p.inputs))
    check()
    assert max(sizes) >= 8 and sizes[1] < 75
    assert len(names) > 60


def test_programs_cover_the_table():
    """What they choose from, without drawing all of it."""
    texts = {ways[0].text for ways in _programs._OPERATIONS} - {t for t, _ in _programs.TEXTS}
    named = {again(text.partition("({0}")[0]) for text in texts}
    kinds = Counter(RULES[fn].kind for fn in named)
    assert len(named) >= 170
    assert kinds["elementwise"] >= 50 and kinds["composite"] >= 80
    assert min(kinds[k] for k in ("select", "linear", "bilinear", "rule")) >= 4


def test_programs_of_single_precision_and_of_few_operations():
    @quick
    @given(programs(max_operations=2, dtype=np.float32))
    def check(p):
        assert all(x.dtype == np.float32 for x in p.inputs)
        assert len(p.text.splitlines()) <= 3
    check()


def test_programs_shrink_to_the_operation_that_matters():
    p = find(programs(), lambda p: "return np.tanh(" in p.text or "= np.tanh(" in p.text)
    assert repr(p) == "tn.testing.Program('return np.tanh(x0)', x0=np.array(0.25))"
    p = find(programs(), lambda p: " @ x1\n" in p.text + "\n")
    assert p.text == "return x0 @ x1" and all(x.size <= 6 for x in p.inputs)


def test_a_program_is_what_it_says():
    p = Program("v0 = np.exp(a)\nreturn v0 * b", a=A([0.25]), b=A(2.0))
    assert str(p) == "def program(a, b):\n    v0 = np.exp(a)\n    return v0 * b"
    np.testing.assert_allclose(p(A([0.0]), 3.0), [3.0])
    y, pull = tn.vjp(p, *p.inputs)
    np.testing.assert_allclose(pull(np.ones(1))[1], y / 2)
    assert again(repr(p)).text == p.text

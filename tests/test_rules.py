"""Every rule of the table: it is there, and `check_op` finds nothing wrong with it."""

import os

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn._table import RULES
from tinygrad_nn.testing import ROWS, ZEROS, check_op

EXAMPLES = int(os.environ.get("TINYGRAD_NN_EXAMPLES", "2"))
IDS = [repr(row) for row in ROWS]


def the_packages(fn):
    """Not what tests add to the table."""
    if isinstance(fn, np.ufunc):
        return getattr(np, fn.__name__, None) is not None
    return fn.__module__.partition(".")[0] in ("numpy", "tinygrad_nn")


def test_every_rule_has_its_row():
    table = {fn: rule.kind for fn, rule in RULES.items() if the_packages(fn)}
    assert {fn for fn, kind in table.items() if kind not in ("zero", "refused")} == {
        row.fn for row in ROWS if the_packages(row.fn)}
    assert {fn for fn, kind in table.items() if kind == "zero"} == {fn for fn, _ in ZEROS}


@pytest.mark.parametrize("row", ROWS, ids=IDS)
def test_operation(row):
    """All that `check_op` asks, in general position and at special points: at two drawn cases,
    or as many as TINYGRAD_NN_EXAMPLES says (from 20 on every special point has its own)."""
    check_op(row, examples=EXAMPLES)


@pytest.mark.parametrize(("fn", "call"), ZEROS, ids=[f.__name__ for f, _ in ZEROS])
def test_zero_derivatives_give_plain_values(fn, call):
    x = np.array([0.25, -1.25, 2.25])
    t = tn.Tensor(x)
    got = call(t)
    assert not isinstance(got, tn.Tensor)
    if fn is not np.empty_like:
        assert repr(got) == repr(call(x))
    if isinstance(got, np.ndarray) and got.shape == x.shape and fn is not np.empty_like:
        slope = tn.jvp(lambda x: np.sum(call(x) * x), (x,), (np.ones(3),))[1]
        np.testing.assert_allclose(slope, np.sum(got))

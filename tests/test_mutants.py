"""Wrong rules are caught and blamed; `python -m tests.mutants` asks this of the whole table."""

import mutants
import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn._messages import name_of
from tinygrad_nn._table import RULES

SOME = [np.multiply, np.exp, np.maximum, np.where, tn.relu, np.matmul, np.sum, np.transpose,
        np.var, np.cumprod, np.linalg.solve, np.concatenate, np.linalg.det]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("fn", SOME, ids=name_of)
def test_every_mutant_is_caught_and_its_function_blamed(fn):
    found = mutants.judged(fn)
    assert {"scaled", "sign", "dropped"} <= {name.split()[-1] for name in found}
    assert mutants.not_caught({m: f for m, f in found.items() if " term " not in m}) == []
    fates = {fate.partition(" ")[0] for fates in found.values() for fate in fates.values()}
    assert fates <= {"caught", "equivalent", "raised"}, found


def test_a_mutant_is_gone_afterwards():
    x = np.array([0.5, -1.0])
    before = tn.grad(lambda x: np.sum(x * np.exp(x)))(x)
    mutant = next(mutants.mutants_of(RULES[np.multiply]))
    with mutants.in_place(mutant):
        assert not np.array_equal(tn.grad(lambda x: np.sum(x * np.exp(x)))(x), before)
    np.testing.assert_array_equal(tn.grad(lambda x: np.sum(x * np.exp(x)))(x), before)


def test_terms_of_a_rule_are_left_out_one_by_one():
    def rule(g, x, y):
        return g * (2 * x + y)
    found = {name: f(3.0, 5.0, 7.0) for name, f in mutants.without_terms(rule)}
    assert found == {"term g * (2 * x + y) -> g": 3, "term g * (2 * x + y) -> 2 * x + y": 17,
                     "term 2 * x + y -> 2 * x": 30, "term 2 * x + y -> y": 21,
                     "term 2 * x -> 2": 27, "term 2 * x -> x": 36}

"""Every function that NumPy dispatches is in the table, and the page about it is not stale."""

import re
from pathlib import Path

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn._table import RULES
from tinygrad_nn.rules import _page

PAGE = Path(__file__).parents[1] / "docs" / "functions.md"
KNOWN = _page.dispatchable()


@pytest.mark.parametrize("name", KNOWN)
def test_every_dispatchable_function_is_ruled_zero_or_refused(name):
    assert KNOWN[name] in RULES, f"{name}: give it a rule, zero(...) or refuse(reason, ...)"


def test_at_least_185_functions_are_ruled():
    aliases = {np.amax: np.max, np.amin: np.min}
    ruled = {aliases.get(fn, fn) for fn in {**KNOWN, **_page.own()}.values()
             if RULES[fn].kind not in ("zero", "refused")}
    assert len(ruled) >= 185


def test_the_page_is_not_stale():
    """Other NumPys have some other functions; what they have in common reads the same."""
    text = PAGE.read_text(encoding="utf-8")
    committed = {line.split("`")[1]: line for line in text.splitlines()
                 if line.startswith("| `")}
    made = _page.rows()
    for name in committed.keys() & made.keys():
        assert committed[name] == made[name]
    version = re.compile(r"(With NumPy \d+\.\d+)\S*:")
    text, page = version.sub(r"\1:", text), version.sub(r"\1:", _page.page())
    if version.search(text)[0] == version.search(page)[0]:
        assert text == page
    else:
        assert len(committed.keys() & made.keys()) > 350


@pytest.mark.parametrize("fn", [fn for fn in KNOWN.values() if fn in RULES
                                and RULES[fn].kind == "refused"], ids=lambda f: f.__name__)
def test_a_refusal_says_why(fn):
    t = tn.Tensor(np.ones((2, 2)))
    args = (t, t) if isinstance(fn, np.ufunc) and fn.nin == 2 else (t,)
    reason = RULES[fn].kink
    assert len(reason) > 15
    with pytest.raises(tn.NoRuleError) as error:
        RULES[fn].run(*args)
    assert "is refused: " + reason in str(error.value)

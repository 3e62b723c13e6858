"""`check_op` and `check_function`: what is drawn, how often, and what becomes of a failure.

What is asked of each case is in `_examine`; this project's own tests ask it of every row of the
table.
"""

import collections
import contextlib
import unittest
import warnings

import numpy as np
from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable

from .._errors import GradcheckError
from ._arrays import as_strategy, layouts
from ._cases import Case, cases, name_in_text
from ._code import LAYOUTS
from ._examine import check_derivatives, examine
from ._values import SPECIAL

MANY = 20                       # so many examples, and every special point has its own


def check_op(fn, ref=None, arguments=None, keywords=None, order=2, examples=100):
    """Draw all that an operation must survive, and raise `GradcheckError` where it does not.

    ``fn``: a function of arrays, such as a new primitive, or a row of `ROWS`. ``ref``: a
    function that gives the same values. ``arguments``: for each array a domain (see `arrays`)
    or a strategy; if left out, those of the rows of ``fn``, or "real" for each parameter
    without a default. ``keywords``: a dict of values or strategies.

    Each of the ``examples`` draws shapes (0-d, empty and broadcast ones among them), layouts,
    float64 or float32, and special points. Checked are: values, shape and dtype (those of
    ``ref``; else the dtype of the arguments), that a Tensor gives what an array gives, shape
    and dtype of gradients and tangents, and that they depend neither on layout nor, but for
    rounding, on precision, that no argument is written to, and by `gradcheck` the derivatives
    up to ``order`` in both modes. From 20 examples on, every special point has its own. A point
    at which nothing can be measured is no failure, unless all are such. The message has the
    smallest example that was found, as code.

    >>> import numpy as np, tinygrad_nn as tn
    >>> tn.testing.check_op(np.hypot, lambda a, b: np.sqrt(a * a + b * b), examples=20)
    """
    __tracebackhide__ = True
    verdicts = {}
    for special, layout, dtype, n, wanted in _plan(examples):
        if not n:
            continue
        drawn = cases(fn, arguments, keywords or {}, special, layout, dtype)
        _run(drawn, lambda case: examine(case, ref, order), n, verdicts, wanted)
    _check_measured(f"check_op of {name_in_text(fn)}", verdicts)


def check_function(f, *inputs, order=1, examples=100):
    """`gradcheck` of ``f`` at drawn points: the failure that it raises is the smallest found.

    ``inputs``: what `gradcheck` takes, or strategies for it (see `arrays`), in any mixture.
    Raises `GradcheckError` with the example as code. A point at which nothing can be measured
    is no failure, unless all are such.

    >>> import numpy as np, tinygrad_nn as tn
    >>> x = tn.testing.arrays((3,), special=True)
    >>> tn.testing.check_function(lambda x, y: np.sum(np.abs(x - y)), x, np.ones(3), examples=9)
    """
    __tracebackhide__ = True
    verdicts, title = {}, f"check_function of {name_in_text(f)}"
    drawn = st.tuples(*map(as_strategy, inputs)).map(lambda xs: Case(title, f, list(xs), {}))
    _run(drawn, lambda case: check_derivatives(case, order), examples, verdicts)
    _check_measured(title, verdicts)


def _check_measured(title, verdicts):
    """Raise if nothing was drawn, or several points and the derivative measured at none."""
    count = collections.Counter(verdicts.values())
    if not verdicts or (count["unmeasured"] >= 5 and not count["right"]):
        raise GradcheckError(f"{title}: at none of {len(verdicts)} drawn points could the "
                             "derivative be measured. Draw points that are within the domain")


def _plan(examples):
    """(special points, layout, dtype, how many examples, which) of each part of the drawing.

    Left to chance alone, more than half of the arrays have one element, and a hundred examples
    miss one special point in three.
    """
    double, single = np.float64, np.float32
    either = st.sampled_from([double, double, single])
    if examples < MANY:
        return [(False, layouts(), either, examples - examples // 2, Case.is_any),
                (True, layouts(), either, examples // 2, Case.is_any)]
    points = [[p] for p in SPECIAL]
    return [(False, "C", double, examples // 12, Case.is_any),
            (False, "C", double, examples // 20, Case.is_empty),
            (False, "C", single, examples // 20, Case.is_any),
            *((False, layout, either, examples // 12, Case.shows_layout)
              for layout in LAYOUTS[1:]),
            *((p, "C", double, 1, Case.is_any) for p in points),
            *((p, layouts(), either, examples // 40, Case.has_several) for p in points)]


def _run(drawn, ask, examples, verdicts, wanted=Case.is_any):
    """Ask so many different cases that are wanted, or all that ten times as many draws bring:
    hypothesis draws about every second one again."""
    __tracebackhide__ = True
    left, failed = examples, False

    @settings(max_examples=10 * examples, deadline=None, database=None, print_blob=False,
              verbosity=Verbosity.quiet, report_multiple_bugs=False,
              suppress_health_check=list(HealthCheck), phases=(Phase.generate, Phase.shrink))
    @given(drawn)
    def run(case):
        __tracebackhide__ = True
        nonlocal left, failed
        key = case.key()
        if key in verdicts or not wanted(case):
            return
        if not (left or failed):
            raise unittest.SkipTest             # hypothesis stops at once
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")             # special points overflow on purpose
            left -= not failed
            try:
                verdicts[key] = ask(case)
            except GradcheckError:
                failed = True
                raise
    with contextlib.suppress(unittest.SkipTest, Unsatisfiable):     # ref took nothing of it
        run()

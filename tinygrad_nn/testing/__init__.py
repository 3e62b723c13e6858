"""Tests of code that is differentiated: hypothesis strategies, `check_op`, and the table of
sample arguments.

    from hypothesis import given
    from tinygrad_nn import testing

    testing.check_op(cube, lambda x: x ** 3)            # all that a primitive must survive

    @given(x=testing.arrays(special=True), program=testing.programs())

What a test prints of a failing example is code that can be pasted after ``import numpy as np,
tinygrad_nn as tn``. The fixture `gradcheck` is that of the pytest plugin
(`tinygrad_nn_pytest.py`). Needs hypothesis: ``pip install 'tinygrad_nn[test]'``.
"""

from .._errors import MissingExtraError

try:
    import hypothesis  # noqa: F401
except ImportError:
    raise MissingExtraError("tinygrad_nn.testing needs hypothesis, which is not installed: "
                            "pip install 'tinygrad_nn[test]'") from None

from ._arrays import arrays, broadcastable, layouts, op_arguments, shapes
from ._check_op import check_function, check_op
from ._code import code, laid_out
from ._examine import total
from ._programs import Program, programs
from ._specs import BROADCAST, ROWS, ZEROS, calls, row

__all__ = [  # noqa: RUF022    in plain order, which the tests hold; ruff puts capitals first
    "BROADCAST",
    "Program",
    "ROWS",
    "ZEROS",
    "arrays",
    "broadcastable",
    "calls",
    "check_function",
    "check_op",
    "code",
    "laid_out",
    "layouts",
    "op_arguments",
    "programs",
    "row",
    "shapes",
    "total",
]

"""Checks of values: operations with derivative zero that raise, or give True.

As operations they look at plain numbers whatever boxes these are in, and a compiled function,
which keeps the operations of a call and not its if's, checks again in every call
(``must_run``).
"""

import numpy as np

from .._core import primitive
from .._table import zero


def check(fn):
    """Make ``fn(array, …)``, which raises for wrong numbers, such an operation."""
    def run(x, *args):
        fn(x, *args)
        return np.True_
    call = primitive(run)
    call.__name__, call.__doc__, call.must_run = f"_{fn.__name__}", fn.__doc__, True
    call.__module__ = fn.__module__
    zero(call)
    return call

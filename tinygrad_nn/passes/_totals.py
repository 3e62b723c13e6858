"""Sums over a whole array as the sum of its rows' sums, where its elements are computed.

The group of equations that makes the array can then take the sums of its rows on the way
(`_chains`), and what is left to add up is one number a row.
"""

from dataclasses import replace

from .._program import contiguous
from .._symbol import Var

SHORT = 16                      # numbers in a row; adding up those of a vector costs its length


def totals(program):
    """The program with sums (maxima, minima) of all elements in two steps."""
    from ._vocabulary import REDUCTIONS, step_of
    computed, kept = set(), []
    for e in program.equations:
        if step_of(e) is None:
            kept.append(e)
        elif e.fn not in REDUCTIONS:
            computed.update(e.outs)
            kept.append(e)
        elif e.args[0] in computed and _whole(e):
            x = e.args[0]
            rows = Var.whole(x.shape[:1], x.dtype)
            kept += [replace(e, kwargs={"axis": tuple(range(1, len(x.shape)))}, outs=(rows,)),
                     replace(e, args=(rows,), kwargs={"axis": None})]
        else:
            kept.append(e)
    return program.with_(equations=tuple(kept))


def axes_of(e, full):
    """The axes, of an array of the shape ``full``, that a reduction is over."""
    axis = e.kwargs.get("axis", 0)
    axes = range(len(full)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    return {i % len(full) for i in axes}


def _whole(e):
    """Whether it is of all elements of a table of rows."""
    x = e.args[0]
    return (len(x.shape) > 1 and x.size >= SHORT * x.shape[0] > SHORT and contiguous(x)
            and len(axes_of(e, x.shape)) == len(x.shape)
            and not e.kwargs.get("keepdims") and e.kwargs.keys() <= {"axis", "keepdims"})

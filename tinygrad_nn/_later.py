"""Values of a recorded call that are computed when somebody asks, or when it has returned.

The update of a large parameter is one: nothing in the call reads its results as a rule, and
once nothing can fail any more they may take the places of the arrays that they follow. Without
that a recording would hold parameters and state twice, beside the gradients (a network with 66
million weights, Adam: 2.6 GB at most; 1.6 with it, eager 1.8).
"""

import sys

import numpy as np

from ._symbol import Equation, Symbol, Var, line, mapped, valued, variable


def later(fn, args, old):
    """Symbols of the results of ``fn(*args)``, one like each Symbol in ``old``, to follow it.

    ``fn.into(out, *args)`` must leave the results in a list of arrays, which may be the old
    ones.
    """
    trace = old[0].trace
    call = Call(fn, args, old)
    found = tuple(Later(call, k, Var.of(s._data), trace) for k, s in enumerate(old))
    trace.equations.append(Equation(fn, *mapped(variable, (args, {})),
                                    tuple(s.var for s in found), (None,) * len(found), tuple,
                                    line()))
    return found


class Call:
    """A call that has not run yet: then it has ``args`` and ``old``, afterwards ``results``."""

    def __init__(self, fn, args, old):
        self.fn, self.args, self.old, self.results = fn, args, old, None

    def run(self, over=False):
        """Compute the results, if need be; with ``over`` in old arrays that nobody else holds.
        """
        if self.results is None:
            args, old = mapped(valued, (self.args, self.old))
            self.args = self.old = None
            free = [over and alone(old, k, others=1) for k in range(len(old))]
            self.results = [a if may else np.empty_like(a)
                            for a, may in zip(old, free, strict=True)]
            self.fn.into(self.results, *args)
        return self.results


class Later(Symbol):
    """The Symbol of result ``number`` of a `Call`."""

    __slots__ = ("call", "number")

    def __init__(self, call, number, var, trace):
        self.level, self.call, self.number, self.var, self.trace = -1, call, number, var, trace

    _data = property(lambda self: self.call.run()[self.number])
    shape = property(lambda self: self.var.shape)
    dtype = property(lambda self: self.var.dtype)
    strides = property(lambda self: self.var.strides)
    ndim = property(lambda self: len(self.var.shape))
    size = property(lambda self: self.var.size)


def alone(arrays, k, others=0):
    """Whether nobody but this list and so many others hold array ``k`` of it, or a view."""
    if sys.getrefcount(arrays[k]) > ONE + others:
        return False
    return arrays[k].flags.owndata and arrays[k].flags.writeable


def _references():
    arrays, k = [np.empty(1)], 0
    return sys.getrefcount(arrays[k])


ONE = _references()

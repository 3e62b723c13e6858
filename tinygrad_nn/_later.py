"""Values of a recorded call that are computed when somebody asks, or when it has returned.

Those are gradients of large weights, products that are larger than their factors, and the
updates that they are for: once nothing can fail any more, these may take the places of the
arrays that they follow, and of the gradients one after the other needs memory. A recording that
computed all at once would hold gradients and twice the parameters and their state, beside the
activations (66 million weights, Adam: 2.6 GB at most; 1.6 with this, eager 1.8).
"""

import sys

import numpy as np

from ._graph import guarded
from ._symbol import Symbol, Trace, Var, mapped, valued
from .rules._products import dense

LARGE = 1 << 16                 # elements of a product that waits
SHAPES = (np.shape, np.ndim, np.size)


class PatientTrace(Trace):
    """A `Trace` that lets large products wait, and with them what their zeros are kept by."""

    def record(self, fn, args, kwargs):
        """Write the call down; run it, or give a `Later`."""
        if self.open and not kwargs:
            if fn in SHAPES and isinstance(args[0], Later):
                return getattr(args[0], fn.__name__)
            if all(isinstance(a, Symbol) for a in args) and (var := outgrown(fn, args)):
                return later(self, fn, args, [var])[0]
            if fn is guarded and isinstance(args[0], Later):
                v = args[0].var
                return later(self, fn, args, [Var(v.shape, v.dtype, v.strides)])[0]
        return super().record(fn, args, kwargs)


def outgrown(fn, args):
    """A variable for the product of two matrices, if that is what the call is, and it is large
    and larger than both of them together; else None."""
    if fn not in (np.matmul, dense) or not all(len(a.shape) == 2 for a in args):
        return None
    a, b = args
    (m, k), (n, size) = a.shape, b.shape if fn is dense else b.shape[::-1]
    if k != size or a.dtype != b.dtype or m * n < max(LARGE, a.size + b.size):
        return None
    return Var.whole((m, n), a.dtype)


def later(trace, fn, args, variables, old=()):
    """Symbols for the results of ``fn(*args)``.

    With ``old``, Symbols that the results follow, each like its own, ``fn.into(out, *args)``
    must leave them in arrays, which may be the old ones.
    """
    call = Call(fn, args, old)
    trace.note(fn, args, {}, variables, [None] * len(variables), tuple if old else None)
    return tuple(Later(call, k, v, trace) for k, v in enumerate(variables))


class Call:
    """A call that has not run yet: then it has ``args`` and ``old``, afterwards ``results``.
    ``back``: the numbers of old arrays that are back in their places, where results will go."""

    def __init__(self, fn, args, old):
        self.fn, self.args, self.old, self.results = fn, args, old, None
        self.back, self.errors = set(), np.geterr()

    def run(self, over=False):
        """The results, now; with ``over`` in those old arrays that only their places hold."""
        if self.results is None:
            args, old = mapped(valued, (self.args, list(self.old)))
            self.args = self.old = None
            with np.errstate(**self.errors):
                if old:
                    free = [over and alone(old, k, 1 + (k in self.back))        # the arguments
                            for k in range(len(old))]
                    self.results = [a if may else np.empty_like(a)
                                    for a, may in zip(old, free, strict=True)]
                    self.fn.into(self.results, *args)
                else:
                    self.results = [self.fn(*args)]
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

    def old(self):
        """The array that it follows, or None, to be put back for now."""
        self.call.back.add(self.number)
        return valued(self.call.old[self.number]) if self.call.old else None


def alone(arrays, k, others=0):
    """Whether nobody but this list and so many others hold array ``k`` of it, or a view."""
    if sys.getrefcount(arrays[k]) > ONE + others:
        return False
    return arrays[k].flags.owndata and arrays[k].flags.writeable


def _references():
    arrays, k = [np.empty(1)], 0
    return sys.getrefcount(arrays[k])


ONE = _references()

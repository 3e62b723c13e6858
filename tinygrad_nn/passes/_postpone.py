"""The order of equations: gradients of large weights one after the other, each when it is read.

As recorded the backward pass comes first and the updates after it, so all gradients are there
at once. A product that is larger than its factors waits for its first reader, as it did while
it was recorded (`_later`): then the gradients take turns in one block, and its update finds the
last part of it in the cache.
"""

from .._graph import guarded
from .._later import outgrown
from .._program import uses
from .._symbol import Var


def postpone(program):
    """The program with its large products, and what their zeros are kept by, as late as can
    be."""
    waiting, kept = {}, []
    for e in program.equations:
        arrays = [a for a in e.args if isinstance(a, Var)]
        if not (e.lazy or e.effect or e.kwargs) and (
                (len(arrays) == len(e.args) and outgrown(e.fn, arrays))
                or (e.fn is guarded and isinstance(e.args[0], Var) and e.args[0] in waiting)):
            waiting[e.outs[0]] = e
        else:
            _release(uses(e), waiting, kept)
            kept.append(e)
    _release(list(waiting), waiting, kept)
    return program.with_(equations=tuple(kept))


def _release(variables, waiting, kept):
    """Move what makes these variables from ``waiting`` to ``kept``."""
    for v in variables:
        if v in waiting:
            e = waiting.pop(v)
            _release(uses(e), waiting, kept)
            kept.append(e)

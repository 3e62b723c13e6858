"""Two recordings of one function, compared: what differs would be the same in every later call.

A random draw that `_symbol` did not see, a counter, a branch on the time of day: each shows as
another constant or another operation in the second recording, with its line.
"""

import numpy as np

from ._errors import GraphError
from ._messages import name_of
from ._program import text
from ._reach import PLAIN, same
from ._record import Known, Leaf, Tree
from ._symbol import Var, mapped


def compare(one, two):
    """Raise `GraphError` for what differs in two recordings."""
    wrong = list(_differences(one, two))
    if wrong:
        raise GraphError(
            "a compiled function does the same in every call, but two calls on arrays of the "
            "same shapes differed:\n    " + "\n    ".join(wrong[:5])
            + ("\n    …" if len(wrong) > 5 else "")
            + "\nWhat changes must come in as an array: as an argument, as an attribute of a "
            "module or an object, or drawn from a Generator that the function can reach")


def _differences(one, two):
    if one.strange:
        yield f"{one.strange} is made anew in each call: make it once, before"
    names = dict(zip(one.program.inputs, two.program.inputs, strict=True))
    for a, b in zip(one.program.equations, two.program.equations, strict=False):
        if not _equal(a.fn, b.fn, names):
            yield (f"{name_of(a.fn)} in {a.place} in the first, {name_of(b.fn)} in {b.place} "
                   "in the second: a branch or a loop went another way")
            return
        yield from (f"{name_of(a.fn)} in {a.place} {what}" for what in _unlike(a, b, names))
        names.update(zip(a.outs, b.outs, strict=False))
    more = len(two.program) - len(one.program)
    if more:
        longer, n = (two, len(one.program)) if more > 0 else (one, len(two.program))
        yield (f"{abs(more)} operations more in the {'second' if more > 0 else 'first'}, from "
               f"{longer.program.equations[n].place}: a loop or a branch went another way")
    if len(one.program.outputs) != len(two.program.outputs):
        yield "it returned or assigned more arrays in one of the calls"
    for (path, a), (other, b) in zip(one.program.outputs, two.program.outputs, strict=False):
        if path != other or not _equal(a, b, names):
            yield f"{path} is {text(a)} in the first, and {other} {text(b)} in the second"
    if not _equal(_form(one.template), _form(two.template), names):
        yield (f"it returned {one.template!r}, then {two.template!r}: numbers that are no "
               "arrays must be the same")


def _form(template):
    return mapped(lambda v: (v.number, v.tensor) if isinstance(v, Leaf) else
                  type(v.module) if isinstance(v, Tree) else
                  v.source if isinstance(v, Known) else v, template)


def _unlike(a, b, names):
    """Sentences on the constants and shapes that differ in two equations of one function, and
    on arrays that are no constants."""
    for one, two in zip((*a.args, *a.kwargs.values()), (*b.args, *b.kwargs.values()),
                        strict=False):
        if not _equal(one, two, names):
            yield f"got {text(one)} in the first call and {text(two)} in the second"
        elif isinstance(one, np.ndarray) and one is two:
            yield (f"got an array of shape {one.shape} from where compile does not look (it "
                   "sees arguments, variables, attributes by their names, lists and dicts)")
    if a.args and len(a.args) != len(b.args):
        yield f"got {len(a.args)} arguments in the first call, {len(b.args)} in the second"
    for one, two in zip(a.outs, b.outs, strict=False):
        if (one.shape, one.dtype) != (two.shape, two.dtype):
            yield (f"gave an array of shape {one.shape}, {one.dtype}, and then of shape "
                   f"{two.shape}, {two.dtype}")


def _equal(a, b, names):
    """Whether two values of equations are the same for a program."""
    if a is b:
        return True
    if isinstance(a, Var):
        return names.get(a) is b
    if type(a) is not type(b):
        return False
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(_equal(x, y, names) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict):
        return list(a) == list(b) and all(_equal(a[k], b[k], names) for k in a)
    if isinstance(a, (np.ndarray, np.generic)):
        nans = a.dtype.kind in "fc"
        return a.dtype == b.dtype and np.array_equal(a, b, equal_nan=nans)
    if isinstance(a, PLAIN):
        return same(a, b)
    if hasattr(a, "__code__"):                      # a function made in the call
        cells = [[c.cell_contents for c in f.__closure__ or ()] for f in (a, b)]
        return a.__code__ is b.__code__ and _equal(*cells, names)
    return type(a).__eq__ is not object.__eq__ and bool(a == b)

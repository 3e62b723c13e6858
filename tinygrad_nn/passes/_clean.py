"""What need not be computed: dead code, the same thing twice, constants."""

import numpy as np

from .._messages import name_of
from .._program import replaced, substituted, uses, variables
from .._symbol import Var

SMALL = 64                      # elements of a constant that is compared by its content
FOLDED = 1 << 18                # bytes of a constant that is worth keeping


def dead_code(program):
    """Without the equations whose results nobody uses; draws stay, later ones depend on them.

    The gradient of a network's input is one of them, where that was a Tensor as well.
    """
    needed = {v for _, v in program.outputs if isinstance(v, Var)}
    kept = []
    for e in reversed(program.equations):
        if e.effect or not needed.isdisjoint(e.outs):
            kept.append(e)
            needed.update(uses(e))
    inputs = {v: name for v, name in program.inputs.items() if v in needed}
    return program.with_(inputs=inputs, equations=tuple(reversed(kept)))


def common_subexpressions(program):
    """Each call once: a later one with the same function and arguments is the earlier one.

    Not what `remat` computes again, which would bring back the memory that it saves, and not
    lazy equations, which do not run as a rule.
    """
    first, names, kept = {}, {}, []
    for e in program.equations:
        if not (e.effect or e.lazy or e.again):
            key = (name_of(e.fn), e.fn, _key(replaced((e.args, e.kwargs), names)))
            if key in first:
                names.update(zip(e.outs, first[key].outs, strict=True))
                continue
            first[key] = e
        kept.append(e)
    return substituted(program.with_(equations=tuple(kept)), names)


def _key(tree):
    """Hashable, and equal where the values are the same."""
    if isinstance(tree, dict):
        return tuple((k, _key(v)) for k, v in tree.items())
    if isinstance(tree, (list, tuple)):
        return type(tree), tuple(map(_key, tree))
    if isinstance(tree, np.ndarray) and tree.size <= SMALL:
        return tree.dtype, tree.shape, tree.strides, tree.tobytes()
    if isinstance(tree, (np.generic, int, float, str, slice)):
        return type(tree), repr(tree)                       # not 0.0 and -0.0, but nan and nan
    return tree if isinstance(tree, Var) else (type(tree), id(tree))


def constants(program):
    """Equations of constants alone are computed now, unless the result is large."""
    names, kept = {}, []
    for e in program.equations:
        args, kwargs = replaced((e.args, e.kwargs), names)
        small = all(v.dtype.itemsize * v.size <= FOLDED for v in e.outs)
        if small and not (e.effect or variables((args, kwargs))):
            with np.errstate(all="ignore"):
                out = e.fn(*args, **kwargs)
            names.update(zip(e.outs, out if e.several else (out,), strict=True))
        else:
            kept.append(e)
    return substituted(program.with_(equations=tuple(kept)), names)

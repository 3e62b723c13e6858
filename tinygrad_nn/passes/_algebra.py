"""Algebraic clean-up that is exact in IEEE arithmetic, nan, infinities and -0.0 included.

So no x + 0.0 (it turns -0.0 into 0.0), no x * 0, no reordering of sums. A rule looks at one
equation and the ones that made its arguments, and gives a variable, a constant or another
equation instead; it may change no shape and no dtype.
"""

import math
from dataclasses import replace

import numpy as np

from .._core import astype
from .._graph import guarded
from .._program import renamed, substituted
from .._symbol import Equation, Var
from .._table import masked
from .._transforms import stop_gradient

NUMBERS = (bool, int, float, np.generic)


def algebra(program):
    """Without what does nothing, and with cheaper operations that give the same bits."""
    makers, names, kept = {}, {}, []
    for e in program.equations:
        e = _without_copies(renamed(e, names))
        rule = None if e.lazy or e.effect or e.several else RULES.get(e.fn)
        if isinstance(e.fn, np.ufunc) and (e.kwargs or len(e.args) != e.fn.nin):
            rule = None
        new = rule(e, makers) if rule else None
        if isinstance(new, Equation):
            e = new
        elif isinstance(new, (Var, np.ndarray)) and _alike(new, e.outs[0]):
            names[e.outs[0]] = new
            continue
        kept.append(e)
        makers.update((v, e) for v in e.outs)
    return substituted(program.with_(equations=tuple(kept)), names)


def _without_copies(e):
    """An elementwise equation with a number for each constant array that has one value all
    over, such as the gradient that a mean starts with."""
    out = e.outs[0]
    if not isinstance(e.fn, np.ufunc) or e.fn.signature or e.kwargs or e.several or not any(
            isinstance(a, Var) and (a.shape, a.strides) == (out.shape, out.strides)
            for a in e.args):
        return e

    def number(a):
        one_value = (isinstance(a, np.ndarray) and a.size > 1
                     and a.tobytes() == a[(0,) * a.ndim].tobytes() * a.size)
        return a[(0,) * a.ndim] if one_value else a
    return replace(e, args=tuple(map(number, e.args)))


def _alike(new, old):
    """Whether a value can take the place of a variable."""
    return new.shape == old.shape and new.dtype == old.dtype and (
        new.strides == old.strides or new.shape == ())


def _number(v):
    """The value of a constant without axes, else None."""
    if isinstance(v, NUMBERS) or (isinstance(v, np.ndarray) and v.shape == ()):
        return v.item() if isinstance(v, (np.ndarray, np.generic)) else v
    return None


def _made_by(v, fn, makers):
    """The equation that made ``v`` with ``fn``, or None."""
    e = makers.get(v) if isinstance(v, Var) else None
    return e if e is not None and e.fn is fn else None


def _times(e, makers):
    a, b = e.args
    for x, factor in ((a, _number(b)), (b, _number(a))):
        if isinstance(x, Var) and factor == 1:
            return x
        if isinstance(x, Var) and factor == -1 and x.dtype == e.outs[0].dtype:
            return replace(e, fn=np.negative, args=(x,))
    return None


def _over(e, makers):
    a, b = e.args
    divisor = _number(b)
    if divisor == 1:
        return a
    if (isinstance(a, Var) and isinstance(b, (int, float)) and divisor
            and a.dtype.kind == "f" and math.frexp(divisor)[0] in (0.5, -0.5)
            and 2.0 ** -100 < abs(divisor) < 2.0 ** 100 and a.dtype.itemsize >= 4):
        return replace(e, fn=np.multiply, args=(a, 1.0 / divisor))      # a power of two
    return None


def _plus(e, makers):
    a, b = e.args
    if (x := _negated(b, e, makers)) is not None and isinstance(a, Var):
        return replace(e, fn=np.subtract, args=(a, x))
    if (x := _negated(a, e, makers)) is not None and isinstance(b, Var):
        return replace(e, fn=np.subtract, args=(b, x))
    return None


def _negated(v, e, makers):
    """What ``v`` is the negative of, or None; not in integers that ``e`` converts afterwards:
    -1 of one byte is 255."""
    minus = _made_by(v, np.negative, makers)
    x = minus.args[0] if minus else None
    return x if x is not None and (
        x.dtype.kind in "fc" or x.dtype == e.outs[0].dtype) else None


def _minus(e, makers):
    a, b = e.args
    if isinstance(b, (int, float)) and b == 0 and math.copysign(1, b) > 0:
        return a
    if (x := _negated(b, e, makers)) is not None and isinstance(a, Var):
        return replace(e, fn=np.add, args=(a, x))
    return None


def _negative(e, makers):
    before = _made_by(e.args[0], np.negative, makers)
    return before.args[0] if before else None


def _same(e, makers):
    return e.args[0]


def _clip(e, makers):
    """What was clipped to these limits already."""
    before = _made_by(e.args[0], np.clip, makers)
    same = before is not None and not (e.kwargs or before.kwargs) and (
        repr(before.args[1:]) == repr(e.args[1:])
        and all(isinstance(a, (int, float)) for a in e.args[1:]))
    return e.args[0] if same else None


def _where(e, makers):
    if len(e.args) == 3:
        condition, a, b = e.args
        known = _number(condition)
        if known is not None:
            return a if known else b
        return a if a is b else None
    return None


def _transpose(e, makers):
    """A transpose of a transpose is the first array, if its strides are those again."""
    x, seen = e.args[0], 0
    while isinstance(x, Var) and seen < 4:
        if _alike(x, e.outs[0]):
            return x
        before = makers.get(x)
        if before is None or before.fn not in (np.transpose, np.swapaxes):
            return None
        x, seen = before.args[0], seen + 1
    return None


def _not_equal(e, makers):
    """What is not False."""
    a, b = e.args
    return a if isinstance(a, Var) and a.dtype == bool and _number(b) in (0, False) else None


def _guarded(e, makers):
    """What was guarded with this mask already, and has only lost elements since."""
    before = makers.get(e.args[0])
    while before is not None and before.fn is masked:
        before = makers.get(before.args[0])
    same = before is not None and before.fn is guarded and before.args[1] is e.args[1]
    return e.args[0] if same else None


# np.copy is not among them: what is returned must not be the caller's own array.
RULES = {np.multiply: _times, np.divide: _over, np.add: _plus, np.subtract: _minus,
         np.not_equal: _not_equal, guarded: _guarded, np.negative: _negative, np.where: _where,
         np.clip: _clip, np.transpose: _transpose, np.swapaxes: _transpose, **dict.fromkeys(
             (astype, stop_gradient, np.positive, np.reshape, np.broadcast_to, np.squeeze),
             _same)}

"""Functions made of several NumPy calls as those calls, so that each can write into a buffer.

A primitive of ours that computes elementwise is run once more, on tiny arrays that keep of the
real ones the axes along which they broadcast; what that records is its body. The few whose body
writes in place or looks at values stand in `BODIES`, in the operations that they run. Only what
gives the very same bits is expanded.
"""

import inspect
import math
import types
from dataclasses import replace

import numpy as np

from .._core import traced
from .._errors import TinygradError
from .._program import replaced, substituted, uses
from .._symbol import Equation, Trace, Var
from .._table import RULES, masked
from ..kernels._blas import starts_threads
from ..rules import _activations
from ..rules._activations import log_softmax, softmax
from ..rules._normalization import standardize
from ..rules._products import dense, product


def expand(program):
    """With the calls inside of primitives, sums and means in the place of these."""
    kept, names, waiting = [], {}, list(reversed(program.equations))
    while waiting:
        e = waiting.pop()
        body = None if e.lazy or e.effect else _body(e)
        if body is None:
            kept.append(e)
        else:
            equations, outs = body
            waiting += reversed(equations)
            names.update((a, b) for a, b in zip(e.outs, outs, strict=True) if a is not b)
    return substituted(program.with_(equations=tuple(kept)), names)


def _body(e):
    """(equations, results) that do what an equation does, or None."""
    if e.fn in LOWERED:
        return LOWERED[e.fn](e)
    rule = RULES.get(e.fn)
    if e.fn in BODIES:
        return _traced(e, BODIES[e.fn])
    if hasattr(e.fn, "expands"):
        return _traced(e, e.fn)
    if (isinstance(e.fn, types.FunctionType) and e.fn.__module__.startswith("tinygrad_nn.")
            and rule is not None and rule.kind in ("elementwise", "select")
            and hasattr(e.fn, "__wrapped__")):
        return _traced(e, e.fn.__wrapped__)
    return None


# ---------------------------------------------------------------- by running the body

def _traced(e, body):
    """The equations of ``body``, recorded on tiny arrays; None if it cannot be recorded."""
    trace, real = Trace(), {}
    inputs = [v for v in uses(e) if v.shape is not None]
    try:
        full = np.broadcast_shapes(*(v.shape for v in inputs))
        stand_ins = {v: trace.stand_in(_tiny(v)) for v in inputs}
        args, kwargs = replaced((e.args, e.kwargs), stand_ins)
        with np.errstate(all="ignore"):
            out = body(*args, **kwargs)
    except (ValueError, TypeError, TinygradError):
        return None
    out = out if isinstance(out, tuple) else (out,)
    real.update((s.var, v) for v, s in stand_ins.items())
    equations = [_enlarged(step, full, real, e.place) for step in trace.equations]
    if not all(traced(s) and s.var in real for s in out) or len(out) != len(e.outs):
        return None
    outs = [real[s.var] for s in out]
    same = all(a.shape == b.shape and a.dtype == b.dtype and (
        a.strides == b.strides or a.shape == ()) for a, b in zip(outs, e.outs, strict=True))
    return (equations, outs) if same else None


def _tiny(v):
    """An array like ``v`` with 2 in the place of every larger size, its axes in that order."""
    shape = [min(n, 2) for n in v.shape]
    if v.strides is None:
        return v.dtype.type(1)
    order = sorted(range(len(shape)), key=lambda i: -v.strides[i])
    full = np.ones([1 if v.strides[i] == 0 else shape[i] for i in order], v.dtype)
    return np.broadcast_to(np.transpose(full, np.argsort(order)), shape)


def _enlarged(step, full, real, place):
    """An equation of the tiny program as one of the real program."""
    for v in step.outs:
        pairs = zip(reversed(v.shape), reversed(full), strict=False)
        shape = tuple(n if small == 2 else small for small, n in pairs)[::-1]
        real[v] = Var(shape, v.dtype, _strides(shape, v))
    args, kwargs, outs, bases = replaced((step.args, step.kwargs, step.outs, step.bases), real)
    return replace(step, args=args, kwargs=kwargs, outs=outs, bases=bases, place=place)


def _strides(shape, tiny):
    """Those of a whole array of this shape, with its axes in the order of the tiny one's."""
    if tiny.strides is None:
        return None
    strides, step = [0] * len(shape), tiny.dtype.itemsize
    for i in sorted(range(len(shape)), key=lambda i: (tiny.strides[i], -i)):
        strides[i] = step
        step *= max(shape[i], 1)
    return tuple(strides)


def _standardize(x, axes, eps):
    mean = np.mean(x, axis=axes, keepdims=True)
    y = x - mean
    var = np.mean(np.square(y), axis=axes, keepdims=True)
    return y * (1 / np.sqrt(var + eps)), mean, var


def _softmax(x, axis=-1):
    e = np.exp(_activations.below_top(x, axis))
    return e / np.sum(e, axis=axis, keepdims=True)


def _log_softmax(x, axis=-1):
    z = _activations.below_top(x, axis)
    return z - np.log(np.sum(np.exp(z), axis=axis, keepdims=True))


BODIES = {standardize: _standardize, softmax: _softmax, log_softmax: _log_softmax,
          _activations._where_positive: lambda g, y: np.where(y > 0, g, 0.0),
          _activations.leaky_relu: lambda x, negative_slope=0.01: np.where(
              x > 0, x, float(negative_slope) * x)}


# ---------------------------------------------------------------- by hand

def _dense(e):
    """The product that NumPy runs; not one that our kernels do."""
    x, w = e.args
    if not isinstance(w, Var) or len(x.shape) != 2:
        return None
    if product.pays(x, w.turned) or starts_threads(x, w.turned):
        return None
    return _as_matmul(e)


def multiplied(program):
    """With `np.matmul` for every product of matrices, whatever would run it: for those who look
    for products."""
    equations = []
    for e in program.equations:
        two = e.fn is dense and len(e.args[0].shape) == 2 and isinstance(e.args[1], Var)
        equations += _as_matmul(e)[0] if two else [e]
    return program.with_(equations=tuple(equations))


def _as_matmul(e):
    x, w = e.args
    turned = w.turned
    return [Equation(np.transpose, (w,), {}, (turned,), (w,), place=e.place),
            replace(e, fn=np.matmul, args=(x, turned), kwargs={})], e.outs


def _arguments(e, known):
    """The arguments of a call by name, if there are none but ``known``."""
    bound = inspect.signature(e.fn).bind(*e.args, **e.kwargs).arguments
    found = {k: v for k, v in bound.items() if v is not np._NoValue and v is not None}
    return found if found.keys() <= known and isinstance(found["a"], Var) else None


def _reduction(ufunc):
    def lowered(e):
        found = _arguments(e, {"a", "axis", "keepdims", "initial"})
        if found is None:
            return None
        x, axis = found.pop("a"), found.pop("axis", None)
        return [replace(e, fn=ufunc.reduce, args=(x,), kwargs={"axis": axis, **found})], e.outs
    return lowered


def _mean(e):
    """NumPy's mean is a sum that is divided by the number of its elements."""
    found = _arguments(e, {"a", "axis", "keepdims"})
    if found is None or found["a"].dtype.char not in "fd":
        return None
    x, out = found["a"], e.outs[0]
    if not x.size:
        return None
    total = Var(out.shape, out.dtype, out.strides)
    n = x.size // out.size
    return [replace(e, fn=np.add.reduce, args=(x,), outs=(total,), kwargs={
        "axis": found.get("axis"), "keepdims": found.get("keepdims", False)}),
        replace(e, fn=share, args=(total, np.intp(n)), kwargs={})], e.outs


def share(total, n):
    """``total / n`` in the dtype of the total, as np.mean divides."""
    if isinstance(total, np.ndarray):
        return np.true_divide(total, n, out=np.empty_like(total), casting="unsafe")
    return total.dtype.type(total / n)


def _where(e):
    """``np.where(mask, x, 0.0)`` by the bits of x, ten times as fast where they are many."""
    if len(e.args) != 3 or e.kwargs:
        return None
    mask, x, rest = e.args
    out = e.outs[0]
    fits = (isinstance(rest, (int, float)) and rest == 0 and math.copysign(1, rest) > 0
            and isinstance(x, Var) and isinstance(mask, Var) and mask.dtype == bool
            and (x.shape, x.dtype, x.strides) == (out.shape, out.dtype, out.strides)
            and x.shape != () and x.dtype.itemsize <= 8)
    return ([replace(e, fn=masked, args=(x, mask))], e.outs) if fits else None


LOWERED = {dense: _dense, np.sum: _reduction(np.add), np.max: _reduction(np.maximum),
           np.min: _reduction(np.minimum), np.mean: _mean, np.where: _where}

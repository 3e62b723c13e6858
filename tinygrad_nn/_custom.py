"""Derivatives of one's own for whole functions, and recomputation instead of storage.

`custom_vjp` and `custom_jvp` need one of the two modes from you and derive the other by
transposition: a pullback is linear in its gradient, and differentiating a linear function gives
its transpose (Radul et al., *You Only Linearize Once*, 2022).
"""

import functools

import numpy as np

from ._core import Box, as_seed, highest, traced
from ._errors import MutationError
from ._graph import Node, at_risk, count, sweep
from ._messages import name_of
from ._modes import caller, recording
from ._table import Plan, Rule
from ._tensor import Tensor, _made, leaf, new
from ._transforms import grad


def custom_vjp(f, vjp):
    """``f`` with a reverse rule of your own, instead of the one that its operations would give.

    ``vjp(g, *args)`` returns the gradient of <g, f(*args)> by the argument, a tuple for several
    (None where there is none). Write it in differentiable operations and every order works;
    forward mode follows from it.

    >>> import numpy as np, tinygrad_nn as tn
    >>> clipped = tn.custom_vjp(lambda x: x, lambda g, x: np.clip(g, -1.0, 1.0))
    >>> tn.grad(lambda x: np.sum(100.0 * clipped(x)))(np.array([1.0, 2.0]))
    array([1., 1.])
    """
    def pull(g, args, active):
        grads = vjp(g, *args)
        grads = grads if isinstance(grads, (tuple, list)) else (grads,)
        if len(grads) != len(args):
            raise TypeError(f"custom_vjp: the rule returned {len(grads)} gradients for "
                            f"{len(args)} arguments")
        return [as_seed(_or_zeros(grads[i], args[i]), args[i],
                        f"custom_vjp: the gradient by argument {i}") for i in active]

    def push(ts, args, y):
        active = [i for i, t in enumerate(ts) if t is not None]

        def against(g):
            return sum(np.sum(d * ts[i]) for i, d in zip(active, pull(g, args, active),
                                                         strict=True))
        return grad(against)(np.zeros_like(y))

    return _Custom(f, pull, push, "custom_vjp")


def custom_jvp(f, jvp):
    """``f`` with a forward rule of your own; reverse mode follows by transposition.

    ``jvp(args, tangents)`` gets two tuples of equal length (tangents of arguments that are not
    floating are None) and returns the tangent of the output, linear in the tangents.

    >>> import numpy as np, tinygrad_nn as tn
    >>> f = tn.custom_jvp(np.sin, lambda args, tangents: np.cos(args[0]) * tangents[0])
    >>> float(tn.grad(f)(0.0)), float(tn.jvp(f, (0.0,), (2.0,))[1])
    (1.0, 2.0)
    """
    def push(ts, args):
        return jvp(tuple(args), tuple(_or_zeros(t, a) for t, a in zip(ts, args, strict=True)))

    def pull(g, args, active):
        def along(*moving):
            ts = dict(zip(active, moving, strict=True))
            t = push([ts.get(i) for i in range(len(args))], args)
            return np.sum(g * as_seed(t, g, "custom_jvp: the tangent"))
        zeros = [np.zeros_like(args[i]) for i in active]
        return grad(along, argnums=tuple(range(len(active))))(*zeros)

    return _Custom(f, pull, push, "custom_jvp")


class _Custom:
    """``f`` as an operation with a rule of its own, which is made anew for each call: kept with
    it, it would be a cycle, and functions made in a training loop would pile up."""

    def __init__(self, f, pull, push, what):
        functools.update_wrapper(self, f, updated=())
        self.f, self.pull, self.push, self.what = f, pull, push, what
        self.__name__ = getattr(f, "__name__", type(f).__name__)

    def __call__(self, *args, **kwargs):
        if kwargs:
            raise TypeError(f"{self.what}: {self.__name__} takes its arguments by position, "
                            f"got {', '.join(kwargs)}=")
        for i, a in enumerate(args):
            if not isinstance(a, Box) and highest(a) is not None:
                raise TypeError(f"{self.what}: argument {i} of {self.__name__} is a "
                                f"{type(a).__name__} that holds a Tensor: pass each array as "
                                "an argument of its own")
        top = highest(args)
        if top is None or traced(top):
            return self.f(*args)
        rule = Rule(self, "variadic", (self.pull,), (self.push,), run=lambda active, args: args)
        return top._emit(rule, args, {})


def _or_zeros(t, x):
    if t is not None:
        return t
    floating = isinstance(x, float) or getattr(x, "dtype", np.dtype(int)).kind == "f"
    return np.zeros_like(x) if floating else None


# ---------------------------------------------------------------- recompute instead of store

def remat(f):
    """``f`` that keeps only its arguments for the backward pass and computes the rest again.

    Memory for time: one more evaluation of ``f``, which returns one array. It may close over
    Tensors, such as the parameters of a model. If it gives other values the second time (it
    draws random numbers, or an array that it reads was changed), `MutationError`.

    >>> import numpy as np, tinygrad_nn as tn
    >>> float(tn.grad(tn.remat(lambda x: np.sin(np.sin(x))))(0.0))
    1.0
    """
    @functools.wraps(f)
    def run(*args, **kwargs):
        top = highest(args)
        level = top.level if isinstance(top, Tensor) else None
        start = count()
        own = [leaf(a._data, level) if isinstance(a, Tensor) and a.level == level else a
               for a in args]
        y = f(*own, **kwargs)
        if isinstance(y, (tuple, list, dict)) and highest(y) is not None:
            raise TypeError(f"remat: the function returned a {type(y).__name__}, it takes "
                            "functions that return one array")
        if level is None and isinstance(y, Tensor):
            level = y.level                        # only what f closes over is differentiated
        inputs = [k for k, (a, b) in enumerate(zip(args, own, strict=True)) if a is not b]
        if not isinstance(y, Tensor) or y.level != level or y.node is None:
            return f(*args, **kwargs) if inputs and highest(y) is not None else y
        outside = _outside(y.node, start, {id(own[k]) for k in inputs})
        values = [a._data if a is not b else a for a, b in zip(args, own, strict=True)]
        risk = at_risk(range(1, len(args) + 1), args, [None, *values])
        risk = (() if risk is None else risk if risk.__class__ is tuple else (risk,)) + tuple(
            p for p in outside if p.__class__ is not Node)
        parents = (*(args[k].node or args[k] for k in inputs), *outside)
        saved = (values, kwargs, outside, _sample(y), caller())
        return _made(_again(f, inputs, level), level, y._data, parents, saved, risk or None)
    return run


def _outside(node, start, own):
    """What the graph of ``node`` reaches that was there before ``start``: nodes and leaves."""
    found, order = {}, [node]
    seen = {node}
    for n in order:
        for p in n.parents:
            if p in seen:
                continue
            seen.add(p)
            if p.__class__ is Node and p.seq > start:
                order.append(p)
            elif id(p) not in own:
                found[p] = None
    return list(found)


def _again(f, inputs, level):
    """A plan that runs ``f`` once more and sweeps its graph, up to what was there before."""
    def pull_live(g, saved, parents, live):
        values, kwargs, outside, sample, place = saved
        own = list(values)
        for k in inputs:
            own[k] = leaf(values[k], level)
        masks = {}
        with recording():
            y = f(*own, **kwargs)
            if not np.allclose(_sample(y), sample, rtol=1e-5, atol=1e-30, equal_nan=True):
                raise MutationError(f"remat: {name_of(f)}, used in {place}, gave other values "
                                    "when it was computed again: an array that it reads was "
                                    "changed, or it draws random numbers")
            if live is not None:
                masks[y.node] = live
            found = sweep([(y, as_seed(g, y, "the gradient"))], until=set(outside), masks=masks)
        wanted = [own[k] for k in inputs] + outside
        return ([found.get(p, np.zeros(p.shape, p.dtype)) for p in wanted],
                [masks.get(p) for p in wanted])
    plan = new(Plan)
    plan.fn, plan.kind, plan.moves, plan.selects = f, "remat", False, False
    plan.pull = lambda g, saved, parents: pull_live(g, saved, parents, None)[0]
    plan.push = pull_live
    return plan


def _sample(y):
    """About 64 of the values of ``y``, enough to see whether it is the same again."""
    while isinstance(y, Box):
        y = y._data
    return np.ravel(y)[::max(1, np.size(y) // 64)].copy()

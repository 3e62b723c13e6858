"""The recorded graph: nodes, the stamps that notice mutation, and the backward sweep.

A node points to nodes, and to a leaf Tensor only at the end, never to intermediate Tensors; so
a value dies as soon as no rule needs it. One node and one tuple an operation: what costs at a
million nodes is the number of containers that the garbage collector tracks (a stamp tuple and a
line tuple each would take the forward pass from 1.9 to 2.8 us an operation).

The sweep collects the reachable nodes into a list, sorts it by creation number and pops, so
each node dies when it has been used: no recursion, no cycles. Rejected: a heap, 5 times slower
on wide graphs; depth-first order, twice as slow.

Structural zeros. What a selection (where, maximum, indexing …) did not select has gradient
zero, whatever the other branch's derivative is. Beside a gradient the sweep carries a *lazy
mask* of where it is live, born at selections, and asks it only where a product is not finite,
or always when the product is a box (the next order must see the mask too). Testing ``g == 0``
instead is wrong: it turns sqrt(x)**2 at 0 into 0 and loses second derivatives at numeric zeros.

Mutation. What a rule reads and a user may still write to is stamped when it is recorded and
compared before the sweep. Any whole-array write is seen, and any write to arrays up to 4 kB; a
write to a few elements of a larger array can be missed (64 strided samples are looked at).
"""

import itertools
import math
import operator

import numpy as np

from ._core import Box, astype
from ._errors import GraphError, MutationError, ShapeError
from ._messages import line_of, name_of
from ._modes import check_backward, debug_nans, is_open, modes, unchecked

count = itertools.count(1).__next__
ndarray = np.ndarray
ARRAYS = (np.ndarray, np.generic)
INSIDE = ("tinygrad_nn", "numpy.")


class Node:
    """One recorded operation: its plan, its parents and what its rule reads, no more."""

    __slots__ = ("code", "dtype", "lasti", "parents", "plan", "risk", "saved", "seq", "shape",
                 "stamp")


class Parts:
    """The gradient of an operation that gives several arrays, by output, as far as it arrived.

    It has the shapes and dtypes of the node as its shape and dtype, so the sweep adds it up
    like any other.
    """

    __slots__ = ("dtype", "parts", "shape")

    def __init__(self, parts, shape, dtype):
        self.parts, self.shape, self.dtype = parts, shape, dtype

    def __add__(self, other):
        parts = dict(self.parts)
        for k, g in other.parts.items():
            parts[k] = parts[k] + g if k in parts else g
        return Parts(parts, self.shape, self.dtype)

    def __len__(self):
        return len(next(iter(self.parts.values())))

    def __iter__(self):
        """Row by row, where every part has a leading axis (`sweep_rows`)."""
        for i in range(len(self)):
            yield Parts({k: g[i] for k, g in self.parts.items()}, self.shape, self.dtype)

    def filled(self):
        """A gradient for each output, zeros where none arrived."""
        return tuple(self.parts.get(k, np.zeros(s, d)) for k, (s, d)
                     in enumerate(zip(self.shape, self.dtype, strict=True)))


class Gone:
    """Stands for the parents of a node whose graph is not there (any more), and says why."""

    def __init__(self, why):
        self.why = why

    def __iter__(self):
        raise GraphError(self.why)


FREED = Gone("this graph was used up by an earlier backward(): compute the loss again, or add "
             "the losses first and call backward() once")
COMPILED = Gone("this value comes from a compiled function, which keeps no graph: call "
                "backward() within the function, or compile tn.grad of it")


# ---------------------------------------------------------------- mutation

def exposed(a, v):
    """What a user could write to of argument ``a`` with the value ``v``, or None.

    A constant array, or a view of something else; a leaf stands for its array, since its
    version counts too; within a transform also the leaf that it closes over.
    """
    if isinstance(v, ndarray):
        if not isinstance(a, Box):
            return v if a is v else None
        return a if a.node is None else v if v.base is not None else None
    return v if isinstance(v, Box) and getattr(v, "node", v) is None else None


def at_risk(reads, args, values):
    """Of the saved values what `exposed` names: None, one thing, or a tuple of them."""
    risk = [exposed(args[k - 1], values[k]) for k in reads if k > 0]
    if -1 in reads:                                                  # keyword arguments
        for w in values[-1].values():
            risk += [i for i in (w if isinstance(w, tuple) else (w,)) if isinstance(i, ndarray)]
    risk = [r for r in risk if r is not None]
    return None if not risk else risk[0] if len(risk) == 1 else tuple(risk)


def stamp(v):
    """A number that changes when the content of what `at_risk` returned does."""
    if isinstance(v, ARRAYS):
        if v.nbytes <= 4096:
            return hash(v.tobytes())
        step = max(1, round(64 ** (1 / v.ndim)))
        return hash(v[tuple([slice(None, None, -(-n // step)) for n in v.shape])].tobytes())
    if v.__class__ is tuple:
        return hash(tuple(map(stamp, v)))
    return stamp(v._data) + getattr(v, "version", 0)


def watch(n, risk, frame):
    """Stamp ``risk`` on the node, and note the line that called."""
    n.risk = risk
    n.stamp = stamp(risk)
    locate(n, frame)


def locate(n, frame):
    """Note on the node the first line outside this package and NumPy, from ``frame`` up."""
    while frame.f_globals.get("__name__", "").startswith(INSIDE):
        frame = frame.f_back
    n.code = frame.f_code
    n.lasti = frame.f_lasti


def _changed(n):
    risk = n.risk if n.risk.__class__ is tuple else (n.risk,)
    shapes = " or ".join(dict.fromkeys(str(v.shape) for v in risk))
    raise MutationError(
        f"an array of shape {shapes} that {name_of(n.plan.fn)} needs for its gradient was "
        f"changed after it was used in {line_of(n)}: change a copy, or call backward() before")


# ---------------------------------------------------------------- the sweep

def sweep(roots, free=True, until=(), masks=None):
    """Gradients of leaves, {leaf: gradient}, of ``roots``, pairs (Tensor, gradient).

    ``free=False`` keeps the graph for another sweep; nodes in ``until`` count as leaves;
    ``masks`` are those of the roots, and afterwards those of what the sweep came to.
    """
    masks = {} if masks is None else masks
    if modes() and is_open(debug_nans):
        with unchecked():
            return _sweep(roots, free, until, masks, True)
    return _sweep(roots, free, until, masks, False)


def _sweep(roots, free, until, masks, debug):
    grads = {}                                  # of nodes and leaves; nodes leave it again
    for t, g in roots:
        key = t.node or t
        grads[key] = grads[key] + g if key in grads else g
    order = _in_order([n for n in grads if n.__class__ is Node and n not in until], until)
    with np.errstate(all="ignore"):
        while order:
            n = order.pop()
            plan = n.plan
            parents = n.parents
            g = grads.pop(n)
            ds = plan.pull(g, n.saved, parents)
            if masks or plan.selects or debug:
                ds, lives = _careful(n, g, ds, masks.pop(n, None))
                _join(masks, parents, lives, grads)
                if debug:
                    check_backward(n, g, ds)
            k = 0                                       # zip() would add 0.13 us an operation
            for p in parents:
                d = ds[k]
                k += 1                                                     # noqa: SIM113
                if d.shape != p.shape or d.dtype is not p.dtype:
                    try:
                        d = fit(d, p.shape, p.dtype)
                    except ShapeError as error:
                        raise ShapeError(f"{name_of(plan.fn)}: {error}") from None
                if p in grads:
                    grads[p] = grads[p] + d
                else:
                    grads[p] = d
            if free:
                n.parents = FREED
                n.saved = n.risk = None
    return grads


def sweep_rows(y, g):
    """Gradients of leaves for many gradients of ``y`` at once: g and they have a leading axis.

    Elementwise rules and products of matrices broadcast over it; the others run row by row. The
    graph is kept.
    """
    if modes() and is_open(debug_nans):
        with unchecked():
            return _sweep_rows(y, g, True)
    return _sweep_rows(y, g, False)


def _sweep_rows(y, g, debug):
    grads, masks = {y.node: g}, {}
    order = _in_order([y.node], ())
    with np.errstate(all="ignore"):
        while order:
            n = order.pop()
            g, plan, parents = grads.pop(n), n.plan, n.parents
            if plan.kind in ("elementwise", "select") or (
                    plan.fn is np.matmul and all(len(v.shape) == 2 for v in (n, *parents))):
                ds = plan.pull(g, n.saved, parents)
            else:
                rows = [plan.pull(row, n.saved, parents) for row in g]
                ds = [_stacked(d) for d in zip(*rows, strict=True)]
            if masks or plan.selects or debug:
                ds, lives = _careful(n, g, ds, masks.pop(n, None), rows=True)
                _join(masks, parents, lives, grads)
                if debug:
                    check_backward(n, g, ds)
            for p, d in zip(parents, ds, strict=True):
                if d.__class__ is not Parts:
                    ones = (1,) * (d.ndim - 1 - len(p.shape))
                    d = fit(d, (len(g), *ones, *p.shape), p.dtype)
                    d = np.reshape(d, (len(g), *p.shape)) if ones else d
                grads[p] = grads[p] + d if p in grads else d
    return grads


def _stacked(rows):
    if rows[0].__class__ is not Parts:
        return np.stack(rows)
    parts = {k: np.stack([row.parts[k] for row in rows]) for k in rows[0].parts}
    return Parts(parts, rows[0].shape, rows[0].dtype)


def _in_order(order, until):
    """All nodes that these depend on, oldest first, none of them freed or changed."""
    seen = {*order, *until}
    for n in order:
        if n.risk is not None and stamp(n.risk) != n.stamp:
            _changed(n)
        for p in n.parents:
            if p.__class__ is Node and p not in seen:
                seen.add(p)
                order.append(p)
    order.sort(key=operator.attrgetter("seq"))
    return order


def fit(g, shape, dtype):
    """``g`` summed over the axes that were broadcast, in the dtype of what it is for."""
    if g.shape != shape:
        lead = g.ndim - len(shape)
        axes = (*range(lead), *(i + lead for i, n in enumerate(shape)
                                if n == 1 and g.shape[i + lead] != 1))
        try:
            g = np.reshape(g.sum(axis=axes) if axes else g, shape)
        except ValueError:
            raise ShapeError(f"a rule gave a gradient of shape {g.shape} for an argument of "
                             f"shape {shape}") from None
    return g if g.dtype == dtype else astype(g, dtype)


# ---------------------------------------------------------------- structural zeros

class Mask:
    """Where a gradient is live, computed when asked for, once: ``f`` of the masks it needs.

    Asked for without recursion, since a chain of them is as deep as the graph.
    """

    __slots__ = ("f", "needs", "value")

    def __init__(self, f, *needs):
        self.f, self.needs, self.value = f, needs, None

    def __call__(self):
        waiting = [self]
        while waiting:
            m = waiting[-1]
            missing = [k for k in m.needs if k.value is None]
            waiting += missing
            if not missing:
                waiting.pop()
                if m.value is None:
                    m.value = m.f(*(k.value for k in m.needs))
                    m.f, m.needs = None, ()
        return self.value


def _careful(n, g, ds, live, rows=False):
    """The gradients for the parents of ``n`` with structural zeros kept, and their masks."""
    plan, saved, parents, shape = n.plan, n.saved, n.parents, n.shape
    if plan.kind == "remat" and live is not None:
        each = [plan.push(row, saved, parents, live) for row in (g if rows else [g])]
        return [np.stack(d) if rows else d[0]
                for d in zip(*(ds for ds, _ in each), strict=True)], each[0][1]
    if live is None and not plan.selects:
        return ds, [None] * len(parents)
    if ds[0].__class__ is Parts:                            # one output of several
        d, = ds
        parts = {k: guard(v, live) for k, v in d.parts.items()}
        any_live = Mask(np.any, live)
        return [Parts(parts, d.shape, d.dtype)], [any_live]
    if not (plan.kind == "elementwise" or plan.moves):      # all or nothing
        lives = [Mask(lambda m, p=p: np.broadcast_to(np.any(m), p.shape), live)
                 for p in parents]
        return [guard(d, m) for d, m in zip(ds, lives, strict=True)], lives
    if plan.kind == "elementwise":
        if plan.guarded:
            ds = [guard(d, live) for d in ds]
        return ds, [live if p.shape == shape else
                    Mask(lambda m, p=p: _fit_mask(m, p.shape), live) for p in parents]

    if plan.kind == "select" and live is not None:
        ds = [guard(d, live) for d in ds]

    def arrives(j, m):
        there = plan.pull(m.astype(np.float64), saved, parents)[j] != 0
        if plan.kind == "select":
            there = there & m.astype(bool)          # nan * 0 is nan, but nothing arrives
        return _fit_mask(there, parents[j].shape)
    return ds, [Mask(lambda j=j: arrives(j, np.ones(shape))) if live is None else
                Mask(lambda m, j=j: arrives(j, m), live) for j in range(len(parents))]


def _fit_mask(m, shape):
    return m if m.shape == shape else fit(m.astype(np.float64), shape, np.float64) != 0


def guard(d, live):
    if isinstance(d, Box):
        return d._guarded(live)
    return d if finite(d) else np.where(live(), d, 0.0)


def guarded(d, mask):
    """`guard` where the mask is there already: what a compiled function keeps of it."""
    return d if finite(d) else np.where(mask, d, 0.0)


def finite(d):
    """Whether every element is, and their sum."""
    return math.isfinite(np.add.reduce(d, axis=None))


def _join(masks, parents, lives, grads):
    """Where contributions meet: live in either; one without a mask is live all over."""
    for i, (p, live) in enumerate(zip(parents, lives, strict=True)):
        if p not in grads and not any(p is q for q in parents[:i]):
            if live is not None:
                masks[p] = live
        elif live is None:
            masks.pop(p, None)
        elif p in masks:
            masks[p] = Mask(operator.or_, masks[p], live)

"""Forward mode: `Dual` carries a tangent beside each value and applies the tangent rules.

It reads the same table as the Tensor and keeps no graph, so memory does not grow with depth.
Structural zeros are the mirror of those of the sweep (`_graph`): a lazy mask of where the
tangent is live, born where values are selected or put among constants, keeps 0 * inf from being
nan.
"""

import contextlib

import numpy as np

from ._core import Box, as_floats, as_seed, astype, check_output, run
from ._graph import Mask, guard
from ._messages import name_of, not_real
from ._modes import check_forward, debug_nans, is_open, modes, note_tangent, unchecked


class Dual(Box):
    """A value and its tangent, of the same shape and dtype, on one transform's level."""

    __slots__ = ("live", "tangent")

    def __init__(self, data, tangent, level, live=None):
        self._data, self.tangent, self.level, self.live = data, tangent, level, live

    @property
    def data(self):
        """The value one level down, without the tangent."""
        return self._data

    def detach(self):
        """The value one level down, without the tangent."""
        return self._data

    def __repr__(self):
        return f"Dual({self._data!r}, tangent={self.tangent!r}, level={self.level})"

    def _emit(self, rule, args, kwargs):
        mine = [a.__class__ is Dual and a.level == self.level for a in args]
        values = [a._data if m else a for a, m in zip(args, mine, strict=True)]
        out = run(rule.fn, values, kwargs)
        debug = modes() and is_open(debug_nans, anywhere=True)      # tangents are judged later
        if debug and is_open(debug_nans):
            check_forward(rule.fn, values, out)
        if rule.kind == "variadic":
            mask = -1
            tangents = [a.tangent if m else None for a, m in zip(args, mine, strict=True)]
            active = [i for i, m in enumerate(mine) if m]
        else:
            active = [i for i, m in enumerate(mine) if m and rule.vjps[i] is not None]
            mask = sum(1 << i for i in active)
            tangents = [args[i].tangent for i in active]
            if not active:
                return out
        check_output(rule, out, self.level)
        values = as_floats(rule, values, out)
        values = (out, *values, kwargs)
        with np.errstate(all="ignore"), unchecked() if debug else contextlib.nullcontext():
            t = rule.plan(mask).push(tangents, values)
            lives, live = [args[i].live for i in active], None
            if _births(rule, tangents) or any(m is not None for m in lives):
                t, live = _masked(rule, mask, tangents, lives, values, t)
        if debug:
            note_tangent(debug, self.level, rule.fn, tangents, values[1:-1], t)
        if not rule.several:
            return self._paired(rule, out, t, live)
        items = [self._paired(rule, *pair) for pair in zip(out, t, strict=True)]
        return type(out)(*items) if hasattr(out, "_fields") else tuple(items)

    def _paired(self, rule, out, t, live=None):
        """A Dual of a result and its tangent, in the shape and dtype of the result."""
        if out.dtype.kind in "iub":
            return out
        if out.dtype.kind != "f":
            not_real(rule.fn, out.dtype)
        if rule.kind == "variadic":
            t = as_seed(t, out, f"the tangent of {name_of(rule.fn)}")
        if t.shape != out.shape:
            t = np.broadcast_to(t, out.shape)
        return Dual(out, t if t.dtype == out.dtype else astype(t, out.dtype), self.level,
                    live)


# ---------------------------------------------------------------- structural zeros

def _births(rule, tangents):
    """Whether parts of the result do not depend on the arguments, whatever these are."""
    return rule.kind == "select" or rule.fills or (
        rule.kind == "variadic" and rule.moves and any(t is None for t in tangents))


def _masked(rule, mask, tangents, lives, values, t):
    """The tangent with structural zeros kept, and the mask of where it is live."""
    active = [k for k, u in enumerate(tangents) if u is not None]
    known = [m for m in lives if m is not None]
    if rule.kind == "elementwise":
        bits = [i for i in range(len(values)) if mask >> i & 1]
        t = sum(_part(rule.plan(1 << i), u, values, m)
                for i, u, m in zip(bits, tangents, lives, strict=True))
        if len(known) < len(lives):
            return t, None
        shape = np.shape(values[0])
        return t, Mask(lambda *ms: sum(np.broadcast_to(m, shape) for m in ms) > 0, *known)
    if rule.moves and not rule.several:
        def image(*ms):
            ms = iter(ms)
            ones = list(tangents)
            for k, m in zip(active, lives, strict=True):
                ones[k] = np.ones(tangents[k].shape) if m is None else next(ms).astype(float)
            return rule.plan(mask).push(ones, values) != 0
        return t, Mask(image, *known)
    if rule.several or len(known) < len(lives):
        return t, None
    live = Mask(lambda *ms: np.broadcast_to(sum(map(np.any, ms)) > 0, t.shape), *known)
    return guard(t, live), live                             # all or nothing


def _part(plan, u, values, live):
    t = plan.push([u], values)
    return t if live is None else guard(t, live)

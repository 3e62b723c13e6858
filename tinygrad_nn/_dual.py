"""Forward mode: `Dual` carries a tangent beside each value and applies the tangent rule at
once.

It reads the same table as the Tensor and keeps no graph, so memory does not grow with depth.
Structural zeros need no mask here: a selection takes the tangent of what it selected.
"""

import contextlib

import numpy as np

from ._core import Box, as_floats, as_seed, astype, check_output, run
from ._messages import name_of, not_real
from ._modes import check_forward, debug_nans, is_open, modes, note_tangent, unchecked


class Dual(Box):
    """A value and its tangent, of the same shape and dtype, on one transform's level."""

    __slots__ = ("tangent",)

    def __init__(self, data, tangent, level):
        self._data, self.tangent, self.level = data, tangent, level

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
        else:
            active = [i for i, m in enumerate(mine) if m and rule.vjps[i] is not None]
            mask = sum(1 << i for i in active)
            tangents = [args[i].tangent for i in active]
            if not active:
                return out
        check_output(rule, out, self.level)
        values = as_floats(rule, values, out)
        with np.errstate(all="ignore"), unchecked() if debug else contextlib.nullcontext():
            t = rule.plan(mask).push(tangents, (out, *values, kwargs))
        if debug:
            note_tangent(debug, self.level, rule.fn, tangents, values, t)
        if not rule.several:
            return self._paired(rule, out, t)
        items = [self._paired(rule, *pair) for pair in zip(out, t, strict=True)]
        return type(out)(*items) if hasattr(out, "_fields") else tuple(items)

    def _paired(self, rule, out, t):
        """A Dual of a result and its tangent, in the shape and dtype of the result."""
        if out.dtype.kind in "iub":
            return out
        if out.dtype.kind != "f":
            not_real(rule.fn, out.dtype)
        if rule.kind == "variadic":
            t = as_seed(t, out, f"the tangent of {name_of(rule.fn)}")
        if t.shape != out.shape:
            t = np.broadcast_to(t, out.shape)
        return Dual(out, t if t.dtype == out.dtype else astype(t, out.dtype), self.level)

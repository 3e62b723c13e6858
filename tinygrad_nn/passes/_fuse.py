"""Fusion: elementwise calls on large arrays, and sums along their rows, as one group.

A group is run some rows at a time (`_strips`), so that what it computes in between stays in the
cache; each element is computed by the same calls as before, so not one bit changes. Where numba
is installed this is for what `chains` has left.
"""

from dataclasses import replace

import numpy as np

from .._program import Program, contiguous, uses
from .._symbol import Equation, Var
from ._forms import form_of, overwrites
from ._strips import Strips

LARGE = 1 << 17                 # elements; smaller arrays stay in the cache anyway


class Fused:
    """The function of an equation that stands for a group: a ``program`` of its own.

    ``rows``: how many there are. With ``flat`` all arrays have one shape and are taken as one
    long row of elements, which may be cut anywhere.
    """

    __name__ = "fused"

    def __init__(self, program, rows, flat):
        self.program, self.rows, self.flat = program, rows, flat

    def __repr__(self):
        return f"fused({len(self.program)} equations)"

    def bound(self, writer):
        """A function of inputs and outputs that runs the group; ``writer``: of its strips."""
        return Strips(self, writer).run

    def overwrites(self, v, out):
        """Whether, row by row, ``out`` may be written where the input ``v`` lies: all that
        reads v comes before, or reads an element before it is written."""
        if (v.shape, v.dtype, v.strides) != (out.shape, out.dtype, out.strides):
            return False
        readers = [i for i, e in enumerate(self.program.equations) if v in uses(e)]
        maker, e = next((i, e) for i, e in enumerate(self.program.equations) if out in e.outs)
        return readers[-1] < maker or (readers[-1] == maker
                                       and overwrites(e, form_of(e), v, out))


def fuse(program):
    """The program with groups of equations on large arrays in one each."""
    group, kept, lazy = Group(), [], []
    for e in program.equations:
        if e.lazy:
            lazy.append(e)                              # they run when a guard asks, if at all
            continue
        if _key(e) is not None and not group.takes(e):
            kept += group.closed(program)
            group = Group()
        group.add(e)
    kept += group.closed(program)
    return program.with_(equations=tuple(_ordered(kept, lazy)))


def _ordered(kept, lazy):
    """All equations, the lazy ones before the first guard that may need them."""
    waiting = {v: e for e in lazy for v in e.outs}
    for e in kept:
        stack = [v for v in uses(e) if v in waiting]
        needed = []
        while stack:
            step = waiting.get(stack.pop())
            if step is not None and step not in needed:
                needed.append(step)
                stack += uses(step)
        for step in [s for s in lazy if s in needed]:
            yield step
            for v in step.outs:
                waiting.pop(v, None)
        yield e


class Group:
    """Equations with results of the same number of rows (``mine``), and the others in between:
    those that depend on none of them can run before, those that do, after."""

    def __init__(self):
        self.equations, self.mine, self.before, self.after = [], [], [], []
        self.outs, self.later, self.key = set(), set(), None

    def takes(self, e):
        """Whether an equation can be run row by row with those of the group."""
        key = _key(e)
        return key is not None and self.key in (None, key) and self.later.isdisjoint(uses(e))

    def add(self, e):
        self.equations.append(e)
        if self.takes(e):
            self.key = _key(e)
            self.mine.append(e)
            self.outs.update(e.outs)
        elif (self.outs | self.later).isdisjoint(uses(e)) and not (
                e.effect and any(a.effect for a in self.after)):
            self.before.append(e)
        else:
            self.after.append(e)
            self.later.update(e.outs)

    def closed(self, program):
        """The equations, with those on large arrays as one."""
        sizes = [v.size for e in self.mine for v in (*e.outs, *uses(e))]
        if len(self.mine) < 2 or max(sizes) < LARGE:
            return self.equations
        return [*self.before, self._fused(program, set(self.mine)), *self.after]

    def _fused(self, program, mine):
        outside = {v for e in program.equations if e not in mine for v in uses(e)}
        outside.update(v for _, v in program.outputs if isinstance(v, Var))
        outs = tuple(v for e in self.mine for v in e.outs if v in outside)
        inputs = {v: v for e in self.mine for v in uses(e) if v not in self.outs}
        equations = [self._with_inputs(e, inputs) for e in self.mine]
        part = Program({v: f"a{k}" for k, v in enumerate(inputs)}, tuple(equations),
                       tuple((f"b{k}", v) for k, v in enumerate(outs)))
        arrays = [v for v in (*inputs, *self.outs) if v.shape != ()]
        flat = len({v.shape for v in arrays}) == 1 and all(map(contiguous, arrays))
        fused = Fused(part, arrays[-1].size if flat else self.key[1], flat)
        return Equation(fused, tuple(inputs.values()), {}, outs, (None,) * len(outs), tuple,
                        self.mine[0].place)

    def _with_inputs(self, e, inputs):
        """The equation with a variable for each constant that has rows, which are cut too."""
        def variable(a):
            if not (isinstance(a, np.ndarray) and _has_rows(a, *self.key)):
                return a
            v = next((v for v, b in inputs.items() if b is a), None) or Var.of(a)
            inputs[v] = a
            return v
        return replace(e, args=tuple(map(variable, e.args)))


def _key(e):
    """(axes, rows) of an equation that can be run row by row, else None."""
    form = form_of(e)
    if form is None or not form.rowwise or e.effect or e.again:
        return None
    out = e.outs[0]
    axes, rows = len(out.shape), out.shape[0]
    if rows < 2 and out.size == rows:
        return None
    for a in (out, *e.args):
        cut = isinstance(a, Var) and _has_rows(a, axes, rows)
        if (cut and not contiguous(a)) or isinstance(a, (list, tuple, dict)):
            return None
    axis = e.kwargs.get("axis", 0)
    if form.reduces and (axis is None or not e.kwargs.get("keepdims") or any(
            i % axes == 0 for i in (axis if isinstance(axis, tuple) else (axis,)))):
        return None
    return axes, rows


def _has_rows(a, axes, rows):
    """Whether ``a`` has the rows of the group, and is not the same for all of them."""
    return len(a.shape) == axes and a.shape[0] == rows

"""Groups of elementwise calls run in strips: some rows at a time, on several threads.

A strip of 128 Ki elements costs 30 to 50 us a call, below that the hand-over of Python's lock
between threads eats the gain; measured on two threads: layer norm with GELU on (4096, 1024) 42
ms whole, 17 in strips, 9.7 on two threads, Adam on 66 M parameters 230, 87 and 51. One thread
for less than a million elements.
"""

import functools
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from .._program import Program
from .._symbol import Var, mapped
from ..kernels._threads import count

STRIP = 1 << 17                 # elements
PARALLEL = 1 << 20              # elements from which on more threads are worth it
MOST = 8                        # threads


class Strips:
    """A `Fused` group; ``run`` of its inputs and then its outputs fills these."""

    def __init__(self, fused, writer):
        self.fused, self.writer = fused, writer
        widest = max(v.size for e in fused.program.equations for v in e.outs) // fused.rows
        self.step = max(1, min(fused.rows, STRIP // max(1, widest)))
        parts = min(MOST, count()) if widest * fused.rows >= PARALLEL else 1
        size = -(-fused.rows // parts)
        self.parts = [(i, min(i + size, fused.rows)) for i in range(0, fused.rows, size)]
        self.functions = [{} for _ in self.parts]       # of each thread, by the number of rows
        self.cut_inputs, self.cut_outputs = (
            [is_cut(fused, v) for v in some] for some in (
                fused.program.inputs, [v for _, v in fused.program.outputs]))

    def run(self, *arrays):
        inputs, outputs = arrays[:len(self.cut_inputs)], arrays[len(self.cut_inputs):]
        if self.fused.flat:
            inputs, outputs = ([a.reshape(-1) if cut else a for a, cut in pairs] for pairs in (
                zip(inputs, self.cut_inputs, strict=True),
                zip(outputs, self.cut_outputs, strict=True)))
        others = [pool().submit(self._part, k, inputs, outputs)
                  for k in range(1, len(self.parts))]
        self._part(0, inputs, outputs)
        for other in others:
            other.result()

    def _part(self, k, inputs, outputs):
        start, stop = self.parts[k]
        with np.errstate(all="ignore"):                 # each thread has its own
            for i in range(start, stop, self.step):
                j = min(i + self.step, stop)
                values = [a[i:j] if cut else a
                          for a, cut in zip(inputs, self.cut_inputs, strict=True)]
                self._function(k, j - i)(values, [a[i:j] for a in outputs])

    def _function(self, k, rows):
        found = self.functions[k]
        if rows not in found:
            found[rows] = self.writer(_of_rows(self.fused, rows), into=True).function()
        return found[rows]


def is_cut(fused, v):
    """Whether a variable of a group has its rows."""
    if fused.flat:
        return v.shape != ()
    axes = len(fused.program.equations[0].outs[0].shape)
    return len(v.shape) == axes and v.shape[0] == fused.rows


def _of_rows(fused, rows):
    """The program of a group on so many rows."""
    new, program = {}, fused.program

    def small(v):
        if not isinstance(v, Var):
            return v
        if v not in new:
            shape = (rows,) if fused.flat else (rows, *v.shape[1:])
            new[v] = Var.whole(shape, v.dtype) if is_cut(fused, v) else v
        return new[v]
    equations = [type(e)(e.fn, *mapped(small, (e.args, e.kwargs, e.outs))) for e in
                 program.equations]
    return Program({small(v): name for v, name in program.inputs.items()}, tuple(equations),
                   tuple((name, small(v)) for name, v in program.outputs))


@functools.cache
def pool():
    """The threads."""
    return ThreadPoolExecutor(min(MOST, count()), "tinygrad_nn strips")


if hasattr(os, "register_at_fork"):                     # a child process has none of them
    os.register_at_fork(after_in_child=pool.cache_clear)

"""Chains of elementwise steps with their sums as one kernel each: description in, code out.

All arrays of a `Chain` have a place in one table of rows and columns: ``full`` ones are the
table, a ``row`` is the same in each row, a ``column`` the same in each column, and so is a
``cycle``, which begins anew after ``period`` rows (channels of images); a ``scalar`` is the
same everywhere. The kernel goes through the table row by row. A sum (or maximum) over a row
must be complete before its value can be used, so the steps fall into *stages*, one loop over
the columns for each; a row stays in the cache meanwhile, and what a later stage needs is kept
in a row of scratch memory, or computed again where that is quicker. Sums over rows are added up
in memory of their own.

Chains without rows, columns and sums, such as updates of an optimiser, are tables of one row of
any length: `kernel` takes several at once.
"""

import ctypes
from typing import NamedTuple

import numpy as np

from . import _llvm, _threads
from ._ir import BYTE, INDEX, ir
from ._tables import COLUMN, CYCLE, FULL, POINTER, ROW, SCALAR, Table
from ._vectors import DOUBLE, FLOAT

AGAIN = 4                       # cost up to which a value is rather computed again than kept
PARALLEL = 3 << 23              # cost of all elements, 0.4 ms; below it a second thread costs
                                # more than it brings (Adam of 100,000 parameters: 2.1 times)
PIECES = 16                     # that the work is cut into for threads, whatever their number


class Operand(NamedTuple):
    """An input: its form, and its kind, None for truth values."""

    form: str
    kind: object


class Step(NamedTuple):
    """``function`` of ``args``, pairs (number of an input or step, or a constant in a list; the
    kind that it is taken as). With ``reduces``, "sum", "max" or "min": of one argument, over
    the columns if the form is COLUMN, over the rows if it is ROW, over columns and periods if
    it is CYCLE; the latter two are sums only. ``cost``: 1 for an addition.
    """

    function: object
    args: tuple
    kind: object
    form: str
    cost: int = 1
    reduces: str = ""


class Chain:
    """``inputs``: `Operand`s; ``steps``: in their order, numbered after the inputs;
    ``outputs``: numbers of steps. ``rows`` by ``columns`` elements. Sums of form ROW and CYCLE
    are for others, no step may read them."""

    def __init__(self, inputs, steps, outputs, rows, columns, period=0):
        self.inputs, self.steps, self.outputs = tuple(inputs), tuple(steps), tuple(outputs)
        self.rows, self.columns, self.period = rows, columns, period
        self.values = [*self.inputs, *self.steps]
        self.stage = self._stages()
        self.stages = max((self.stage[v] for v in self._ends()), default=0) + 1
        self.kept, self.loads = self._kept()
        kinds = [v.kind for v in self.values if v.form in (FULL, ROW)]
        self.lanes = _llvm.width() // (8 if DOUBLE in kinds else 4)
        self.cost = sum(s.cost for s in self.steps if s.form == FULL or s.reduces)

    def step(self, v):
        """The step of a number, None for inputs."""
        return self.values[v] if v >= len(self.inputs) else None

    def numbered(self):
        return enumerate(self.steps, len(self.inputs))

    def _stages(self):
        stage = dict.fromkeys(range(len(self.inputs)), 0)
        for v, s in self.numbered():
            stage[v] = max((stage[a] for a, _ in s.args if isinstance(a, int)), default=0)
            stage[v] += bool(s.reduces and s.form == COLUMN)
        return stage

    def _ends(self):
        """All that a loop over the columns has to compute for others."""
        for v, s in self.numbered():
            if s.reduces:
                yield s.args[0][0]
            elif s.form == FULL and v in self.outputs:
                yield v

    def _kept(self):
        """The steps whose values stay for later stages, and for each stage the full inputs
        that it reads."""
        kept, loads = [], {}

        def left(v, most):
            """What is left of a cost of ``most`` after v; negative where v costs more."""
            s = self.step(v)
            if s is None or s.form != FULL or v in kept:
                return most
            most -= max(s.cost, 1)
            for a, _ in s.args:
                if isinstance(a, int) and most >= 0:
                    most = left(a, most)
            return most

        def visit(v, t):
            s = self.step(v)
            if s is None:
                if self.values[v].form == FULL:
                    loads[t].add(v)
            elif s.form == FULL and (v, t) not in seen:
                seen.add((v, t))
                if self.stage[v] < t and v not in kept and left(v, AGAIN) < 0:
                    kept.append(v)
                    visit(v, self.stage[v])
                elif v not in kept or self.stage[v] == t:
                    for a, _ in s.args:
                        if isinstance(a, int):
                            visit(a, t)
        seen = set()
        for t in range(self.stages):
            loads.setdefault(t, set())
            for v in self._ends():
                if self.stage[v] == t:
                    visit(v, t)
        return kept, loads

    def last_read(self, v):
        """The last stage that reads a full input."""
        return max((t for t, found in self.loads.items() if v in found), default=-1)

    @property
    def sums(self):
        """The outputs that are sums over rows."""
        return [v for v in self.outputs if self.values[v].form in (ROW, CYCLE)]

    def length(self, v):
        """The number of elements of such an output."""
        return self.columns if self.values[v].form == ROW else self.period


# ---------------------------------------------------------------- the kernel and its call

def kernel(chain, counts=()):
    """A function of the inputs of each table, one after the other, and then of the outputs.

    ``counts``: of a chain of one row that is run on several, the number of elements in each.
    Inputs of form SCALAR are numbers, all others arrays.
    """
    m = Module(chain, counts)
    sums = m.sums
    kinds = [_ctype(o) for o in chain.inputs] * len(m.sizes)
    more = len(m.sizes) * len(chain.outputs) + len(sums) + 1 + m.threaded
    run = _llvm.function(m.text, kinds + [ctypes.py_object] * more)
    if not m.threaded:
        memory = np.empty(m.scratch + 1, np.uint8)
        return lambda *args: run(*args, memory)
    partial = [np.empty((m.pieces, chain.length(v)), f"f{chain.values[v].kind.size}")
               for v in sums]
    places = [len(chain.inputs) + chain.outputs.index(v) for v in sums]

    def in_threads(*args):
        _threads.run(run, m.pieces, m.scratch, np.uint8, *args, *partial)
        for place, of_pieces in zip(places, partial, strict=True):
            np.add.reduce(of_pieces, 0, None, args[place].reshape(-1))
    return in_threads


def _ctype(operand):
    if operand.form != SCALAR:
        return ctypes.py_object
    return ctypes.c_float if operand.kind is FLOAT else ctypes.c_double


class Module:
    """The code of a kernel: ``text``, a function for a piece of a table (`_tables`), and
    ``run``, which calls it for each piece. ``pieces``: their number, which does not depend on
    that of the threads; ``sums``: the outputs that each piece has a part of; ``scratch``: bytes
    of memory that a thread needs."""

    def __init__(self, chain, counts=()):
        self.chain = chain
        self.sizes = list(counts) or [chain.rows if chain.rows > 1 else chain.columns]
        elements = sum(counts) if counts else chain.rows * chain.columns
        self.threaded = elements * chain.cost >= PARALLEL
        self.cuts = [self._cut(n) if self.threaded else n for n in self.sizes]
        self.pieces = sum(-(-n // cut) for n, cut in zip(self.sizes, self.cuts, strict=True))
        self.sums = chain.sums if self.threaded else []
        module = ir.Module("chain")
        kinds = [o.kind.type if o.form == SCALAR else POINTER for o in chain.inputs]
        kinds += [POINTER] * len(chain.outputs)
        table = ir.Function(module, ir.FunctionType(
            ir.VoidType(), [*kinds, POINTER, INDEX, INDEX]), "table")
        table.linkage = "internal"
        self.scratch = Table(chain, table).write()
        self._run(module, table, kinds)
        self.text = str(module)

    def _cut(self, n):
        """How many rows, or elements of one row, are a piece of work for one thread."""
        step = -(-n // PIECES)
        return step if self.chain.rows > 1 else -(-step // 64) * 64

    def _run(self, module, table, kinds):
        n, ins, outs = len(self.sizes), len(self.chain.inputs), len(self.chain.outputs)
        more = n * outs + len(self.sums) + 1 + self.threaded
        run = ir.Function(module, ir.FunctionType(
            ir.VoidType(), [*kinds[:ins] * n, *[POINTER] * more]), "run")
        b = ir.IRBuilder(run.append_basic_block())
        given = [_elements(b, a) if isinstance(a.type, ir.PointerType) else a
                 for a in run.args]
        tables = [[*given[k * ins:][:ins], *given[n * ins + k * outs:][:outs]]
                  for k in range(n)]
        partial, scratch = given[n * (ins + outs):], given[-1 - self.threaded]
        if not self.threaded:
            for args, n in zip(tables, self.sizes, strict=True):
                b.call(table, [*args, scratch, INDEX(0), INDEX(n)])
            b.ret_void()
            return
        head = b.append_basic_block()
        b.branch(head)
        b.position_at_end(head)
        item, first = b.atomic_rmw("add", given[-1], INDEX(1), "monotonic"), 0
        for args, n, step in zip(tables, self.sizes, self.cuts, strict=True):
            pieces = -(-n // step)
            here, after = b.append_basic_block(), b.append_basic_block()
            b.cbranch(b.icmp_signed("<", item, INDEX(first + pieces)), here, after)
            b.position_at_end(here)
            start = b.mul(b.sub(item, INDEX(first)), INDEX(step))
            stop = b.add(start, INDEX(step))
            stop = b.select(b.icmp_signed("<", stop, INDEX(n)), stop, INDEX(n))
            args = list(args)
            for v, memory in zip(self.sums, partial, strict=False):
                place = b.mul(item, INDEX(self.chain.length(v)))
                kind = self.chain.values[v].kind.type
                args[len(self.chain.inputs) + self.chain.outputs.index(v)] = b.gep(
                    memory, [place], source_etype=kind)
            b.call(table, [*args, scratch, start, stop])
            b.branch(head)
            b.position_at_end(after)
            first += pieces
        b.ret_void()


def _elements(b, array):
    """The address of the elements of an array, of the address of its object."""
    return b.load(b.gep(array, [INDEX(_llvm.HEAD)], source_etype=BYTE), typ=POINTER, align=8)

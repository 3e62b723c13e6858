"""Fusion for generated kernels: elementwise equations and their sums as one `Chained` each.

A group's arrays have one shape, seen as rows and columns where some of them are broadcast along
either, or sums are taken over either. Groups grow equation by equation, each into those whose
arrays it reads, as long as nothing in between would have to run both after and before a group.
Groups of one formula on arrays of any shape, as updates of many parameters are, become one.

Where numba is not installed nothing is grouped here, and `_fuse` has strips of NumPy calls.
"""

import math
from dataclasses import replace

import numpy as np

from .. import kernels
from .._program import Program, contiguous, uses
from .._symbol import Equation, Var
from ._totals import axes_of, totals

LEAST = 1 << 12                 # cost of all elements, 1 an addition; a kernel takes 25 ms to
                                # make, once, and saves 10 us a call or more (784-128-10, batch
                                # 32: a step takes 0.85 of what it does with 1 << 18)
MOST = 200                      # equations of a group
SEGMENT = 1000                  # equations that are looked at together: the work grows with the
                                # square of their number (10,000: 15 s in one, 1.5 in segments)
APART = 1 << 16                 # elements of a group that has a kernel to itself: what is large
                                # waits for its update, where memory is free again (`_postpone`)
HEAVY = 50                      # cost of one that is worth a group alone: it takes NumPy many


class Chained:
    """The function of an equation that stands for a group: a ``program`` of its own.

    ``chain``: its description for the kernel; ``counts``: of each of several groups of one
    formula the number of elements. ``tables``: of each (inputs, outputs), as variables.
    """

    __name__ = "chain"

    def __init__(self, program, chain, counts, tables):
        self.program, self.chain, self.counts, self.tables = program, chain, counts, tables

    def __repr__(self):
        return f"chain({len(self.program)} equations)"

    def overwrites(self, v, out):
        """Whether ``out`` may be written where the input ``v`` lies."""
        if (v.shape, v.dtype, v.strides) != (out.shape, out.dtype, out.strides):
            return False
        readers = [ins for ins, _ in self.tables if any(v is u for u in ins)]
        ins, outs = next(t for t in self.tables if any(out is u for u in t[1]))
        if len(readers) != 1 or readers[0] is not ins:
            return False
        number = next(k for k, u in enumerate(ins) if u is v)
        step = self.chain.outputs[next(k for k, u in enumerate(outs) if u is out)]
        return (self.chain.values[number].form == self.chain.values[step].form == "full"
                and self.chain.last_read(number) <= self.chain.stage[step])

    @property
    def source(self):
        """The code of the kernel, as text for LLVM."""
        from ..kernels import _chains
        return _chains.Module(self.chain, self.counts).text

    def bound(self, writer):
        """A function of inputs and outputs that runs the group."""
        from ..kernels import _chains
        return _chains.kernel(self.chain, self.counts)


def chains(program):
    """The program with groups of equations in one each, where numba is installed."""
    if not any(e.outs[0].shape and e.outs[0].size * len(program) > LEAST
               for e in program.equations if not e.several) or not kernels.generates():
        return program
    program, kept, later = totals(program), [], {}
    for end in range(len(program), 0, -SEGMENT):
        part = program.equations[max(0, end - SEGMENT):end]
        nodes = Nodes(program.with_(
            equations=part, outputs=(*program.outputs, *(("later", v) for v in later))))
        for node in nodes.alike():
            nodes.join(node)
        kept.append(nodes.ordered())
        later.update(dict.fromkeys(v for e in part for v in uses(e)))
    return program.with_(equations=tuple(e for part in reversed(kept) for e in part))


class Node:
    """An equation, or several that may become one.

    ``before``: the numbers of all nodes that must run earlier, as bits. Of a group: ``shape``
    of its arrays; ``splits``, where rows may end and columns begin (see `_splits`); ``closed``,
    the results that cannot be used within; ``others``, groups of the same formula.
    """

    def __init__(self, number, e, makers):
        self.number, self.equations, self.makers = number, [e], makers
        self.before = 0
        for m in makers:
            self.before |= m.before | 1 << m.number
        self.shape, self.splits, self.closed = None, set(), set()
        self.others, self.one = [], None

    def is_before(self, other):
        return other.before >> self.number & 1


class Nodes:
    """The equations of a program as nodes, groups found."""

    def __init__(self, program):
        from ._vocabulary import step_of
        self.program, self.step_of = program, step_of
        self.order = {e: k for k, e in enumerate(program.equations)}
        self.nodes, self.maker, self.readers, self.users = {}, {}, {}, {}
        effect = []
        for number, e in enumerate(program.equations):
            makers = {self.maker[v] for v in uses(e) if v in self.maker}
            if e.effect:                                        # one after the other
                makers.update(effect)
            node = self.nodes[number] = Node(number, e, makers)
            effect = [node] if e.effect else effect
            for v in uses(e):
                self.users.setdefault(v, []).append(e)
            self._form(node, e)
            if node.shape is not None:
                node = self._grown(node, e)
            self.maker.update((v, node) for v in e.outs)

    def _form(self, node, e):
        """Shape and splits of a group that begins with ``e``, if it can."""
        step = self.step_of(e)
        if step is None:
            return
        operands = [a for a, _ in step[1] if isinstance(a, (Var, np.ndarray))]
        arrays = [a for a in operands if a.shape != ()]
        if not arrays or not all(map(contiguous, [*arrays, *e.outs])) or any(
                a.shape == () and a.dtype.kind != "f" for a in operands if isinstance(a, Var)):
            return
        shape = np.broadcast_shapes(*(a.shape for a in arrays))
        splits = set.intersection(*(_splits(a.shape, shape) for a in arrays))
        if step[4]:
            splits &= _reduced(e, shape)
            if 0 in axes_of(e, shape) or not e.kwargs.get("keepdims"):
                node.closed = set(e.outs)
        if splits and math.prod(shape) > 1:
            node.shape, node.splits = shape, splits

    def _grown(self, node, e):
        """The node with the groups that make or read what it reads, as far as that is
        possible; e is its equation."""
        for v in [v for v in uses(e) if v.shape != ()]:
            readers = self.readers.setdefault(v, [])
            for other in [self.maker.get(v), *readers]:
                if other not in (None, node) and other.number in self.nodes and (
                        self._fit(other, node)):
                    node = self._merged(other, node)
            readers[:] = [n for n in readers if n.number in self.nodes and n is not node]
            readers.append(node)
        return node

    def _fit(self, a, b):
        """Whether two nodes can be one group."""
        if a.shape is None or len(a.equations) + len(b.equations) > MOST:
            return False
        closed = a.closed | b.closed
        if not _together(a, b)[1] or (closed and any(
                v in closed for e in (*a.equations, *b.equations) for v in uses(e))):
            return False
        return not self._between(a, b)

    def _between(self, a, b):
        """Whether something must run after one of two nodes and before the other."""
        if a.is_before(b) and len(b.equations) == 1:            # it came last
            return any(m is not a and a.is_before(m) for m in b.makers)
        return any(first.is_before(last) and any(
            first.is_before(n) and n.is_before(last) for n in self.nodes.values())
            for first, last in ((a, b), (b, a)))

    def _merged(self, a, b):
        """``a`` with the equations of ``b``."""
        a.equations = sorted(a.equations + b.equations, key=self.order.get)
        (a.shape, a.splits), a.closed = _together(a, b), a.closed | b.closed
        self._unite(a, b)
        self.maker.update((v, a) for e in b.equations for v in e.outs if v in self.maker)
        return a

    def _unite(self, a, b):
        """b runs with a from now on."""
        both = 1 << a.number | 1 << b.number
        a.before = (a.before | b.before) & ~both
        del self.nodes[b.number]
        for node in self.nodes.values():
            if node.before & both:
                node.before = node.before & ~both | 1 << a.number | a.before
            if b in node.makers:
                node.makers = node.makers - {b} | {a}

    # ------------------------------------------------------------ groups of one formula

    def alike(self):
        """The groups that are worth it, those of one formula together."""
        found = {}
        for node in [n for n in self.nodes.values() if n.shape is not None]:
            node.group = Group(self, node)
            small = node.group.key and node.group.elements < APART
            first = found.setdefault(node.group.key, node) if small else node
            if first is not node and not self._between(first, node) and not (
                    first.is_before(node) or node.is_before(first)):
                first.others.append(node)
                self._unite(first, node)
        return [n for n in self.nodes.values() if n.shape is not None and (
            len(n.equations) > 1 or n.group.chain.cost >= HEAVY) and n.group.chain.cost * sum(
                m.group.elements for m in (n, *n.others)) >= LEAST]

    def join(self, node):
        """Put one equation in the place of a group's."""
        groups = [node.group, *(n.group for n in node.others)]
        counts = [g.elements for g in groups] if groups[0].key else []
        tables = [(list(g.inputs), g.outputs) for g in groups]
        inputs = {v: a for g in groups for v, a in g.inputs.items()}
        outs = tuple(v for g in groups for v in g.outputs)
        part = Program({v: f"a{k}" for k, v in enumerate(inputs)},
                       tuple(e for g in groups for e in g.equations),
                       tuple((f"b{k}", v) for k, v in enumerate(outs)))
        node.one = Equation(Chained(part, groups[0].chain, counts, tables),
                            tuple(a for g in groups for a in g.inputs.values()), {}, outs,
                            (None,) * len(outs), tuple, node.equations[0].place)

    # ------------------------------------------------------------ order

    def ordered(self):
        """All equations, each group in the place of its last, or earlier where it is needed."""
        places = {}
        for node in self.nodes.values():
            equations = [e for n in (node, *node.others) for e in n.equations]
            if node.one:
                places[node.one] = max(map(self.order.get, equations))
            else:
                places.update((e, self.order[e]) for e in equations)
        needs, makers, before = {}, {v: e for e in places for v in e.outs}, None
        result = {}
        waiting = sorted(places, key=places.get, reverse=True)
        for e in reversed(waiting):
            needs[e] = [makers[v] for v in uses(e) if v in makers]
            if e.effect:                                        # one after the other
                needs[e] += [before] if before else []
                before = e
        while waiting:
            missing = [m for m in needs[waiting[-1]] if m not in result]
            if missing:
                waiting += missing
            else:
                result[waiting.pop()] = None
        return list(result)


def _together(a, b):
    """(shape, splits) of two nodes as one group. One may hold a number for each row of the
    other."""
    if a.shape == b.shape:
        return a.shape, a.splits & b.splits
    large, small = (a, b) if math.prod(a.shape) > math.prod(b.shape) else (b, a)
    if (0, 0) not in small.splits or len(small.shape) > len(large.shape):
        return None, ()
    return large.shape, {(i, p) for i, p in large.splits & _splits(small.shape, large.shape)
                         if i and _form(small.shape, large.shape, i) == "column"}


class Group:
    """A group described for the kernel: ``chain``; ``inputs``, {variable: what is given for
    it}; ``outputs``; ``key``, equal for groups of one formula, "" where shapes matter."""

    def __init__(self, nodes, node):
        from ..kernels._chains import Chain, Operand, Step
        from ._vocabulary import KINDS
        shape, (split, period) = node.shape, min(node.splits)
        described = [(e, *nodes.step_of(e)) for e in node.equations]
        made, mine = {v for e in node.equations for v in e.outs}, set(node.equations)
        constants, self.inputs = {}, {}
        for _, _, args, *_ in described:
            for a in filter(_is_array, (a for a, _ in args)):
                if a in made if isinstance(a, Var) else id(a) in constants:
                    continue
                v = a if isinstance(a, Var) else constants.setdefault(id(a), Var.of(a))
                self.inputs[v] = a
        number = {v: k for k, v in enumerate(self.inputs)}
        operands = [Operand(_form(v.shape, shape, split), KINDS[v.dtype]) for v in self.inputs]
        steps = []
        for e, function, args, kind, cost, reduces in described:
            refs = tuple((number[constants.get(id(a), a)] if _is_array(a) else [_number(a)], k)
                         for a, k in args)
            out = e.outs[0]
            form = _form(out.shape, shape, split) if not reduces else _sum_form(e, shape, split)
            number[out] = len(number)
            steps.append(Step(function, refs, kind, form, cost, reduces))
        last = {v for _, v in nodes.program.outputs if isinstance(v, Var)}
        self.outputs = [v for e in node.equations for v in e.outs if v in last or not mine >= {
            *nodes.users.get(v, ())}]
        rows, columns = math.prod(shape[:split]), math.prod(shape[split:])
        self.elements = rows * columns
        self.chain = Chain(operands, steps, [number[v] for v in self.outputs], rows, columns,
                           period)
        self.equations = [replace(e, args=tuple(constants.get(id(a), a) for a in e.args))
                          for e in node.equations]
        self.key = "" if split or any(s.reduces for s in steps) else repr([
            operands, self.chain.outputs,
            [(e.fn, s.args, s.kind, [a for a in e.args if not _is_array(a)])
             for e, s in zip(node.equations, steps, strict=True)]])


def _is_array(a):
    return isinstance(a, Var) or (isinstance(a, np.ndarray) and a.shape != ())


def _number(a):
    return a.item() if isinstance(a, (np.ndarray, np.generic)) else a


def _splits(shape, full):
    """Pairs (i, period): rows of ``full`` may end and columns begin after i axes, since an
    array of ``shape`` is then the same along all rows or all columns, or along neither; or
    along the columns and after so many rows again. 0: for no such arrays."""
    shape, n = (1,) * (len(full) - len(shape)) + tuple(shape), len(full)
    found = {(0, 0)} if shape == full else set()
    for i in range(1, n):
        periods = {j: math.prod(full[j:i]) for j in range(1, i)}
        if not _both(full, i):
            continue
        if shape == full or _form(shape, full, i) in ("row", "column"):
            found.update((i, p) for p in (0, *periods.values()))
        elif math.prod(shape[i:]) == 1:
            found.update((i, p) for j, p in periods.items() if math.prod(shape[:j]) == 1
                         and shape[j:i] == full[j:i])
    return found


def _both(full, i):
    return math.prod(full[:i]) > 1 and math.prod(full[i:]) > 1


def _reduced(e, full):
    """The pairs as in `_splits` with which a reduction is one over all rows, or over all
    columns, or over the columns and periods of rows."""
    axes, n = axes_of(e, full), len(full)
    kept = [i for i in range(n) if i not in axes]
    first, last = (kept[0], kept[-1] + 1) if kept else (0, 0)
    if kept != list(range(first, last)) or not kept:
        return set()
    if first and e.fn != np.add.reduce:
        return set()
    if first and last < n:
        return {(last, math.prod(full[first:last]))} if _both(full, last) else set()
    return {(i, p) for i, p in _splits(full, full) if i == (first or last) and i}


def _sum_form(e, full, split):
    axes = axes_of(e, full)
    return "column" if 0 not in axes else "row" if len(full) - 1 not in axes else "cycle"


def _form(shape, full, split):
    """How an array lies in a table whose columns begin after ``split`` axes."""
    if shape == ():
        return "scalar"
    shape = (1,) * (len(full) - len(shape)) + tuple(shape)
    if shape == full:
        return "full"
    if shape[split:] == full[split:] and math.prod(shape[:split]) == 1:
        return "row"
    if math.prod(shape[split:]) > 1:
        return "none"
    return "column" if shape[:split] == full[:split] else "cycle"

"""The code of a kernel for a table of rows and columns: loops, loads, sums, stores.

See `_chains` for what a chain is. The loops go over vectors; the last columns, fewer than a
vector has, are read and written under a mask, so nothing behind an array is touched.
"""

import contextlib
import math

from ._ir import BYTE, CONTRACT, INDEX, SMALL, halves, ir, load_some, spread, store_some
from ._vectors import DOUBLE, FLOAT, Value, maximum, minimum

FULL, ROW, COLUMN, CYCLE, SCALAR = "full", "row", "column", "cycle", "scalar"
POINTER = ir.PointerType()
SPAN = 1024                     # numbers that a sum adds up before it goes on in float64
JOINS = {  # what joins two numbers in a reduction, and what it begins with
    "sum": (lambda x, y: x + y, 0.0), "max": (maximum, -math.inf), "min": (minimum, math.inf)}


class Table:
    """Writes the function of a piece of a table."""

    def __init__(self, chain, function):
        self.chain, self.lanes = chain, chain.lanes
        self.b = ir.IRBuilder(function.append_basic_block())
        *given, self.scratch, self.start, self.stop = function.args
        n = len(chain.inputs)
        self.inputs = [a if o.form != SCALAR else self._spread(a, o.kind)
                       for a, o in zip(given[:n], chain.inputs, strict=True)]
        self.outputs = dict(zip(chain.outputs, given[n:], strict=True))
        self.slots, self.bytes = {}, 0
        for v in chain.kept:
            if v not in self.outputs:
                kind = chain.values[v].kind
                self.slots[v] = self.bytes
                self.bytes += -(-chain.columns * (kind.size if kind else 1) // 64) * 64

    def write(self):
        """The bytes of scratch memory that it needs."""
        b, chain = self.b, self.chain
        self._zeros()
        if chain.rows > 1:
            with self._loop(self.start, self.stop, 1) as r:
                self._row(r, INDEX(0), INDEX(chain.columns))
        else:
            self._row(INDEX(0), self.start, self.stop)
        b.ret_void()
        return self.bytes

    def _zeros(self):
        """Sums over the rows begin with zeros."""
        for v in self.chain.sums:
            kind = self.chain.values[v].kind
            with self._loop(INDEX(0), INDEX(self.chain.length(v)), 1) as j:
                at = self.b.gep(self.outputs[v], [j], source_etype=kind.type)
                self.b.store(ir.Constant(kind.type, 0.0), at, align=kind.size)

    # ------------------------------------------------------------ loops

    @contextlib.contextmanager
    def _loop(self, start, stop, step):
        b = self.b
        head, body, end = (b.append_basic_block() for _ in range(3))
        before = b.block
        b.branch(head)
        b.position_at_end(head)
        i = b.phi(INDEX)
        i.add_incoming(start, before)
        b.cbranch(b.icmp_signed("<", i, stop), body, end)
        b.position_at_end(body)
        yield i
        following = b.add(i, INDEX(step))
        i.add_incoming(following, b.block)
        b.branch(head)
        b.position_at_end(end)

    def _row(self, r, first, last):
        self.columns, self.row = {}, r
        for v, operand in enumerate(self.chain.inputs):
            if operand.form in (COLUMN, CYCLE):
                self.columns[v] = self._column(v, operand)
        for t in range(self.chain.stages):
            self._columns_of(t)
            self._stage(t, first, last)
        self._columns_of(self.chain.stages)

    def _columns_of(self, t):
        """Steps of one number a row, whose arguments are known before stage t."""
        for v, s in self.chain.numbered():
            if s.form == COLUMN and self.chain.stage[v] == t:
                if not s.reduces:
                    self.columns[v] = self._value(v, None, None, {})
                if v in self.outputs:
                    number = self.b.extract_element(self.columns[v].ir, SMALL(0))
                    if s.kind is None:
                        number = self.b.zext(number, BYTE)
                    self.b.store(number, self._at(self.outputs[v], self.row, s.kind),
                                 align=s.kind.size if s.kind else 1)

    def _stage(self, t, first, last):
        chain, b = self.chain, self.b
        stores = [v for v, s in chain.numbered() if s.form == FULL and not s.reduces
                  and chain.stage[v] == t and (v in self.outputs or v in self.slots)]
        reductions = [(v, s) for v, s in chain.numbered()
                      if s.reduces and chain.stage[s.args[0][0]] == t]
        if not stores and not reductions:
            return
        sums = {v: self._sum(s) for v, s in reductions if s.form != ROW}
        whole = b.and_(b.sub(last, first), INDEX(-self.lanes))
        end = b.add(first, whole)
        if chain.columns > SPAN and any(
                s.reduces == "sum" for _, s in reductions if s.form != ROW):
            with self._loop(first, end, SPAN) as i:
                stop = b.add(i, INDEX(SPAN))
                stop = b.select(b.icmp_signed("<", stop, end), stop, end)
                with self._loop(i, stop, self.lanes) as j:
                    self._body(t, j, None, stores, reductions, sums)
                self._flush(sums)
        else:
            with self._loop(first, end, self.lanes) as j:
                self._body(t, j, None, stores, reductions, sums)
        if chain.rows == 1 or chain.columns % self.lanes:
            rest = b.sub(last, end)
            with b.if_then(b.icmp_signed(">", rest, INDEX(0))):
                count = ir.Constant(ir.VectorType(INDEX, self.lanes), list(range(self.lanes)))
                mask = b.icmp_signed("<", count, spread(b, rest, self.lanes))
                self._body(t, end, mask, stores, reductions, sums)
        self._flush(sums)
        for v, (_, _, total) in sums.items():
            number = b.load(total, typ=total.allocated_type)
            kind = chain.values[v].kind
            number = b.fptrunc(number, kind.type) if kind is FLOAT and (
                total.allocated_type == DOUBLE.type) else number
            if chain.values[v].form == CYCLE:
                at = self._at(self.outputs[v], self._cycle(), kind)
                before = b.load(at, typ=kind.type, align=kind.size)
                b.store(b.fadd(before, number), at, align=kind.size)
            else:
                self.columns[v] = self._spread(number, kind)

    def _body(self, t, j, mask, stores, reductions, sums):
        memo = {}
        found = [(v, self._value(v, t, (j, mask), memo)) for v in stores]
        for v, s in reductions:
            x = self._value(s.args[0][0], t, (j, mask), memo).to(s.args[0][1])
            if s.form != ROW:
                join, cell, _ = sums[v]
                before = x.like(self.b.load(cell, typ=x.ir.type))
                after = join(before, x)
                if mask is not None:
                    after = after.like(self.b.select(mask, after.ir, before.ir))
                self.b.store(after.ir, cell)
            else:
                at = self.b.gep(self.outputs[v], [j], source_etype=x.kind.type)
                self._store(x + self._load(at, s.kind, mask), at, mask)
        for v, x in found:
            kind = self.chain.values[v].kind
            if v in self.outputs:
                self._store(x, self._at(self.outputs[v], self._flat(j), kind), mask)
            else:
                self._store(x, self._slot(v, j), mask)

    # ------------------------------------------------------------ sums over a row

    def _sum(self, s):
        """(join, cell of a vector, cell of the total so far) of a reduction over the columns;
        the total of a sum is kept in float64."""
        join, start = JOINS[s.reduces]
        element = DOUBLE.type if s.reduces == "sum" else s.kind.type
        vector = ir.VectorType(s.kind.type, self.lanes)
        cell, total = self._cell(vector), self._cell(element)
        self.b.store(ir.Constant(vector, [start] * self.lanes), cell)
        self.b.store(ir.Constant(element, start), total)
        return join, cell, total

    def _flush(self, sums):
        """Add what the vectors hold to the totals."""
        b = self.b
        for v, (join, cell, total) in sums.items():
            s = self.chain.values[v]
            x = Value(b, b.load(cell, typ=cell.allocated_type), s.kind, self.lanes)
            while x.lanes > 1:
                x = join(*(Value(b, half, s.kind, x.lanes // 2)
                           for half in halves(b, x.ir, x.lanes)))
            before = b.load(total, typ=total.allocated_type)
            if s.reduces == "sum":
                number = b.extract_element(x.ir, SMALL(0))
                number = b.fpext(number, DOUBLE.type) if s.kind is FLOAT else number
                b.store(b.fadd(before, number, flags=CONTRACT), total)
            else:
                one = Value(b, b.insert_element(ir.Constant(x.ir.type, ir.Undefined), before,
                                                SMALL(0)), s.kind, 1)
                b.store(b.extract_element(join(one, x).ir, SMALL(0)), total)
            start = ir.Constant(cell.allocated_type, [JOINS[s.reduces][1]] * self.lanes)
            b.store(start, cell)

    def _cell(self, kind):
        """Memory of one value, which becomes a register."""
        with self.b.goto_entry_block():
            return self.b.alloca(kind)

    # ------------------------------------------------------------ values

    def _value(self, v, t, place, memo):
        """The vector of a value in stage t at the columns of ``place`` (first, mask)."""
        if v in memo or v in self.columns:
            return memo[v] if v in memo else self.columns[v]
        s, known = self.chain.step(v), self.chain.values[v]
        if s is None:
            memo[v] = self._input(v, known, place)
        elif s.form == FULL and self.chain.stage[v] < t and v in self.chain.kept:
            j, mask = place
            at = self._at(self.outputs[v], self._flat(j), s.kind) if v in self.outputs else (
                self._slot(v, j))
            memo[v] = self._load(at, s.kind, mask)
        else:
            args = []
            for a, kind in s.args:
                if isinstance(a, int):
                    args.append(self._value(a, t, place, memo).to(kind))
                else:
                    args.append(Value(self.b, None, kind, self.lanes).number(*a))
            memo[v] = s.function(*args)
        return memo[v]

    def _input(self, v, operand, place):
        if operand.form == SCALAR:
            return self.inputs[v]
        j, mask = place
        where = j if operand.form == ROW else self._flat(j)
        return self._load(self._at(self.inputs[v], where, operand.kind), operand.kind, mask)

    def _column(self, v, operand):
        """The number of a column in this row."""
        kind, place = operand.kind, self._cycle() if operand.form == CYCLE else self.row
        at = self._at(self.inputs[v], place, kind)
        element, align = (kind.type, kind.size) if kind else (BYTE, 1)
        number = self.b.load(at, typ=element, align=align)
        if kind is None:
            number = self.b.icmp_unsigned("!=", number, BYTE(0))
        return self._spread(number, kind)

    def _cycle(self):
        return self.b.urem(self.row, INDEX(self.chain.period))

    def _flat(self, j):
        return self.b.add(self.b.mul(self.row, INDEX(self.chain.columns)), j)

    def _at(self, base, index, kind):
        return self.b.gep(base, [index], source_etype=kind.type if kind else BYTE)

    def _slot(self, v, j):
        slot = self.b.gep(self.scratch, [INDEX(self.slots[v])], source_etype=BYTE)
        return self._at(slot, j, self.chain.values[v].kind)

    def _spread(self, number, kind):
        return Value(self.b, spread(self.b, number, self.lanes), kind, self.lanes)

    # ------------------------------------------------------------ memory

    def _load(self, at, kind, mask):
        element, align = (kind.type, kind.size) if kind else (BYTE, 1)
        vector = ir.VectorType(element, self.lanes)
        if mask is None:
            x = self.b.load(at, typ=vector, align=align)
        else:
            x = load_some(self.b, at, vector, align, mask)
        if kind is None:
            x = self.b.icmp_unsigned("!=", x, ir.Constant(vector, None))
        return Value(self.b, x, kind, self.lanes)

    def _store(self, x, at, mask):
        value, align = x.ir, x.kind.size if x.kind else 1
        if x.kind is None:
            value = self.b.zext(value, ir.VectorType(BYTE, self.lanes))
        if mask is None:
            self.b.store(value, at, align=align)
        else:
            store_some(self.b, value, at, align, mask)

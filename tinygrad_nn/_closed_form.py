"""Full-batch gradient descent in closed form: a rewrite of a step that runs on one batch.

With a constant input X (N, D) and an update that is linear in the gradient, the weights W
(h, D) of the layer that X goes into never leave the span of where they started and of the data:

    W_t = c_t W_0 + A_t' X,      so that      X W_t' = c_t (X W_0') + (X X') A_t

and so does a velocity, with its own numbers and rows. A step needs the rows A (N, h), the
numbers c, and a product with the N x N matrix X X', which is computed once; W itself is put
together when somebody looks at it. That is 2 N² h operations in the place of 4 N D h.

The rewrite follows every value that is made of W through the program. What such a value may be
used for is little: products with X, sums, products with numbers. Anything else, a square for
Adam or a norm, and there is no closed form.
"""

from dataclasses import dataclass, replace

import numpy as np

from ._graph import guarded
from ._program import Program, uses
from ._symbol import Equation, Var
from .passes import algebra, common_subexpressions, dead_code, multiplied

TURNED = (np.transpose, np.swapaxes)
MARGIN = 1.2                    # how much cheaper it must be


class Unfit(Exception):
    """A value of the span is used in a way that leaves it."""


@dataclass(frozen=True)
class Span:
    """``sum(numbers[w] * (w at the start)) + rows' X`` over weights w, by path; or with
    ``turned`` the transpose of that. Numbers are constants or scalar variables."""

    x: Var
    numbers: dict
    rows: Var
    turned: bool = False


@dataclass(frozen=True)
class ClosedForm:
    """A step in closed form.

    ``once``: what does not change from step to step; ``each``: the step. ``inputs`` of them and
    their outputs beyond those of the step have names: "X X'" and "X w'" of each weight array,
    by path (``bases``), and of each its "rows" and "number"s, which are "next" among the
    outputs. ``spans``: {path: X} of the arrays that are not computed any more but put together
    when asked for.
    """

    once: Program
    each: Program
    bases: tuple
    spans: dict

    def together(self, path, known, starts):
        """The value of an array of ``spans`` from the last outputs and inputs by name."""
        value = known[f"rows of {path}"].T @ known[self.spans[path]]
        for basis in self.bases:
            number = known.get(f"number of {basis} in {path}", float(basis == path))
            if number != 0:
                value += number * starts[basis]
        return value


def closed_form(program, constant, steps):
    """The `ClosedForm` of a program whose inputs in ``constant`` stay as they are for so many
    steps; None if it has none, or none that is cheaper."""
    for p in (multiplied, algebra, common_subexpressions, dead_code):
        program = p(program)
    hoisted, equations, known = _hoisted(program, constant)
    weights = _weights(program, equations, known)
    if not weights or not _cheaper(weights, steps):
        return None
    numbers = set()
    while True:
        rewriter = Rewriter(program, weights, numbers)
        try:
            missing = rewriter.run(equations)
        except Unfit:
            return None
        if not missing:
            return rewriter.form(hoisted)
        numbers |= missing


def _hoisted(program, constant):
    """The equations that depend on constants alone, the others, and what the first know."""
    known, hoisted, rest = set(constant), [], []
    for e in program.equations:
        if not e.lazy and known.issuperset(uses(e)):
            hoisted.append(e)
            known.update(e.outs)
        else:
            rest.append(e)
    return hoisted, rest, known


def _weights(program, equations, known):
    """{input: X} of the weights that are multiplied with a constant matrix and updated, and of
    all other inputs of their shape that are updated, such as velocities."""
    updated = {name for name, _ in program.outputs}
    turned = {e.outs[0]: e.args[0] for e in equations if e.fn in TURNED}
    found = {}
    for e in equations:
        x, w = e.args[:2] if e.fn is np.matmul else (None, None)
        w = turned.get(w) if isinstance(w, Var) else None
        if x in known and len(x.shape) == 2 and program.inputs.get(w) in updated:
            found[w] = x
    by_form = {(w.shape, w.dtype): x for w, x in found.items()}
    for v, name in program.inputs.items():
        if name in updated and (v.shape, v.dtype) in by_form:
            found.setdefault(v, by_form[v.shape, v.dtype])
    return found


def _cheaper(weights, steps):
    """Whether so many steps, with what comes before and after, are fewer operations."""
    direct = closed = 0
    for w, x in weights.items():
        (n, d), h = x.shape, w.shape[0]
        direct += steps * 4 * n * d * h
        closed += steps * 2 * n * n * h + 4 * n * d * h
    closed += sum(2 * x.shape[0] ** 2 * x.shape[1] for x in set(weights.values()))
    return closed * MARGIN < direct


class Rewriter:
    """One way through the equations, with spans in the places of weights.

    ``numbers``: pairs of paths (basis, weights) whose number in the span is part of the state;
    the others are taken for 1 and 0, and `run` tells where that is wrong.
    """

    def __init__(self, program, weights, numbers):
        self.names = program.inputs
        self.program, self.equations, self.outputs, self.makers = program, [], [], {}
        self.inputs, self.spans, self.paths = {}, {}, {}
        self.grams, self.starts = {}, {}
        for w, x in weights.items():
            path = self.names[w]
            self.grams.setdefault(x, Var.whole((x.shape[0],) * 2, w.dtype))
            self.starts[path] = start = Var.whole((x.shape[0], w.shape[0]), w.dtype)
            rows = Var.whole(start.shape, w.dtype)
            self.inputs[rows] = f"rows of {path}"
            coefficients = {}
            for other, y in weights.items():
                basis = self.names[other]
                coefficients[basis] = int(other is w)
                if (basis, path) in numbers and y is x:
                    coefficients[basis] = number = Var((), w.dtype)
                    self.inputs[number] = f"number of {basis} in {path}"
            self.spans[w], self.paths[path] = Span(x, coefficients, rows), x
        self.numbers = numbers

    def run(self, equations):
        """Rewrite; the pairs (basis, weights) that should have been in ``numbers``."""
        for e in equations:
            self.makers.update((v, e) for v in e.outs)
            if any(v in self.spans for v in uses(e)) or self._is_gradient(e):
                self._rewrite(e)
            else:
                self.equations.append(e)
        missing = set()
        for path, v in self.program.outputs:
            if isinstance(v, Var) and v in self.spans:
                missing |= self._left_in(path, self.spans[v])
            else:
                self.outputs.append((path, v))
        return missing

    def _left_in(self, path, span):
        """Note the span that a step leaves at a path."""
        if path.startswith("return ") or span.turned:
            raise Unfit
        self.paths[path] = span.x
        self.outputs.append((f"next rows of {path}", span.rows))
        missing = set()
        for basis, number in span.numbers.items():
            if (basis, path) in self.numbers:
                self.outputs.append((f"next number of {basis} in {path}", number))
            elif not _is(number, int(basis == path)):
                missing.add((basis, path))
        return missing

    def form(self, hoisted):
        """The result; ``hoisted``: the equations that depend on constants alone."""
        names = dict(self.names)
        once, outputs = list(hoisted), []
        for k, (x, gram) in enumerate(self.grams.items()):
            names[gram] = "X X'" + f" {k}" * (k > 0)
            once += _times_turned(x, x, gram)
        for path, start in self.starts.items():
            w = next(v for v, name in self.names.items() if name == path)
            names[start] = f"X w' of {path}"
            once += _times_turned(self.paths[path], w, start)
        needed = {v for e in self.equations for v in uses(e)}
        for e in once:
            for v in e.outs:
                if v in needed or v in names or v in self.paths.values():
                    names.setdefault(v, f"once {len(names)}")
                    outputs.append((names[v], v))
        each = Program({**names, **self.inputs}, tuple(self.equations), tuple(self.outputs))
        for x in self.paths.values():
            outputs.append((names[x], x))
        return ClosedForm(dead_code(Program(self.names, tuple(once), tuple(outputs))),
                          dead_code(each), tuple(self.starts),
                          {p: names[x] for p, x in self.paths.items()})

    # ------------------------------------------------------------ equations

    def _is_gradient(self, e):
        """Whether an equation is g' X."""
        return (e.fn is np.matmul and e.args[1] in self.grams and e.args[0] not in self.spans
                and getattr(self.makers.get(e.args[0]), "fn", None) in TURNED)

    def _rewrite(self, e):
        if self._is_gradient(e):
            self.spans[e.outs[0]] = Span(e.args[1], {}, self.makers[e.args[0]].args[0])
        elif e.fn is np.matmul:
            self._product(e)
        elif e.fn in TURNED and len(e.outs[0].shape) == 2:
            s = self._span(e.args[0])
            self.spans[e.outs[0]] = Span(s.x, s.numbers, s.rows, not s.turned)
        elif e.fn in RULES and not e.kwargs and not e.lazy:
            self.spans[e.outs[0]] = new = RULES[e.fn](self, e)
            if e.outs[0].dtype != new.x.dtype:
                raise Unfit
        else:
            raise Unfit

    def _span(self, v):
        if not isinstance(v, Var) or v not in self.spans:
            raise Unfit
        return self.spans[v]

    def _make(self, fn, *args, like, lazy=False):
        out = Var(like.shape, like.dtype, like.strides)
        self.equations.append(Equation(fn, args, {}, (out,), lazy=lazy))
        return out

    def _product(self, e):
        """X W' of what it is at the start and of the matrix of the data."""
        x, s, out = e.args[0], self._span(e.args[1]), e.outs[0]
        if x is not s.x or not s.turned:
            raise Unfit
        total = self._make(np.matmul, self.grams[x], s.rows, like=out)
        for basis, number in s.numbers.items():
            part = self.starts[basis]
            if _is(number, 0):
                continue
            if not _is(number, 1):
                part = self._make(np.multiply, number, part, like=out)
            total = self._make(np.add, part, total, like=out)
        last = self.equations.pop()
        self.equations.append(Equation(last.fn, last.args, {}, (out,)))

    def _guarded(self, e):
        """The gradient is finite where its rows are, X being finite; the mask is all or
        nothing."""
        s, mask = self._span(e.args[0]), self.makers.get(e.args[1])
        if mask is None or mask.fn is not np.broadcast_to or s.numbers:
            raise Unfit
        like = Var(s.rows.shape, np.dtype(bool), (0, 0))
        everywhere = self._make(np.broadcast_to, mask.args[0], like.shape, like=like, lazy=True)
        return Span(s.x, {}, self._make(guarded, s.rows, everywhere, like=s.rows), s.turned)

    def _scaled(self, e):
        """A span times a number, or divided by one."""
        a, k = e.args
        if isinstance(k, Var) and k in self.spans and e.fn is np.multiply:
            a, k = k, a
        s = self._span(a)
        if np.shape(k) if not isinstance(k, Var) else k.shape or k in self.spans:
            raise Unfit
        rows = self._make(e.fn, s.rows, k, like=s.rows)
        numbers = {basis: number if _is(number, 0) else self._of_numbers(e, e.fn, number, k)
                   for basis, number in s.numbers.items()}
        return Span(s.x, numbers, rows, s.turned)

    def _negative(self, e):
        return self._scaled(replace(e, fn=np.multiply, args=(*e.args, -1)))

    def _sum(self, e):
        a, b = map(self._span, e.args)
        if a.x is not b.x or a.turned != b.turned:
            raise Unfit
        numbers = {basis: self._of_sum(e, a.numbers.get(basis, 0), b.numbers.get(basis, 0))
                   for basis in {**a.numbers, **b.numbers}}
        return Span(a.x, numbers, self._make(e.fn, a.rows, b.rows, like=a.rows), a.turned)

    def _of_sum(self, e, a, b):
        if _is(b, 0):
            return a
        if _is(a, 0):
            return b if e.fn is np.add else self._of_numbers(e, np.multiply, b, -1)
        return self._of_numbers(e, e.fn, a, b)

    def _of_numbers(self, e, fn, a, b):
        """A number of a span from two, computed now if both are constants."""
        dtype = e.outs[0].dtype
        a, b = (v if isinstance(v, Var) else dtype.type(v) for v in (a, b))
        if isinstance(a, Var) or isinstance(b, Var):
            return self._make(fn, a, b, like=Var((), dtype))
        return fn(a, b)


def _is(number, n):
    """Whether a number of a span is this constant (it may be a variable)."""
    return type(number) is int and number == n


def _times_turned(x, w, out):
    """The equations of ``out = x @ w'``."""
    turned = w.turned
    return [Equation(np.transpose, (w,), {}, (turned,), (w,)),
            Equation(np.matmul, (x, turned), {}, (out,))]


RULES = {np.negative: Rewriter._negative, np.multiply: Rewriter._scaled,
         np.divide: Rewriter._scaled, np.add: Rewriter._sum, np.subtract: Rewriter._sum,
         guarded: Rewriter._guarded}

"""Which operation is wrong: each one that a function uses, checked alone on the values it saw.

`Probe` is one more box, which writes down the operations on it and does nothing else; so the
operations of a backward pass are seen too, when the function is a gradient.
"""

import base64
import inspect
import itertools
import sys
import textwrap
import zlib

import numpy as np

from ._core import Box, lower, run
from ._differences import FINER, START, slope
from ._findings import Finding, flat
from ._messages import name_of
from ._modes import caller
from ._transforms import flatten, jvp, new_level, tree_map, vjp

MANY = 2000                     # operations that are checked alone, at most


class Operation:
    """A function as it was called once: its arguments, which of them matter, and the line.

    ``inside``: the name of the composite that it is a part of, if any.
    """

    def __init__(self, fn, args, kwargs, level, composite, inside):
        self.fn, self.composite, self.inside = fn, composite, inside
        self.place, self.name = caller(), name_of(fn)
        self.call = lower((tuple(args), kwargs), level)
        self.active = [k for k, (_, a) in enumerate(flatten((tuple(args), kwargs)))
                       if isinstance(a, Box)]
        leaves = [a for _, a in flatten(self.call)]
        self.inputs = tuple(_plain(leaves[k]) for k in self.active)
        self.outputs = ()

    def __call__(self, *xs):
        args, kwargs = self.with_inputs(xs)
        return self.fn(*args, **kwargs)

    def with_inputs(self, xs):
        """(args, kwargs) with ``xs`` in the place of what matters."""
        new, count = dict(zip(self.active, xs, strict=True)), itertools.count()
        return tree_map(lambda a: new.get(next(count), a), self.call)


class _Log(list):
    """The operations so far, and the composite that is being written out."""

    inside = None


class Probe(Box):
    """A value whose operations are written down."""

    __slots__ = ("log",)

    def __init__(self, data, level, log):
        self._data, self.level, self.log = data, level, log

    def _emit(self, rule, args, kwargs):
        op = self._note(rule.fn, args, kwargs, False)
        out = tree_map(self._like, run(rule.fn, lower(args, self.level), kwargs))
        op.outputs = tuple(_plain(y) for _, y in flatten(out))
        return out

    def _aside(self, rule, args, kwargs):
        if rule.kind != "composite":
            return super()._aside(rule, args, kwargs)
        op = self._note(rule.fn, args, kwargs, True)
        before, self.log.inside = self.log.inside, self.log.inside or name_of(rule.fn)
        op.outputs = tuple(_plain(y) for _, y in flatten(op(*op.inputs)))   # NumPy's, not ours
        try:
            return super()._aside(rule, args, kwargs)
        finally:
            self.log.inside = before

    def _note(self, fn, args, kwargs, composite):
        op = Operation(fn, args, kwargs, self.level, composite, self.log.inside)
        self.log.append(op)
        return op

    def _like(self, y):
        return Probe(y, self.level, self.log) if y.dtype.kind == "f" else y


def _plain(x):
    while isinstance(x, Box):
        x = x._data
    return np.asarray(x)


def recorded(f, inputs):
    """The operations that ``f`` runs on what depends on its inputs, in order."""
    level, log = new_level(), _Log()
    f(*tree_map(lambda x: Probe(x.copy(), level, log), tuple(inputs)))
    return list(log)


def blame(report, f, order, check):
    """Complete a report: the operation whose rule is wrong, or those at a kink.

    ``f``: the function of the order that was looked at, checked with `check` again.
    """
    kinks, wrong = [], None
    modes = sorted({w[0] for w in report.wrong}) or ["forward"]
    operations = sorted(recorded(f, report.inputs), key=lambda op: op.composite)    # stable
    for k in range(1, order + 1 if report.wrong else 2):
        for op in operations[:MANY]:
            alone = check(op, op.inputs, k, modes, blaming=False)
            if alone.verdict == "wrong":
                wrong = op
                break
            if alone.kinked and (op.inside or op.name) not in kinks:
                kinks.append(op.inside or op.name)
        if wrong:
            break
    report.kinks += [k for k in kinks if k not in report.kinks]
    if not report.wrong:
        return
    wrong = wrong or _along(report, f, modes)
    if wrong is not None:
        report.blamed, report.snippet = wrong.name, snippet(wrong, wrong.inputs, order)
        inside = f" (a part of {wrong.inside})" if wrong.inside else ""
        shapes = " and ".join(str(x.shape) for x in wrong.inputs)
        report.notes.append(f"to blame: the rule of {wrong.name}{inside}, used in "
                            f"{wrong.place}, on {shapes}")
    elif kinks:
        report.verdict, report.reason = "right", ""
        report.notes.append("no operation is wrong, but what they choose at a kink does not "
                            "add up to a derivative of the whole here")
    else:
        report.snippet = snippet(report.f, report.inputs, order)
        report.notes.append("each recorded operation is right alone: a condition (np.where, "
                            "if, a comparison) decides otherwise beside this point, or a "
                            "value was taken out of the graph")


def _along(report, f, modes):
    """The first operation that is wrong along the very direction that the whole is wrong along.

    Its inputs move as they do there. Moved freely, each could be at a kink that hides what is
    wrong: equal elements that are the same element, for example.
    """
    i, v = report.astray
    leaves = [x for _, x in flatten(report.inputs)]

    def operations(t):
        moved = iter([x + t * v if k == i else x for k, x in enumerate(leaves)])
        return recorded(f, tree_map(lambda _: np.asarray(next(moved)), report.inputs))

    def curve(t):
        try:
            now = flat([(op.inputs, op.outputs) for op in operations(t)])
        except (ValueError, ArithmeticError):
            now = np.zeros(0)
        return now if now.shape == y.shape else np.full(y.shape, np.nan)
    found = operations(0.0)
    y, eps = flat([(op.inputs, op.outputs) for op in found]), np.finfo(np.float64).eps
    s, at, wrong = slope(curve, y, eps).better(slope(curve, y, eps, START * FINER)), 0, []
    for op in found:
        ts = []
        for x in op.inputs:
            ts.append(s.value[at:at + x.size].reshape(x.shape))
            at += x.size
        n = sum(z.size for z in op.outputs)
        out, at = s.part(slice(at, at + n)), at + n
        if any(_differs(op, ts, out, mode) for mode in modes):
            wrong.append(op)
    return min(wrong, key=lambda op: op.composite, default=None)    # a part before the whole


def _differs(op, ts, s, mode):
    """Whether a mode gives another derivative of ``op`` along ``ts`` than the differences."""
    u = np.linspace(0.5, 1.0, s.value.size)
    if mode == "forward":
        got = flat(jvp(op, op.inputs, ts)[1])
    else:
        y, pull = vjp(op, *op.inputs)
        ends = np.cumsum([np.size(v) for _, v in flatten(y)])[:-1]
        parts = iter(np.split(u, ends))
        seeds = tree_map(lambda v: next(parts).reshape(np.shape(v)), y)
        got, s = np.array([sum(np.sum(g * t) for g, t in zip(pull(seeds), ts, strict=True))]), (
            s.projected(u))
    found = Finding(np.ones(1), None, s, got, np.abs(got), np.finfo(np.float64).eps, 0.0)
    found.forgive(1e-6 * found.norm)            # the inputs' own derivatives are differences
    return found.verdict == "wrong"


# ---------------------------------------------------------------- code that reproduces it

def snippet(f, inputs, order):
    """Code to paste that checks ``f`` at ``inputs``."""
    lines = ["import numpy as np", "import tinygrad_nn as tn"]
    names = [f"x{k}" for k in range(len(inputs))]
    if isinstance(f, Operation):
        how, call = _import(f.fn)
        args, kwargs = f.with_inputs(map(_Name, names))
        args = [*map(code, args), *(f"{k}={code(v)}" for k, v in kwargs.items())]
        call = f"lambda {', '.join(names)}: {call}({', '.join(args)})"
    else:
        how, call = _import(f)
    lines += how + [f"{n} = {code(x)}" for n, x in zip(names, inputs, strict=True)]
    more = f", order={order}" if order > 1 else ""
    return "\n".join([*lines, f"print(tn.gradcheck({call}, {', '.join(names)}{more}))"])


def _import(f):
    """(lines, expression) by which a function is had in another session."""
    if isinstance(f, np.ufunc) or (getattr(f, "__module__", None) or "").startswith("numpy"):
        return [], name_of(f)
    module, name = getattr(f, "__module__", None), getattr(f, "__qualname__", "f")
    if module and module != "__main__" and getattr(sys.modules.get(module), name, None) is f:
        return [f"from {module} import {name}"], name
    try:
        source = textwrap.dedent(inspect.getsource(inspect.unwrap(f))).rstrip()
    except (OSError, TypeError):
        source = ""
    short = name.rpartition(".")[2]
    if source.startswith(("def ", "@")):
        return source.splitlines(), short
    comment = [f"# {line}" for line in source.splitlines()] or ["# its source is not known"]
    return ["# define f, the function that was checked:", *comment], "f"


class _Name(str):
    """A variable of the snippet."""


def code(x):
    """An expression whose value is ``x``."""
    if isinstance(x, _Name):
        return str(x)
    if isinstance(x, np.ndarray):
        if x.size > 200:
            packed = base64.b85encode(zlib.compress(np.ascontiguousarray(x).tobytes())).decode()
            return (f"np.frombuffer(__import__('zlib').decompress(__import__('base64')"
                    f".b85decode({packed!r})), {str(x.dtype)!r}).reshape({x.shape})")
        with np.printoptions(threshold=sys.maxsize, floatmode="unique"):
            values = np.array2string(x, separator=", ").replace("\n", "\n    ")
        if x.size == 0 or x.dtype.kind not in "fib":
            return f"np.array({x.tolist()!r}, {str(x.dtype)!r}).reshape({x.shape})"
        text = f"np.array({values}, {str(x.dtype)!r})"
        return text.replace("nan", "np.nan").replace("inf", "np.inf")
    if isinstance(x, dict):
        return "{" + ", ".join(f"{k!r}: {code(v)}" for k, v in x.items()) + "}"
    if isinstance(x, (list, tuple)) and type(x) in (list, tuple):
        inside = ", ".join(map(code, x))
        return f"[{inside}]" if isinstance(x, list) else f"({inside},)"
    if isinstance(x, np.generic):
        return f"np.{type(x).__name__}({x.item()!r})"
    return repr(x)

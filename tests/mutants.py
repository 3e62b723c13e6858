"""Every derivative of the table made wrong, in every way below: what must `gradcheck` catch?

    python -m tests.mutants                 # counts, and what was not caught; exit 1 if any
    python -m tests.mutants --terms         # with those that change the source of a rule
    python -m tests.mutants np.exp relu     # of some functions

A mutant is a rule with one of its functions changed:

    scaled         by 1.0005                  sign      turned
    dropped        the whole contribution     axis      rolled by one along the last axis
    unbroadcast    the first slice alone, not the sum, where an argument was broadcast
    term           one sum, difference, product, quotient or power in the source of the
                   function loses an operand

It has to be caught in a mode, and its function blamed, if it changes the derivative there by
0.05 % or more at any of the arguments drawn for the rows of its function. One that never does
is equivalent on them; one that raises is seen without a checker.
"""

import ast
import contextlib
import copy
import functools
import inspect
import itertools
import multiprocessing
import sys
import types
import warnings
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings

from tinygrad_nn._findings import flat
from tinygrad_nn._gradcheck import MODES, check
from tinygrad_nn._messages import name_of
from tinygrad_nn._table import RULES, Plan
from tinygrad_nn._transforms import flatten, jvp, tree_map, vjp
from tinygrad_nn.testing import ROWS, op_arguments

ENOUGH = 4.9e-4                 # 0.05 %, less rounding


@dataclass
class Mutant:
    """A rule with some of its functions replaced, and what became of it in each mode."""

    rule: object
    what: str
    vjps: tuple = None
    jvps: tuple = None
    run: object = None
    modes: tuple = MODES
    fate: dict = field(default_factory=dict)

    def __repr__(self):
        return f"{name_of(self.rule.fn)} ({self.rule.kind}): {self.what}"


@contextlib.contextmanager
def in_place(mutant):
    """The table with the mutant in it, and in the plans that operators hold already."""
    rule = mutant.rule
    before = rule.vjps, rule.jvps, rule.run
    plans = {mask: copy.copy(plan) for mask, plan in rule.plans.items()}

    def install(vjps, jvps, run):
        rule.vjps, rule.jvps, rule.run = vjps, jvps, run
        for mask, plan in rule.plans.items():
            new = Plan(rule, mask)
            for name in Plan.__slots__:
                setattr(plan, name, getattr(new, name, None))
    try:
        install(*(b if m is None else m for m, b in zip(
            (mutant.vjps, mutant.jvps, mutant.run), before, strict=True)))
        yield
    finally:
        rule.vjps, rule.jvps, rule.run = before
        for mask, plan in list(rule.plans.items()):
            old = plans.get(mask) or Plan(rule, mask)
            for name in Plan.__slots__:
                setattr(plan, name, getattr(old, name, None))


# ---------------------------------------------------------------- making mutants

def each(change, result):
    """``change`` of every array in what a rule's function returned."""
    if isinstance(result, (tuple, list)):
        return type(result)(each(change, r) for r in result) if not hasattr(
            result, "_fields") else type(result)(*(each(change, r) for r in result))
    return result if result is None else change(result)


def rolled(d):
    return np.roll(d, 1, -1) if np.ndim(d) and np.shape(d)[-1] > 1 else d


WHOLE = {"scaled": lambda d: d * 1.0005, "sign": lambda d: -(d * 1.0),
         "dropped": lambda d: d * 0.0, "axis": rolled}


def after(f, change):
    """``f`` with ``change`` of its result; its parameters keep their names."""
    if not callable(f):
        return {WHOLE["axis"]: lambda g: rolled(g) * f}.get(change) or change(float(f))

    def mutant(*args, **kwargs):
        return each(change, f(*args, **kwargs))
    mutant.__signature__ = inspect.signature(f)
    return mutant


def first_slice(f):
    """An elementwise derivative whose gradient is not summed over what was broadcast."""
    names = list(inspect.signature(f).parameters) if callable(f) else []
    takes_g = names[:1] == ["g"]

    def mutant(g, *args):
        *args, shape = args
        d = f(g, *args) if takes_g else g * (f(*args) if callable(f) else f)
        for axis in range(np.ndim(d)):
            k = axis - (np.ndim(d) - len(shape))
            if np.shape(d)[axis] > 1 and (k < 0 or shape[k] == 1):
                d = d * (np.arange(np.shape(d)[axis]) == 0).reshape(
                    (-1,) + (1,) * (np.ndim(d) - 1 - axis))
        return d
    rest = [inspect.Parameter(n, inspect.Parameter.POSITIONAL_OR_KEYWORD)
            for n in ["g", *(n for n in names if n not in ("g", "shape")), "shape"]]
    mutant.__signature__ = inspect.Signature(rest)
    return None if "shape" in names else mutant


@functools.cache
def _tree(path):
    with open(path, encoding="utf-8") as file:
        return ast.parse(file.read())


def without_terms(f):
    """(name, function) of ``f`` with one operand of one operation of its source left out."""
    if not isinstance(f, types.FunctionType):
        return
    code = f.__code__
    nodes = [n for n in ast.walk(_tree(code.co_filename))
             if isinstance(n, (ast.Lambda, ast.FunctionDef))
             and n.lineno == code.co_firstlineno and _same(n, code)]
    if len(nodes) != 1:
        return
    count = sum(isinstance(n, ast.BinOp) for n in _body(nodes[0]))
    for k in range(count):
        for side in ("left", "right"):
            node = copy.deepcopy(nodes[0])
            target = [n for n in _body(node) if isinstance(n, ast.BinOp)][k]
            if side == "right" and isinstance(target.op, (ast.Pow, ast.Div, ast.Sub)):
                continue
            left = getattr(target, side)
            name = f"term {ast.unparse(target)[:60]} -> {ast.unparse(left)[:60]}"
            yield name, _compiled(_Replace(target, left).visit(node), f)


def _body(node):
    inside = node.body if isinstance(node.body, list) else [node.body]
    return [n for statement in inside for n in ast.walk(statement)]


def _same(node, code):
    a = node.args
    names = [p.arg for p in (*a.posonlyargs, *a.args, *a.kwonlyargs)]
    if list(code.co_varnames[:len(names)]) != names:
        return False
    if isinstance(node, ast.FunctionDef):
        return node.name == code.co_name
    start = min((c for _, _, c, _ in code.co_positions() if c), default=node.col_offset)
    return node.col_offset <= start <= node.end_col_offset or node.end_lineno > node.lineno


class _Replace(ast.NodeTransformer):
    def __init__(self, old, new):
        self.old, self.new = old, new

    def visit(self, node):
        return self.new if node is self.old else self.generic_visit(node)


def _compiled(node, f):
    """The function of a changed node, with the globals, cells and defaults of ``f``."""
    free = f.__code__.co_freevars
    node.args.defaults = [ast.Constant(None) for _ in node.args.defaults]
    node.args.kw_defaults = [d and ast.Constant(None) for d in node.args.kw_defaults]
    inner = [ast.Return(node)] if isinstance(node, ast.Lambda) else [
        node, ast.Return(ast.Name(node.name, ast.Load()))]
    if isinstance(node, ast.FunctionDef):
        node.decorator_list = []
    maker = ast.FunctionDef("make", ast.arguments(
        [], [ast.arg(name) for name in free], None, [], [], None, []), inner, [])
    module = ast.fix_missing_locations(ast.Module([maker], []))
    space = dict(f.__globals__)
    exec(compile(module, "<mutant>", "exec"), space)
    new = space["make"](*(c.cell_contents for c in f.__closure__ or ()))
    new.__defaults__, new.__kwdefaults__ = f.__defaults__, f.__kwdefaults__
    return new


def variants(f, kind, several, terms):
    """(name, changed function) of one function of a rule."""
    for name, change in WHOLE.items():
        yield name, after(f, change)
    if several and kind in ("elementwise", "select") and (cut := first_slice(f)) is not None:
        yield "unbroadcast", cut
    if terms:
        yield from without_terms(f)


def mutants_of(rule, terms=True):
    """All mutants of one rule; without ``terms`` those that need not its source."""
    if rule.kind == "composite":
        for what, run in variants(rule.run, rule.kind, False, terms):
            yield Mutant(rule, what, run=run)
        return
    both = rule.kind in ("elementwise", "select")
    for i, f in enumerate(rule.vjps):
        for what, g in () if f is None else variants(f, rule.kind, len(rule.vjps) > 1, terms):
            new = (*rule.vjps[:i], g, *rule.vjps[i + 1:])
            yield Mutant(rule, f"derivative {i} {what}", vjps=new, jvps=new if both else None,
                         modes=MODES if both and what != "unbroadcast" else ("reverse",))
    if rule.kind in ("rule", "variadic"):
        for i, f in enumerate(rule.jvps):
            for what, g in () if f is None else variants(f, rule.kind, False, terms):
                new = (*rule.jvps[:i], g, *rule.jvps[i + 1:])
                yield Mutant(rule, f"tangent {i} {what}", jvps=new, modes=("forward",))


# ---------------------------------------------------------------- their fate

def claims(call, xs, mode):
    """The derivatives that a mode gives, along fixed directions."""
    rng = np.random.default_rng(5)
    signs = [rng.uniform(0.5, 1, x.shape) * rng.choice([-1.0, 1.0], x.shape) for x in xs]
    if mode == "forward":
        return [flat(jvp(call, tuple(xs), tuple(
            s if j == i else np.zeros_like(s) for j, s in enumerate(signs)))[1])
            for i in range(len(xs))]
    y, pull = vjp(call, *xs)
    seeds = [rng.uniform(0.3, 0.8, np.shape(v)) for _, v in flatten(y)]
    seeds = iter(seeds)
    return [flat(g) for g in pull(tree_map(lambda v: next(seeds), y))]


def changed(before, after):
    """Whether a derivative differs by 0.05 % of its size, or is of another shape."""
    for a, b in zip(before, after, strict=True):
        if a.shape != b.shape:
            return True
        gap, size = np.abs(a - b), np.max(np.abs(a), initial=0.0)
        if np.any(~(gap <= ENOUGH * size)) and np.any(gap > 1e-9):
            return True
    return False


def judge(mutant, samples):
    """Fill ``mutant.fate``: for each mode equivalent, caught, raised, escaped or misblamed."""
    with in_place(mutant), np.errstate(all="ignore"):
        for mode in mutant.modes:
            mutant.fate[mode] = _fate(mutant, mode, samples[mode])


def _fate(mutant, mode, samples):
    fate = "equivalent"
    for call, xs, before in samples:
        try:
            if not changed(before, claims(call, xs, mode)):
                continue
            report = check(call, tuple(xs), modes=(mode,))
        except Exception as error:
            return f"raised {type(error).__name__}"
        if report.verdict == "wrong":
            right = report.blamed == name_of(mutant.rule.fn)
            return "caught" if right else f"misblamed {report.blamed}"
        fate = "escaped"
        if report.verdict == "right":
            break
    return fate


def draws(row):
    """Arguments for a row, the same ones every time."""
    found, examples = [], 12 if len(row.domains) == 1 else 60

    @settings(max_examples=examples, derandomize=True, deadline=None, database=None,
              phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(op_arguments(row))
    def collect(xs):
        if all(x.size for x in xs):
            found.append([np.array(x) for x in xs])
    collect()
    return found


def samples_of(fn):
    """{mode: [(call, arguments, the derivatives there)]} of the rows of one function."""
    found = {mode: [] for mode in MODES}
    with np.errstate(all="ignore"):
        for row in ROWS:
            for xs in draws(row) if row.fn is fn else ():
                for mode in MODES:
                    found[mode].append((row.call, xs, claims(row.call, xs, mode)))
    return found


def judged(fn, terms=True):
    """{mutant: its fate} of all mutants of a function."""
    samples, found = samples_of(fn), {}
    for mutant in mutants_of(RULES[fn], terms):
        judge(mutant, samples)
        found[repr(mutant)] = mutant.fate
    return found


# why a mutant may change no derivative at the arguments of the rows
EQUIVALENT = {
    "np.squeeze (linear): derivative 0 axis": "the last axis has one element",
    "np.dsplit (composite): axis": "the last axis has one element",
    "np.apply_over_axes (composite): axis": "the last axis has one element",
    "np.vdot (composite): axis": "the result is 0-d",
    "product (rule): tangent 0 axis": "the last axis has one element",
    "length (rule): tangent 0 axis": "the result is 0-d",
    "p_length (rule): tangent 0 axis": "the result is 0-d",
    "within_one (elementwise): derivative 0 axis": "the derivative is the same everywhere",
    "conv2d_with_bias (rule): tangent 2 axis": "the tangent is the same along the last axis",
    "where_positive (select): derivative 0 unbroadcast": "it is called with equal shapes only",
    "np.nextafter (elementwise): derivative 0 unbroadcast": "that argument is never broadcast",
}


def not_caught(found):
    """(fate, mode, mutant) of what escaped, or is equivalent for no reason that is known."""
    return [(fate, mode, name) for name, fates in found.items() for mode, fate in fates.items()
            if fate != "caught" and not fate.startswith("raised")
            and not (fate == "equivalent" and name in EQUIVALENT)]


def main(*args):
    """Print the counts of every fate, and each mutant that was not caught."""
    terms, only = "--terms" in args, [a for a in args if not a.startswith("-")]
    names = [name_of(fn) for fn, rule in RULES.items() if rule.kind not in ("zero", "refused")
             and (not only or name_of(fn) in only)]
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("fork")) as pool:
        several = list(pool.map(_of_name, names, itertools.repeat(terms)))
    found = {name: fates for one in several for name, fates in one.items()}
    for name, fates in found.items():
        for mode, fate in fates.items():
            if fate != "caught":
                print(f"{fate:22} {mode:8} {name}  {EQUIVALENT.get(name, '')}")
    print(f"{len(found)} mutants of {len(names)} functions")
    counts = Counter((fate.partition(" ")[0], mode) for fates in found.values()
                     for mode, fate in fates.items())
    for (fate, mode), n in sorted(counts.items()):
        print(f"{n:6} {fate} in {mode} mode")
    return bool(not_caught(found)) and not terms


def _of_name(name, terms):
    """In a process of its own: functions do not travel, their names do."""
    warnings.simplefilter("ignore")
    return judged(next(fn for fn in RULES if name_of(fn) == name), terms)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

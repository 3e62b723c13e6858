"""The rule table: the kinds of rule, and the plans that are made of them. Knows no box.

A rule is stated once, in the least form that gives both modes. Its functions are ordinary
lambdas whose parameter *names* say what they read:

    g or t    the gradient (or tangent) that comes in; elementwise and select may omit it, and
              then give the factor of it
    y         the output          a (or x), b, c, d    the array arguments by position
    shape     the shape of the argument that the function is for
    others    keyword arguments of the operation, with the lambda's own default

From them `Plan` writes one-line functions (save, pull, push), once for every function and set
of boxed arguments, so that a node keeps only what its rule reads: ``c * x`` with a constant c
keeps c and never x. A rule may branch on shape and dtype, never on values, and must not ask
for the plain array of an argument: in a nested derivative it is a box.
"""

import contextlib
import functools
import inspect
import operator

import numpy as np

from ._errors import DetachError, NoRuleError
from ._messages import name_of, no_out, no_rule

RULES = {}
POSITION = {"y": 0, "a": 1, "x": 1, "b": 2, "c": 3, "d": 4}    # index in (out, *args, kwargs)
CONSTANTS = ("initial", "constant_values", "end_values")       # affine parts: tangent zero


class Rule:
    """What is known of one function; made by the functions below, never by hand."""

    def __init__(self, fn, kind, vjps=(), jvps=(), run=None, moves=False, selects=False,
                 several=False, fills=False, masked=None):
        self.fn, self.kind, self.vjps, self.jvps, self.run = fn, kind, vjps, jvps, run
        self.fills = fills          # puts its argument among zeros or constants
        self.several = several      # gives a tuple of arrays
        self.masked = masked        # what runs instead where ``where=`` leaves elements out
        self.kink = ""              # what was decided where the derivative jumps
        self.plans = {}             # for each set of boxed arguments, made on first use
        self.moves = moves          # the gradient's 0/1 image shows where it can be non-zero
        self.selects = selects      # what it does not select has gradient zero, whatever else

    @functools.cached_property
    def names(self):
        """The names of the function's parameters, as far as NumPy tells them."""
        with contextlib.suppress(ValueError):               # C functions of older NumPys
            return tuple(inspect.signature(self.fn).parameters)
        return ()

    @functools.cached_property
    def keywords(self):
        """The keyword arguments that the rule takes account of."""
        return {name for f in filter(callable, self.vjps)
                for name in inspect.signature(f).parameters}

    @functools.cached_property
    def accepts(self):
        """The names that a composite takes, or None for any."""
        parameters = inspect.signature(self.run).parameters
        if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
            return None
        return tuple(parameters)

    def written_out(self, args, kwargs):
        """A composite (or the refusal) of a call as a person wrote it."""
        kwargs = {k: v for k, v in kwargs.items() if v is not np._NoValue}
        if kwargs.get("out", 0) is None:
            del kwargs["out"]
        for name, value in zip(self.accepts or (), args):          # noqa: B905
            if name == "out" and value is not None:
                raise DetachError(no_out(self.fn, value, args))
        for name in kwargs:
            if self.accepts is not None and name not in self.accepts:
                raise NoRuleError(f"{name_of(self.fn)} with {name}= has no derivative rule")
        return self.run(*args, **kwargs)

    def plan(self, mask):
        """The plan for the boxed arguments that are the bits of ``mask``."""
        plan = self.plans.get(mask)
        if plan is None:
            plan = self.plans[mask] = Plan(self, mask)
        return plan

    def position(self, name):
        """Where a derivative's parameter is found in (out, *args, kwargs)."""
        if name in POSITION:
            return POSITION[name]
        arrays = self.names[:len(self.vjps)]            # the function's own names do as well
        return arrays.index(name) + 1 if name in arrays else -1

    def arrange(self, args, kwargs):
        """Arrays positional, all else by keyword, so that a derivative finds each by name."""
        n = len(args) if self.kind == "variadic" else len(self.vjps)
        if len(args) == n and not kwargs:
            return args, kwargs
        kwargs = {k: v for k, v in kwargs.items() if v is not np._NoValue}
        if len(args) > n:
            extra = zip(self.names[n:len(args)], args[n:], strict=True)
            args, kwargs = args[:n], {**dict(extra), **kwargs}
        for name in self.names[len(args):n]:
            if name in kwargs:
                args = (*args, kwargs.pop(name))
        if kwargs.get("out") is not None:
            raise DetachError(no_out(self.fn, kwargs.pop("out"), args))
        kwargs.pop("out", None)
        for name in set(kwargs) - self.keywords:
            known = name in self.names and inspect.signature(self.fn).parameters[name]
            if not known or kwargs.pop(name) is not known.default:
                raise NoRuleError(f"{name_of(self.fn)} with {name}= has no derivative rule")
        return args, kwargs


def rule_of(fn, top=None):
    """The rule of ``fn``, or NoRuleError; ``top``: the Tensor that it was called with."""
    return RULES.get(fn) or no_rule(fn, top)


def _register(rule):
    if rule.fn in RULES:
        raise ValueError(f"{name_of(rule.fn)} has a derivative rule already")
    RULES[rule.fn] = rule


# ---------------------------------------------------------------- the kinds

def elementwise(fn, *partials):
    """Each output element depends on the same element of each argument (broadcast).

    ``partials``: for each argument the partial derivative, a number or a function of ``y``,
    ``a``, ``b`` …, or None where there is none: ``elementwise(np.exp, lambda y: y)``.
    """
    _register(Rule(fn, "elementwise", partials, partials))


def select(fn, *weights):
    """Takes values from its arguments, elementwise: a weight for each; weight 0 is a structural
    zero, whatever was computed there: ``select(relu, lambda y: y > 0)``."""
    _register(Rule(fn, "select", weights, weights, moves=True, selects=True))


def linear(fn, transpose, moves=True, selects=False, fills=False, masked=None):
    """Linear in its first argument; ``transpose(g, …)`` is the adjoint, ``fn`` its own tangent.

    ``moves``: the transpose has no negative coefficients, so its image of a 0/1 mask tells
    where a gradient can arrive. ``selects``: some input elements are not used at all.
    ``fills``: some output elements do not depend on the input. ``masked``: what runs instead
    when ``where=`` leaves elements out, which is a selection.
    """
    _register(Rule(fn, "linear", (transpose,), (None,), moves=moves, selects=selects,
                   fills=fills, masked=masked))


def bilinear(fn, da, db):
    """Linear in each of two arguments: ``da(g, b, …)`` and ``db(g, a, …)`` are the adjoints."""
    _register(Rule(fn, "bilinear", (da, db), (None, None)))


def rule(fn, vjp, jvp, moves=False, selects=False, several=False):
    """The few that fit no kind: ``vjp(g, …)``, ``jvp(t, …)``; tuples for several arguments.

    ``several``: the function gives a tuple of arrays; then ``y`` and ``g`` are tuples (zeros
    where nothing arrived), and each jvp returns a tuple.
    """
    vjps, jvps = (v if isinstance(v, tuple) else (v,) for v in (vjp, jvp))
    _register(Rule(fn, "rule", vjps, jvps, moves=moves, selects=selects, several=several))


def variadic(fn, save, vjp, jvp, moves=False):
    """Any number of array arguments (concatenate, einsum).

    ``save(active, arrays)`` is kept; ``vjp(g, saved, active, **kwargs)`` gives a gradient for
    each index in ``active``; ``jvp(ts, arrays, **kwargs)`` the tangent, with None in ``ts`` for
    constants, and the output if it names ``y``.
    """
    _register(Rule(fn, "variadic", (vjp,), (jvp,), run=save, moves=moves))


def composite(fn, run):
    """``fn`` of a Tensor is ``run`` of it, written in other operations."""
    _register(Rule(fn, "composite", run=run))


def zero(*fns):
    """Derivative zero everywhere: the result is one level lower, a plain array in the end."""
    for fn in fns:
        _register(Rule(fn, "zero"))


def refuse(reason, *fns):
    """No derivative, because of ``reason``, which the error says: "… it returns text"."""
    def refusal(fn):
        def run(*args, **kwargs):
            raise NoRuleError(f"{name_of(fn)} of a Tensor is refused: {reason}")
        return run
    for fn in fns:
        _register(Rule(fn, "refused", run=refusal(fn)))
        RULES[fn].kink = reason


def kink(decision, *fns):
    """Write down what was decided where the derivatives of these functions jump."""
    for fn in fns:
        RULES[fn].kink = decision


# ---------------------------------------------------------------- plans

class Plan:
    """A rule for one set of boxed arguments, as generated one-line functions.

    ``save(values) -> saved`` of ``values = (out, *args, kwargs)``;
    ``pull(g, saved, parents) -> a gradient for each parent``;
    ``push(tangents, values) -> tangent``.
    Rejected: nested closures instead of generated source, three calls for each gradient.
    """

    __slots__ = ("first", "fn", "guarded", "kind", "moves", "plain", "pull", "push", "reads",
                 "save", "second", "selects")

    def __init__(self, rule, mask):
        self.fn, self.kind = rule.fn, rule.kind
        self.moves, self.selects = rule.moves, rule.selects
        self.save, self.reads, self.guarded = None, (), False
        self.first = self.second = False        # whether the first, the second argument is read
        active = [i for i in range(len(rule.vjps)) if mask >> i & 1]
        # plain: every boxed argument has a derivative, so the short paths can record it
        self.plain = (rule.kind not in ("zero", "composite", "refused", "variadic")
                      and all(rule.vjps[i] is not None for i in active))
        if rule.kind == "variadic":
            vjp, save, jvp = rule.vjps[0], rule.run, rule.jvps[0]
            self.save = lambda active, v: (save(active, v[1:-1]), active, v[-1])
            self.pull = lambda g, s, parents: vjp(g, s[0], s[1], **s[2])
            self.push = (lambda ts, v: jvp(ts, v[1:-1], y=v[0], **v[-1])) if (
                "y" in inspect.signature(jvp).parameters) else (
                lambda ts, v: jvp(ts, v[1:-1], **v[-1]))
        elif self.plain:
            self._generate(rule, active)

    def _generate(self, rule, active):
        env = {"__name__": __name__, "fn": rule.fn, "keep": keep, "without": _without_constants,
               "added": lambda *tuples: tuple(map(sum, zip(*tuples, strict=True)))}
        wanted = {}                             # index in values, in the order of first use
        for i in active:
            for p in _parameters(rule.vjps[i], rule.kind):
                if p != "shape":
                    wanted[rule.position(p)] = None
        self.reads = tuple(wanted)
        self.first, self.second = 1 in wanted, 2 in wanted
        self.guarded = rule.kind == "elementwise" and bool(wanted)
        if wanted:
            self.save = operator.itemgetter(*wanted)
        slot = {k: "s" if len(wanted) == 1 else f"s[{j}]" for j, k in enumerate(wanted)}
        pulls, pushes = [], []
        for j, i in enumerate(active):
            pulls.append(_source(rule, rule.vjps[i], f"v{i}",
                                 "g.filled()" if rule.several else "g", env,
                                 slot.__getitem__, f"ps[{j}].shape"))
            pushes.append(_tangent(rule, i, f"t[{j}]", env))
        self.pull = eval(f"lambda g, s, ps: ({', '.join(pulls)},)", env)
        total = f"added({', '.join(pushes)})" if rule.several else " + ".join(pushes)
        self.push = eval(f"lambda t, v: {total}", env)


def _parameters(f, kind):
    if not callable(f):
        return []
    names = list(inspect.signature(f).parameters)
    return names[1:] if _takes_gradient(f, kind) else names


def _takes_gradient(f, kind):
    """Whether ``f`` makes the gradient itself; else it gives the factor of it."""
    first = next(iter(inspect.signature(f).parameters), None)
    return kind not in ("elementwise", "select") or first in ("g", "t")


def _source(rule, f, name, incoming, env, ref, shape):
    """Source text of the gradient (or tangent) that derivative ``f`` makes of ``incoming``."""
    if not callable(f):
        return incoming if f == 1 else f"-{incoming}" if f == -1 else f"{incoming} * {f!r}"
    env[name], kind = f, rule.kind
    parts = [incoming] if _takes_gradient(f, kind) else []
    for p in _parameters(f, kind):
        if p == "shape":
            parts.append(shape)
        elif rule.position(p) >= 0:
            parts.append(ref(rule.position(p)))
        else:
            default = env[f"{name}_{p}"] = inspect.signature(f).parameters[p].default
            required = default is inspect.Parameter.empty
            parts.append(f"{ref(-1)}[{p!r}]" if required
                         else f"{ref(-1)}.get({p!r}, {name}_{p})")
    call = f"{name}({', '.join(parts)})"
    if _takes_gradient(f, kind):
        return call
    code = getattr(f, "__code__", None)
    if len(parts) == 1 and code and code.co_code == _IDENTITY:      # lambda b: b
        call = parts[0]
    return f"{incoming} * {call}" if kind == "elementwise" else f"keep({incoming}, {call})"


_IDENTITY = (lambda a: a).__code__.co_code


def _tangent(rule, i, t, env):
    if rule.kind == "linear":
        return f"fn({t}, **without(v[-1]))"
    if rule.kind == "bilinear":
        a, b = (t, "v[2]") if i == 0 else ("v[1]", t)
        return f"fn({a}, {b}, **v[-1])"
    return _source(rule, rule.jvps[i], f"j{i}", t, env, "v[{}]".format, f"v[{i + 1}].shape")


def keep(g, w):
    """g weighted by w, exactly zero where w is zero even if g is not finite there."""
    if w.dtype != bool:
        g, w = g * w.astype(g.dtype), np.not_equal(w, 0)
    large = g.__class__ is np.ndarray and w.__class__ is np.ndarray and g.size > 1000
    return masked(g, w) if large else np.where(w, g, 0.0)


def masked(x, mask, out=None):
    """np.where(mask, x, 0) of plain arrays: the bits of x times 0 or 1.

    Ten times as fast where the mask is irregular, since np.where branches at each element
    (100,000 float32: 400 us against 35; below 1,000 it is the slower of the two).
    """
    if x.dtype.itemsize > 8:                            # there are no such integers
        out = np.empty_like(x) if out is None else out
        out[...] = np.where(mask, x, 0)
        return out
    bits = f"i{x.dtype.itemsize}"
    y = np.multiply(x.view(bits), mask, out=None if out is None else out.view(bits))
    return y.view(x.dtype)


def _without_constants(kwargs):
    return {k: v for k, v in kwargs.items() if k not in CONSTANTS} if kwargs else kwargs

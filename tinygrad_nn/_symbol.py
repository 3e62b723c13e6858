"""Tracing: a `Symbol` stands for a plain array, and every operation on it is written down.

It is a box of level -1, below every Tensor, so what runs on plain arrays otherwise (forward
pass, rules, sweep, optimiser) runs on Symbols without knowing it. A Symbol carries the real
value: recording a call *is* the call, and no shape rules are needed. What cannot be written
down, because the next call might go another way, raises where it stands.

A function is recorded as it was called, composites and primitives whole, since that is what
plain arrays would have run. Only a mask of structural zeros (`_graph`) is recorded apart, as
*lazy* equations: it is looked at when a gradient is not finite.
"""

import math
from dataclasses import dataclass

import numpy as np

from ._core import Box, getitem, highest, traced
from ._errors import DetachError, GraphError
from ._graph import guarded
from ._messages import explain, name_of, no_out
from ._modes import caller, modes, recording
from ._table import RULES
from .rules import _order

ABOUT_SHAPES = {  # they look at shapes, dtypes and memory alone: nothing to write down
    np.shape, np.ndim, np.size, np.result_type, np.can_cast, np.min_scalar_type, np.common_type,
    np.iscomplexobj, np.isrealobj, np.shares_memory, np.may_share_memory, np.array_repr,
    np.array_str, np.array2string, np.zeros_like, np.ones_like, np.empty_like,
    np.diag_indices_from, np.tril_indices_from, np.triu_indices_from, np.einsum_path}
BY_VALUES = {  # how many elements they give depends on the values
    np.nonzero, np.flatnonzero, np.argwhere, np.extract, np.compress, np.unique,
    np.unique_values, np.unique_counts, np.unique_inverse, np.unique_all, np.union1d,
    np.setdiff1d, np.setxor1d, np.intersect1d, np.trim_zeros, np.bincount,
    _order._distinct, _order._rows}
METHODS = ("argpartition", "choose", "conj", "conjugate", "cumprod", "prod", "searchsorted",
           "view")
FACTS = ("nbytes", "itemsize", "strides", "flags")


class Var:
    """One value of a program, known by identity, with the shape, dtype and strides that it has
    in every call. NumPy's scalars have no strides, a Generator has nothing of all that."""

    __slots__ = ("dtype", "shape", "strides")

    def __init__(self, shape=None, dtype=None, strides=None):
        self.shape, self.dtype, self.strides = shape, dtype, strides

    @staticmethod
    def of(value):
        """A variable like ``value``."""
        if isinstance(value, np.random.Generator):
            return Var()
        strides = value.strides if isinstance(value, np.ndarray) else None
        return Var(value.shape, value.dtype, strides)

    @staticmethod
    def whole(shape, dtype):
        """A variable for an array whose last axis is innermost."""
        steps = (math.prod(shape[i + 1:]) for i in range(len(shape)))
        return Var(shape, dtype, tuple(dtype.itemsize * n for n in steps))

    @property
    def turned(self):
        """A variable for the array with its axes in reverse order, a view of this one."""
        return Var(self.shape[::-1], self.dtype, self.strides[::-1])

    @property
    def size(self):
        """The number of elements."""
        return math.prod(self.shape)


def is_plain(value):
    """Whether a value is an array, or a number, that computes as NumPy's do."""
    return value.__class__ in (np.ndarray, np.memmap) or isinstance(value, np.generic)


@dataclass(frozen=True, eq=False)
class Equation:
    """``outs = fn(*args, **kwargs)``, where `Var`s stand for values that are computed.

    ``outs`` has one element, or those of the tuple or list (``several``, its type) that the
    function gives; ``bases``: of each the argument that it is a view of, or None. ``place``:
    the line that ran it. ``effect``: it draws random numbers or checks others, so it runs once
    in every call. ``lazy``: only masks need it. ``again``: `remat` computes it to save memory,
    it must not be merged with the first time.
    """

    fn: object
    args: tuple
    kwargs: dict
    outs: tuple
    bases: tuple = (None,)
    several: type | None = None
    place: str = ""
    effect: bool = False
    lazy: bool = False
    again: bool = False


class Trace:
    """The equations of one call, in the order in which they ran."""

    def __init__(self):
        self.equations, self.open, self.lazy = [], True, False

    def stand_in(self, value):
        """What stands for ``value``, an array or a Generator, while this call is recorded."""
        kind = Draws if isinstance(value, np.random.Generator) else Symbol
        return kind(value, Var.of(value), self)

    def record(self, fn, args, kwargs):
        """Run ``fn`` on the values, write the call down, and give a Symbol of the result."""
        if not self.open:
            raise GraphError("a value kept from inside a compiled function was used after it "
                             "had returned: return it, or keep it in an attribute of an object "
                             "that the function itself names")
        _refuse(fn, args, kwargs)
        values, keywords = mapped(valued, (args, kwargs))
        try:
            out = fn(*values, **keywords)
        except ValueError as error:
            raise explain(fn, values, error) from None
        if fn in ABOUT_SHAPES:
            return out
        several = type(out) if isinstance(out, (tuple, list)) else None
        results = [_array(fn, v) for v in (out if several else (out,))]
        seen = stand_ins((args, kwargs))
        symbols = [Symbol(v, Var.of(v), self) for v in results]
        bases = [None if fn is guarded else _base(v, seen) for v in results]
        self.note(fn, args, kwargs, [s.var for s in symbols], bases, several)
        if several is None:
            return symbols[0]
        return several(*symbols) if hasattr(several, "_fields") else several(symbols)

    def note(self, fn, args, kwargs, outs, bases, several):
        """Write down a call with these variables as its results."""
        effect = hasattr(fn, "must_run") or any(
            isinstance(s, Draws) for s in stand_ins((args, kwargs)))
        again = any(type(entry.block) is recording for entry in modes())
        args, kwargs = mapped(variable, (args, kwargs))
        self.equations.append(Equation(fn, args, kwargs, tuple(outs), tuple(bases), several,
                                       caller(), effect, self.lazy, again))


def _array(fn, value):
    if isinstance(value, (np.ndarray, np.generic)):
        return value
    if isinstance(value, float):
        return np.asarray(value)
    raise DetachError(
        f"{name_of(fn)} gives a {type(value).__name__}, which a compiled function would "
        "freeze: within it everything is arrays, take such values before or after it")


def _base(value, symbols):
    """The variable of the argument that a result is a view of, if any."""
    for s in symbols if isinstance(value, np.ndarray) else ():
        if isinstance(s._data, np.ndarray) and np.may_share_memory(value, s._data):
            return s.var
    return None


def _refuse(fn, args, kwargs):
    """Raise for a call that writes into an array, or whose shape depends on values."""
    rule = RULES.get(fn)
    if rule is not None and rule.kind == "refused" and rule.kink.startswith(("it writes",
                                                                             "a file")):
        raise DetachError(f"{name_of(fn)} in a compiled function is refused: {rule.kink}")
    if fn in BY_VALUES or (fn is np.where and len(args) == 1 and not kwargs) or (
            fn is getitem and any(s.dtype == bool for s in stand_ins((args[1:], kwargs)))):
        what = "x[mask]" if fn is getitem else name_of(fn)
        raise DetachError(
            f"{what} gives as many elements as the values make it, a compiled function "
            "computes arrays of one shape: np.where(mask, x, 0.0) keeps the shape")
    names = () if rule is None or rule.names[:1] == ("operands",) else rule.names
    for name, out in (("out", kwargs.get("out")), *zip(names, args)):           # noqa: B905
        if name == "out" and out is not None and out is not np._NoValue:
            raise DetachError(no_out(fn, out, args))


def stand_ins(tree):
    """The Symbols and Draws in nested lists, tuples and dicts."""
    if isinstance(tree, (Symbol, Draws)):
        return [tree]
    if isinstance(tree, dict):
        tree = tree.values()
    elif not isinstance(tree, (list, tuple)):
        return []
    return [s for v in tree for s in stand_ins(v)]


def valued(v):
    """What a Symbol stands for; anything else as it is."""
    return v._data if isinstance(v, (Symbol, Draws)) else v


def variable(v):
    """The variable of a Symbol; anything else as it is."""
    return v.var if isinstance(v, (Symbol, Draws)) else v


def mapped(f, tree):
    """The same nested lists, tuples and dicts with ``f`` of what they hold."""
    if isinstance(tree, dict):
        return {k: mapped(f, v) for k, v in tree.items()}
    if isinstance(tree, (list, tuple)):
        items = [mapped(f, v) for v in tree]
        return type(tree)(*items) if hasattr(tree, "_fields") else type(tree)(items)
    return f(tree)


# ---------------------------------------------------------------- the box

class Symbol(Box):
    """Stands for the array that it holds, in one recorded call; knows its variable."""

    __slots__ = ("trace", "var")

    def __init__(self, data, var, trace):
        self._data, self.level, self.var, self.trace = data, -1, var, trace

    def __repr__(self):
        return f"Symbol({self.dtype}, shape {self.shape})"

    def _called(self, fn, args, kwargs):
        if hasattr(fn, "transparent"):                  # as well its parts one by one
            return fn.__wrapped__(*args, **kwargs)
        return self.trace.record(fn, args, kwargs)

    def _emit(self, rule, args, kwargs):
        return self._called(rule.fn, args, kwargs)

    _aside = _emit

    def _guarded(self, live):
        before, self.trace.lazy = self.trace.lazy, True
        try:
            mask = live()
        finally:
            self.trace.lazy = before
        return self.trace.record(guarded, (self, mask), {})

    def __array_ufunc__(self, ufunc, method, *args, **kwargs):
        if not traced(highest((args, kwargs))):
            return super().__array_ufunc__(ufunc, method, *args, **kwargs)
        if method == "at":
            raise DetachError(f"{name_of(ufunc)}.at writes into its first argument, which a "
                              "compiled function cannot record: np.where makes a new array")
        fn = ufunc if method == "__call__" else getattr(ufunc, method)
        if "out" in kwargs:
            raise DetachError(no_out(fn, kwargs["out"], args))
        return self.trace.record(fn, args, kwargs)

    def __pow__(self, other):
        return _power(self, other)

    def __getattr__(self, name):
        if name in FACTS:
            return getattr(self._data, name)
        if name in ("real", "imag"):
            return self.trace.record(getattr(np, name), (self,), {})
        if name in METHODS:
            fn = getattr(np.ndarray, name)
            return lambda *args, **kwargs: self.trace.record(fn, (self, *args), kwargs)
        if hasattr(np.ndarray, name) and not name.startswith("__"):
            raise DetachError(
                f".{name} of an array in a compiled function cannot be recorded: use NumPy's "
                "functions, which give new arrays, and take plain values outside of it")
        raise AttributeError(f"an array has no attribute {name!r}")

    def __bool__(self):
        raise DetachError(
            "a compiled function cannot branch on values: this if, while, and, or, max … would "
            "go the same way in every later call. np.where(condition, a, b) chooses "
            "elementwise; or decide outside of the function")

    def _not_a_number(self, *args):
        raise DetachError(
            "a number taken out of an array within a compiled function would be the same in "
            "every later call: compute with the array (of an optimiser: opt.settings['lr'], "
            "not opt.lr), or return it and take the number outside")

    __float__ = __int__ = __complex__ = item = tolist = _not_a_number

    def __format__(self, spec):
        return self._not_a_number() if spec else repr(self)

    def __index__(self):
        raise DetachError(
            "a value computed in a compiled function cannot be a size, a position or an index "
            "of a plain array or a list: it would be the same in every later call. An array "
            "can be indexed with an array of integers where both are computed in the function; "
            "np.choose(i, arrays) and np.where choose as well")

    def __array__(self, *args, **kwargs):
        raise DetachError(
            "NumPy asked for a plain array of a value in a compiled function, which would "
            "freeze it: np.asarray is not needed, it is an array; x.astype(dtype) converts, "
            "np.stack([...]) combines, and a table to look it up in, such as np.eye(10), must "
            "be made before, outside of the function")

    def backward(self, g=None):
        raise GraphError("backward() of a value that depends on no Tensor: is all of the model "
                         "frozen, was .data taken, or is this within no_grad?")

    def __setitem__(self, index, value):
        raise DetachError("a compiled function cannot write into an array: np.where(mask, "
                          "value, x) makes a new one")


def _power(a, b):
    """``a ** b`` as Python runs it, since NumPy has shorter ways for some exponents."""
    top = highest((a, b))
    return top.trace.record(pow, (a, b), {}) if traced(top) else Box.__pow__(a, b)


def _rebind(name, operate):
    """``x += y``: for an array it would write into x, a scalar of NumPy's is immutable."""
    def augmented(self, other):
        if isinstance(self._data, np.ndarray):
            raise DetachError(f"x {name}= y writes into the array x, which a compiled function "
                              f"cannot record: write x = x {name} y")
        return operate(self, other)
    return augmented


BITWISE = {"and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor,
           "lshift": np.left_shift, "rshift": np.right_shift}
SIGNS = {"add": "+", "sub": "-", "mul": "*", "truediv": "/", "floordiv": "//", "mod": "%",
         "pow": "**", "matmul": "@", "and": "&", "or": "|", "xor": "^", "lshift": "<<",
         "rshift": ">>"}
for _name, _fn in BITWISE.items():
    setattr(Symbol, f"__{_name}__", lambda a, b, fn=_fn: fn(a, b))
    setattr(Symbol, f"__r{_name}__", lambda a, b, fn=_fn: fn(b, a))
for _name, _sign in SIGNS.items():
    setattr(Symbol, f"__i{_name}__", _rebind(_sign, getattr(Symbol, f"__{_name}__")))
Symbol.__rpow__ = lambda self, other: _power(other, self)
Symbol.__invert__ = lambda self: np.invert(self)


class Draws:
    """Stands for a random Generator: what is drawn from it is drawn anew in every call."""

    def __init__(self, generator, var, trace):
        self._data, self.var, self.trace = generator, var, trace

    def __getattr__(self, name):
        if not hasattr(np.random.Generator, name) or name.startswith("__"):
            raise AttributeError(f"a Generator has no attribute {name!r}")
        if name in ("shuffle", "bit_generator", "spawn"):
            raise DetachError(f"a Generator's .{name} in a compiled function cannot be "
                              "recorded: draw with random, normal, integers, permutation …")
        fn = getattr(np.random.Generator, name)
        return lambda *args, **kwargs: self.trace.record(fn, (self, *args), kwargs)

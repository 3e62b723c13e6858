"""Reverse mode: `Tensor`, and the two paths that record an operation.

`record` is the general path, `binary` and `unary` are the short ones behind the operators: the
same steps written out, because a function call and an argument scan are a third of the time of
an operation on ten numbers.
"""

import functools
import operator
import sys

import numpy as np

from . import rules  # noqa: F401  the operators below look their rules up
from ._core import (
    SIGNS,
    Box,
    apply,
    as_floats,
    as_seed,
    check_output,
    install_operators,
    run,
    traced,
)
from ._errors import DetachError, GraphError, ShapeError
from ._graph import (
    Gone,
    Node,
    Parts,
    at_risk,
    count,
    exposed,
    locate,
    ndarray,
    sweep,
    watch,
)
from ._messages import explain, name_of, not_real
from ._modes import check_forward, debug_nans, is_open, modes, no_grad
from ._table import Plan, rule_of

F64, F32 = np.dtype(np.float64), np.dtype(np.float32)
NUMBERS = {float, int, bool, np.float64, np.float32, np.int64}
PLAIN = {ndarray, *NUMBERS}
NO_KEYWORDS = {}
new = object.__new__


class Tensor(Box):
    """An array of floats that records what is computed from it.

    ``data`` is anything of which NumPy makes a real floating array; a list of floats becomes
    float64. Arrays are not copied. Integers, booleans, complex numbers, strings and objects
    raise ``TypeError``.

    >>> import tinygrad_nn as tn
    >>> x = tn.Tensor([1.0, 2.0, 3.0])
    >>> (x * x).sum().backward()
    >>> x.grad
    array([2., 4., 6.])
    """

    __slots__ = ("grad", "node", "version")

    def __init__(self, data):
        self._data = as_float_array(data)
        self.level, self.node, self.grad, self.version = 0, None, None, 0

    @property
    def data(self):
        """The values: of a leaf its own array, of a computed Tensor a read-only view.

        Assignable on leaves, with an array of the same shape.
        """
        x = self._data
        if self.node is None or isinstance(x, Box):
            return x
        view = np.asarray(x).view()
        view.flags.writeable = False
        return view

    @data.setter
    def data(self, value):
        if self.node is not None:
            raise GraphError("only the data of a leaf can be assigned: this Tensor was made by "
                             f"{name_of(self.node.plan.fn)}")
        value = as_float_array(value)
        if value.shape != self._data.shape:
            raise ShapeError(f"data of shape {value.shape} assigned to a Tensor of shape "
                             f"{self.shape}: make a new Tensor")
        self._data = value
        self.version += 1

    def backward(self, g=None):
        """Add the gradient of this value to ``.grad`` of every leaf that it depends on.

        ``g``: the gradient of this Tensor, of its shape; may be left out for a single element.
        The graph is used up. Leaves get plain arrays of their own shape and dtype; if anything
        fails, no leaf is touched.
        """
        if self.level > 0:
            super().backward(g)
        if g is None:
            if self.size != 1:
                raise ShapeError(f"backward() of a Tensor of shape {self.shape} needs a "
                                 "gradient of that shape: y.backward(g), or reduce it with "
                                 ".sum()")
            g = np.ones(self.shape, self.dtype)
        elif isinstance(g, Box) and not traced(g):
            raise DetachError("backward(g) takes a plain array: pass g.data")
        g = as_seed(g, self, "the gradient given to backward()")
        given = set()
        for leaf, d in sweep([(self, g)]).items():
            if traced(d) or traced(leaf.grad):
                leaf.grad = d if leaf.grad is None else leaf.grad + d
            elif leaf.grad is not None:
                leaf.grad = np.asarray(leaf.grad + d)
            else:                   # a copy of what somebody else holds or another leaf got
                d = np.asarray(d)
                shared = d.base is not None or d is g or id(d) in given
                leaf.grad = d.copy() if shared else d
                given.add(id(d))

    def detach(self):
        """A new leaf with the same values and no history."""
        return Tensor(self.data) if self.level == 0 else self._data

    def __repr__(self):
        made = "" if self.node is None else f", made by {name_of(self.node.plan.fn)}"
        if self.level > 0:
            return f"Tensor({self._data!r}, in a transform of level {self.level}{made})"
        if traced(self._data):
            return f"Tensor({self._data!r}{made})"
        text = np.array2string(np.asarray(self._data), separator=", ", prefix="Tensor(")
        return f"Tensor({text}, dtype={self.dtype}{made})"

    def _emit(self, rule, args, kwargs):
        return record(self.level, rule, args, kwargs)

    def __array_ufunc__(self, ufunc, method, *args, **kwargs):
        if not kwargs and method == "__call__":
            if len(args) == 2:
                return binary(ufunc)(*args)
            if len(args) == 1:
                return unary(ufunc)(self)
        return Box.__array_ufunc__(self, ufunc, method, *args, **kwargs)

    def __float__(self):
        return float(self._used_up())

    def __int__(self):
        return int(self._used_up())

    def _used_up(self):
        """The value, once a backward pass has used the graph and no gradient can be lost."""
        if self.node is None or not isinstance(self.node.parents, Gone):
            self._not_a_number()
        return self._data

    def _free_of_history(self):
        if self.node is not None or self.level:
            raise GraphError("only leaf Tensors can be copied or pickled: .detach() first")
        return self

    def __copy__(self):
        return _restore(self._free_of_history()._data, self.grad)

    def __deepcopy__(self, memo):
        grad = None if self.grad is None else self.grad.copy()
        return _restore(self._free_of_history()._data.copy(), grad)

    def __reduce__(self):
        return _restore, (self._free_of_history()._data, self.grad)


def _restore(data, grad):
    t = Tensor(data)
    t.grad = grad
    return t


def _refuse_rebinding(name):
    operate, sign = getattr(operator, name), SIGNS[name]

    def augmented(self, other):
        if self.node is None and self.level == 0:
            raise DetachError(f"w {sign}= ... on a leaf Tensor would replace it by a computed "
                              f"one: w.data {sign}= ... changes its values")
        return operate(self, other)
    return augmented


for _name in SIGNS:
    setattr(Tensor, f"__i{_name}__", _refuse_rebinding(_name))


def as_float_array(data, what="a Tensor"):
    """``data`` as a real floating ndarray (not copied), or TypeError."""
    if isinstance(data, Box) and not traced(data):
        raise DetachError(f"{what} made of a Tensor would cut it out of the graph: use it as "
                          "it is, .detach() gives a new leaf")
    x = data if isinstance(data, Box) else np.asarray(data)
    if x.dtype.kind == "f":
        return x
    hint = {"i": "write 1.0 instead of 1, or .astype(float)", "u": "use .astype(float)",
            "b": "use .astype(float)", "c": "use .real and .imag"}.get(
                x.dtype.kind, f"from {type(data).__name__}")
    raise TypeError(f"{what} holds real floating numbers, got dtype {x.dtype}: {hint}")


def leaf(data, level):
    """The variable of a transform: a Tensor of its own level; ``data`` may be a box."""
    t = new(Tensor)
    t._data = data if isinstance(data, Box) else as_float_array(data, "a variable")
    t.level, t.node, t.grad, t.version = level, None, None, 0
    return t


# ---------------------------------------------------------------- recording

def record(level, rule, args, kwargs):
    """Run the rule's function one level down and append a node: the general path."""
    values, parents, active = [None], [], []
    for i, a in enumerate(args):
        if a.__class__ is Tensor and a.level == level:
            if rule.kind == "variadic" or rule.vjps[i] is not None:
                parents.append(a.node or a)
                active.append(i)
            a = a._data
        values.append(a)
    out = run(rule.fn, values[1:], kwargs)
    if modes():
        if is_open(debug_nans):
            check_forward(rule.fn, values[1:], out)
        if level == 0 and is_open(no_grad):
            return out
    if not active:
        return out
    check_output(rule, out, level)
    if not rule.several and out.dtype.kind in "iub":
        return out
    values = [out, *as_floats(rule, values[1:], out), kwargs]
    if rule.kind == "variadic":
        plan = rule.plan(-1)
        saved = plan.save(active, values)
        reads = [k for k, v in enumerate(saved[0], 1) if isinstance(v, (ndarray, Box))]
    else:
        plan = rule.plan(sum(1 << i for i in active))
        saved, reads = plan.save and plan.save(values), plan.reads
    made = _several if rule.several else _made
    return made(plan, level, out, tuple(parents), saved, at_risk(reads, args, values))


def _several(plan, level, out, parents, saved, risk):
    """A node for the operation and one for each floating output, which hands its part back."""
    n = Node()
    n.seq, n.plan, n.parents, n.saved, n.risk = count(), plan, parents, saved, None
    n.shape, n.dtype = tuple(o.shape for o in out), tuple(o.dtype for o in out)
    if risk is not None:
        watch(n, risk, sys._getframe(2))
    items = [_made(_item(plan.fn, k), level, o, (n,), None, None) if o.dtype.kind == "f" else o
             for k, o in enumerate(out)]
    return type(out)(*items) if hasattr(out, "_fields") else tuple(items)


@functools.cache
def _item(fn, k):
    """The plan of output ``k`` of an operation that gives several."""
    plan = new(Plan)
    plan.fn, plan.kind, plan.moves, plan.selects = fn, "rule", False, False
    plan.pull = lambda g, s, ps: (Parts({k: g}, ps[0].shape, ps[0].dtype),)
    return plan


def _made(plan, level, out, parents, saved, risk):
    t = new(Tensor)
    t._data, t.level, t.grad = out, level, None
    t.node = n = Node()
    n.seq, n.plan, n.parents, n.saved, n.risk = count(), plan, parents, saved, None
    n.shape, n.dtype = out.shape, out.dtype
    if n.dtype.kind != "f":
        not_real(plan.fn, n.dtype)
    if risk is not None:
        watch(n, risk, sys._getframe(2))
    elif modes() and is_open(debug_nans, anywhere=True):
        locate(n, sys._getframe(2))
    return t


@functools.cache
def unary(fn):
    """The short path of a ufunc of one argument: a function of a Tensor."""
    plan = rule_of(fn).plan(1)

    def operate(a):
        if not plan.plain or modes():
            return apply(fn, (a,), {})
        x, level = a._data, a.level
        out = fn(x)
        if plan.save is None:
            return _made(plan, level, out, (a.node or a,), None, None)
        values = (out, x, NO_KEYWORDS)
        return _made(plan, level, out, (a.node or a,), plan.save(values),
                     at_risk(plan.reads, (a,), values))
    return operate


@functools.cache
def binary(fn):
    """The short path of a ufunc of two arguments: a function of them, one or both a Tensor."""
    plans = (None, *(rule_of(fn).plan(mask) for mask in (1, 2, 3)))

    def operate(a, b):
        if a.__class__ is Tensor:
            level = a.level
            if b.__class__ in PLAIN:
                x, y, mask, parents = a._data, b, 1, (a.node or a,)
            elif b.__class__ is not Tensor:
                return apply(fn, (a, b), {})
            elif level == b.level:
                x, y, mask, parents = a._data, b._data, 3, (a.node or a, b.node or b)
            elif level > b.level:
                x, y, mask, parents = a._data, b, 1, (a.node or a,)
            else:
                x, y, mask, parents, level = a, b._data, 2, (b.node or b,), b.level
        elif a.__class__ in PLAIN:
            x, y, mask, parents, level = a, b._data, 2, (b.node or b,), b.level
        else:
            return apply(fn, (a, b), {})
        plan = plans[mask]
        if not plan.plain or modes():
            return apply(fn, (a, b), {})
        try:
            out = fn(x, y)
        except ValueError as error:
            raise explain(fn, (x, y), error) from None
        t = new(Tensor)
        t._data = out
        t.level = level
        t.grad = None
        t.node = n = Node()
        n.seq = count()
        n.plan = plan
        n.parents = parents
        n.shape = out.shape
        n.dtype = dtype = out.dtype
        if dtype is not F64 and dtype is not F32 and dtype.kind != "f":
            not_real(fn, dtype)
        n.risk = None
        if plan.save is None:
            n.saved = None
        else:
            if ((x.__class__ is ndarray and x.dtype is not dtype)
                    or (y.__class__ is ndarray and y.dtype is not dtype)):
                x, y = as_floats(plan, (x, y), out)
            n.saved = plan.save((out, x, y, NO_KEYWORDS))
            risk = exposed(a, x) if plan.first and x.__class__ not in NUMBERS else None
            if plan.second and y.__class__ not in NUMBERS:
                other = y if y is b else exposed(b, y)
                risk = other if risk is None else risk if other is None else (risk, other)
            if risk is not None:
                watch(n, risk, sys._getframe(1))
        return t
    return operate


install_operators(Tensor, binary, unary)

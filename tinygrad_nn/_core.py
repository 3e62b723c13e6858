"""The core: boxes, levels, `apply`, and NumPy's protocols. Knows no Tensor by name.

A *box* is a value that watches the operations on it. Every running transform has a level of its
own; `apply` hands an operation to the highest box among its arguments, which unboxes that level
only and runs the function again one level down, on plain arrays in the end. So rules written
once work on arrays (first order) and on boxes (nested derivatives), and no flag says which.
"""

import functools

import numpy as np

from ._errors import DetachError, GraphError, NoRuleError, ShapeError
from ._messages import explain, name_of, no_out
from ._table import rule_of

ASIDE = ("composite", "refused", "zero")        # kinds of rule that no box has to record
UFUNC_METHODS = {}      # (ufunc, "reduce" or "accumulate") -> the function that does the same


# ---------------------------------------------------------------- running an operation

def apply(fn, args, kwargs):
    """Run ``fn`` through the highest box among ``args``; without one, run it plainly."""
    top = None
    for a in args:
        if isinstance(a, Box) and (top is None or a.level > top.level):
            top = a
    if top is None:
        return fn(*args, **kwargs)
    rule = rule_of(fn, top)
    if rule.kind in ASIDE:
        return top._aside(rule, args, kwargs)
    if rule.kind != "variadic":
        args = tuple(np.asarray(a) if isinstance(a, (list, tuple)) else a for a in args)
    return top._emit(rule, args, kwargs)


def dispatch(fn, args, kwargs):
    """`apply` for a call as a person wrote it."""
    return highest((args, kwargs))._called(fn, args, kwargs)


def run(fn, values, kwargs):
    """``fn`` one level down; a shape error of NumPy's becomes a sentence of ours.

    An argument that comes back as it is becomes a view, which the graph knows to watch.
    """
    try:
        out = fn(*values, **kwargs)
    except ValueError as error:
        raise explain(fn, values, error) from None
    if isinstance(out, np.ndarray):
        return out.view() if any(out is v for v in values) else out
    return out if isinstance(out, (np.generic, Box, tuple)) else np.asarray(out)


def check_output(rule, out, level):
    """``out`` of a rule's function on ``level``: one array or several as the rule says, and
    nothing of the same level, which the function would have had to close over."""
    if isinstance(out, tuple) != rule.several:
        raise NoRuleError(f"{name_of(rule.fn)} gave " + (
            "one array, its rule is for several" if rule.several else
            "several arrays, its rule is for one"))
    if isinstance(out, Box) and out.level >= level:
        raise DetachError(f"{name_of(rule.fn)} closes over a Tensor, whose gradient its rule "
                          "cannot give: pass it as an argument")


def as_floats(rule, values, out):
    """The values as an elementwise rule may compute with them: integers and booleans in the
    dtype of the result, since a * a of small integers wraps round and -a of booleans fails."""
    if rule.kind != "elementwise":
        return values
    return [v.astype(out.dtype) if isinstance(v, (np.ndarray, np.generic, Box))
            and v.dtype.kind in "iub" else v for v in values]


def as_seed(g, x, what):
    """``g`` as a gradient or tangent of ``x``: of its shape, in its dtype; never complex."""
    if not isinstance(g, Box):
        g = np.asarray(g)
        if g.dtype.kind not in "fiub":
            raise TypeError(f"{what} must be real numbers, got dtype {g.dtype}")
        g = g.astype(x.dtype, copy=False)
    if g.shape != x.shape:
        raise ShapeError(f"{what} has shape {g.shape}, expected {x.shape}")
    return g


def highest(tree):
    """The highest box in nested lists, tuples and dicts, or None."""
    if isinstance(tree, Box):
        return tree
    if isinstance(tree, dict):
        tree = tree.values()
    elif not isinstance(tree, (list, tuple)):
        return None
    boxes = [b for b in map(highest, tree) if b is not None]
    return max(boxes, key=lambda b: b.level, default=None)


def traced(x):
    """Whether ``x`` stands for a plain array, in a function that is being recorded."""
    return isinstance(x, Box) and x.level < 0


def lower(tree, level):
    """The same nested structure with the boxes of one level replaced by what they hold."""
    if isinstance(tree, Box):
        return tree._data if tree.level == level else tree
    if isinstance(tree, dict):
        return {k: lower(v, level) for k, v in tree.items()}
    if isinstance(tree, (list, tuple)) and highest(tree) is not None:
        return type(tree)([lower(v, level) for v in tree])
    return tree


def primitive(fn):
    """Make ``fn`` (ndarrays in, one ndarray out) an operation that Tensors can record.

    Give it one rule and it is differentiable to any order, in both modes:

    >>> import numpy as np, tinygrad_nn as tn
    >>> @tn.primitive
    ... def cube(x):
    ...     return x * x * x
    >>> tn.rules.elementwise(cube, lambda x: 3 * x * x)
    >>> float(tn.grad(tn.grad(cube))(2.0))
    12.0

    Inside ``fn`` every argument is a plain array; inside a rule it may be a Tensor, so write
    rules in NumPy functions, operators and other primitives. See `tinygrad_nn.rules`.
    """
    @functools.wraps(fn)
    def call(*args, **kwargs):
        for a in (*args, *kwargs.values()):
            if isinstance(a, Box) or (a.__class__ is tuple and highest(a) is not None):
                return dispatch(call, args, kwargs)
        return fn(*args, **kwargs)
    return call


@primitive
def getitem(x, index):
    """``x[index]`` as an operation of the table."""
    return x[index]


@primitive
def astype(x, dtype):
    """``x`` with another floating dtype; the gradient comes back in the dtype of ``x``."""
    return np.asarray(x, dtype)


# ---------------------------------------------------------------- boxes

class Box:
    """A value that takes part in NumPy's protocols and hands every operation to `apply`."""

    __slots__ = ("__weakref__", "_data", "level")
    __hash__ = object.__hash__

    shape = property(lambda self: self._data.shape, doc="The shape, a tuple of ints.")
    ndim = property(lambda self: self._data.ndim, doc="The number of axes.")
    dtype = property(lambda self: self._data.dtype, doc="The NumPy dtype of the values.")
    size = property(lambda self: self._data.size, doc="The number of elements.")
    T = property(lambda self: np.transpose(self), doc="All axes in reverse order.")
    mT = property(lambda self: np.swapaxes(self, -1, -2), doc="The last two axes exchanged.")
    device = property(lambda self: "cpu", doc="Always cpu, as the array API asks.")

    def to_device(self, device, /):
        """``self`` for "cpu"; there is no other."""
        if device != "cpu":
            raise ValueError(f"device={device!r}: there is only 'cpu'")
        return self

    def _called(self, fn, args, kwargs):
        """Take a call as a person wrote it: find the rule, sort the arguments."""
        rule = rule_of(fn, self)
        if kwargs.get("out") is not None:
            raise DetachError(no_out(fn, kwargs["out"], args))
        if rule.kind in ASIDE:
            return self._aside(rule, args, kwargs)
        args, kwargs = rule.arrange(args, kwargs)
        for name, value in kwargs.items():
            if highest(value) is not None and not traced(highest(value)):
                raise NoRuleError(f"{name_of(fn)} has no derivative with respect to {name}=, "
                                  "which holds a Tensor: pass its .data if that part is a "
                                  "constant")
        if rule.masked is not None and kwargs.get("where", True) is not True:
            return rule.masked(*args, **kwargs)
        return apply(fn, args, kwargs)

    def _emit(self, rule, args, kwargs):
        """Run the rule's function one level down and keep what this kind of box needs."""
        raise NotImplementedError

    def _guarded(self, live):
        """This gradient, exactly 0 where the mask that ``live()`` gives says so."""
        return np.where(live(), self, 0.0)

    def _aside(self, rule, args, kwargs):
        """Run what needs no record: written in other operations, refused, or constant."""
        if rule.kind == "zero":
            return rule.fn(*lower(args, self.level), **lower(kwargs, self.level))
        return rule.written_out(args, kwargs)

    def __array_ufunc__(self, ufunc, method, *args, **kwargs):
        if "out" in kwargs:
            raise DetachError(no_out(ufunc, kwargs["out"], args))
        if method == "__call__" and kwargs and ufunc.signature:
            return dispatch(ufunc, args, kwargs)                # it names the keyword
        if method == "__call__":
            return apply(ufunc, _in_dtype(ufunc, args, kwargs) if kwargs else args, {})
        if method == "outer":
            a, b = args
            return ufunc(np.reshape(a, np.shape(a) + (1,) * np.ndim(b)), b)
        if (ufunc, method) in UFUNC_METHODS:
            return UFUNC_METHODS[ufunc, method](*args, **kwargs)
        raise NoRuleError(f"{name_of(ufunc)}.{method} has no derivative rule: write it with "
                          "the function itself")

    def __array_function__(self, fn, types, args, kwargs):
        return dispatch(fn, args, kwargs)

    def __array_namespace__(self, *, api_version=None):
        """NumPy itself: code for the Python array API standard runs on Tensors."""
        return np.empty(0).__array_namespace__(api_version=api_version)

    def __array__(self, *args, **kwargs):
        raise DetachError(
            "NumPy asked for a plain array of a Tensor, which would cut it out of the graph: "
            "np.stack([...]) combines Tensors, .data gives the values")

    def _not_a_number(self):
        raise DetachError(
            "a Tensor does not convert to a number silently, its gradient would be lost: "
            ".item() gives the number, np.stack([...]) builds an array of Tensors")

    __float__ = __int__ = __index__ = __complex__ = _not_a_number

    def __setitem__(self, index, value):
        raise DetachError("a Tensor cannot be assigned to by index: np.where(mask, value, x) "
                          "replaces elements, x.data[index] = value changes a parameter")

    def __getitem__(self, index):
        if highest(index) is not None and not traced(highest(index)):
            raise DetachError("a Tensor cannot be an index: use its .data, as integers or "
                              "booleans")
        index = (tuple(map(_copied, index)) if isinstance(index, tuple) else _copied(index))
        return apply(getitem, (self,), {"index": index})

    def __len__(self):
        if not self.shape:
            raise TypeError("len() of a 0-d Tensor")
        return self.shape[0]

    def __iter__(self):
        if not self.shape:
            raise TypeError("iteration over a 0-d Tensor")
        return (self[i] for i in range(len(self)))

    def __bool__(self):
        return bool(self._data)

    def backward(self, g=None):
        """Only a Tensor outside of every transform can do this; see `Tensor.backward`."""
        raise GraphError("this value belongs to a running transform, which backward() cannot "
                         "see: use tn.value_and_grad(f) for value and gradient")

    def item(self):
        """The only element as a Python number, without a gradient."""
        return self._data.item()

    def __format__(self, spec):
        return format(self.item(), spec) if spec else str(self)

    def clip(self, min=None, max=None):
        """np.clip(self, min, max), by position: NumPy 2.0 has no such keywords there."""
        return dispatch(np.clip, (self, min, max), {})

    def __pow__(self, other):
        if other.__class__ in (int, float) and other == 2:      # as NumPy's own ** does:
            return np.square(self)                              # 3 times as fast as power
        return apply(np.power, (self, other), {})

    def __divmod__(self, other):
        return self // other, self % other

    def __rdivmod__(self, other):
        return other // self, other % self


def _copied(index):
    """An index given as a list or a range as an array of its own; any other as it is."""
    if isinstance(index, (list, range)):
        return np.array(index, None if len(index) else int)
    return index


def _in_dtype(ufunc, args, kwargs):
    if set(kwargs) - {"dtype"}:
        raise NoRuleError(f"{name_of(ufunc)} of a Tensor does not take {sorted(kwargs)}: for "
                          "where=, write np.where(mask, result, other)")
    return tuple(astype(a, kwargs["dtype"]) for a in args) if kwargs["dtype"] else args


# ---------------------------------------------------------------- operators and methods

SIGNS = {"add": "+", "sub": "-", "mul": "*", "truediv": "/", "floordiv": "//", "mod": "%",
         "pow": "**", "matmul": "@"}
BINARY = dict(zip(SIGNS, (np.add, np.subtract, np.multiply, np.divide, np.floor_divide,
                          np.remainder, np.power, np.matmul), strict=True))
COMPARE = {"eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal,
           "gt": np.greater, "ge": np.greater_equal}
UNARY = {"neg": np.negative, "pos": np.positive, "abs": np.absolute}
METHODS = """all any argmax argmin argsort copy cumsum diagonal dot exp log max mean min
             ravel repeat round squeeze std sum swapaxes take tanh trace var"""


def install_operators(cls, two, one):
    """Give ``cls`` Python's operators, made by ``two(ufunc)`` and ``one(ufunc)``."""
    for name, fn in {**BINARY, **COMPARE}.items():
        operate = two(fn)
        if name != "pow":
            setattr(cls, f"__{name}__", operate)
        if name in BINARY:
            setattr(cls, f"__r{name}__", lambda self, other, run=operate: run(other, self))
    for name, fn in UNARY.items():
        setattr(cls, f"__{name}__", one(fn))


def install_methods(*more):
    """The methods that people type every day, each the function of that name."""
    def method(fn):
        def call(self, *args, **kwargs):
            return dispatch(fn, (self, *args), kwargs)
        call.__name__ = call.__qualname__ = fn.__name__
        call.__doc__ = f"The same as {name_of(fn)}(self, ...)."
        return call

    def ints_or_tuple(fn):
        def call(self, *ints, **kwargs):
            one = len(ints) == 1 and not isinstance(ints[0], (int, np.integer))
            return fn(self, ints[0] if one else ints or None, **kwargs)
        call.__name__ = call.__qualname__ = fn.__name__
        call.__doc__ = f"{name_of(fn)}(self, ...), given a tuple or several ints."
        return call

    for fn in (*(getattr(np, name) for name in METHODS.split()), *more, astype):
        setattr(Box, fn.__name__, method(fn))
    for fn in (np.reshape, np.transpose):
        setattr(Box, fn.__name__, ints_or_tuple(fn))
    Box.flatten = Box.ravel


install_operators(Box, lambda fn: lambda a, b: apply(fn, (a, b), {}),
                  lambda fn: lambda a: apply(fn, (a,), {}))

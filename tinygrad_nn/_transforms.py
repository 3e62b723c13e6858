"""Derivatives of functions: grad, value_and_grad, vjp, jvp, jacobian, hessian, hvp.

Every running transform has a level of its own, from one counter; a transform that starts later
is nested deeper or independent, so a larger number is always the inner one and nothing has to
be undone when a function raises. Arguments may be arrays or trees of arrays: lists, tuples and
dicts, and what else stands in `CONTAINERS` (the modules of `nn` put themselves there).
"""

import functools
import itertools
import operator

import numpy as np

from ._core import Box, as_seed, astype, primitive
from ._dual import Dual
from ._errors import ShapeError
from ._graph import sweep, sweep_rows
from ._modes import check_tangent, debug_nans, is_open, modes
from ._table import zero
from ._tensor import Tensor, as_float_array, leaf

new_level = itertools.count(1).__next__

# type -> (children, rebuild): children(tree) -> [(name, child)],
#                              rebuild(tree, new children) -> tree
CONTAINERS = {
    list: (lambda t: [(f"[{i}]", v) for i, v in enumerate(t)], lambda t, new: list(new)),
    tuple: (lambda t: [(f"[{i}]", v) for i, v in enumerate(t)],
            lambda t, new: type(t)(*new) if hasattr(t, "_fields") else tuple(new)),
    dict: (lambda t: [(f"[{k!r}]", v) for k, v in t.items()],
           lambda t, new: dict(zip(t, new, strict=True))),
}


def _container(tree):
    for cls in type(tree).__mro__:
        if cls in CONTAINERS:
            return CONTAINERS[cls]
    return None


def flatten(tree, name=""):
    """[(name, leaf), …] of a tree, in order."""
    c = _container(tree)
    if c is None:
        return [(name, tree)]
    return [pair for key, child in c[0](tree) for pair in flatten(child, name + key)]


def tree_map(f, tree, *others):
    """A tree of the same form with ``f`` of the leaves (of several trees of one form)."""
    c = _container(tree)
    if c is None:
        return f(tree, *others)
    mine, rest = dict(c[0](tree)), []
    for other in others:
        theirs = dict(c[0](other)) if _container(other) is c else {}
        if mine.keys() != theirs.keys():
            raise ShapeError(f"two trees differ in form: a {type(tree).__name__} with "
                             f"{list(mine)} and a {type(other).__name__} with {list(theirs)}")
        rest.append(theirs)
    return c[1](tree, [tree_map(f, child, *(r[name] for r in rest))
                       for name, child in mine.items()])


@primitive
def stop_gradient(x):
    """``x`` as a constant: its value passes, its derivative of every order and mode is zero."""
    return x


zero(stop_gradient)


# ---------------------------------------------------------------- reverse mode

def _trace(f, args, kwargs, numbers, has_aux):
    """Run f with fresh variables for the arguments ``numbers``; (variables, y, aux, level)."""
    level = new_level()
    args = list(args)
    for k in numbers:
        try:
            args[k] = tree_map(lambda x: leaf(x, level), args[k])
        except TypeError as error:
            raise TypeError(f"argument {k} cannot be differentiated: {error}") from None
    variables = [args[k] for k in numbers]
    for k in numbers:                       # f may change the lists and modules that it gets
        args[k] = tree_map(lambda v: v, args[k])
    y = f(*args, **kwargs)
    if has_aux:
        if not (isinstance(y, tuple) and len(y) == 2):
            raise TypeError("has_aux=True expects the function to return (value, auxiliary)")
        y, aux = y
        return variables, y, tree_map(lambda v: _below(v, level), aux), level
    return variables, y, None, level


def _several(argnums):
    return isinstance(argnums, (tuple, list, range))


def _positions(argnums, args):
    """``argnums``, an int or several, as positions from 0."""
    numbers = [operator.index(k) for k in (argnums if _several(argnums) else (argnums,))]
    for k in numbers:
        if not -len(args) <= k < len(args):
            raise TypeError(f"argnums={k}, but the function was called with {len(args)} "
                            "positional arguments")
    return tuple(k % len(args) for k in numbers)


def _below(v, level):
    """What a box of this level holds; all else as it is."""
    return v._data if isinstance(v, Box) and v.level == level else v


def _output(y):
    if isinstance(y, (Box, np.ndarray, np.generic)):
        return y
    if isinstance(y, float):
        return np.float64(y)
    raise TypeError(f"the function returned {type(y).__name__}, a derivative is of an array, "
                    "a float or a Tensor")


def _pull(roots, variables, level, free):
    """The gradients of the variables, in their form, of (output, gradient) pairs."""
    live = [(y, g) for y, g in roots if isinstance(y, Tensor) and y.level == level]
    found = sweep(live, free) if live else {}

    def gradient(v):
        g = found.get(v)
        if g is None:
            return np.zeros(v.shape, v.dtype)
        return g if isinstance(g, Box) else np.array(g)
    return [tree_map(gradient, v) for v in variables]


def value_and_grad(f, argnums=0, has_aux=False):
    """A function that returns ``(f(…), gradient)``; see `grad`. With ``has_aux`` it returns
    ``((value, aux), gradient)``."""
    @functools.wraps(f)
    def run(*args, **kwargs):
        numbers = _positions(argnums, args)
        variables, y, aux, level = _trace(f, args, kwargs, numbers, has_aux)
        y = _output(y)
        if y.shape != ():
            raise ShapeError(f"grad needs a scalar, the function returned shape {y.shape}: "
                             "reduce it with .sum(), or use tn.jacobian or tn.vjp")
        grads = _pull([(y, np.ones((), y.dtype))], variables, level, free=True)
        value = _below(y, level)
        return ((value, aux) if has_aux else value,
                tuple(grads) if _several(argnums) else grads[0])
    return run


def grad(f, argnums=0, has_aux=False):
    """The gradient of a scalar function of arrays, as a function.

    ``argnums``: the position(s) of the argument(s); each an array, a float, or a list, tuple,
    dict or module of them. The gradient has that form, and shape and dtype of each leaf. With
    ``has_aux`` the function returns ``(value, aux)`` and the gradient comes as ``(gradient,
    aux)``.

    >>> import numpy as np, tinygrad_nn as tn
    >>> tn.grad(lambda x: np.sum(x ** 3))(np.array([1.0, 2.0]))
    array([ 3., 12.])
    >>> float(tn.grad(tn.grad(np.sin))(0.5)) == -float(np.sin(0.5))
    True
    """
    both = value_and_grad(f, argnums, has_aux)

    @functools.wraps(f)
    def run(*args, **kwargs):
        value, gradient = both(*args, **kwargs)
        return (gradient, value[1]) if has_aux else gradient
    return run


def vjp(f, *xs):
    """``(y, pullback)``; ``pullback(g)`` is the tuple of gradients of <g, f(*xs)> by each x.

    ``y`` may be an array or a list, tuple or dict of arrays, ``g`` has its form and shapes.
    ``pullback`` may be called any number of times.

    >>> import numpy as np, tinygrad_nn as tn
    >>> y, pullback = tn.vjp(np.exp, np.array([0.0, 1.0]))
    >>> pullback(np.array([1.0, 0.0]))
    (array([1., 0.]),)
    """
    variables, y, _, level = _trace(f, xs, {}, range(len(xs)), False)
    outputs = tree_map(_output, y)

    def pullback(g):
        roots = []
        tree_map(lambda o, v: roots.append((o, as_seed(v, o, "the gradient"))), outputs, g)
        return tuple(_pull(roots, variables, level, free=False))

    def value(v):           # a copy: the graph still needs the array, the caller may change it
        v = _below(v, level)
        return v if isinstance(v, Box) else np.array(v)
    return tree_map(value, y), pullback


# ---------------------------------------------------------------- forward mode

def jvp(f, xs, tangents):
    """``(y, dy)``: the value of ``f(*xs)`` and its derivative along ``tangents``, in one pass.

    ``xs`` and ``tangents`` are tuples of the same form; dy has the form and shapes of y.

    >>> import numpy as np, tinygrad_nn as tn
    >>> y, dy = tn.jvp(lambda x: x * x, (3.0,), (1.0,))
    >>> float(dy)
    6.0
    """
    if not isinstance(xs, (tuple, list)) or not isinstance(tangents, (tuple, list)):
        raise TypeError("tn.jvp(f, xs, tangents) takes tuples: tn.jvp(f, (x,), (dx,))")
    level = new_level()

    def dual(x, t):
        x = x if isinstance(x, Box) else as_float_array(x, "a variable")
        return Dual(x, as_seed(t, x, "the tangent"), level)
    y = f(*tree_map(dual, tuple(xs), tuple(tangents)))
    tree_map(_output, y)
    dy = tree_map(lambda v: _tangent(v, level), y)
    debug = modes() and is_open(debug_nans)
    if debug:
        tree_map(lambda t: check_tangent(debug, level, t), dy)
    return tree_map(lambda v: _below(v, level), y), dy


def _tangent(v, level):
    if isinstance(v, Dual) and v.level == level:
        return v.tangent
    return np.zeros_like(v)


def hvp(f, x, v):
    """The Hessian of the scalar function ``f`` at ``x`` times ``v``, without the Hessian.

    Forward over reverse: about three times the cost of f. ``x`` and ``v`` have one form.
    """
    return jvp(grad(f), (x,), (v,))[1]


def jacobian(f, argnums=0):
    """The matrix of all first derivatives, as a function: shape ``y.shape + x.shape``.

    Rows by reverse mode or columns by forward mode, whichever are fewer. Where argument or
    output is a list, tuple or dict, so is the result: the output's form outside, the
    argument's inside.

    >>> import numpy as np, tinygrad_nn as tn
    >>> tn.jacobian(lambda x: x[:2] * x[2])(np.array([1.0, 2.0, 3.0]))
    array([[3., 0., 1.],
           [0., 3., 2.]])
    """
    @functools.wraps(f)
    def run(*args, **kwargs):
        numbers = _positions(argnums, args)
        xs = tuple(args[k] for k in numbers)
        variables, y, _, level = _trace(f, args, kwargs, numbers, False)
        ins, outs = _leaves(variables), [_output(v) for _, v in flatten(y)]
        if sum(v.size for v in outs) <= sum(v.size for v in ins):
            blocks = _rows(outs, ins, level)
        else:
            def of_chosen(*xs):
                new = dict(zip(numbers, xs, strict=True))
                return f(*[new.get(k, a) for k, a in enumerate(args)], **kwargs)
            blocks = _columns(of_chosen, xs, outs, ins)
        table = [_form(xs, row) for row in blocks]
        return _form(y, table if _several(argnums) else [row[0] for row in table])
    return run


def hessian(f, argnums=0):
    """The matrix of second derivatives of a scalar function: shape ``x.shape + x.shape``.

    >>> import numpy as np, tinygrad_nn as tn
    >>> tn.hessian(lambda x: x[0] ** 2 * x[1])(np.array([1.0, 2.0]))
    array([[4., 2.],
           [2., 0.]])
    """
    return jacobian(grad(f, argnums), argnums)


def _leaves(tree):
    return [v if isinstance(v, Box) else np.asarray(v) for _, v in flatten(tree)]


def _form(tree, leaves):
    """A tree of the form of ``tree`` with these leaves, in order."""
    leaves = iter(leaves)
    return tree_map(lambda _: next(leaves), tree)


ROWS = 256                                  # swept at once, so that memory stays bounded


def _rows(outs, ins, level):
    """For each output the derivatives by each variable, by reverse mode."""
    return [_rows_of(y, ins, level) for y in outs]


def _rows_of(y, ins, level):
    if not (isinstance(y, Tensor) and y.level == level and y.size):
        return [np.zeros(y.shape + x.shape, x.dtype) for x in ins]
    unit = np.reshape(np.eye(y.size, dtype=y.dtype), (y.size, *y.shape))
    parts = [{y: unit[i:i + ROWS]} if y.node is None else sweep_rows(y, unit[i:i + ROWS])
             for i in range(0, y.size, ROWS)]

    def block(x):
        rows = [part[x] for part in parts if x in part]
        if not rows:
            return np.zeros(y.shape + x.shape, x.dtype)
        return np.reshape(np.concatenate(rows) if len(rows) > 1 else rows[0], y.shape + x.shape)
    return [block(x) for x in ins]


def _columns(f, xs, outs, ins):
    """The same by forward mode, one element of a variable at a time."""
    columns = [[] for _ in ins]
    for a, x in enumerate(ins):
        for i in range(x.size):
            units = [np.zeros(v.shape, v.dtype) for v in ins]
            units[a].flat[i] = 1
            columns[a].append(_leaves(jvp(f, xs, _form(xs, units))[1]))
    return [[_stacked([column[k] for column in columns[a]], out.shape + x.shape, x.dtype)
             for a, x in enumerate(ins)] for k, out in enumerate(outs)]


def _stacked(columns, shape, dtype):
    if not columns:
        return np.zeros(shape, dtype)
    y = np.reshape(np.stack(columns, -1), shape)
    return y if y.dtype == dtype else astype(y, dtype)

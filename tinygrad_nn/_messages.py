"""The sentences of the engine's errors: what was wrong, where, and what to write instead."""

import operator

import numpy as np

from ._errors import NoRuleError, ShapeError


def name_of(fn):
    """The name by which a person calls ``fn``: np.add, np.linalg.norm, relu."""
    name = getattr(fn, "__name__", repr(fn)).lstrip("_")
    if isinstance(fn, np.ufunc):
        return f"np.{name}"
    if isinstance(getattr(fn, "__self__", None), np.ufunc):
        return f"np.{fn.__self__.__name__}.{name}"
    module = getattr(fn, "__module__", None) or ""
    if hasattr(fn, "__objclass__") or module.startswith("numpy.random"):
        return fn.__qualname__
    return module.replace("numpy", "np", 1) + "." + name if module.startswith("numpy") else name


def line_of(n):
    """File and line where the operation of a node was recorded, as far as it was noted."""
    code = getattr(n, "code", None)
    if code is None:
        return "a place that was not noted"
    line = next((line for start, end, line in code.co_lines() if start <= n.lasti < end), "?")
    return f"{code.co_filename}, line {line}"


def whole(what, n, least=1):
    """``n`` as an int, at least ``least``, or an error."""
    try:
        n = operator.index(n)
    except TypeError:
        raise TypeError(f"{what} must be a whole number, got {n!r}") from None
    if n < least:
        raise ValueError(f"{what} must be at least {least}, got {n}")
    return n


def no_rule(fn, top=None):
    """Raise for a function that the table does not know, called with the Tensor ``top``."""
    got = f" (called with a Tensor of shape {top.shape})" if top is not None else ""
    raise NoRuleError(
        f"{name_of(fn)} has no derivative rule{got}. Pass .data where no gradient is needed, "
        "write it with functions that have one, or add a rule: see tinygrad_nn.rules")


def no_out(fn, out, args):
    """The sentence for ``out=``, and for ``array += tensor``, which NumPy turns into it."""
    out = out[0] if isinstance(out, tuple) else out
    if len(args) == 2 and out is args[0] and isinstance(out, np.ndarray):
        return (f"an ndarray cannot be updated in place with a Tensor ({name_of(fn)}), its "
                "gradient would be lost: write a = a + t instead of a += t")
    return (f"{name_of(fn)} with out= would write behind the graph's back: use its result, "
            f"y = {name_of(fn)}(...)")


def not_real(fn, dtype):
    """Raise for a result that is not real and floating."""
    raise NoRuleError(f"{name_of(fn)} gave {dtype} values: derivatives are of real floating "
                      "numbers only, pass .data where no gradient is needed")


def explain(fn, values, error):
    """The ShapeError for a ValueError of a ufunc of two arrays; any other error as it is."""
    if isinstance(error, ShapeError) or not isinstance(fn, np.ufunc) or len(values) != 2 or (
            fn.signature and fn is not np.matmul):
        return error
    a, b = map(np.shape, values)
    head = f"{name_of(fn)}: shapes {a} and {b}"
    if fn is np.matmul:
        if not a or not b:
            return ShapeError(f"{head}: neither may be 0-d, use * for a product with a number")
        inner = max(len(b) - 2, 0)
        if a[-1] != b[inner]:
            return ShapeError(f"{head} do not multiply: axis {len(a) - 1} of the first is "
                              f"{a[-1]}, axis {inner} of the second is {b[inner]}")
    batch = 2 if fn is np.matmul else 0
    for i in range(1 + batch, 1 + min(len(a), len(b))):
        if a[-i] != b[-i] and 1 not in (a[-i], b[-i]):
            return ShapeError(f"{head} do not broadcast: axis {len(a) - i} of the first is "
                              f"{a[-i]}, axis {len(b) - i} of the second is {b[-i]}")
    return error

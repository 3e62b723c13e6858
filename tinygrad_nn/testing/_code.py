"""Values as code that can be pasted after ``import numpy as np, tinygrad_nn as tn``.

What a person reads of a counterexample is this text, so it is short: floats as few digits as
give them back, no dtype where NumPy finds it by itself, the layout only where it is not plain.
"""

import sys

import numpy as np
from hypothesis.vendor import pretty

from .._messages import name_of
from .._tensor import Tensor

LAYOUTS = ("C", "F", "strided", "negative", "read-only")


def laid_out(x, layout):
    """An array equal to ``x`` that lies in memory in another way.

    "C": contiguous, a copy; "F": Fortran order; "strided": every second element of a wider
    array; "negative": the last axis backwards; "read-only": not writeable. A 0-d array is
    "strided" or "negative" as a view into a larger one.

    >>> import numpy as np, tinygrad_nn as tn
    >>> tn.testing.laid_out(np.array([0.25, -0.75]), "negative").strides
    (-8,)
    """
    if layout not in LAYOUTS:
        raise ValueError(f"layout={layout!r}: expected one of {', '.join(LAYOUTS)}")
    x = np.array(x, order="F" if layout == "F" else "C")
    if layout == "read-only":
        x.flags.writeable = False
    if layout not in ("strided", "negative"):
        return x
    if x.ndim == 0:
        return np.stack([x, x])[1:].reshape(())
    if layout == "negative":
        return np.ascontiguousarray(x[..., ::-1])[..., ::-1]
    wide = np.zeros((*x.shape[:-1], 2 * x.shape[-1]), x.dtype)
    wide[..., ::2] = x
    return wide[..., ::2]


def layout_of(x):
    """The name of the layout of an array, "C" where the difference cannot be seen."""
    if not x.flags.writeable:
        return "read-only"
    if x.ndim == 0 and x.base is not None and x.base.size > 1:
        return "strided"
    if x.flags.c_contiguous:
        return "C"
    if x.flags.f_contiguous:
        return "F"
    return "negative" if x.strides[-1] < 0 else "strided"


def code(x):
    """An expression whose value is ``x``: arrays with their layout, Tensors, lists, tuples,
    dicts, NumPy's numbers, types and functions, and whatever has a repr that is code.

    >>> import numpy as np, tinygrad_nn as tn
    >>> tn.testing.code({"w": np.array([0.25, -0.0], np.float32)})
    "{'w': np.array([0.25, -0.0], 'float32')}"
    """
    if isinstance(x, np.ndarray):
        layout = layout_of(x)
        text = _array(x)
        return text if layout == "C" else f"tn.testing.laid_out({text}, {layout!r})"
    if type(x) is dict:
        return "{" + ", ".join(f"{k!r}: {code(v)}" for k, v in x.items()) + "}"
    if type(x) is list:
        return f"[{', '.join(map(code, x))}]"
    if type(x) is tuple:
        return f"({', '.join(map(code, x))}{',' * (len(x) == 1)})"
    if isinstance(x, Tensor):
        return f"tn.Tensor({code(x.data)})"
    if isinstance(x, np.generic):
        return f"np.{type(x).__name__}({_number(x)})"
    if isinstance(x, float):
        return _number(x)
    if isinstance(x, type) and issubclass(x, np.generic):
        return f"np.{x.__name__}"
    return public_name(x) if callable(x) else repr(x)


def public_name(fn):
    """What a person calls ``fn``: np.exp, tn.relu, tn.testing.laid_out, cube."""
    name = name_of(fn)
    if (getattr(fn, "__module__", None) or "").startswith("tinygrad_nn") and "." not in name:
        return f"tn.{name}"
    return name


def defined(fn):
    """(lines, name): code by which another session has ``fn``, and the name that it gets."""
    name, module = public_name(fn), getattr(fn, "__module__", None)
    if name.startswith(("np.", "tn.")):
        return [], name
    if getattr(sys.modules.get(module), name, None) is fn and module != "__main__":
        return [f"from {module} import {name}"], name
    return [f"# {name}: the function that was checked"], name


def _array(x):
    plain = np.array(0.0 if x.ndim == 0 else [0.0]).dtype == x.dtype
    dtype = "" if plain else f", {str(x.dtype)!r}"
    if x.size == 0:
        return f"np.zeros({x.shape}{dtype})"
    return f"np.array({_nested(x)}{dtype})"


def _nested(x):
    return _number(x[()]) if x.ndim == 0 else f"[{', '.join(map(_nested, map(np.asarray, x)))}]"


def _number(x):
    text = str(x)
    return f"np.{text}" if text in ("nan", "inf") else "-np.inf" if text == "-inf" else text


# hypothesis prints a failing example with its own pretty-printer: arrays as code there as well
pretty.for_type_by_name("numpy", "ndarray", lambda x, p, cycle: p.text(code(x)))

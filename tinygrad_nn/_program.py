"""A traced function as data: equations on named values, that passes rewrite and people read.

`Equation` and `Var` are those of `_symbol`. A program is never changed: what rewrites it makes
a new one.
"""

from dataclasses import dataclass, replace

import numpy as np

from ._messages import name_of
from ._symbol import Var, mapped

SHORT = 4                       # elements of a constant array that are printed


@dataclass(frozen=True, eq=False)
class Program:
    """``inputs``: {variable: name}; ``outputs``: pairs (name, variable or constant). Names tell
    where the arrays come from and go to: "x", "model.0.weight", "return"."""

    inputs: dict
    equations: tuple
    outputs: tuple

    def with_(self, **changes):
        """This program with other ``inputs``, ``equations`` or ``outputs``."""
        return replace(self, **changes)

    def __len__(self):
        return len(self.equations)

    def __str__(self):
        names = dict(self.inputs)
        for e in self.equations:
            for v in e.outs:
                names[v] = f"v{len(names) - len(self.inputs) + 1}"
        lines = ["inputs"]
        lines += [f"    {name} {form(v)}" for v, name in self.inputs.items()]
        lines.append("equations")
        for e in self.equations:
            outs = ", ".join(f"{names[v]} {form(v)}" for v in e.outs)
            lines.append(f"    {'lazy ' * e.lazy}{outs} = {call_text(e, names)}")
        lines.append("outputs")
        lines += [f"    {name} = {text(v, names)}" for name, v in self.outputs]
        return "\n".join(lines)


def uses(equation):
    """The variables that an equation reads, each once, in order."""
    return variables((equation.args, equation.kwargs))


def variables(tree):
    """The variables in nested lists, tuples and dicts, each once, in order."""
    found = {}
    mapped(lambda v: found.setdefault(v) if isinstance(v, Var) else None, tree)
    return list(found)


def replaced(tree, names):
    """The same nested lists, tuples and dicts with what ``names`` has in the places of
    variables."""
    return mapped(lambda v: names.get(v, v) if isinstance(v, Var) else v, tree)


def renamed(equation, names):
    """The equation with the variables (and constants) of ``names`` in their places."""
    if not any(v in names for v in uses(equation)):
        return equation
    args, kwargs, bases = replaced((equation.args, equation.kwargs, equation.bases), names)
    bases = tuple(v if isinstance(v, Var) else None for v in bases)
    return replace(equation, args=args, kwargs=kwargs, bases=bases)


def substituted(program, names):
    """The program with variables replaced by others or by constants, chains followed."""
    def end(v):
        while isinstance(v, Var) and v in names:
            v = names[v]
        return v
    ends = {v: end(v) for v in names}
    return program.with_(
        equations=tuple(renamed(e, ends) for e in program.equations),
        outputs=replaced(program.outputs, ends))


def contiguous(v):
    """Whether the elements of ``v`` lie one after the other, its last axis innermost."""
    step = v.dtype.itemsize
    for n, s in zip(reversed(v.shape), reversed(v.strides or ()), strict=True):
        if n != 1 and s != step:
            return False
        step *= n
    return True


# ---------------------------------------------------------------- text

def form(v):
    """Dtype and shape of a variable in short, as f4[3, 2]."""
    if v.shape is None:
        return "generator"
    return f"{v.dtype.str[1:]}{list(v.shape)}"


def call_text(equation, names):
    """The right side of an equation, as one would write it."""
    args = [text(a, names) for a in equation.args]
    args += [f"{k}={text(v, names)}" for k, v in equation.kwargs.items()]
    return f"{name_of(equation.fn)}({', '.join(args)})"


def text(value, names=()):
    """A variable by its name, a constant as one would write it, a long one as its form."""
    if isinstance(value, Var):
        return names[value] if value in names else form(value)
    if isinstance(value, (np.ndarray, np.generic)):
        if value.size > SHORT:
            return f"constant {value.dtype.str[1:]}{list(value.shape)}"
        return f"{value.tolist()} {value.dtype.str[1:]}"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k!r}: {text(v, names)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(text(v, names) for v in value) + "]"
    if isinstance(value, tuple):
        return "(" + ", ".join(text(v, names) for v in value) + (",)" if len(value) == 1
                                                                 else ")")
    if isinstance(value, slice):
        parts = ["" if p is None else text(p, names)
                 for p in (value.start, value.stop, value.step)]
        return ":".join(parts[:2] if value.step is None else parts)
    if value is Ellipsis:
        return "..."
    if isinstance(value, type):
        return value.__name__
    return name_of(value) if callable(value) else str(value) if isinstance(
        value, np.dtype) else repr(value)

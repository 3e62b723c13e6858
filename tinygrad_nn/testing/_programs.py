"""Random small programs: a few operations of the table on values that lie in their domains.

What is drawn is text, and what is run is that text, so a counterexample is its own source. A
step of the drawing is a function, a way to call it and a choice of values, all independent of
the steps before it; it is given a meaning when the program is put together: values that fit are
used, else a new input is drawn. So hypothesis can leave out any step.
"""

import sys
import textwrap
import warnings

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

from ._arrays import as_strategy, broadcastable
from ._code import code, public_name
from ._matrices import fill
from ._specs import BROADCAST, ROWS
from ._values import BOUNDS, Pool

NAMES = {"np": np, "tn": sys.modules[__name__.partition(".")[0]]}
LARGE, MANY = 1e3, 64           # larger values and more elements are not computed with
TEXTS = [  # (text, shapes of the inputs that it is given when no value fits)
    ("{0} + {1}", BROADCAST), ("{0} * {1}", BROADCAST), ("{0} - {0} * {1}", BROADCAST),
    ("np.where({0} > {1}, {0}, {1})", BROADCAST), ("np.where({0} > 0, {0}, 0.1 * {0})", None),
    ("np.select([{0} > {1}, {0} > 0], [{0}, {1}], 2.0)", BROADCAST), ("{0} ** 2", None),
    ("{0} @ {1}", [((2, 3), (3,)), ((2, 3), (3, 2)), ((2, 2, 3), (3, 2))]),
    ("{0}[0]", [((2,),), ((2, 3),)]), ("{0}[..., ::-1]", [((2,),), ((2, 3),)]),
    ("{0}[..., None]", None), ("{0}.T", None), ("{0}.sum(-1)", [((2, 3),)]),
    ("np.reshape({0}, -1)", None), ("np.clip({0}, -1.0, 1.0)", None),
    ("np.stack([{0}, {1}])", [((2,), (2,)), ((), ())]), ("np.tile({0}, 2)", None),
    ("np.concatenate([{0}, {1}])", [((2,), (3,)), ((1, 2), (2, 2))]),
    ("np.vstack([{0}, {1}])", [((2,), (2,)), ((1, 2), (2,))]),
    ("np.hstack([{0}, {1}])", [((2,), (3,)), ((2, 1), (2, 2))]),
    ("np.split({0}, 2)[1]", [((2,),), ((4, 2),)]), ("np.array_split({0}, 2)[0]", [((3,),)]),
    ("np.einsum('ij,jk->ik', {0}, {1})", [((2, 3), (3, 2))]),
    ("np.convolve({0}, {1})", [((3,), (2,))]),
    ("np.linalg.solve(2.0 * np.eye(2) + 0.1 * np.tanh({0}), {1})", [((2, 2), (2,))]),
    ("np.linalg.inv(2.0 * np.eye(2) + 0.1 * np.tanh({0}))", [((2, 2),)]),
    ("np.linalg.cholesky(np.eye(2) + {0} @ {0}.T)", [((2, 2),), ((2, 3),)]),
    ("np.linalg.eigvalsh(np.diag([0.0, 4.0]) + 0.1 * np.tanh({0}))", [((2, 2),)]),
    ("np.piecewise({0}, [{0} > 0], [np.sin, np.exp])", [((3,),)]),
]


class Program:
    """A function made of text, with inputs to call it with.

    ``program(*program.inputs)`` runs it. Its repr makes the same program again, its ``str`` is
    the function as one would write it; ``np`` and ``tn`` are known to the text.

    >>> import numpy as np, tinygrad_nn as tn
    >>> p = tn.testing.Program("return np.exp(x0) * x0", x0=np.array([0.25]))
    >>> p
    tn.testing.Program('return np.exp(x0) * x0', x0=np.array([0.25]))
    >>> print(p)
    def program(x0):
        return np.exp(x0) * x0
    >>> tn.grad(lambda x: p(x).sum())(*p.inputs)
    array([1.60503177])
    """

    def __init__(self, text, **inputs):
        self.text, self.inputs, self._names = text, tuple(inputs.values()), tuple(inputs)
        found = {**NAMES, "__name__": "program"}
        exec(compile(str(self), "the program", "exec"), found)
        self._run = found["program"]

    def __call__(self, *inputs):
        return self._run(*inputs)

    def __str__(self):
        return f"def program({', '.join(self._names)}):\n{textwrap.indent(self.text, '    ')}"

    def __repr__(self):
        inputs = "".join(f", {name}={code(x)}"
                         for name, x in zip(self._names, self.inputs, strict=True))
        lines = self.text.split("\n")
        text = repr(self.text) if len(lines) == 1 else "(" + "\n    ".join(
            ["", *(repr(line + "\n") for line in lines[:-1]), repr(lines[-1])]) + ")"
        return f"tn.testing.Program({text}{inputs})"


class Operation:
    """A way to call a function: its text, and domains and shapes of what it may be given."""

    def __init__(self, text, domains, shapes):
        self.text, self.domains, self.shapes = text, domains, shapes


def _operations():
    """Every function of the table that has a public name, with the ways to call it."""
    found = {}
    for row in ROWS:
        name = public_name(row.fn)
        if row.kwargs is None or not _is_public(name, row.fn):
            continue
        places = [f"{{{k}}}" for k in range(len(row.domains))]
        words = [f"{k}={code(v)}".replace("{", "{{").replace("}", "}}")
                 for k, v in row.kwargs.items()]
        text = f"{name}({', '.join(places + words)})"
        shapes = row.shapes if row.shapes == BROADCAST else [
            s for s in row.shapes if all(map(np.prod, s))]              # none is empty
        if shapes:
            found.setdefault(name, []).append(Operation(text, row.domains, shapes))
    for text, shapes in TEXTS:
        n = 1 + ("{1}" in text)
        found[text] = [Operation(text, ("real",) * n, shapes or [((3,),), ((),), ((2, 2),)])]
    return list(found.values())


def _is_public(name, fn):
    try:
        return eval(name, dict(NAMES)) is fn
    except (AttributeError, NameError, SyntaxError):
        return False


_OPERATIONS = _operations()


# ---------------------------------------------------------------- drawing

class _Building:
    """A program while it is drawn: its inputs, and its steps with the values that they have."""

    def __init__(self, draw, dtype):
        self.draw, self.pool = draw, Pool(draw, dtype, False)
        self.inputs, self.steps, self.values, self.used = {}, {}, {}, set()

    def add(self, operation, choices):
        """Add a step: on values that are there if that goes well, else on new inputs."""
        chosen = [self._choose(domain, k)
                  for domain, k in zip(operation.domains, choices, strict=False)]
        if not (any(chosen) and self._step(operation, chosen, choices[-1])):
            self._step(operation, [None] * len(chosen), choices[-1])

    def _choose(self, domain, k):
        """The name of the k-th last value, or None: now and then, or if no value is there, or
        it is not inside the domain."""
        names = list(self.values)
        if k >= 6 or not names or domain not in BOUNDS:
            return None
        name, (low, high) = names[-1 - k % len(names)], BOUNDS[domain]
        x = self.values[name]
        return name if domain == "real" or np.all((low <= x) & (x <= high)) else None

    def _step(self, operation, names, item):
        """Add an operation on the named values, new inputs for None; whether it could be."""
        shapes = self._shapes(operation.shapes, names)
        if shapes is None:
            return False
        new = {}
        for k, name in enumerate(names):
            if name is None:
                names[k] = f"x{len(self.inputs) + len(new)}"
                new[names[k]] = fill(self.pool, operation.domains[k], shapes[k])
        text, y = _evaluated(operation.text.format(*names), {**self.values, **new}, item)
        if y is None:
            return False
        self.inputs.update(new)
        self.used.update(names)
        name = f"v{len(self.steps)}"
        self.steps[name], self.values = text, {**self.values, **new, name: y}
        return True

    def _shapes(self, shapes, names):
        """Shapes for the arguments, given those of the named values; None if none fit."""
        known = [None if n is None else np.shape(self.values[n]) for n in names]
        if None not in known:
            return known                            # NumPy will say whether they fit
        if shapes != BROADCAST:
            fitting = [s for s in shapes
                       if all(a in (None, b) for a, b in zip(known, s, strict=True))]
            # twice, so that one option is a choice too: fewer choices would count as simpler
            return self.draw(st.sampled_from(2 * fitting)) if fitting else None
        given = next((s for s in known if s is not None), None)
        if given is None:
            return self.draw(broadcastable(len(names), max_dims=2, empty=False))
        start = self.draw(st.integers(0, len(given)))
        return [given[start:] if s is None else s for s in known]

    def program(self):
        """What was built; it returns every value that it does not use itself."""
        lines = [f"{name} = {text}" for name, text in self.steps.items()]
        ends = [name for name in self.steps if name not in self.used]
        if len(ends) == 1:
            lines[-1] = lines[-1].replace(f"{ends[0]} =", "return", 1)
        else:
            lines.append(f"return {', '.join(ends)}")
        return Program("\n".join(lines), **self.inputs)


def _evaluated(text, values, item):
    """(text, value) of an expression, of one item if it gives several; None if it cannot be
    computed, or not computed with."""
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", DeprecationWarning)      # refused of Tensors
            y = eval(text, {**NAMES, **values})
    except (ValueError, TypeError, IndexError, ArithmeticError, DeprecationWarning):
        return text, None
    if isinstance(y, (tuple, list)):
        if not y:
            return text, None
        text, y = f"{text}[{item % len(y)}]", y[item % len(y)]
    good = (isinstance(y, (np.ndarray, np.floating)) and y.dtype.kind == "f"
            and 0 < y.size <= MANY and np.max(np.abs(y)) <= LARGE)      # False of a nan
    return text, y if good else None


@st.composite
def programs(draw, max_operations=8, dtype=np.float64):
    """A `Program` of 1 to ``max_operations`` operations: at its inputs each of them is within
    its domain and every value is finite.

    >>> from hypothesis import find
    >>> import tinygrad_nn as tn
    >>> find(tn.testing.programs(), lambda p: True)
    tn.testing.Program('return np.negative(x0)', x0=np.array(0.25))
    """
    steps = st.tuples(st.sampled_from(_OPERATIONS), st.integers(0, 63),
                      st.lists(st.integers(0, 7), min_size=3, max_size=3))
    building = _Building(draw, draw(as_strategy(dtype)))
    for ways, which, choices in draw(st.lists(steps, min_size=1, max_size=max_operations)):
        building.add(ways[which % len(ways)], choices)
    assume(building.steps)
    return building.program()

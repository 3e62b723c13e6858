"""Random small programs: a few operations of the table on values that lie in their domains.

What comes out is text, and what is run is that text, so a counterexample is its own source. A
step is drawn as a function and a few bytes that say all the rest: how it is called, of which
values, and with which new inputs where none fits. They get their meaning when the program is
put together; so hypothesis can leave out any step, and zeros say what is simplest.
"""

import sys
import textwrap
import warnings

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

from .._errors import NoRuleError
from .._tensor import Tensor
from ._arrays import as_strategy
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
    """Every function of the table that has a public name, with the ways to call it that do not
    jump at special points, where the values of a program may well lie."""
    found = {}
    for row in ROWS:
        name = public_name(row.fn)
        if row.kwargs is None or not row.special or not _is_public(name, row.fn):
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

SHAPES = [(), (2,), (2, 3), (1,), (2, 1), (3, 2)]      # of an array that other arrays fit to


class _Bytes:
    """What was drawn for a step, read from the front; there are zeros behind the end."""

    def __init__(self, data):
        self.data = data

    def __call__(self, n):
        taken, self.data = self.data[:n], self.data[n:]
        return taken.ljust(n, b"\0")

    def pick(self, options):
        """One of several options, the first one if all is 0."""
        return options[self(1)[0] % len(options)]


class _Building:
    """A program that is put together: its inputs, and its steps with the values they have."""

    def __init__(self, dtype):
        self.pool = Pool(None, dtype, False)
        self.inputs, self.steps, self.values, self.used = {}, {}, {}, set()

    def add(self, ways, read):
        """Add a step: on values that are there if that goes well, else on new inputs."""
        operation, self.pool.read = read.pick(ways), read
        chosen = [self._choose(domain, read(1)[0]) for domain in operation.domains]
        if not (any(chosen) and self._step(operation, chosen, read)):
            self._step(operation, [None] * len(chosen), read)

    def _choose(self, domain, k):
        """The name of a value, the last one for 0, or None: for one k in four, or if no value
        is there, or it is not inside the domain."""
        names = list(self.values)
        if k >= 192 or not names or domain not in BOUNDS:
            return None
        name, (low, high) = names[-1 - k % len(names)], BOUNDS[domain]
        x = self.values[name]
        return name if domain == "real" or np.all((low <= x) & (x <= high)) else None

    def _step(self, operation, names, read):
        """Add an operation on the named values, new inputs for None; whether it could be."""
        shapes = self._shapes(operation.shapes, names, read)
        if shapes is None:
            return False
        new = {}
        for k, name in enumerate(names):
            if name is None:
                names[k] = f"x{len(self.inputs) + len(new)}"
                new[names[k]] = fill(self.pool, operation.domains[k], shapes[k])
        used = {name: new[name] if name in new else self.values[name] for name in names}
        text, y = _evaluated(operation.text.format(*names), used, read)
        if y is None:
            return False
        self.inputs.update(new)
        self.used.update(names)
        name = f"v{len(self.steps)}"
        self.steps[name], self.values = text, {**self.values, **new, name: y}
        return True

    def _shapes(self, shapes, names, read):
        """Shapes for the arguments, given those of the named values; None if none fit."""
        known = [None if n is None else np.shape(self.values[n]) for n in names]
        if None not in known:
            return known                            # NumPy will say whether they fit
        if shapes != BROADCAST:
            fitting = [s for s in shapes
                       if all(a in (None, b) for a, b in zip(known, s, strict=True))]
            return read.pick(fitting) if fitting else None
        whole = next((s for s in known if s is not None), None)
        if whole is None:
            whole = read.pick(SHAPES)
        parts = [whole[k:] for k in range(len(whole) + 1)]
        return [read.pick(parts) if s is None else s for s in known]

    def program(self):
        """What was built; it returns every value that it does not use itself."""
        lines = [f"{name} = {text}" for name, text in self.steps.items()]
        ends = [name for name in self.steps if name not in self.used]
        if len(ends) == 1:
            lines[-1] = lines[-1].replace(f"{ends[0]} =", "return", 1)
        else:
            lines.append(f"return {', '.join(ends)}")
        return Program("\n".join(lines), **self.inputs)


def _evaluated(text, values, read):
    """(text, value) of an expression, of one item if it gives several; None if it cannot be
    computed, or not computed with, or Tensors refuse it."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", DeprecationWarning)          # Tensors refuse what is so
        try:
            y = eval(text, {**NAMES, **values})
        except Exception:                           # NumPy refuses in many ways
            return text, None
        try:
            eval(text, {**NAMES, **{name: Tensor(v) for name, v in values.items()}})
        except (NoRuleError, ValueError):
            return text, None
        except Exception:                           # a mistake of ours, for a test to find
            pass
    if isinstance(y, (tuple, list)):
        if not y:
            return text, None
        k = read(1)[0] % len(y)
        text, y = f"{text}[{k}]", y[k]
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
    building = _Building(draw(as_strategy(dtype)))
    for ways, data in draw(st.lists(_STEPS, min_size=1, max_size=max_operations)):
        building.add(ways, _Bytes(data))
    assume(building.steps)
    return building.program()


_STEPS = st.tuples(st.sampled_from(_OPERATIONS), st.binary(min_size=48, max_size=48))

"""Source of a program: a Python function of straight-line NumPy calls, each into its block.

What never changes is bound once: blocks, the views of them, constants, functions. Numbers are
computed as NumPy's scalars, with Python's operators where these give the same bits.
"""

import math
import types

import numpy as np

from .._core import astype, getitem
from .._graph import finite, guarded
from .._later import alone
from .._program import replaced, uses, variables
from .._symbol import Var
from ._forms import OPERATORS, form_of
from ._memory import extent, plan

LINE = 64                       # bytes of a cache line, where blocks begin
METHODS = {np.transpose: "transpose", np.swapaxes: "swapaxes", np.squeeze: "squeeze",
           np.reshape: "reshape", getitem: ""}          # ten times as fast as the functions
KEPT = 1 << 12                  # bytes of an array made in the call that need not be freed
LARGE = 1 << 18                 # elements that take longer to look at than some small calls


class Returned:
    """Arrays like ``v`` for what calls return: the one of the call before, if nobody holds it
    or a view of it any more: fresh memory can cost as much as the arithmetic (M4 of the
    benchmarks: 9.0 ms without, 4.9 with)."""

    def __init__(self, v):
        self.v, self.made = v, []

    def __call__(self):
        if not (self.made and alone(self.made, 0)):
            self.made = [np.ndarray(self.v.shape, self.v.dtype, None, 0, self.v.strides)]
        return self.made[0]


class Writer:
    """Writes the function of a program.

    ``function()`` gives ``run(values, targets)``: the inputs in their order, and for each
    target of the plan the array that it goes into; it returns the outputs in their order.
    """

    def __init__(self, program, into=False):
        self.program, self.plan = program, plan(program, into)
        self.env, self.bound, self.names, self.static = {}, {}, {}, {}
        self.lines = []
        blocks = [_block(n) for n in self.plan.sizes]
        for v, b in self.plan.block.items():
            self._bind_static(v, np.ndarray(v.shape, v.dtype, blocks[b], 0, v.strides))

    def function(self, inputs=None):
        """The function; ``source`` is its text afterwards. ``inputs``: those of the program and
        any others, in the order of ``values``."""
        values = self._named(inputs or self.program.inputs, "i")
        targets = self._named(self.plan.targets, "t")
        for v in self.program.inputs:
            if v.shape == ():
                self.lines.append(f"{self.names[v]} = {self.names[v]}[()]")
        ends = {}
        for root, i in self.plan.last.items():
            ends.setdefault(i, []).append(root)
        for i, e in enumerate(self.program.equations):
            if not e.lazy:
                self._equation(e)
                self._free(e, ends.get(i, ()))
        outputs = [self._output(v) for _, v in self.program.outputs]
        head = [f"{', '.join(names)}, = {tuple_name}" for names, tuple_name in (
            (values, "values"), (targets, "targets")) if names]
        body = [*head, *self.lines, f"return [{', '.join(outputs)}]"]
        self.source = "def run(values, targets):\n" + "".join(f"    {x}\n" for x in body)
        exec(self.source, self.env)
        return self.env["run"]

    # ------------------------------------------------------------ names

    def _named(self, variables, letter):
        for k, v in enumerate(variables):
            self.names[v] = f"{letter}{k}"
        return [self.names[v] for v in variables]

    def bind(self, value):
        """A name for an object."""
        if id(value) not in self.bound:
            self.bound[id(value)] = f"c{len(self.bound)}"
            self.env[self.bound[id(value)]] = value
        return self.bound[id(value)]

    def _bind_static(self, v, array):
        self.static[v] = array
        self.names[v] = self.bind(array)

    def ref(self, value):
        """Source of a value: a variable, a constant, or a structure of them."""
        if isinstance(value, Var):
            return self.names[value]
        if value is None or type(value) in (bool, int, str) or (
                type(value) is float and math.isfinite(value)):
            return repr(value)
        if not variables(value):
            return self.bind(value)
        if isinstance(value, dict):
            return "{" + ", ".join(f"{k!r}: {self.ref(v)}" for k, v in value.items()) + "}"
        items = "".join(f"{self.ref(v)}, " for v in value)
        return f"[{items}]" if isinstance(value, list) else f"({items})"

    def operands(self, e):
        """Sources of the arguments of a ufunc; numbers as arrays of the dtype that they take on
        beside floating arrays, which saves NumPy half a microsecond. (np.float_power computes
        in float64 whatever these are.)"""
        floats = {v.dtype for v in uses(e)}
        dtype = floats.pop() if len(floats) == 1 else None
        if dtype is None or dtype.kind != "f" or e.fn in (np.ldexp, np.float_power):
            return [self.ref(a) for a in e.args]
        return [self.bind(np.array(a, dtype)) if type(a) in (int, float) and abs(a) < 2 ** 24
                else self.ref(a) for a in e.args]

    def bits(self, v, name=None):
        """Source of an array as integers of the same size."""
        integers = f"i{v.dtype.itemsize}"
        if v in self.static:
            return self.bind(self.static[v].view(integers))
        return f"{name or self.names[v]}.view({integers!r})"

    # ------------------------------------------------------------ equations

    def _equation(self, e):
        form, out = form_of(e), e.outs[0]
        if e.fn is guarded and isinstance(e.args[0], Var):
            self._guard(e)
        elif self._is_static_view(e):
            pass
        elif form and e.several:
            self._several(e, form)
        elif form and self.plan.root[out] is out and (out in self.static
                                                      or out in self.plan.targets):
            self.lines.append(form.source(e, self.names[out], self))
        else:
            names = ", ".join(self._local(v) for v in e.outs)
            self.lines.append(f"{names}{',' * bool(e.several)} = {self._call(e)}")

    def _several(self, e, form):
        for v in e.outs:
            if v not in self.names:                     # what is returned
                self.lines.append(f"{self._local(v)} = {self.bind(Returned(v))}()")
        self.lines.append(form.source(e, [self.names[v] for v in e.outs], self))

    def _local(self, v):
        self.names[v] = f"v{len(self.names)}"
        return self.names[v]

    def _is_static_view(self, e):
        """Whether all results are views of blocks, which are then made now."""
        arrays = uses(e)
        if not (all(e.bases) and all(v in self.static for v in arrays)):
            return False
        args, kwargs = replaced((e.args, e.kwargs), self.static)
        found = e.fn(*args, **kwargs)
        found = list(found) if e.several else [found]
        for v, base, array in zip(e.outs, e.bases, found, strict=True):
            if array.strides != v.strides or not np.may_share_memory(array, self.static[base]):
                return False
        for v, array in zip(e.outs, found, strict=True):
            self._bind_static(v, array)
        return True

    def _call(self, e):
        """Source of a call that makes its result."""
        plain = e.kwargs.keys() <= {"shape", "axes", "axis", "index"} and not (
            e.fn is np.reshape and len(e.args) > 2)             # an order
        if e.fn in METHODS and plain and isinstance(e.args[0], Var) and e.args[0].shape != ():
            x, *rest = map(self.ref, (*e.args, *e.kwargs.values()))
            return f"{x}[{rest[0]}]" if e.fn is getitem else (
                f"{x}.{METHODS[e.fn]}({', '.join(rest)})")
        args = list(map(self.ref, e.args))
        number = not e.several and e.outs[0].shape == ()
        if number and not e.kwargs and e.fn in OPERATORS and any(
                isinstance(a, Var) for a in e.args):
            return f"{args[0]} {OPERATORS[e.fn]} {args[1]}"
        if number and e.fn is astype and e.args[0].dtype.kind == "f":
            return f"{self.bind(e.outs[0].dtype.type)}({args[0]})"
        args += [f"{k}={self.ref(v)}" for k, v in e.kwargs.items()]
        fn = e.fn.__wrapped__ if _is_primitive(e.fn) else e.fn
        return f"{self.bind(fn)}({', '.join(args)})"

    def _guard(self, e):
        """``d`` as it is if it is finite, else with the zeros of the mask, made only then."""
        d, mask = e.args
        out, late = e.outs[0], self.plan.late[e]
        if self._is_quicker_made(late, mask, d):
            late, mask = late[:-1], late[-1].args[0]
            test = made = self._mask(late, mask)
        else:
            test, made = self._finite(d), self._mask(late, mask)
        if e in self.plan.repaired and d.shape:
            self.names[out] = self.names[d]
            if d in self.static:
                self.static[out] = self.static[d]
            repair = self.bind(_repair)
            self.lines.append(f"if not {test}: {repair}({self.names[d]}, {made})")
        else:
            before, where = self.names[d], self.bind(guarded)
            self.lines.append(f"{self._local(out)} = {before} if {test} else "
                              f"{where}({before}, {made})")

    def _mask(self, late, mask):
        """Source of a call that makes a mask by its lazy equations."""
        inputs = list(dict.fromkeys(v for step in late for v in uses(step)
                                    if v in self.names))
        name = self.bind(_mask_of(late, mask, inputs))
        return f"{name}({', '.join(self.names[v] for v in inputs)})"

    def _is_quicker_made(self, late, mask, d):
        """Whether a mask is one number, all or nothing, made of arrays much smaller than ``d``:
        then one asks it first and need not look through all of d."""
        return bool(late) and late[-1].fn is np.broadcast_to and late[-1].outs[0] is mask and (
            d.size > LARGE and d.size > 8 * sum(v.size for e in late[:-1] for v in e.outs))

    def _finite(self, d):
        """Source of whether all of ``d`` is finite; it may say no where squares overflow, then
        one looks again."""
        array = self.static.get(d)
        if array is None or d.dtype.char not in "fd" or not array.flags.c_contiguous:
            return f"{self.bind(finite)}({self.names[d]})"
        flat = array.reshape(-1)
        return f"{self.bind(math.isfinite)}({self.bind(flat.dot)}({self.bind(flat)}))"

    def _free(self, e, roots):
        """Let go of large arrays that were made in this call and are not read any more."""
        for root in roots:
            if root in self.plan.block or root in self.plan.targets or (
                    root in self.program.inputs or root not in self.names
                    or root.shape in ((), None) or extent(root) < KEPT):
                continue
            gone = [self.names[v] for v, r in self.plan.root.items()
                    if r is root and v in self.names]
            self.lines.append(" = ".join([*gone, "None"]))

    def _output(self, v):
        if isinstance(v, Var):
            return self.names[v] if v.shape != () or v.strides is None else (
                f"{self.bind(np.asarray)}({self.names[v]})")
        return f"{self.ref(v)}.copy()" if isinstance(v, np.ndarray) else self.ref(v)


def _block(size):
    """So many bytes that begin at a cache line."""
    memory = np.empty(size + LINE, np.uint8)
    return memory[-memory.ctypes.data % LINE:][:max(size, 1)]


def _is_primitive(fn):
    """Whether ``fn`` is one of this package, so that plain arrays may go straight into it."""
    return (isinstance(fn, types.FunctionType) and hasattr(fn, "__wrapped__")
            and fn.__module__.startswith("tinygrad_nn"))


def _repair(d, mask):
    """`guarded` in place."""
    if not finite(d):
        np.copyto(d, np.where(mask, d, 0.0), "unsafe")


def _mask_of(late, mask, inputs):
    """A function of ``inputs`` that runs the lazy equations of a mask."""
    def run(*values):
        known = dict(zip(inputs, values, strict=True))
        for e in late:
            args, kwargs = replaced((e.args, e.kwargs), known)
            out = e.fn(*args, **kwargs)
            known.update(zip(e.outs, out if e.several else (out,), strict=True))
        return replaced(mask, known)
    return run

"""A compiled program and the arrays of one set of objects: reading, running, writing back.

A program is made for places known by path; a link knows the objects. It writes over arrays
that nobody but their place holds, and into those that it wrote in earlier calls; what somebody
else holds, or a view of it, stays as it is. Who holds what, the reference counts tell.
"""

import numpy as np

from ._later import alone
from ._reach import same
from ._record import filled, sources
from ._symbol import Var, is_plain
from ._tensor import Tensor
from .passes._emit import Writer

MISS = object()                 # what `Link.run` gives for a call that is not its own


class Spec:
    """What was compiled for calls of one kind: a ``program`` with the ``function(values,
    targets)`` that runs it and its memory ``plan``.

    ``inputs``: {variable: path} of all that is read before it runs, in the order of the values;
    ``more``: variables of values that come after these. ``template``: the form of what is
    returned; ``settings``: [(path, value)] of constants to assign.
    """

    def __init__(self, program, inputs, template, settings, more=()):
        self.program, self.inputs, self.template = program, inputs, template
        self.settings, writer = settings, Writer(program)
        self.plan, self.function = writer.plan, writer.function([*inputs, *more])
        self.source = writer.source
        self.draws = any(e.effect for e in program.equations)


class Link:
    """A `Spec` bound to what `Reach` found."""

    def __init__(self, spec, reach, mode=False):
        self.spec, self.mode = spec, mode       # not the reach, which holds arrays of today
        self.paths = list(spec.inputs.values())
        # of each input: what was there last, the array of ours that is there, one that was
        self.last, self.own, self.spare = ([None] * len(self.paths) for _ in range(3))
        self.generators = [k for k, v in enumerate(spec.inputs) if v.shape is None]
        self.env = {**reach.env, "same": same, "fits": _fits, "last": self.last,
                    "asarray": np.asarray}
        self.number = {path: k for k, path in enumerate(self.paths)}
        self.load = self._function("load(args, kwargs)", self._loading(reach))
        self.store = self._function("store(args, kwargs, out)", self._storing(reach))
        known = ", ".join(f"{s!r}: {s}" for s in sources(spec.template))
        self.known = known and self._function("known(args, kwargs)", ["return {" + known + "}"])
        self.targets = [(self.number[spec.program.outputs[t.output][0]], t.inplace)
                        for t in spec.plan.targets.values()]

    def run(self, args, kwargs):
        """The result of a call, or MISS."""
        values = self.read(args, kwargs)
        return MISS if values is None else self.result(args, kwargs, self.compute(
            args, kwargs, values))

    def read(self, args, kwargs):
        """The inputs, or None where something is gone or not as it was compiled for."""
        try:
            return self.load(args, kwargs)
        except (KeyError, IndexError, AttributeError, ValueError):
            return None

    def compute(self, args, kwargs, values, more=()):
        """Run the program and leave what it changed where that belongs; the outputs."""
        draws = self.generators if self.spec.draws else ()
        before = [values[k].bit_generator.state for k in draws]
        targets = [self._target(values, k, inplace) for k, inplace in self.targets]
        try:
            with np.errstate(all="ignore"):
                out = self.spec.function([*values, *more] if more else values, targets)
        except BaseException:
            for k, state in zip(draws, before, strict=True):
                values[k].bit_generator.state = state
            raise
        self.store(args, kwargs, out)
        for k, inplace in self.targets:
            if not inplace and values[k] is self.own[k]:
                self.spare[k] = values[k]
            self.own[k] = self.last[k]
        return out

    def result(self, args, kwargs, out):
        """What the function returns, of the outputs."""
        return filled(self.spec.template, out, self.known(args, kwargs) if self.known else {})

    def _target(self, values, k, inplace):
        """Where the new value of input ``k`` goes: over the old one, into the one before, or
        into a new array."""
        if inplace:
            others = 2 + (values[k] is self.own[k])             # its place and `last`
            if values[k] is self.last[k] and alone(values, k, others):
                return values[k]
        elif self.spare[k] is not None and alone(self.spare, k):
            return self.spare[k]
        return np.empty_like(values[k])

    # ------------------------------------------------------------ generated functions

    def _function(self, head, lines):
        body = "".join(f"    {line}\n" for line in lines or ["pass"])
        exec(f"def {head}:\n{body}", self.env)
        return self.env[head.partition("(")[0]]

    def _loading(self, reach):
        lines = [f"if not ({check}): return None" for check in reach.checks]
        for k, (v, path) in enumerate(self.spec.inputs.items()):
            place, self.env[f"s{k}"] = reach.slots[path], v
            lines += [f"i{k} = {place.source}", f"if i{k} is not last[{k}]:",
                      f"    if not fits(i{k}, s{k}): return None"]
            if not place.source.startswith(("args", "kwargs")):
                lines.append(f"    last[{k}] = i{k}")
        return [*lines, f"return [{', '.join(f'i{k}' for k in range(len(self.paths)))}]"]

    def _storing(self, reach):
        lines = []
        for k, (path, v) in enumerate(self.spec.program.outputs):
            place = reach.slots.get(path) or reach.blank.get(path)
            if place is None:                                   # what is returned
                continue
            value = f"out[{k}]"
            if isinstance(place.holder, Tensor) and isinstance(v, Var) and v.shape == ():
                value = f"asarray({value})"
            if path in self.number and isinstance(v, Var):
                value = f"last[{self.number[path]}] = {value}"
            lines += self._assignment(place, value, f"p{k}")
        for k, (path, value) in enumerate(self.spec.settings):
            self.env[f"k{k}"] = value
            lines += self._assignment(reach.constants[path][0], f"k{k}", f"q{k}")
        return lines

    def _assignment(self, place, value, name):
        if not hasattr(place.holder, "get") or isinstance(place.holder, dict):
            lines = [f"{place.source} = {value}"]
        else:                                                   # a part of a tuple
            self.env[name] = place
            lines = [f"{name}.set({value.rpartition(' = ')[2]})"]
        if isinstance(place.holder, Tensor) and place.key == "_data":
            lines.append(f"{place.source.removesuffix('._data')}.version += 1")
        return lines


def _fits(value, v):
    """Whether a value is what variable ``v`` stands for."""
    if v.shape is None:
        return isinstance(value, np.random.Generator)
    return (is_plain(value) and value.shape == v.shape
            and value.dtype == v.dtype and value.strides == (v.strides or ()))

"""Recording a call: Symbols take the places of arrays, the call runs, what it did is a program.

All that the function can reach (`_reach`) is put back afterwards, with the values that the call
left there; if it raises, as it was before. What can wait (`_later`) is computed last, when
nothing can fail and this holds no array any more.
"""

from collections import deque
from contextvars import ContextVar
from dataclasses import dataclass, replace
from types import CellType

import numpy as np

from ._core import traced
from ._errors import DetachError, GraphError
from ._graph import COMPILED, Node, guarded
from ._later import Later, PatientTrace
from ._program import Program, uses
from ._reach import PLAIN, Reach, same
from ._symbol import Draws, Equation, Symbol, Var, is_plain, mapped, valued
from ._tensor import Tensor, new
from ._transforms import CONTAINERS, tree_map

GONE = object()                     # stands for what is not in its place any more
recording_now = ContextVar("recording_now", default=False)


class Recording:
    """One recorded call of what a `Reach` was made for.

    It uses the Reach up. ``program``; ``result``: what the call returned, ``template``: the
    same with a `Leaf` for each array; ``settings``: [(path, value)] of constants other than
    numbers that the call changed; ``strange``: a path where it put an array and where there was
    none before.
    """

    def __init__(self, function, reach):
        self.trace, self.reach, self.strange = PatientTrace(), reach, None
        self.inputs, self.outputs, self.known = {}, [], {}
        token = recording_now.set(True)
        try:
            for path, place in reach.slots.items():
                _refuse_subclass(path, place.get())
                self.inputs[path] = s = self.trace.stand_in(place.get())
                place.set(s)
                if isinstance(s, Draws):
                    reach.names_of[id(s)] = place.source
            self.template = self._template(function(*reach.args.get(), **reach.kwargs.get()))
            after = Reach(function, reach.args.get(), reach.kwargs.get(), reach.names)
            _refuse_graphs(after)
            updates = self._updates(after)
            self.settings = self._settings(after)
            self.program = self._program(updates)
        except BaseException:
            reach.restore()
            raise
        finally:
            recording_now.reset(token)
            self.trace.open = False
        waiting = self._put_back(after)
        self.result = filled(self.template, [valued(v) for v in self.outputs], self.known)
        del self.inputs, self.outputs, self.known, self.trace, self.reach, updates
        reach.forget()
        after.forget()
        for value, place in waiting:
            place.set(value.call.run(over=True)[value.number])

    def _template(self, v):
        """What was returned, with `Leaf`s for arrays and `Known`s for what was there before."""
        source = self.reach.names_of.get(id(v))
        if source is not None:
            self.known[source] = valued(v)
            return Known(source)
        if isinstance(v, dict):
            return {k: self._template(x) for k, x in v.items()}
        if isinstance(v, (list, tuple)):
            items = map(self._template, v)
            return type(v)(*items) if hasattr(v, "_fields") else type(v)(items)
        tensor = isinstance(v, Tensor) and not v.level and (v.node or traced(v._data))
        if tensor or isinstance(v, (Symbol, np.ndarray)):
            self.outputs.append(v._data if tensor else v)
            plan = v.node.plan if tensor and v.node else None
            return Leaf(len(self.outputs) - 1, bool(tensor), plan)
        if isinstance(v, tuple(CONTAINERS)):
            return Tree(tree_map(self._template, v))
        if _holds_symbols(v):
            raise GraphError(
                f"the function returned a {type(v).__name__}, and a compiled one can fill "
                "arrays into lists, tuples (named ones too), dicts and modules alone: return "
                "one of these")
        return v

    def _updates(self, after):
        """{path: Symbol, array or constant} that the call left where an array was."""
        updates = {}
        for path, place in after.slots.items():
            value = place.get()
            if value is not self.inputs.get(path) and not isinstance(value, Draws):
                if path in self.reach.slots or path in self.reach.blank:
                    updates[path] = value
                elif traced(value):
                    self.strange = path
        for path, place in self.reach.slots.items():
            value = _content(place)
            if path not in updates and isinstance(value, PLAIN):
                updates[path] = value
        return updates

    def _settings(self, after):
        changed = []
        for path, (_, old) in self.reach.constants.items():
            now = after.constants.get(path, (None, old))[1]
            if same(now, old):
                continue
            if isinstance(old, (int, float)) and not isinstance(old, bool):
                raise GraphError(
                    f"the function changed {path} from {old!r} to {now!r}, a Python number, "
                    "and a compiled function keeps only arrays up to date: start with "
                    f"np.array({old!r}) and assign a new array in the function, or count "
                    "outside of it")
            changed.append((path, now))
        return changed

    def _put_back(self, after):
        """Plain arrays and Generators in the places of what stood in for them; the pairs (what
        is computed later, place) that are left, where the old arrays stay so long."""
        waiting = []
        rest = Reach(_nothing, tuple(_found(self.template, Tree)))
        for slots in (after.slots, self.reach.slots, rest.slots):
            for place in slots.values():
                value = _content(place)
                if isinstance(value, Later) and value.call.results is None:
                    waiting.append((value, place))
                    place.set(value.old())
                elif isinstance(value, (Symbol, Draws)):
                    value = value._data
                    place.set(np.asarray(value) if isinstance(place.holder, Tensor) else value)
        return waiting

    def _program(self, updates):
        equations = _settled(self.trace.equations, [*self.outputs, *updates.values()])
        inputs = {s.var: path for path, s in self.inputs.items()}
        outputs = []
        for k, v in enumerate(self.outputs):
            new_one = _variable(v)
            if isinstance(v, Symbol) and v.var not in inputs and _root(v.var, equations) in (
                    inputs):                            # a view of what the caller can write to
                new_one = Var.of(np.copy(v._data))
                equations.append(Equation(np.copy, (v.var,), {}, (new_one,)))
            outputs.append((f"return {k}", new_one))
        outputs += [(path, _variable(v)) for path, v in updates.items()]
        return Program(inputs, tuple(equations), tuple(outputs))


def _holds_symbols(v):
    """Whether an object of another kind holds arrays of this call, or will make some later."""
    if hasattr(v, "__next__") or hasattr(v, "__await__"):
        return True
    parts = list(v) if isinstance(v, (set, frozenset, deque)) else [
        c.cell_contents for c in getattr(v, "__closure__", None) or () if c != CellType()]
    names = [*getattr(v, "__dict__", ()), *getattr(type(v), "__slots__", ())]
    parts += [getattr(v, name, None) for name in names]
    return any(isinstance(p, (Symbol, Draws)) or (isinstance(p, Tensor) and traced(p._data))
               for p in parts)


def _nothing(*args):
    pass


def _refuse_subclass(path, value):
    if isinstance(value, np.ndarray) and not is_plain(value):
        raise DetachError(f"{path} is a {type(value).__name__}, which has operations of its "
                          "own, and a compiled function computes with plain arrays: pass "
                          "np.asarray(x), or x.filled(0.0) of a masked one")


def _refuse_graphs(after):
    for path, t in after.computed.items():
        if traced(t._data):
            raise GraphError(f"the function left a computed Tensor in {path}, and its graph "
                             "ends with the call: keep the value alone, tn.stop_gradient(x)")


def _content(place):
    try:
        return place.get()
    except (KeyError, IndexError, AttributeError, ValueError):
        return GONE


def _variable(v):
    """What stands in a program for a value; of a constant array a copy, since the caller gets
    the array itself."""
    return v.var if isinstance(v, Symbol) else np.copy(v) if isinstance(v, np.ndarray) else v


def _root(v, equations):
    bases = {out: base for e in equations for out, base in zip(e.outs, e.bases, strict=True)}
    while bases.get(v) is not None:
        v = bases[v]
    return v


def _settled(equations, outputs):
    """The equations; those count as lazy that nothing but the masks of guards needs."""
    needed, kept = {v.var for v in outputs if traced(v)}, []
    for e in reversed(equations):
        if e.lazy and not needed.isdisjoint(e.outs):
            e = replace(e, lazy=False)
        if not e.lazy:
            needed.update(v for v in uses(e) if not (e.fn is guarded and v is e.args[1]))
        kept.append(e)
    return kept[::-1]


# ---------------------------------------------------------------- what is returned

@dataclass(frozen=True)
class Leaf:
    """The place of output ``number`` in what a function returns; of a computed Tensor the plan
    of the operation that made it, to name it by."""

    number: int
    tensor: bool = False
    plan: object = None

    def filled(self, value):
        """``value`` as it is returned."""
        if not self.tensor:
            return value
        t = new(Tensor)
        t._data, t.level, t.node, t.grad, t.version = np.asarray(value), 0, None, None, 0
        if self.plan is not None:
            t.node = n = Node()
            n.plan, n.parents, n.saved, n.risk, n.seq = self.plan, COMPILED, None, None, 0
            n.shape, n.dtype = value.shape, value.dtype
        return t


@dataclass(frozen=True)
class Tree:
    """A new module that a function returns, with `Leaf`s in it."""

    module: object


@dataclass(frozen=True)
class Known:
    """Something that a function returns and that was there before: its source in `Reach`."""

    source: str


def filled(template, values, known):
    """What a function returns: a template with the values of its leaves, and what is known."""
    return mapped(lambda v: _filled(v, values, known), template)


def _filled(v, values, known):
    if isinstance(v, Leaf):
        return v.filled(values[v.number])
    if isinstance(v, Known):
        return known[v.source]
    if isinstance(v, Tree):
        return tree_map(lambda leaf: _filled(leaf, values, known), v.module)
    return v


def sources(template):
    """The sources of what a template holds that was there before."""
    return [v.source for v in _found(template, Known)]


def _found(template, kind):
    found = []
    mapped(lambda v: found.append(v) if isinstance(v, kind) else None, template)
    return [v.module for v in found] if kind is Tree else found

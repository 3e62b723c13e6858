"""A compiled step, again and again on the same arguments; in closed form where that is cheaper.

In closed form the weights of the first layer are not there while the loop runs
(`_closed_form`). Whoever looks at them gets them: they are put together then, and the loop goes
on without them, or starts anew from what it finds if they were changed. All of that is NumPy's:
what is left of a step is small, and numba takes longer to import than many of them.
"""

import numpy as np

from ._closed_form import closed_form
from ._graph import stamp
from ._link import Link, Spec
from ._modes import modes
from ._reach import Late
from ._record import recording_now
from ._tensor import Tensor
from .kernels import left_out
from .passes import EXACT, optimised

FEW = 4                 # steps from one change to the next that are too few to begin anew
CLASS = vars(object)["__class__"]
OWNERS = {}             # {id of an `Away`: what puts the arrays there that it lacks}


class Away(Tensor):
    """What a Tensor is while its arrays are kept in another form: whoever looks gets them.

    To all who ask for its ``__class__`` it is a Tensor. (Were ``__getattr__`` Tensor's own,
    every look at an attribute of any would take longer: 5 % of an operation.)
    """

    __slots__ = ()
    __class__ = property(lambda self: Tensor)

    def __getattr__(self, name):
        if name not in ("_data", "grad") or id(self) not in OWNERS:
            raise AttributeError(f"a Tensor has no attribute {name!r}")
        OWNERS[id(self)]()
        return getattr(self, name)


class Loop:
    """The results of ``n`` calls of a compiled function on the same arguments, one by one."""

    def __init__(self, compiled, n, args, kwargs, closed_form):
        self.compiled, self.n, self.args, self.kwargs = compiled, n, args, kwargs
        self.closed_form = closed_form

    def __len__(self):
        return self.n

    def __iter__(self):
        done, run, recorded = 0, FEW, 0
        while done < self.n and run >= FEW and recorded < FEW and self._may_be_closed():
            found = self._found()
            if not found:                       # it is still being recorded
                yield self.compiled._record_in_numpy(self.args, self.kwargs)
                done, recorded = done + 1, recorded + 1
                continue
            with left_out():
                closed = self._closed(*found, self.n - done)
            run = recorded = 0
            if closed is None:
                break
            try:
                while done < self.n and closed.goes_on():
                    with left_out():
                        result = closed.step()
                    yield result
                    done, run = done + 1, run + 1
            finally:
                closed.end()
        for _ in range(self.n - done):
            yield self.compiled(*self.args, **self.kwargs)

    def _may_be_closed(self):
        return self.closed_form and not (modes() or recording_now.get())

    def _found(self):
        """(`Made`, reach) of such a call, if it was recorded twice."""
        return self.compiled._found(self.args, self.kwargs) or (
            self.compiled._in_numpy._found(self.args, self.kwargs))

    def _closed(self, made, reach, steps):
        """The loop's `Closed` form for so many steps more, if there is one."""
        program = made.clean["dead code again"]
        updated = {name for name, _ in program.outputs}
        constant = {v: name for v, name in program.inputs.items()
                    if name not in updated and v.shape}
        form = closed_form(program, constant, steps)
        if form is None or any(isinstance(p.holder, Tensor) and type(p.holder) is not Tensor
                               for p in reach.slots.values()):
            return None
        closed = Closed(form, made, reach, self.args, self.kwargs, list(constant.values()))
        if not closed.is_finite():
            return None
        self.compiled._show({**made.clean, "closed form, once": form.once,
                             "closed form, each step": closed.link.spec.program})
        return closed


class Closed:
    """A loop in closed form: its state, and the places of the arrays that are not there."""

    def __init__(self, form, made, reach, args, kwargs, constant):
        self.form, self.args, self.kwargs = form, args, kwargs
        self.places = {p: reach.slots.get(p) or reach.blank[p] for p in form.spans}
        self.starts = {p: place.get() for p, place in self.places.items() if p in reach.slots}
        self.shown = {p: (a := place.get(), stamp(a) if a is not None else None)
                      for p, place in self.places.items()}      # what should be there
        self.constant = [(place := reach.slots[p], a := place.get(), stamp(a))
                         for p in constant]
        once = Spec(form.once, form.once.inputs, None, ())
        with np.errstate(all="ignore"):
            out = once.function([reach.slots[p].get() for p in once.inputs.values()], [])
        self.known = {name: np.copy(a) if v in once.inputs else a   # the caller may write there
                      for (name, v), a in zip(form.once.outputs, out, strict=True)}
        inputs = {v: p for v, p in made.recorded.inputs.items() if p not in self.places}
        more = {v: name for v, name in form.each.inputs.items() if v not in inputs}
        for v, name in more.items():
            if name not in self.known:
                self.known[name] = _start(name, v)
        self.more = list(more.values())
        each = optimised(form.each, EXACT)["fuse"]
        self.link = Link(Spec(each, inputs, made.template, made.settings, more), reach)

    def is_finite(self):
        """Whether the data are, which the rewrite takes for granted."""
        return all(np.isfinite(self.known[x]).all() for x in set(self.form.spans.values()))

    def goes_on(self):
        """Whether nothing was changed that the form depends on: not the batch, the weights, or
        what the function does."""
        same = all(place.get() is a and stamp(a) == mark for place, a, mark in self.constant)
        for path, place in self.places.items():
            if same and not self._is_away(place):
                array, mark = self.shown[path]
                value = place.get()
                same = value is array and (array is None or stamp(array) == mark)
        self.values = self.link.read(self.args, self.kwargs) if same else None
        return self.values is not None

    def step(self):
        """One step; its result."""
        out = self.link.compute(self.args, self.kwargs, self.values,
                                [self.known[name] for name in self.more])
        names = [name for name, _ in self.link.spec.program.outputs]
        self.known.update((name[5:], v) for name, v in zip(names, out, strict=True)
                          if name.startswith("next "))
        for path, place in self.places.items():
            if isinstance(place.holder, Tensor):
                if not self._is_away(place):
                    delattr(place.holder, place.key)
                OWNERS[id(place.holder)] = self.together
                CLASS.__set__(place.holder, Away)
                place.holder.version += 1
            elif not self._is_away(place):
                place.set(Late(self, place, self.starts[path]))
        return self.link.result(self.args, self.kwargs, out)

    def together(self):
        """Put the arrays together, in their places."""
        for path, place in self.places.items():
            if self._is_away(place):
                value = self.form.together(path, self.known, self.starts)
                place.set(value)
                self.shown[path] = value, stamp(value)
        self.end()

    def end(self):
        """Leave everything as it would be without a closed form."""
        if any(map(self._is_away, self.places.values())):
            self.together()
        for place in self.places.values():
            if OWNERS.get(id(place.holder)) == self.together:
                del OWNERS[id(place.holder)]
                CLASS.__set__(place.holder, Tensor)

    def _is_away(self, place):
        """Whether a place lacks its array because this loop, and no other, keeps it."""
        if not isinstance(place.holder, Tensor):
            value = place.get()
            return isinstance(value, Late) and value.owner is self
        if OWNERS.get(id(place.holder)) != self.together:
            return False
        try:
            object.__getattribute__(place.holder, place.key)
        except AttributeError:
            return True
        return False


def _start(name, v):
    """What the state is in the beginning: no rows yet, each array once itself."""
    if name.startswith("rows of "):
        return np.zeros(v.shape, v.dtype)
    basis, path = name.removeprefix("number of ").split(" in ")
    return v.dtype.type(basis == path)

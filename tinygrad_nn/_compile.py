"""`compile`: a function of arrays, recorded twice, then run as straight-line calls.

What the first two calls on arrays of some shapes did is compared (`_compare`), cleaned up
(`passes`), and from the third call on run without Python's share of it: no Tensors, no graph,
no allocation. Calls on other shapes, or after something was exchanged that decides what the
function does (a module's mode, a setting, a layer), record again.
"""

import functools
import sys
import threading
import types
import warnings

from ._compare import compare
from ._core import Box
from ._link import MISS, Link, Spec
from ._loop import Loop
from ._modes import debug_nans, is_open, modes, no_grad
from ._reach import Reach
from ._record import Recording, recording_now
from ._tensor import Tensor
from .kernels import left_out
from .passes import CLEANING, EXACT, PASSES, further, optimised

LINKS = 16                      # sets of objects that a compiled function keeps in mind
MANY = 20                       # recordings without a compiled call between, before it warns


class Stages:
    """What `compile` made of a function, to be printed: as recorded, and after each pass.

    ``program[name]`` is one of its ``stages``, "recorded" or that after the pass of the name;
    ``plan`` is the memory plan of the last.
    """

    def __init__(self, stages, plan=None):
        self.stages, self.plan = stages, plan

    def __getitem__(self, name):
        return self.stages[name]

    def __str__(self):
        parts, before = [], None
        for name, program in self.stages.items():
            change = "" if before is None else f"{before} -> "
            parts.append(f"== {name}: {change}{len(program)} equations\n{program}")
            before = len(program)
        if self.plan is not None:
            parts.append(f"== memory: {self.plan}")
        return "\n\n".join(parts)


class Made:
    """What two equal recordings come to. Each part is made when it is first asked for: a loop
    in closed form needs no more than the clean program."""

    def __init__(self, recording, passes):
        self.recorded, self.passes = recording.program, passes
        self.template, self.settings = recording.template, recording.settings

    @functools.cached_property
    def clean(self):
        return optimised(self.recorded, CLEANING)

    @functools.cached_property
    def stages(self):
        return further(self.clean, self.passes[len(CLEANING):])

    @functools.cached_property
    def spec(self):
        return Spec(self.stages["fuse"], self.recorded.inputs, self.template, self.settings)


class Compiled:
    """A function that `compile` made; ``program`` is what it runs. ``exact``: it rounds as the
    function itself does, and the calls that are recorded, with numba as well."""

    def __init__(self, function, exact=False):
        if not callable(function):
            raise TypeError(f"tn.compile takes a function, got {type(function).__name__}")
        functools.update_wrapper(self, function, updated=())
        self._function, self._names, self._exact = function, None, exact
        self._lock = threading.RLock()
        self._recordings, self._made, self._links = {}, {}, []
        self._program, self._in_a_row = None, 0

    def __call__(self, *args, **kwargs):
        if recording_now.get() or (modes() and is_open(debug_nans)):
            return self._function(*args, **kwargs)
        with self._lock:
            mode = _mode()
            for link in self._links:
                result = link.run(args, kwargs) if link.mode == mode else MISS
                if result is not MISS:
                    if link is not self._links[0]:
                        self._links.remove(link)
                        self._links.insert(0, link)
                    return result
            return self._other(args, kwargs, mode)

    def repeat(self, n, *args, closed_form=True, **kwargs):
        """The results of ``n`` calls on these arguments, one after the other, as an iterator.

        A loop over one constant batch may be rewritten: where the weights of the first layer
        are multiplied with the batch and the update is linear in the gradient (`optim.SGD`,
        with momentum, Nesterov's, weight decay and any schedule), these weights are replaced
        by what a step adds to them, if that is cheaper; they are put together when somebody
        looks at them, and at the end. ``closed_form=False`` leaves that out. In exact
        arithmetic the results are the same; in float64 they agree to about 1e-14 a step.

        >>> import numpy as np, tinygrad_nn as tn
        >>> model = tn.nn.Linear(1000, 1, rng=0, dtype=float)
        >>> opt = tn.optim.SGD(model.parameters(), lr=1e-3)
        >>> @tn.compile
        ... def step(x, t):
        ...     loss = tn.nn.mse_loss(model(x), t)
        ...     loss.backward(); opt.step(); opt.zero_grad()
        ...     return loss
        >>> x, t = np.random.default_rng(0).normal(size=(5, 1000)), np.ones((5, 1))
        >>> losses = [loss.item() for loss in step.repeat(100, x, t)]
        >>> losses[-1] < 1e-6 * losses[0]
        True
        """
        if not isinstance(n, int) or n < 0:
            raise ValueError(f"repeat takes a number of calls, 0 or more, got {n!r}")
        return Loop(self, n, args, kwargs, closed_form)

    def __get__(self, instance, owner=None):
        return self if instance is None else types.MethodType(self, instance)

    def __reduce__(self):
        """A copy, or what is pickled, begins anew with the function; it is its name where the
        name stands for this."""
        module, name = sys.modules.get(self.__module__), getattr(self, "__qualname__", "")
        return name if getattr(module, name, None) is self else (
            Compiled, (self._function, self._exact))

    def __repr__(self):
        return f"tn.compile({self._function!r})"

    @property
    def program(self):
        """The program that was compiled last, or recorded; printed, it shows every pass."""
        found = self._program
        if found is None:
            raise ValueError("nothing has been recorded yet: call the function first")
        return Stages(found.stages, found.spec.plan) if isinstance(found, Made) else found

    def _other(self, args, kwargs, mode):
        """A call that no link fits: compiled already for other objects, or to be recorded."""
        if _within_a_graph((args, kwargs)):
            return self._function(*args, **kwargs)
        reach = Reach(self._function, args, kwargs, self._names)
        self._names = reach.names
        if any(box.level for box in reach.computed.values()):       # a transform's variable
            return self._function(*args, **kwargs)
        key = (mode, *reach.tokens)
        made = self._made.get(key)
        if made is None:
            return self._record(reach, key)
        self._in_a_row, self._program = 0, made
        link = Link(made.spec, reach, mode)
        del reach                               # it holds the arrays, which are in use then
        self._links = [link, *self._links[:LINKS - 1]]
        return link.run(args, kwargs)

    def _found(self, args, kwargs):
        """(`Made`, reach) of what was recorded twice for such a call, or None."""
        reach = Reach(self._function, args, kwargs, self._names)
        key = (_mode(), *reach.tokens)
        return (self._made[key], reach) if key in self._made else None

    @functools.cached_property
    def _in_numpy(self):
        """The same function, to be recorded without kernels."""
        return Compiled(self._function, self._exact)

    def _record_in_numpy(self, args, kwargs):
        """A call, recorded in the other."""
        with left_out():
            result = self._in_numpy(*args, **kwargs)
        self._program = self._in_numpy._program
        return result

    def _show(self, stages):
        self._program = Stages(stages)

    def _record(self, reach, key):
        recording = Recording(self._function, reach)
        before = self._recordings.pop(key, None)
        if before is None:
            self._recordings[key] = recording
            if len(self._recordings) > MANY:
                del self._recordings[next(iter(self._recordings))]
            self._program = Stages({"recorded": recording.program})
        else:
            compare(before, recording)
            self._made[key] = self._program = Made(recording, EXACT if self._exact else PASSES)
        result, recording.result = recording.result, None
        self._in_a_row += 1
        if self._in_a_row == MANY:
            warnings.warn(
                f"{self!r} was recorded {MANY} times in a row: each call had other shapes, or "
                "changed something that is not an array (a list that grows, a count), and "
                "recording is slower than not to compile", RuntimeWarning, stacklevel=4)
        return result


def compile(function):
    """``function``, a training step for example, as a program that runs it faster.

    Any function of arrays works, with or without gradients: what it reads and assigns in
    modules, optimisers, closures and objects of one's own is kept up to date, a learning rate
    or a dropout mask is never frozen. The first two calls run as they are and are recorded; a
    third on arrays of the same shapes, dtypes and strides runs the program, to the bit what the
    function gives; where numba is installed (extra ``fast``), generated kernels round
    otherwise. Python's share of the function, ``print`` included, happens while it is recorded
    and not afterwards, nor do NumPy's warnings (`np.errstate`). ``step.repeat(n, ...)`` is n
    calls on one batch (`Compiled.repeat`).

    What cannot be recorded raises where it stands and says what to write: a branch on values,
    ``float(loss)``, writing into an array. So does an array that lies where compile does not
    look, in another array for example. (Not noticed is what the function fetches by
    ``globals()[name]`` or ``getattr(x, name)`` with a name that it computes.)

    >>> import numpy as np, tinygrad_nn as tn
    >>> w = tn.Tensor(np.array([1.0, 2.0]))
    >>> opt = tn.optim.SGD([w], lr=0.25)
    >>> @tn.compile
    ... def step(x):
    ...     loss = np.sum((w * x) ** 2)
    ...     loss.backward(); opt.step(); opt.zero_grad()
    ...     return loss
    >>> [step(np.ones(2)).item() for _ in range(3)]
    [5.0, 1.25, 0.3125]

    ``print(step.program)`` shows what is run, as recorded and after every pass. A computed
    Tensor that is returned has no graph: call ``backward()`` within the function. Within
    another compiled function, under a transform and under `debug_nans` the function runs as it
    is.
    """
    return Compiled(function)


def _mode():
    """Whether Tensors are plain in the code that runs now."""
    return bool(modes()) and is_open(no_grad) is not None


def _within_a_graph(tree):
    """Whether the arguments hold boxes other than leaf Tensors."""
    if isinstance(tree, Tensor):
        return tree.level > 0 or tree.node is not None
    if isinstance(tree, (list, tuple, dict)):
        return any(map(_within_a_graph, tree.values() if isinstance(tree, dict) else tree))
    return isinstance(tree, Box)

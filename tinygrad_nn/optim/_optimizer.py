"""`Optimizer`: holds parameters, settings and state, and applies an update rule to them.

Everything that changes from call to call lies in two dicts of arrays that are replaced, never
computed with as numbers: ``settings`` (learning rate, momentum and betas as 0-d arrays) and
``state`` (for each parameter its step count, a 0-d array, and the arrays of its rule). The step
is counted for each parameter, as in PyTorch: one that gets its first gradient late starts with
the bias correction of a first step.
"""

import math
from numbers import Real

import numpy as np

from .._errors import GraphError, ShapeError
from .._tensor import Tensor
from ._strips import update


def checked(what, value, *, least=0.0, below=math.inf):
    """``value`` as a float, at least ``least`` and less than ``below``, or an error."""
    if np.ndim(value) or not isinstance(value, (Real, np.ndarray)) or isinstance(value, bool):
        raise TypeError(f"{what} must be a number, got {value!r}")
    if not least <= value < below:
        limit = "finite" if below == math.inf else f"less than {below:g}"
        raise ValueError(f"{what} must be at least {least:g} and {limit}, got {value!r}")
    return float(value)


class Number:
    """A setting: checked whenever it is assigned, read as a float.

    One that ``changes`` from step to step is kept as a 0-d array.
    """

    def __init__(self, what, below=math.inf, changes=False):
        self.what, self.below, self.changes = what, below, changes

    def __set_name__(self, owner, name):
        self.name = name

    def __get__(self, optimizer, owner=None):
        return self if optimizer is None else float(optimizer.settings[self.name])

    def __set__(self, optimizer, value):
        optimizer.settings[self.name] = self.kept(optimizer, value)

    def kept(self, optimizer, value):
        """``value`` as it is kept, or an error."""
        what = f"{type(optimizer).__name__}: the {self.what}"
        value = checked(what, value, below=self.below)
        return np.array(value) if self.changes else value


class Momentum(Number):
    """The momentum: from the first value on that is not 0, each parameter has a buffer."""

    def __init__(self):
        super().__init__("momentum", below=1, changes=True)

    def __set__(self, optimizer, value):
        super().__set__(optimizer, value)
        if optimizer.momentum:
            optimizer._keep("momentum_buffer")


class Optimizer:
    """The base of the optimisers.

    ``parameters``: leaf Tensors in a list or other iterable, e.g. ``model.parameters()``; or
    pairs (name, Tensor), e.g. ``model.named_parameters()``: then the state is kept by name and
    not by position. Settings are attributes; ``opt.lr = 0.01`` changes one between steps.
    Parameter groups are not supported: build an optimiser for each group. A subclass has a
    ``rule`` (see `_rules`), gives its settings to this constructor and calls ``_keep(name)``
    for each array of its state.

    >>> import numpy as np, tinygrad_nn as tn
    >>> w = tn.Tensor(np.array([1.0, 2.0]))
    >>> opt = tn.optim.SGD([w], lr=0.5)
    >>> (w * w).sum().backward(); opt.step(); opt.zero_grad()
    >>> w.data
    array([0., 0.])
    """

    rule = None
    lr = Number("learning rate", changes=True)
    weight_decay = Number("weight decay")

    def __init__(self, parameters, **settings):
        named = named_parameters(parameters, type(self).__name__)
        self.parameters = list(named.values())
        self.settings = {}
        self.state = {key: {"step": np.array(0)} for key in named}
        for name, value in settings.items():
            setattr(self, name, value)

    def _keep(self, name, value=0.0):
        """Give the state of each parameter an array of this name, where it has none yet."""
        for p, state in zip(self.parameters, self.state.values(), strict=True):
            if name not in state:
                state[name] = np.full_like(p.data, value) if value else np.zeros_like(p.data)

    def step(self):
        """Update every parameter that has a gradient; the others stay, and so does their state.

        Arrays that were taken earlier, ``old = p.data``, are not changed. Raises `GraphError`
        where no parameter has a gradient, `ShapeError` where one is of another shape than its
        parameter; nothing is updated then.
        """
        who = f"{type(self).__name__}.step()"
        check_gradients(zip(self.state, self.parameters, strict=True), who)
        for (key, kept), p in zip(self.state.items(), self.parameters, strict=True):
            if p.grad is not None:
                arrays = dict(kept)
                t = arrays.pop("step") + 1
                p.data, arrays = update(self.rule, p.data, p.grad, arrays, t, self.settings)
                self.state[key] = {"step": t, **arrays}

    def zero_grad(self):
        """Set ``.grad`` of every parameter to None."""
        for p in self.parameters:
            p.grad = None

    def state_dict(self):
        """{"optimizer": the class's name, "settings": {name: number}, "state": {key: {name: a
        copy of the array}}}; the key is a parameter's position or its name."""
        return {"optimizer": type(self).__name__,
                "settings": {name: value if isinstance(value, bool) else float(value)
                             for name, value in self.settings.items()},
                "state": {key: {name: np.array(a) for name, a in state.items()}
                          for key, state in self.state.items()}}

    def load_state_dict(self, state_dict):
        """Take over settings and state, as `state_dict` of an optimiser of this class gave it.

        All that is missing, unexpected or of another shape is reported at once, as a
        `ShapeError`, and nothing is changed then. Arrays are copied, in the dtype of their
        parameters.
        """
        wrong = _misfits(self.state_dict(), state_dict)
        if wrong:
            raise ShapeError(f"this state does not fit {type(self).__name__}: "
                             + "; ".join(wrong))
        state = {key: {name: np.array(a, int if name == "step" else p.dtype)
                       for name, a in state_dict["state"][key].items()}
                 for key, p in zip(self.state, self.parameters, strict=True)}
        before, self.settings = self.settings, {}
        try:
            for name in before:                 # in this order: one may depend on another
                setattr(self, name, state_dict["settings"][name])
        except (TypeError, ValueError):
            self.settings = before
            raise
        self.state = state

    def __repr__(self):
        settings = ", ".join(f"{name}={value:g}" if not isinstance(value, bool) else
                             f"{name}={value}" for name, value in self.settings.items())
        n = len(self.parameters)
        return f"{type(self).__name__}({n} parameter{'s' * (n != 1)}, {settings})"


def named_parameters(parameters, who):
    """{name or position: Tensor} of what a person passed as parameters, or an error."""
    if isinstance(parameters, Tensor):
        raise TypeError(f"{who} takes a list of Tensors, got a single one: write [w]")
    try:
        items = list(parameters)
    except TypeError:
        raise TypeError(f"{who} takes Tensors, got {type(parameters).__name__}: pass "
                        "model.parameters()") from None
    if not items:
        raise ValueError(f"{who} got no parameters: pass model.parameters(); a generator that "
                         "was used before is empty")
    pairs = all(isinstance(i, tuple) and len(i) == 2 and isinstance(i[0], str) for i in items)
    names, tensors = zip(*items, strict=True) if pairs else (range(len(items)), items)
    for name, p in zip(names, tensors, strict=True):
        if not isinstance(p, Tensor):
            hint = ("parameter groups are not supported, build an optimiser for each"
                    if isinstance(p, dict) else "pass model.parameters()")
            raise TypeError(f"{who} takes Tensors, got {type(p).__name__} ({name}): {hint}")
        if p.node is not None or p.level:
            raise GraphError(f"{who} takes leaf Tensors, parameter {name} of shape {p.shape} "
                             "was computed from others: pass those, or its .detach()")
    if len({id(p) for p in tensors}) < len(tensors) or len(set(names)) < len(names):
        raise ValueError(f"{who} got the same parameter twice")
    return dict(zip(names, tensors, strict=True))


def check_gradients(named, who):
    """Raise unless some parameter has a gradient, and each that has one in its own shape."""
    found = False
    for name, p in named:
        if p.grad is not None:
            found = True
            if np.shape(p.grad) != p.shape:
                raise ShapeError(f"{who}: the gradient of parameter {name} has shape "
                                 f"{np.shape(p.grad)}, the parameter {p.shape}")
    if not found:
        raise GraphError(f"{who} before backward(): no parameter has a gradient")


def _misfits(own, other, path=""):
    """What is missing in ``other``, unexpected or of another kind or shape: sentences."""
    if isinstance(own, str):
        return [] if own == other else [f"it is of {other!r}"]
    if not isinstance(own, dict):
        return [] if np.shape(own) == np.shape(other) else [
            f"{path} has shape {np.shape(other)}, expected {np.shape(own)}"]
    if not isinstance(other, dict):
        return [f"{path or 'it'} must be a dict, got {type(other).__name__}"]
    dot = path + "." if path else ""
    wrong = [f"missing {dot}{key}" for key in own if key not in other]
    wrong += [f"unexpected {dot}{key}" for key in other if key not in own]
    return wrong + [w for key in own if key in other
                    for w in _misfits(own[key], other[key], f"{dot}{key}")]

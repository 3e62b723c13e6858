"""`Module`: a tree of parameters, buffers and other modules, with a ``forward``.

A module is plain data: what belongs to it is found by walking its attributes, nothing is
registered on assignment, and so nothing breaks where ``super().__init__()`` was not called.
What an attribute cannot say of itself (that an array is a buffer, or was a parameter before it
was frozen) stands in `Roles`, which is replaced and never changed, so that instances which
share the default never share a change. Modules as arguments of transforms: see `_tree`.
"""

from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from .._core import Box
from .._errors import DetachError, GraphError, ShapeError, TinygradError
from .._tensor import Tensor
from ._config import arguments_of
from ._paths import replaced, say_where, walk
from ._state import fitted, plain

NAMED = (TinygradError, ValueError, TypeError, IndexError, AttributeError,
         NotImplementedError)


@dataclass(frozen=True)
class Roles:
    """What the attributes of one module are that do not show it, by path ("bias", "ws.0")."""

    buffers: tuple = ()
    frozen: dict = field(default_factory=dict)      # path -> the Tensor that it was
    leaves: dict = field(default_factory=dict)      # path -> token: parameters in a transform


class Part(NamedTuple):
    """One thing that belongs to a module of a tree."""

    name: str           # the dotted path from the root, "layers.0.weight"
    role: str           # "module", "parameter", "frozen", "buffer" or "generator"
    value: object
    key: object         # the same for every name of a shared thing
    owner: object       # the module whose attribute it is, at ``path``
    path: str


class Module:
    """The base of layers and models: attributes that are Tensors are parameters.

    Attributes that are Modules are its children; lists, tuples and dicts of either are looked
    into. Everything is named by the dotted path to it, in the order of assignment. A subclass
    defines ``forward``, is called like a function, and need not call ``super().__init__()``.

    >>> import numpy as np, tinygrad_nn as tn
    >>> class Scale(tn.nn.Module):
    ...     def __init__(self):
    ...         self.factor = tn.Tensor(np.ones(()))
    ...     def forward(self, x):
    ...         return self.factor * x
    >>> [name for name, _ in tn.nn.Sequential(Scale(), Scale()).named_parameters()]
    ['0.factor', '1.factor']

    A module is a tree of its parameters: an argument of `tn.grad` and the other transforms. The
    gradient is a module of the same form that holds the gradients in their places:

    >>> tn.grad(lambda m: m(3.0))(Scale()).factor
    array(3.)

    Its buffers and frozen parameters are those of the model. Within the function the module is
    a copy: what ``forward`` changes there (running statistics) is lost with it, unless the
    function returns it as auxiliary.

    An error raised in a layer says where that is: "layers.2 (Conv2d(3, 8)): …".
    """

    training = True         # the mode, set by `train` and `eval`
    _notes = ("_built_with",)       # attributes that no method computes with
    _roles = Roles()

    def __new__(cls, *args, **kwargs):
        self = super().__new__(cls)
        vars(self)["_built_with"] = arguments_of(cls, args, kwargs)
        return self

    def __init__(self):
        """Takes nothing and does nothing: a subclass need not call it."""

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        for name, value in vars(cls).items():
            if isinstance(value, (Tensor, Module)):
                raise TypeError(f"{cls.__name__}.{name} is a {type(value).__name__} of the "
                                "class: all instances would share it and parameters() would "
                                "leave it out; assign it in __init__, to self")

    def __getattr__(self, name):
        """Raises: only called for an attribute that there is not."""
        makers = [c for c in type(self).__mro__ if "__init__" in vars(c)]
        hint = (f": does {makers[0].__name__}.__init__ call super().__init__(…)?"
                if len(makers) > 3 else "")             # its own, a layer's, Module's, object's
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}{hint}",
                             name=name, obj=self)

    def forward(self, *args, **kwargs):
        """The output of the module; subclasses define it."""
        raise NotImplementedError(f"{type(self).__name__} does not define forward()")

    def __call__(self, *args, **kwargs):
        try:
            return self.forward(*args, **kwargs)
        except NAMED as error:
            say_where(error, self)
            raise

    # ------------------------------------------------------------ what belongs to it

    def _own(self, prefix=""):
        """The parts that are this module's own, children included, not theirs."""
        roles = self._roles
        for attribute, content in vars(self).items():
            for path, v in walk(attribute, content):
                if isinstance(v, Module):
                    role, key = "module", id(v)
                elif path in roles.buffers:
                    role, key = "buffer", (id(self), path)
                    if isinstance(v, Tensor):
                        raise DetachError(f"the buffer {path} of {type(self).__name__} holds a "
                                          "Tensor: buffers are plain arrays, assign its .data")
                elif path in roles.frozen and not isinstance(v, Box):
                    role, key = "frozen", ("frozen", id(roles.frozen[path]))
                elif path in roles.leaves and v is not None:
                    role, key = "parameter", roles.leaves[path]
                elif isinstance(v, Tensor) and v.node is None:
                    role, key = "parameter", id(v)
                elif isinstance(v, np.random.Generator):
                    role, key = "generator", id(v)
                else:
                    continue                # a setting; a computed Tensor is nothing of ours
                yield Part(prefix + path, role, v, key, self, path)

    def _parts(self, prefix="", above=()):
        """The parts of the whole tree, depth first, shared ones under every name."""
        above = (*above, id(self))
        for part in self._own(prefix):
            if part.key in above:
                raise GraphError(f"{part.name} is a module that it is itself a part of: keep a "
                                 "parent out of its children's attributes (a weakref will do)")
            yield part
            if part.role == "module":
                yield from part.value._parts(part.name + ".", above)

    def _unique(self, role, prefix=""):
        """The parts of one role, each shared one once, under its first name."""
        found = {}
        for part in self._parts(prefix):
            if part.role == role:
                found.setdefault(part.key, part)
        return list(found.values())

    def named_parameters(self, prefix=""):
        """(dotted name, Tensor) of every parameter, depth first; a shared one comes once."""
        return ((p.name, p.value) for p in self._unique("parameter", prefix))

    def parameters(self):
        """The parameters, a list of Tensors in the order of `named_parameters`."""
        return [p.value for p in self._unique("parameter")]

    def named_buffers(self, prefix=""):
        """(dotted name, ndarray) of every buffer, depth first."""
        return ((p.name, np.asarray(p.value)) for p in self._unique("buffer", prefix))

    def buffers(self):
        """The buffers, a list of ndarrays in the order of `named_buffers`."""
        return [b for _, b in self.named_buffers()]

    def named_generators(self):
        """(dotted name, `np.random.Generator`) of every generator that a module draws from,
        depth first; a shared one comes once. Their states are no part of `state_dict`.

        >>> import tinygrad_nn as tn
        >>> model = tn.nn.Sequential(tn.nn.ReLU(), tn.nn.Dropout(0.5, rng=0))
        >>> [name for name, _ in model.named_generators()]
        ['1.rng']
        """
        return ((p.name, p.value) for p in self._unique("generator"))

    def named_modules(self):
        """(dotted name, module) of this module, named "", and of all below it, each once."""
        yield "", self
        yield from ((p.name, p.value) for p in self._unique("module"))

    def modules(self):
        """This module and all below it, a list in the order of `named_modules`."""
        return [m for _, m in Module.named_modules(self)]

    def children(self):
        """The modules that are this module's own attributes, a list."""
        return list({p.key: p.value for p in self._own() if p.role == "module"}.values())

    def register_buffer(self, name, array):
        """Make ``self.name`` a buffer: an array of state that is no parameter.

        Running statistics, for example. `state_dict` keeps it; `forward` may assign a new array
        to it at any time.

        >>> import numpy as np, tinygrad_nn as tn
        >>> m = tn.nn.Module()
        >>> m.register_buffer("num_batches_tracked", np.array(0))
        >>> m.num_batches_tracked = m.num_batches_tracked + 1
        >>> m.state_dict()
        {'num_batches_tracked': array(1)}
        """
        if not (isinstance(name, str) and name.isidentifier()):
            raise ValueError(f"a buffer's name must be an identifier, got {name!r}")
        if hasattr(self, name) and name not in self._roles.buffers:
            raise ValueError(f"{type(self).__name__} has an attribute {name} already, which "
                             "is not a buffer")
        if isinstance(array, Box):
            raise DetachError(f"the buffer {name} must be a plain array, got a Tensor: pass "
                              "its .data")
        setattr(self, name, np.asarray(array))
        names = dict.fromkeys((*self._roles.buffers, name))
        self._roles = replace(self._roles, buffers=tuple(names))

    # ------------------------------------------------------------ modes

    def train(self, mode=True):
        """Switch this module and all below it to training (or not); returns the module."""
        if not isinstance(mode, (bool, np.bool_)):
            raise TypeError(f"train(mode) takes True or False, got {type(mode).__name__}")
        self.training = bool(mode)
        for child in Module.children(self):
            child.train(mode)
        return self

    def eval(self):
        """Switch this module and all below it to evaluation; returns the module."""
        return self.train(False)

    def zero_grad(self):
        """Set ``.grad`` of every parameter to None."""
        for p in self.parameters():
            p.grad = None

    def freeze(self):
        """Make every parameter of this module and those below it a plain array: a constant.

        `parameters` leaves them out, `state_dict` keeps them, no gradient is computed for them.
        Returns the module. A parameter that a module outside of this one shares stays a
        parameter there.
        """
        for m in Module.modules(self):
            mine = {p.path: p.value for p in m._own() if p.role == "parameter"}
            m._put({path: v.data if isinstance(v, Box) else v for path, v in mine.items()})
            m._roles = replace(m._roles, frozen={**m._roles.frozen, **mine})
            for v in mine.values():
                if isinstance(v, Tensor):
                    v.grad = None
        return self

    def unfreeze(self):
        """Make every frozen parameter the Tensor again that it was, with the present values;
        an optimiser that holds it goes on with it. Returns the module."""
        for m in Module.modules(self):
            for p in [p for p in m._own() if p.role == "frozen"]:
                held = m._roles.frozen[p.path]
                if isinstance(held, Tensor):
                    held.data = p.value
                    m._put({p.path: held})
            m._roles = replace(m._roles, frozen={})
        return self

    def _put(self, values):
        """Replace own attributes, or what is in their lists, by path."""
        for attribute in {path.partition(".")[0] for path in values}:
            content = vars(self)[attribute]
            setattr(self, attribute, replaced(attribute, content, values.get))

    # ------------------------------------------------------------ state

    def _kept(self):
        """What a state dict keeps: a list for each array, of its parts under all its names."""
        found = {}
        for part in self._parts():
            if part.role not in ("module", "generator"):
                found.setdefault(part.key, []).append(part)
        return list(found.values())

    def state_dict(self):
        """{dotted name: a copy of the array} of parameters, frozen ones and buffers."""
        return {part.name: np.array(plain(part.value)) for part, *_ in self._kept()}

    def load_state_dict(self, state):
        """Copy arrays into parameters, frozen parameters and buffers, by name.

        ``state``: a dict of arrays, of Tensors, or a PyTorch module's ``state_dict()``. All
        missing, unexpected and mis-shaped names are reported at once, and nothing is changed
        then. The dtype of what is there stays. What has several names may be given under one of
        them or under all.
        """
        if not hasattr(state, "keys"):
            raise TypeError("load_state_dict takes a dict of arrays by name, got "
                            f"{type(state).__name__}")
        kept = self._kept()
        arrays, wrong = fitted(kept, {name: plain(v) for name, v in state.items()})
        if wrong:
            raise ShapeError(f"these weights do not fit {type(self).__name__}: "
                             + "; ".join(sorted(wrong)))
        for parts, array in zip(kept, arrays, strict=True):
            for part in parts:
                if isinstance(part.value, Tensor):
                    part.value.data = array
                else:
                    part.owner._put({part.path: array})

    # ------------------------------------------------------------ what it says of itself

    def config(self):
        """The arguments, {name: value}, that build a module like this one.

        `tn.save_model` writes them down: numbers, strings, dtypes, modules, functions of the
        library, and lists, tuples and dicts of these. They are those of the constructor, but
        for ``rng`` and ``randn``; a subclass that takes others overrides this.

        >>> import tinygrad_nn as tn
        >>> tn.nn.Linear(3, 2, rng=0).config()["out_features"]
        2
        """
        return dict(vars(self._built_with))

    def _multiply_adds(self, x_shape, y_shape):
        """Multiplications of a forward pass (each with its addition) from an input of
        ``x_shape`` to an output of ``y_shape``; layers with products say theirs."""
        return 0

    def _settings(self):
        """What repr shows between the parentheses."""
        return ""

    def _title(self):
        return f"{type(self).__name__}({self._settings()})"

    def __repr__(self):
        parts = [p for p in self._own() if p.role == "module"]
        lines = [f"  ({p.name}): " + repr(p.value).replace("\n", "\n  ") for p in parts]
        return self._title()[:-1] + "".join("\n" + line for line in lines) + (
            "\n)" if lines else ")")

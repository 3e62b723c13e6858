"""What a function can reach: the places of its arrays, and all else that decides what it does.

A function is looked through like this: its arguments, its closure, its defaults, the globals
that its code names, the object that it is a method of, functions of one's own that it names; in
lists, tuples, dicts, leaf Tensors and objects with a ``state_dict`` (modules, optimisers)
everything; of other objects, functions and classes the attributes that the code names. Every
array found has a `Place`, where it can be read and replaced. All else is told in `tokens`,
hashable: two calls with equal tokens run the same code on arrays of the same shapes. `checks`
are Python conditions on bound objects that tell quickly that nothing has been exchanged since.
"""

import enum
import functools
import operator
import sys
import types
from collections import deque

import numpy as np

from ._core import Box
from ._symbol import Draws, Symbol, is_plain
from ._tensor import Tensor

LIBRARIES = {"numpy", "tinygrad_nn", *sys.stdlib_module_names}
UNNAMED = {"forward", "__getattr__", "__iter__", "__next__", "__len__", "__enter__", "__exit__",
           *(n for n in dir(operator) if n.startswith("__") and callable(vars(operator)[n]))}
UNNAMED -= {"__eq__", "__ne__"}         # those of a dataclass name everything that it has
CONTAINERS = (list, dict, deque)
PLAIN = (bool, int, float, complex, str, bytes, np.dtype, type(None), type(Ellipsis), slice,
         range)


# ---------------------------------------------------------------- places

class Place:
    """Where a value lies; ``source`` is a Python expression for it. What is ``fixed`` cannot be
    replaced there."""

    def __init__(self, holder, key, source, fixed=False):
        self.holder, self.key, self.source, self.fixed = holder, key, source, fixed


class Item(Place):
    """An item of a list or of a dict, be it that of an object's attributes or of globals."""

    def get(self):
        return self.holder[self.key]

    def set(self, value):
        self.holder[self.key] = value


class Attribute(Place):
    """An attribute of a Tensor, a function or a class, or what a closure's cell holds."""

    def get(self):
        return getattr(self.holder, self.key)

    def set(self, value):
        setattr(self.holder, self.key, value)


class Slot(Attribute):
    """An attribute of an object without a dict, frozen dataclasses among them."""

    def set(self, value):
        object.__setattr__(self.holder, self.key, value)


class Part(Place):
    """An item of a tuple, whose own place is ``holder``: to replace it is to replace that."""

    def __init__(self, holder, key):
        super().__init__(holder, key, f"{holder.source}[{key}]", holder.fixed)

    def get(self):
        return self.holder.get()[self.key]

    def set(self, value):
        whole = self.holder.get()
        items = [value if i == self.key else v for i, v in enumerate(whole)]
        self.holder.set(type(whole)(*items) if hasattr(whole, "_fields") else tuple(items))


class Arguments(Place):
    """The arguments of a call, ``args`` and ``kwargs`` in the source."""

    def __init__(self, value, source):
        super().__init__(value, None, source)

    def get(self):
        return self.holder

    def set(self, value):
        self.holder = value


class Late:
    """Stands in a list or dict for an array that is put together when somebody asks for it:
    ``owner.together()`` puts it into its ``place``."""

    def __init__(self, owner, place, like):
        self.owner, self.place, self.shape, self.dtype = owner, place, like.shape, like.dtype

    def now(self):
        """The array, which is in its place from now on."""
        self.owner.together()
        return self.place.get()

    def __array__(self, dtype=None, copy=None):
        return np.array(self.now(), dtype)


# ---------------------------------------------------------------- looking

class Reach:
    """What ``function(*args, **kwargs)`` can reach now.

    ``slots``: {path: place} of arrays and Generators; ``blank``: the same of gradients that are
    None; ``constants``: {path: (place, value)} of what could be assigned to; ``computed``:
    {path: box} of boxes with a graph; ``env``: the objects that `checks` and the sources
    of places name; ``names_of``: {id: source} of objects and containers; ``names``: the
    attribute names in all code that was seen, which a later look at the same function starts
    from.
    """

    def __init__(self, function, args=(), kwargs=None, names=None):
        self.names = set(UNNAMED) if names is None else names
        size = -1
        while size < len(self.names):               # names found late change what is looked at
            size = len(self.names)
            self.tokens, self.checks, self.undo = [], [], []
            self.slots, self.blank, self.constants, self.computed = {}, {}, {}, {}
            self.env, self.bound, self.seen, self.names_of = {}, {}, {}, {}
            self._visit("", function, None, root=True)
            self._arguments(args, kwargs or {}, _labels(function, args))

    def _arguments(self, args, kwargs, labels):
        self.args, self.kwargs = Arguments(args, "args"), Arguments(kwargs, "kwargs")
        self.checks.append(f"len(args) == {len(args)} and len(kwargs) == {len(kwargs)}")
        self.tokens.append((len(args), *kwargs))
        for i, (path, value) in enumerate(zip(labels, args, strict=True)):
            self._visit(path, value, Part(self.args, i))
        for name, value in kwargs.items():
            self._visit(name, value, Item(kwargs, name, f"kwargs[{name!r}]"))

    def restore(self):
        """Put everything back where it was when this was made."""
        for undo in self.undo:
            undo()

    def forget(self):
        """Let go of all that was found."""
        vars(self).clear()

    def bind(self, value):
        """The name of this very object in the sources."""
        if id(value) not in self.bound:
            self.bound[id(value)] = f"o{len(self.bound)}"
            self.env[self.bound[id(value)]] = value
        return self.bound[id(value)]

    def _visit(self, path, value, place, root=False):
        """Note ``value``, which lies at ``place`` and is called ``path``."""
        value = value.now() if isinstance(value, Late) else value
        relative = place is not None and place.source.startswith(("args", "kwargs"))
        if isinstance(value, (np.ndarray, np.generic, Symbol)) and value.dtype.kind in "biufc":
            self.tokens.append((is_plain(value), value.shape, value.dtype, value.strides))
            if place.fixed:
                self._check(value, place)
            else:
                self._slot(path, place)
        elif isinstance(value, (np.random.Generator, Draws)):
            self.tokens.append("generator")
            self._slot(path, place)
            if isinstance(value, np.random.Generator):
                self.undo.append(functools.partial(
                    setattr, value.bit_generator, "state", value.bit_generator.state))
        elif isinstance(value, PLAIN):
            self.tokens.append((type(value), _exact(value)))
            if place is not None:
                self.constants[path] = place, value
                name = self.bind(value)
                self.checks.append(f"({place.source} is {name} or "
                                   f"same({place.source}, {name}))")
        elif isinstance(value, tuple) and place is not None:
            self.tokens.append((type(value), len(value)))
            if relative:
                self._same_form(value, place.source)
            else:
                self._check(value, place)
            for i, v in enumerate(value):
                self._visit(f"{path}[{i}]", v, Part(place, i))
        elif isinstance(value, CONTAINERS) and relative:        # another one in every call
            self.names_of[id(value)] = place.source
            self._container(path, value, place.source)
        else:
            self._check(value, place)
            if id(value) in self.seen:
                self.tokens.append(("seen", self.seen[id(value)]))
            else:
                self.seen[id(value)] = len(self.seen)
                self.names_of[id(value)] = self.bind(value)
                self._object(path, value, root)

    def _slot(self, path, place):
        while path in self.slots:                   # a local and a global of one name
            path += "'"
        self.slots[path] = place

    def _check(self, value, place):
        if place is not None:
            self.checks.append(f"{place.source} is {self.bind(value)}")

    def _same_form(self, value, source):
        self.checks.append(f"{source}.__class__ is {self.bind(type(value))} and "
                           f"len({source}) == {len(value)}")

    def _object(self, path, value, root):
        """What is known by identity, seen for the first time."""
        name = self.bind(value)
        if isinstance(value, Tensor) and value.level == 0 and value.node is None:
            self._tensor(path, value, name)
        elif isinstance(value, Box):
            self.tokens.append(_one(value))
            self.computed[path] = value
        elif isinstance(value, CONTAINERS):
            self._container(path, value, name)
            self._attributes(path, value, name)
        elif isinstance(value, types.FunctionType):
            self._function(path, value, name, root)
        elif isinstance(value, types.MethodType):
            self._fixed(path, value, {"": "__self__", ".__func__": "__func__"}, root)
        elif isinstance(value, functools.partial):
            self._fixed(path, value, {".func": "func", ".args": "args",
                                      ".keywords": "keywords"}, root)
        elif isinstance(value, (types.ModuleType, type)):
            users = _users(value.__name__ if isinstance(value, types.ModuleType)
                           else value.__module__)
            self.tokens.append(_one(value))
            for key in sorted(self.names & vars(value).keys()) if users else ():
                self._class_attribute(f"{path}.{key}", value, key, vars(value)[key])
        elif hasattr(type(value), "state_dict"):
            self.checks.append(f"len({self.bind(vars(value))}) == {len(vars(value))}")
            self._instance(path, value, vars(value).keys() - getattr(value, "_notes", ()))
        elif callable(getattr(value, "__wrapped__", None)) and hasattr(value, "__dict__"):
            self._fixed(path, value, {"": "__wrapped__"}, root)
        elif isinstance(value, enum.Enum):
            self.tokens.append(_one(value))
        elif isinstance(value, (set, frozenset)):
            self.tokens.append(frozenset(value))
            self.checks.append(f"{name} == {self.bind(frozenset(value))}")
        else:
            if not _users(type(value).__module__):          # of these we know nothing
                self.tokens.append(_one(value))
            self._attributes(path, value, name)

    def _tensor(self, path, t, name):
        self.tokens.append(("tensor", t.grad is None))
        for key, v in (("_data", t._data), ("grad", t.grad)):
            self.undo.append(functools.partial(setattr, t, key, v))
        self._visit(path, t._data, Attribute(t, "_data", f"{name}._data"))
        grad = Attribute(t, "grad", f"{name}.grad")
        if t.grad is None:
            self.checks.append(f"{grad.source} is None")
            self.blank[f"{path}.grad"] = grad
        else:
            self._visit(f"{path}.grad", t.grad, grad)

    def _container(self, path, value, source):
        self._same_form(value, source)
        self.tokens.append((type(value), len(value)))
        self._undo_container(value)
        if isinstance(value, dict):
            self._items(value, source, value, lambda key: f"{path}[{key!r}]")
        else:
            for i, v in enumerate(value):
                self._visit(f"{path}[{i}]", v, Item(value, i, f"{source}[{i}]"))

    def _items(self, value, source, keys, label):
        """Those of a dict, or some of them."""
        for key in [k for k in value if k in keys]:
            simple = isinstance(key, (str, int))
            self.tokens.append(key if simple else _one(key))
            self._visit(label(key), value[key], Item(
                value, key, f"{source}[{key!r}]" if simple else f"{source}[{self.bind(key)}]"))

    def _undo_container(self, value):
        old = value.copy()
        fill = value.update if isinstance(value, dict) else value.extend
        self.undo.append(lambda: (value.clear(), fill(old)))

    def _attributes(self, path, value, name):
        """Those that the code names, of an object of any class."""
        dot = f"{path}." if path else ""
        for cls in type(value).__mro__ if _users(type(value).__module__) else ():
            slots = vars(cls).get("__slots__", ())
            slots = {slots} if isinstance(slots, str) else set(slots)
            for key in sorted(self.names & slots):
                if hasattr(value, key):
                    v = getattr(value, key)
                    place = Slot(value, key, f"{name}.{key}")
                    self.undo.append(functools.partial(place.set, v))
                    self._visit(f"{dot}{key}", v, place)
        attributes = getattr(value, "__dict__", {})
        self._instance(path, value, self.names & attributes.keys())

    def _instance(self, path, value, keys):
        """An object's attributes in ``keys``, and what its class has of those that the code
        names."""
        self.tokens.append(_one(type(value)))
        attributes, dot = getattr(value, "__dict__", {}), f"{path}." if path else ""
        self._undo_container(attributes)                    # may be empty: new ones go again
        if attributes:
            self._items(attributes, self.bind(attributes), keys, lambda key: f"{dot}{key}")
        for cls in type(value).__mro__:
            for name in sorted(self.names & vars(cls).keys()) if _users(cls.__module__) else ():
                member = vars(cls)[name]
                member = getattr(member, "fget", getattr(member, "__func__", member))
                if callable(member):
                    self._visit(f"{dot}{name}", member, None)
                elif not hasattr(member, "__get__"):
                    owner = f"{cls.__name__}." if name in attributes else dot
                    self._class_attribute(f"{owner}{name}", cls, name, member)
                    self.checks += [f"{name!r} not in {self.bind(attributes)}"] * (owner is dot)

    def _class_attribute(self, path, cls, key, value):
        if not isinstance(cls, enum.EnumMeta):              # whose members cannot be assigned
            self.undo.append(functools.partial(setattr, cls, key, value))
        self._visit(path, value, Attribute(cls, key, f"{self.bind(cls)}.{key}"))

    def _fixed(self, path, value, parts, root):
        """A method, a partial or a wrapper: its parts cannot be exchanged."""
        self.tokens.append(type(value))
        for label, key in parts.items():
            place = Attribute(value, key, f"{self.bind(value)}.{key}", fixed=True)
            self._visit(path + label, getattr(value, key), place, root)

    def _function(self, path, f, name, root):
        self.tokens.append(_one(f.__code__))
        for i, (label, cell) in enumerate(zip(f.__code__.co_freevars, f.__closure__ or (),
                                              strict=True)):
            try:
                content = cell.cell_contents
            except ValueError:                              # not assigned yet
                self.tokens.append("empty")
                continue
            self.undo.append(functools.partial(setattr, cell, "cell_contents", content))
            self._visit(label, content, Attribute(
                cell, "cell_contents", f"{name}.__closure__[{i}].cell_contents"))
        for key in ("__defaults__", "__kwdefaults__"):
            if getattr(f, key):
                self._visit(f"{path}.{key}", getattr(f, key),
                            Attribute(f, key, f"{name}.{key}"))
        if root or _users(f.__module__ or ""):
            found = _names(f.__code__)
            self.names |= found
            self._items(f.__dict__, f"{name}.__dict__", found, lambda key: f"{path}.{key}")
            scope = self.bind(f.__globals__)
            for label in sorted(found & f.__globals__.keys()):
                v = f.__globals__[label]
                self.tokens.append(label)
                self.undo.append(functools.partial(operator.setitem, f.__globals__, label, v))
                self._visit(label, v, Item(f.__globals__, label, f"{scope}[{label!r}]"))


def _labels(function, args):
    """What the positional arguments are called."""
    code = getattr(getattr(function, "__func__", function), "__code__", None)
    names = code.co_varnames[isinstance(function, types.MethodType):code.co_argcount] if (
        code) else ()
    return [*names, *(f"args[{i}]" for i in range(len(names), len(args)))][:len(args)]


@functools.cache
def _names(code):
    """The names of globals and attributes in the code of a function and of those within."""
    inner = [c for c in code.co_consts if isinstance(c, types.CodeType)]
    return frozenset(code.co_names).union(*map(_names, inner))


def _one(value):
    """A token for this very object, which it keeps, so that its id cannot become another's:
    methods are equal where their objects are the same one."""
    return types.MethodType(id, value)


def _users(module):
    return module.partition(".")[0] not in LIBRARIES


def _exact(value):
    """A constant so that equal ones mean the same: not 0.0 and -0.0, but nan and nan."""
    return repr(value) if isinstance(value, (float, complex, slice)) else value


def same(a, b):
    """Whether two constants are the same for a program."""
    return type(a) is type(b) and isinstance(a, PLAIN) and _exact(a) == _exact(b)

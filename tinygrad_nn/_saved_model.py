"""All that a prediction needs in one file: weights, architecture, classes, preprocessing.

The file is a safetensors file (`_safetensors`); the rest stands in its metadata as JSON. The
architecture is a tree of modules, each with the name of its class and its `Module.config`. A
class is looked up among those of `nn` and `models` and those that the reader names, and never
imported by what a file says, so reading a file runs no code but these constructors.
"""

import inspect
import json
import math
from typing import NamedTuple

import numpy as np

from . import models, nn, rules
from ._errors import DataError
from ._safetensors import read, save_weights
from .nn._config import plain, signature_of


class SavedModel(NamedTuple):
    """What `load_model` gives."""

    model: nn.Module
    classes: tuple | None
    preprocessing: dict | None


def save_model(path, model, classes=None, preprocessing=None):
    """Write a model to one safetensors file, from which `load_model` builds it again.

    ``classes``: the names of the classes; ``preprocessing``: a dict of what must be done to an
    input (size, scale, mean …), of numbers, strings, and lists and dicts of them. The model is
    built a second time from what was written down, to be sure that it can be: ``TypeError``
    where an argument of a constructor cannot be written, ``ValueError`` where the model was
    changed after it was built. Whether parameters are frozen is not kept.

    >>> import tempfile, numpy as np, tinygrad_nn as tn
    >>> path = tempfile.mkdtemp() + "/model.safetensors"
    >>> model = tn.nn.Sequential(tn.nn.Linear(4, 3, rng=0), tn.nn.ReLU())
    >>> tn.save_model(path, model, classes=["a", "b", "c"], preprocessing={"scale": 1 / 255})
    >>> again, classes, preprocessing = tn.load_model(path)
    >>> x = np.ones((1, 4), np.float32)
    >>> classes, preprocessing["scale"] * 255, bool((again(x).data == model(x).data).all())
    (('a', 'b', 'c'), 1.0, True)
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"save_model takes a module, got {type(model).__name__}; save_weights "
                        "takes a dict of arrays")
    writer = _Writer()
    architecture = writer.write(model, type(model).__name__)
    _check_twin(model, architecture, writer.known)
    metadata = {"architecture": json.dumps(architecture)}
    if classes is not None:
        names = list(classes)
        if isinstance(classes, str) or not all(isinstance(name, str) for name in names):
            raise TypeError(f"save_model: classes must be a list of names, got {classes!r}")
        metadata["classes"] = json.dumps(names)
    if preprocessing is not None:
        if not isinstance(preprocessing, dict):
            raise TypeError("save_model: preprocessing must be a dict, got "
                            f"{type(preprocessing).__name__}")
        metadata["preprocessing"] = json.dumps(_as_json(preprocessing, "preprocessing"))
    save_weights(path, model, metadata)


def load_model(path, known=()):
    """Build the model of a file that `save_model` wrote: ``(model, classes, preprocessing)``.

    The model is in evaluation mode, ``model.train()`` for training it on. ``known``: classes of
    your own that it is made of. ``classes`` is a tuple and ``preprocessing`` a dict, or None.
    `DataError`, with the path, where the file is damaged, holds weights alone, or names a class
    that is not known.
    """
    weights, metadata = read(path)
    if "architecture" not in metadata:
        raise DataError(f"{path} holds weights and no architecture: build the model yourself, "
                        "then model.load_state_dict(tn.load_weights(path))", path)
    classes = _library()
    for cls in known:
        if not isinstance(cls, type) or not issubclass(cls, nn.Module):
            raise TypeError(f"known= takes classes of modules, got {cls!r}")
        classes.setdefault(cls.__name__, cls)
    try:
        model = _build(json.loads(metadata["architecture"]), classes, [])
        if not isinstance(model, nn.Module):
            raise ValueError("the architecture is not that of a module")
        model.load_state_dict(weights)
        names = _loaded(metadata, "classes", list)
        return SavedModel(model.eval(), None if names is None else tuple(names),
                          _loaded(metadata, "preprocessing", dict))
    except Exception as error:      # a constructor raises anything on what a file may say
        raise DataError(f"{path}: the model cannot be built: {error}", path) from error


def _loaded(metadata, key, kind):
    value = json.loads(metadata[key]) if key in metadata else None
    if value is not None and not isinstance(value, kind):
        raise ValueError(f"{key} must be a {kind.__name__}, got {value!r}")
    return value


# ---------------------------------------------------------------- what is known by name

def _library():
    """{name: class} of the modules that come with the library."""
    return {name: value for package in (nn, models) for name, value in vars(package).items()
            if isinstance(value, type) and issubclass(value, nn.Module)}


def _functions():
    """{name: function} of the functions that may stand between modules."""
    named = {f"np.{name}": f for name, f in vars(np).items()
             if isinstance(f, np.ufunc) and f.nin == f.nout == 1}
    activations = (getattr(rules, name) for name in rules.__all__)
    return named | {f.__name__: f for f in activations if f.__module__.endswith("_activations")}


# ---------------------------------------------------------------- writing

class _Writer:
    """Writes values as JSON, and notes the classes that it meets and modules met before."""

    def __init__(self):
        self.known, self.places, self.kinds = {}, {}, _library()
        self.functions = {id(f): name for name, f in _functions().items()}

    def write(self, value, where):
        """``value`` as JSON can hold it; what it cannot is a dict that says what it is."""
        if isinstance(value, nn.Module):
            return self._module(value, where)
        if isinstance(value, list):
            return [self.write(v, where) for v in value]
        if isinstance(value, tuple):
            return {"tuple": [self.write(v, where) for v in value]}
        if isinstance(value, dict):
            return {"dict": {k: self.write(v, f"{where}[{k!r}]") for k, v in value.items()}}
        if isinstance(value, float) and not math.isfinite(value):
            return {"float": repr(value)}
        if value is None or isinstance(value, (bool, int, float, str)):
            return value
        if isinstance(value, np.dtype) and value.kind in "fiub":
            return {"dtype": value.name}
        if id(value) in self.functions:
            return {"function": self.functions[id(value)]}
        raise TypeError(f"save_model cannot write {where}, which is {value!r}: it writes "
                        "numbers, strings, dtypes, modules, functions of the library, and "
                        "lists, tuples and dicts of them. Override config() of that class, or "
                        "use save_weights and build the model yourself when loading")

    def _module(self, module, where):
        cls = type(module)
        if id(module) in self.places:
            return {"again": self.places[id(module)]}
        if self.known.setdefault(cls.__name__, cls) is not cls or (
                self.kinds.get(cls.__name__, cls) is not cls):
            raise TypeError(f"save_model: {where} is of a class {cls.__name__} and there is "
                            "another one of that name, rename yours")
        config = {name: self.write(plain(v), f"{cls.__name__}({name}=…)")
                  for name, v in module.config().items()}
        self.places[id(module)] = len(self.places)
        return {"module": cls.__name__, "config": config}


def _outline(model):
    """What two models must have in common for one to take the weights of the other: names,
    shapes and dtypes of the arrays, and the settings of the library's modules."""
    library = _library().values()
    return ({name: (a.shape, a.dtype) for name, a in model.state_dict().items()},
            {name: m._title() for name, m in model.named_modules() if type(m) in library})


def _check_twin(model, architecture, known):
    """Raise unless what was written builds a model that takes the weights of this one."""
    problem, why = None, ""
    try:
        twin = _build(architecture, known, [])
    except (TypeError, ValueError) as error:
        problem, why = error, f" ({error})"
    if problem or _outline(twin) != _outline(model):
        raise ValueError(
            f"save_model: the arguments of this {type(model).__name__} do not build one like it"
            f"{why}: it was changed afterwards, or depends on more than them. Override "
            "config(), or use save_weights") from problem


def _as_json(value, where):
    """``value`` with arrays and tuples as lists, or an error for what JSON cannot hold."""
    if isinstance(value, (np.ndarray, np.generic)):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return [_as_json(v, where) for v in value]
    if isinstance(value, dict) and all(isinstance(k, str) for k in value):
        return {k: _as_json(v, f"{where}[{k!r}]") for k, v in value.items()}
    if value is None or isinstance(value, (bool, int, str)) or (
            isinstance(value, float) and math.isfinite(value)):
        return value
    raise TypeError(f"save_model: {where} must hold finite numbers, strings, lists and dicts "
                    f"by name, got {value!r}")


# ---------------------------------------------------------------- building

def _build(spec, known, made):
    """The value of what `_Writer.write` wrote; ``made``: the modules so far."""
    match spec:
        case {"module": str(name), "config": dict(config)}:
            arguments = {k: _build(v, known, made) for k, v in config.items()}
            made.append(_module(name, arguments, known))
            return made[-1]
        case {"again": int(place)} if 0 <= place < len(made):
            return made[place]
        case {"tuple": list(items)}:
            return tuple(_build(v, known, made) for v in items)
        case {"dict": dict(items)}:
            return {k: _build(v, known, made) for k, v in items.items()}
        case {"float": "inf" | "-inf" | "nan" as text}:
            return float(text)
        case {"dtype": str(name)}:
            return np.dtype(name)
        case {"function": str(name)}:
            return _functions()[name]
        case list():
            return [_build(v, known, made) for v in spec]
        case None | bool() | int() | float() | str():
            return spec
    raise ValueError(f"the architecture says {spec!r}, which has no meaning")


def _module(name, arguments, known):
    if name not in known:
        raise ValueError(f"{name} is no module of this library. If the class is yours, "
                         f"load_model(path, known=[{name}]); or build the model yourself, then "
                         "model.load_state_dict(tn.load_weights(path))")
    cls = known[name]
    signature = signature_of(cls)
    unknown = arguments.keys() - signature.parameters.keys()
    if unknown:
        raise ValueError(f"{name} has no argument {', '.join(sorted(unknown))}: was the file "
                         "written by another version?")
    bound = inspect.BoundArguments(signature, arguments)
    return cls(*bound.args, **bound.kwargs)

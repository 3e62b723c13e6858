"""The arguments that a module was built with, as plain data: what a file says of a model.

They are noted when the module is made, so what is done to a list afterwards does not matter,
and no large array or open file is kept alive or copied for it. Those that only draw the first
values of parameters are left out: saved weights replace what they draw.
"""

import functools
import inspect
from types import SimpleNamespace

import numpy as np

DRAWING = {"rng", "randn"}


class Unwritable:
    """Stands for an argument that is no plain data: its type, for an error."""

    def __init__(self, value):
        self.type = type(value).__name__

    def __repr__(self):
        return f"<{self.type}>"


def arguments_of(cls, args, kwargs):
    """The arguments of ``cls(*args, **kwargs)`` by name, those left out with their defaults.

    In a namespace and not a dict, because a module looks for its parts in dicts. Empty where
    they do not fit, as when a copy is made that brings its own.
    """
    try:
        bound = signature_of(cls).bind(*args, **kwargs)
    except TypeError:
        return SimpleNamespace()
    bound.apply_defaults()
    return SimpleNamespace(**{name: plain(value) for name, value in bound.arguments.items()
                              if name not in DRAWING})


@functools.cache
def signature_of(cls):
    """The signature of the constructor, without ``self``."""
    signature = inspect.signature(cls.__init__)
    return signature.replace(parameters=list(signature.parameters.values())[1:])


def plain(value):
    """``value`` as plain data, NumPy's scalars as Python's; what is callable as it is."""
    if value is None or isinstance(value, (bool, int, float, str, np.dtype)):
        return value
    if isinstance(value, (np.bool_, np.integer, np.floating)):
        return value.item()
    if isinstance(value, type) and issubclass(value, np.generic):
        return np.dtype(value)
    if isinstance(value, (list, tuple)):
        return (list if isinstance(value, list) else tuple)(plain(v) for v in value)
    if isinstance(value, dict) and all(isinstance(k, str) for k in value):
        return {k: plain(v) for k, v in value.items()}
    return value if callable(value) or isinstance(value, Unwritable) else Unwritable(value)

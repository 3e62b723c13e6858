"""`Sequential`: modules in a row."""

from ._fusion import fused
from ._module import Module


class Sequential(Module):
    """Modules, or functions, applied one after another; they are named by their position.

    >>> import numpy as np, tinygrad_nn as tn
    >>> model = tn.nn.Sequential(tn.nn.Linear(3, 2, rng=0), np.tanh)
    >>> [name for name, _ in model.named_parameters()]
    ['0.weight', '0.bias']
    >>> model(np.ones((5, 3), np.float32)).shape
    (5, 2)
    """

    def __init__(self, *modules):
        for i, m in enumerate(modules):
            if not callable(m):
                raise TypeError("Sequential takes modules or functions, got "
                                f"{type(m).__name__}")
            setattr(self, str(i), m)        # the name of the attribute is that of the module

    def config(self):
        """The modules that it holds now: ``{"modules": (…)}``."""
        return {"modules": tuple(self)}

    def forward(self, x):
        modules = list(self)
        while modules:
            y = fused(modules, x)
            x, modules = (modules[0](x), modules[1:]) if y is None else (y, modules[3:])
        return x

    def __iter__(self):
        return (m for name, m in list(vars(self).items()) if name.isdecimal())

    def __len__(self):
        return len(list(iter(self)))

    def __getitem__(self, i):
        found = list(self)[i]
        return Sequential(*found) if isinstance(i, slice) else found

"""`Module`: a tree of parameters with a ``forward``; `Sequential`: modules in a row."""

import numpy as np

from .._errors import ShapeError
from .._tensor import Tensor


class Module:
    """The base of layers and models: attributes that are Tensors are parameters.

    Attributes that are Modules, or lists of Modules, are its children. Parameters are named by
    the dotted path to them, in the order of assignment.

    >>> import numpy as np, tinygrad_nn as tn
    >>> class Scale(tn.nn.Module):
    ...     def __init__(self):
    ...         self.factor = tn.Tensor(np.ones(()))
    ...     def forward(self, x):
    ...         return self.factor * x
    >>> [name for name, _ in tn.nn.Sequential(Scale(), Scale()).named_parameters()]
    ['0.factor', '1.factor']
    """

    def forward(self, *args):
        """The output of the module; subclasses define it."""
        raise NotImplementedError(f"{type(self).__name__} does not define forward()")

    def __call__(self, *args):
        return self.forward(*args)

    def _children(self):
        """(name, Tensor or Module) of the attributes, in order."""
        for name, value in vars(self).items():
            if _belongs(value):
                yield name, value
            elif isinstance(value, (list, tuple)):
                for i, v in enumerate(value):
                    if _belongs(v):
                        yield f"{name}.{i}", v

    def named_parameters(self, prefix=""):
        """(dotted name, Tensor) of every parameter, depth first; a shared one comes once."""
        seen = set()
        for name, value in self._named(prefix):
            if id(value) not in seen:
                seen.add(id(value))
                yield name, value

    def _named(self, prefix):
        for name, value in self._children():
            if isinstance(value, Tensor):
                yield prefix + name, value
            else:
                yield from value._named(f"{prefix}{name}.")

    def parameters(self):
        """The parameters, a list of Tensors in the order of `named_parameters`."""
        return [p for _, p in self.named_parameters()]

    def zero_grad(self):
        """Set ``.grad`` of every parameter to None."""
        for p in self.parameters():
            p.grad = None

    def state_dict(self):
        """{dotted name: a copy of the array} of every parameter."""
        return {name: p.data.copy() for name, p in self.named_parameters()}

    def load_state_dict(self, state):
        """Copy arrays into the parameters; all missing, unexpected and mis-shaped names are
        reported at once and nothing is changed then. The dtype of the parameters stays."""
        own = dict(self.named_parameters())
        wrong = [f"missing {name}" for name in own.keys() - state.keys()]
        wrong += [f"unexpected {name}" for name in state.keys() - own.keys()]
        wrong += [f"{name} has shape {np.shape(state[name])}, expected {own[name].shape}"
                  for name in own.keys() & state.keys()
                  if np.shape(state[name]) != own[name].shape]
        if wrong:
            raise ShapeError(f"these weights do not fit {type(self).__name__}: "
                             + "; ".join(sorted(wrong)))
        for name, p in own.items():
            p.data = np.array(state[name], p.dtype)

    def __repr__(self):
        children = [(n, v) for n, v in self._children() if isinstance(v, Module)]
        lines = [f"  ({n}): " + repr(v).replace("\n", "\n  ") for n, v in children]
        return f"{type(self).__name__}({self._settings()}" + "".join(
            "\n" + line for line in lines) + ("\n)" if lines else ")")

    def _settings(self):
        """What repr shows between the parentheses."""
        return ""


def _belongs(value):
    """Whether an attribute is a module or a parameter; a computed Tensor is neither."""
    return isinstance(value, Module) or (isinstance(value, Tensor) and value.node is None)


class Sequential(Module):
    """Modules applied one after another; they are named by their position."""

    def __init__(self, *modules):
        for m in modules:
            if not callable(m):
                raise TypeError("Sequential takes modules or functions, got "
                                f"{type(m).__name__}")
        self.modules = list(modules)

    def _children(self):
        for i, m in enumerate(self.modules):
            if isinstance(m, Module):
                yield str(i), m

    def forward(self, x):
        for m in self.modules:
            x = m(x)
        return x

    def __len__(self):
        return len(self.modules)

    def __iter__(self):
        return iter(self.modules)

    def __getitem__(self, i):
        return Sequential(*self.modules[i]) if isinstance(i, slice) else self.modules[i]

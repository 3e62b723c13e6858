"""A module as a tree of its parameters, for the transforms of `_transforms`.

Its children are the trainable parameters by dotted name, each shared one once, so sharing is
kept; not its submodules, because a parameter that two of them share would come twice. Rebuilt,
it is a copy of the module tree with new leaves in the places of the parameters; buffers, frozen
parameters and settings are those of the original. The new leaves need not be Tensors of the
user's level (they are variables of a transform, tangents, plain gradients), so each copy notes
which of its attributes are parameters, with a token that is the same wherever one is shared.
"""

from dataclasses import replace

from .._tensor import Tensor
from .._transforms import CONTAINERS
from ._module import Module
from ._paths import replaced


def children(module):
    """[(name, parameter), …]: the arrays of the user's Tensors, boxes of transforms as they
    are."""
    return [("." + p.name, p.value._data if _is_users(p.value) else p.value)
            for p in module._unique("parameter")]


def _is_users(value):
    return isinstance(value, Tensor) and value.level == 0 and value.node is None


def rebuild(module, leaves):
    """A copy of the module tree whose parameters are ``leaves``, in the order of `children`."""
    new, token, copies = {}, {}, {}
    for p, leaf in zip(module._unique("parameter"), leaves, strict=True):
        new[p.key] = leaf
        token[p.key] = p.owner._roles.leaves.get(p.path) or object()

    def copied(m):
        if id(m) in copies:
            return copies[id(m)]
        twin = copies[id(m)] = object.__new__(type(m))
        keys = {p.path: p.key for p in m._own() if p.role == "parameter"}

        def new_value(path, value):
            if path in keys:
                return new[keys[path]]
            return copied(value) if isinstance(value, Module) else value
        for attribute, value in vars(m).items():
            vars(twin)[attribute] = replaced(attribute, value, new_value)
        twin._roles = replace(m._roles, leaves={path: token[k] for path, k in keys.items()})
        return twin
    return copied(module)


CONTAINERS[Module] = children, rebuild

"""Whether saved arrays fit the places that they are for; all that is wrong, at once."""

import numpy as np

from .._core import Box


def plain(value):
    """The array of a Tensor of ours or of PyTorch's; anything else as it is."""
    if isinstance(value, Box):
        return value.data
    return value.detach() if hasattr(value, "detach") else value


def fitted(places, state):
    """``(arrays, wrong)``: the new array of each place, and sentences on what does not fit.

    ``places``: for each array the list of its parts (name, value …), several where it is
    shared; ``state``: {name: array}. The arrays are new, in the dtype of what is there.
    """
    arrays, wrong, known = [], [], set()
    for parts in places:
        names = [p.name for p in parts]
        known.update(names)
        given = [name for name in names if name in state]
        if not given:
            wrong.append(f"missing {names[0]}")
        found = [_converted(name, state[name], parts[0].value, wrong) for name in given]
        if any(x is not None and found[0] is not None
               and not np.array_equal(x, found[0], equal_nan=True) for x in found[1:]):
            wrong.append(f"{' and '.join(given)} are one array here and differ there")
        arrays.append(found[0] if found else None)
    return arrays, wrong + [f"unexpected {name}" for name in state if name not in known]


def _converted(name, array, own, wrong):
    """A copy of ``array`` in the dtype of ``own``, or None and a sentence in ``wrong``."""
    array, own = np.asarray(array), np.asarray(plain(own))
    if array.shape != own.shape:
        wrong.append(f"{name} has shape {array.shape}, expected {own.shape}")
    elif not np.can_cast(array.dtype, own.dtype, "same_kind"):
        wrong.append(f"{name} has dtype {array.dtype}, expected {own.dtype}")
    else:
        return np.array(array, own.dtype)
    return None

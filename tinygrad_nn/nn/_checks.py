"""Whether the numbers that a loss or a layer was given are those that it is for."""

import numpy as np

from ..rules._check import check


def first(x, wrong):
    """The first element of ``x`` that is wrong, and where, for a message."""
    index = tuple(int(i) for i in np.argwhere(wrong)[0])
    return f"{x[index]} at index {index}"


@check
def check_unit(t, what):
    """Raise unless every number of ``t`` lies in 0..1; nan does not."""
    if t.size and not (t.min() >= 0 and t.max() <= 1):
        raise ValueError(f"{what} must lie in 0..1, got {first(t, ~((t >= 0) & (t <= 1)))}")


@check
def check_probabilities(p, name):
    """Raise if a number of ``p`` lies outside of 0..1; nan passes, and is the loss."""
    if p.size and (p.min() < 0 or p.max() > 1):
        raise ValueError(f"{name}: predictions must lie in 0..1, got "
                         f"{first(p, (p < 0) | (p > 1))}; logits go into {name}_with_logits")


@check
def check_signs(t, name):
    """Raise unless every number of ``t`` is -1 or 1."""
    wrong = np.abs(t) != 1
    if wrong.any():
        raise ValueError(f"{name}: targets must be -1 or 1, got {first(t, wrong)}; 2 * t - 1 "
                         "makes them of 0 and 1")


@check
def check_labels(t, n, name):
    """Raise unless every number of ``t`` lies in 0..n-1."""
    if t.size and (t.min() < 0 or t.max() >= n):
        raise ValueError(f"{name}: labels must lie in 0..{n - 1}, the number of classes is "
                         f"{n}, got {first(t, (t < 0) | (t >= n))}")


@check
def check_rows(indices, n, title):
    """Raise `IndexError` unless every number of ``indices`` lies in 0..n-1."""
    if indices.size and not 0 <= indices.min() <= indices.max() < n:
        wrong = indices[(indices < 0) | (indices >= n)][0]
        raise IndexError(f"{title}: index {wrong} is not in 0 .. {n - 1}")

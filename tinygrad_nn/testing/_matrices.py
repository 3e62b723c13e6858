"""Matrices with a property, made of drawn numbers so that they stay readable."""

import itertools

import numpy as np
from hypothesis import strategies as st

from ._values import BOUNDS

ROTATIONS = [(0.8, 0.6), (0.6, 0.8), (0.8, -0.6), (0.96, 0.28), (0.28, -0.96)]
EDGES = [(1.0, 0.0), (0.0, 1.0), (0.0, -1.0)]              # special points among rotations


def well_conditioned(pool, shape):
    """The longer side on the diagonal, numbers of ±0.9 added everywhere."""
    m, n = shape[-2:]
    return pool.numbers("unit", shape) + max(m, n) * np.eye(m, n, dtype=pool.dtype)


def symmetric(pool, shape, domain="real"):
    """Numbers on and below the diagonal, the same above."""
    n = shape[-1]
    x = np.zeros(shape, pool.dtype)
    i, j = np.tril_indices(n)
    x[..., i, j] = x[..., j, i] = pool.numbers(domain, (*shape[:-2], len(i)))
    return x


def positive_definite(pool, shape):
    """Symmetric, of numbers of ±0.9, with the side added to the diagonal, which dominates."""
    return symmetric(pool, shape, "unit") + shape[-1] * np.eye(shape[-1], dtype=pool.dtype)


def triangular(pool, shape):
    """Nothing above the diagonal, and 1.2 .. 4 on it."""
    x = np.zeros(shape, pool.dtype)
    i, j = np.tril_indices(shape[-1], -1)
    x[..., i, j] = pool.numbers("real", (*shape[:-2], len(i)))
    k = np.arange(shape[-1])
    x[..., k, k] = pool.numbers("above1", (*shape[:-2], len(k)))
    return x


def orthogonal(pool, shape):
    """A rotation in each plane of two axes, by angles whose sine and cosine are decimals."""
    turns = st.sampled_from(ROTATIONS + EDGES if pool.points else ROTATIONS)
    x = np.zeros(shape)
    for index in np.ndindex(shape[:-2]):
        q = np.eye(shape[-1])
        for i, j in itertools.combinations(range(shape[-1]), 2):
            c, s = pool.draw(turns)
            q[:, [i, j]] = q[:, [i, j]] @ np.array([[c, s], [-s, c]])
        x[index] = q * pool.draw(st.sampled_from([1.0, -1.0]))
    return np.round(x, 15).astype(pool.dtype)


MATRICES = {f.__name__: f for f in (well_conditioned, positive_definite, symmetric, triangular,
                                    orthogonal)}


def check_domain(domain):
    """Raise unless ``domain`` is the name of one."""
    known = (*BOUNDS, *MATRICES)
    if domain not in known:
        raise ValueError(f"domain={domain!r}: expected one of {', '.join(known)}")


def fill(pool, domain, shape):
    """An array of a domain, a matrix or not, of numbers from a pool."""
    if domain not in MATRICES:
        return pool.numbers(domain, shape)
    if len(shape) < 2 or (domain != "well_conditioned" and shape[-1] != shape[-2]):
        raise ValueError(f"domain={domain!r} of shape {shape}: expected a shape that ends in "
                         + ("two sides" if domain == "well_conditioned" else "a square"))
    return MATRICES[domain](pool, shape)

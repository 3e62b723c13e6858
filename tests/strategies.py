"""Hypothesis strategies: arrays for a row of `specs`, in every memory layout."""

import numpy as np
from hypothesis import strategies as st
from specs import BROADCAST

LAYOUTS = ("C", "F", "strided", "negative", "read-only")
PAIRS = [((), ()), ((3,), ()), ((), (2,)), ((3,), (3,)), ((2, 1), (3,)), ((1,), (2, 2)),
         ((2, 3), (2, 3)), ((0,), (1,)), ((0,), ()), ((2, 1, 2), (3, 1))]


def values(domain, shape, rng):
    """Distinct numbers of a domain, away from 0, from integers and from halves."""
    n = int(np.prod(shape, dtype=int))
    if domain == "real":
        grid = (np.arange(2 * n + 12) - n - 6) * 0.5 + 0.25        # quarters between halves
        x = rng.choice(grid[np.abs(grid) < 3] if n <= 8 else grid, n, replace=False)
        return (x + rng.uniform(-0.15, 0.15, n)).reshape(shape)
    low, high = {"positive": (0.2, 3), "unit": (-0.9, 0.9), "above1": (1.2, 4)}[domain]
    return rng.permutation(np.linspace(low, high, n + 2)[1:-1]).reshape(shape) if n else (
        np.zeros(shape))


def laid_out(x, layout):
    """An array with the values of x and another layout in memory."""
    if layout == "F" and x.ndim:
        return np.asfortranarray(x)
    if layout == "strided" and x.ndim:
        wide = np.zeros((*x.shape[:-1], 2 * x.shape[-1]), x.dtype)
        wide[..., ::2] = x
        return wide[..., ::2]
    if layout == "negative" and x.ndim:
        return np.ascontiguousarray(x[..., ::-1])[..., ::-1]
    if layout == "read-only":
        x = x.copy()
        x.flags.writeable = False
    return x


@st.composite
def arguments(draw, row, dtype=np.float64):
    """Arrays for a row: shapes, values and layouts."""
    shapes = draw(st.sampled_from(PAIRS if row.shapes is BROADCAST else row.shapes))
    if row.shapes is BROADCAST and draw(st.booleans()):
        shapes = shapes[::-1]
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    return [laid_out(values(d, s, rng).astype(dtype), draw(st.sampled_from(LAYOUTS)))
            for d, s in zip(row.domains, shapes, strict=True)]

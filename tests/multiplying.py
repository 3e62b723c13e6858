"""How tests multiply matrices of any layout, and compare."""

from typing import NamedTuple

import numpy as np

EPS = {np.float32: 1e-6, np.float64: 1e-14}


class Problem(NamedTuple):
    """Of a product (m, k) by (k, n)."""

    dtype: type
    m: int
    k: int
    n: int
    transposed: tuple           # whether the columns of a, of b are contiguous
    apart: tuple                # more numbers between the rows of each
    seed: int

    def matrices(self, make=np.zeros):
        rng = np.random.default_rng(self.seed)
        shapes = (self.m, self.k), (self.k, self.n)
        found = []
        for (rows, columns), turned, apart in zip(shapes, self.transposed, self.apart,
                                                  strict=True):
            if turned:
                rows, columns = columns, rows
            whole = make(rows * (columns + apart) - apart, self.dtype)  # none behind the last
            a = np.lib.stride_tricks.as_strided(
                whole, (rows, columns), ((columns + apart) * whole.itemsize, whole.itemsize))
            a[...] = rng.standard_normal(a.shape)
            found.append(a.T if turned else a)
        return found


def close(got, a, b):
    want = a.astype(np.float64) @ b.astype(np.float64)
    bound = np.abs(a.astype(np.float64)) @ np.abs(b.astype(np.float64))
    assert got.shape == want.shape and got.dtype == a.dtype
    assert (np.abs(got - want) <= 4 * EPS[a.dtype.type] * bound).all()

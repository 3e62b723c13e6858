"""Jacobians in four ways: by pullbacks, by tangents, and `jacobian` made to go either way."""

import numpy as np

import tinygrad_nn as tn


def unit(shape, i, dtype):
    e = np.zeros(shape, dtype)
    e.flat[i] = 1
    return e


def by_pullback(f, xs):
    """{output: [a block for each x]}, one pullback for each row."""
    y, pullback = tn.vjp(f, *xs)
    found = {}
    for k, v in y.items():
        zeros = {m: np.zeros_like(o) for m, o in y.items()}
        rows = [pullback({**zeros, k: unit(v.shape, i, v.dtype)}) for i in range(v.size)]
        found[k] = [np.reshape(np.array([r[a] for r in rows], x.dtype), v.shape + x.shape)
                    for a, x in enumerate(xs)]
    return found


def by_tangent(f, xs):
    """The same, one forward pass for each column."""
    y, found = f(*xs), {}
    for a, x in enumerate(xs):
        for i in range(x.size):
            ts = tuple(unit(v.shape, i, v.dtype) if b == a else np.zeros_like(v)
                       for b, v in enumerate(xs))
            for k, t in tn.jvp(f, xs, ts)[1].items():
                found.setdefault((k, a), []).append(t)
    return {k: [np.reshape(np.stack(found[k, a], -1), v.shape + x.shape).astype(x.dtype)
                for a, x in enumerate(xs)] for k, v in y.items()}


def agree(got, want, rtol=1e-8, atol=1e-10):
    assert got.keys() == want.keys()
    for k in want:
        for g, w in zip(got[k], want[k], strict=True):
            assert type(g) is np.ndarray and g.shape == w.shape
            np.testing.assert_allclose(g, w, rtol=rtol, atol=atol)


def by_rows(f, xs):
    """`jacobian`, made to go row by row: a variable that is larger than all outputs."""
    found = tn.jacobian(lambda *xs: f(*xs[:-1]), range(len(xs) + 1))(*xs, np.zeros(99))
    for blocks in found.values():
        assert not blocks[-1].any()
    return {k: blocks[:-1] for k, blocks in found.items()}


def by_columns(f, xs):
    """`jacobian`, made to go column by column: an output that is larger than all variables."""
    found = tn.jacobian(lambda *xs: {**f(*xs), "more": np.zeros(99)}, range(len(xs)))(*xs)
    for block in found.pop("more"):
        assert not block.any()
    return found

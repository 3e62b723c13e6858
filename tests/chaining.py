"""How tests look at chains: their groups, what these give."""

import numpy as np
import pytest
from tracing import evaluate, program, run

from tinygrad_nn.passes import _chains as chains_pass
from tinygrad_nn.passes import optimised

pytest.importorskip("numba")

EPS = {np.float32: 1e-6, np.float64: 1e-14}


def groups(p):
    return [e.fn for e in p.equations if isinstance(e.fn, chains_pass.Chained)]


def close(got, want, eps):
    for a, b in zip(got, want, strict=True):
        assert np.shape(a) == np.shape(b) and np.asarray(a).dtype == np.asarray(b).dtype
        finite = np.isfinite(b)
        np.testing.assert_array_equal(np.isnan(a), np.isnan(b))
        np.testing.assert_array_equal(np.where(finite, 0, a), np.where(finite, 0, b))
        largest = np.abs(np.where(finite, b, 0)).max(initial=0)
        assert np.abs(np.where(finite, a, 0) - np.where(finite, b, 0)).max(initial=0) <= (
            eps * largest)


def fused(f, *arrays, one=True):
    """What ``f`` gives by kernels, and its equations; by default it must be one group."""
    p = optimised(program(f, *arrays))
    small = p["chains"]
    assert groups(small)
    if one:
        assert len(small) == 1, str(small)
    known = dict(zip(p["recorded"].inputs, arrays, strict=True))
    with np.errstate(all="ignore"):
        want = evaluate(p["recorded"], arrays)
    return run(p["fuse"], *(known[v] for v in p["fuse"].inputs)), want

"""How tests look at chains: programs of functions, their groups, what these give."""

import warnings

import numpy as np
import pytest
from compiling import evaluate

from tinygrad_nn._program import Program
from tinygrad_nn._symbol import Symbol, Trace
from tinygrad_nn.passes import _chains as chains_pass
from tinygrad_nn.passes import optimised
from tinygrad_nn.passes._emit import Writer

pytest.importorskip("numba")

EPS = {np.float32: 1e-6, np.float64: 1e-14}


def program(f, *arrays):
    """A function of arrays as a program."""
    trace = Trace()
    symbols = [trace.stand_in(a) for a in arrays]
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        out = f(*symbols)
    out = out if isinstance(out, tuple) else (out,)
    return Program({s.var: f"x{k}" for k, s in enumerate(symbols)}, tuple(trace.equations),
                   tuple((f"return {k}", v.var if isinstance(v, Symbol) else v)
                         for k, v in enumerate(out)))


def run(p, *values):
    """The outputs of a program, by its generated function."""
    p = Program(p.inputs, p.equations, p.outputs)
    function = Writer(p).function()
    with np.errstate(all="ignore"):
        function(list(values), [])
        return function(list(values), [])               # blocks are used a second time


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


def table(shape, dtype, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)

"""Compiled kernels against the plain ones: values, borders of memory."""

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_nn as tn
from tinygrad_nn import Tensor, kernels, nn
from tinygrad_nn.rules import _convolution_kernels as plain
from tinygrad_nn.rules import _pooling_kernels as plain_pooling
from tinygrad_nn.testing import laid_out, layouts

pytest.importorskip("numba")
from convolving import EPS, RNG, all_three, changed, close, pooled_all, problems, wanted
from guarding import GuardedNumpy, guarded

from tinygrad_nn.kernels import _convolution as fast
from tinygrad_nn.kernels import _geometry as geometry
from tinygrad_nn.kernels import _pooling as fast_pooling
from tinygrad_nn.kernels import _threads as threads

# ---------------------------------------------------------------- values

@settings(max_examples=150, deadline=None)
@given(problems(), st.sampled_from([1, 2000, 1 << 17]))
def test_convolutions_are_the_plain_ones(problem, source):
    with changed(geometry, SOURCE=source):                      # many strips, or one
        arrays = problem.arrays()
        for got, want in zip(all_three(*arrays), wanted(*arrays), strict=True):
            close(got, want, problem.dtype)


@settings(max_examples=30, deadline=None)
@given(problems([np.float64]), layouts(), st.booleans())
def test_any_layout_also_of_what_must_not_be_written_to(problem, layout, writeable):
    *arrays, how = problem.arrays()
    arrays = [a if a is None else laid_out(a, layout) for a in arrays]
    copies = [None if a is None else a.copy() for a in arrays]
    for a in arrays:
        if a is not None:
            a.flags.writeable = writeable
    for got, want in zip(all_three(*arrays, how), wanted(*copies, how), strict=True):
        close(got, want, np.float64)
    for a, copy in zip(arrays, copies, strict=True):
        np.testing.assert_array_equal(a, copy)


@settings(max_examples=60, deadline=None)
@given(problems(), st.sampled_from([np.nan, np.inf]), st.integers(0, 2),
       st.integers(0, 2**16))
def test_numbers_that_are_none_spread_as_in_the_plain_ones(problem, value, which, at):
    x, w, bias, g, how = problem.arrays()
    a = (x, w, g)[which]
    a.flat[at % a.size] = value
    with np.errstate(invalid="ignore"):
        for name, args in (("conv2d", (x, w, bias)), ("conv2d_dx", (g, w, x.shape)),
                           ("conv2d_dw", (g, x, w.shape))):
            function = getattr(plain, name).plain
            got, want = getattr(fast, name)(function, *args, *how), function(*args, *how)
            np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
            np.testing.assert_array_equal(np.isinf(got), np.isinf(want))


def test_other_dtypes_are_brought_to_that_of_the_result():
    x, w = RNG.integers(0, 255, (4, 3, 40, 40)).astype(np.uint8), RNG.normal(size=(8, 3, 3, 3))
    for dtype, result in ((np.float32, np.float32), (np.float64, np.float64)):
        y = plain.conv2d(x, w.astype(dtype), None, (1, 1), ((1, 1), (1, 1)), (1, 1), 1)
        assert y.dtype == result
        want = plain.conv2d.plain(x, w, None, (1, 1), ((1, 1), (1, 1)), (1, 1), 1)
        np.testing.assert_allclose(y, want, rtol=1e-4, atol=1e-2)


def test_a_network_is_the_plain_one(monkeypatch):
    x = RNG.standard_normal((8, 3, 20, 20))
    found = []
    for available in (True, False):
        monkeypatch.setattr(kernels, "available", lambda value=available: value)
        model = nn.Sequential(
            nn.Conv2d(3, 16, 3, padding=1, rng=0, dtype=np.float64), nn.ReLU(),
            nn.Conv2d(16, 12, 4, stride=2, groups=2, rng=1, dtype=np.float64))
        leaf = Tensor(x)
        (model(leaf) ** 2).sum().backward()
        found.append([leaf.grad, *(p.grad for p in model.parameters())])
    for got, want in zip(*found, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-10)


# ---------------------------------------------------------------- with ReLU and pooling

def one_by_one(x, w, bias, how, window):
    """The same by the compiled convolution and the plain rest."""
    pool = window, window, ((0, 0), (0, 0))
    z = np.maximum(fast.conv2d(None, x, w, bias, *how), 0)
    cells = plain_pooling.maxima.plain(z, *pool)
    y = plain_pooling.pick.plain(z, cells, *pool)
    g = np.random.default_rng(1).standard_normal(y.shape).astype(y.dtype)
    dz = plain_pooling.put.plain(np.where(y > 0, g, 0), cells, z.shape[2:], *pool)
    cells = np.where(y > 0, cells, window[0] * window[1])
    return (y, cells, fast.conv2d_dx(None, dz, w, x.shape, *how),
            fast.conv2d_dw(plain.conv2d_dw.plain, dz, x, w.shape, *how))


def same_results(found, want, dtype):
    for got, right in zip(found[:2], want[:2], strict=True):
        np.testing.assert_array_equal(got, right)
    for got, right in zip(found[2:], want[2:], strict=True):    # added up in another order
        close(got, right, dtype)


WINDOWS = st.sampled_from([(2, 2), (2, 2), (1, 1), (3, 2), (1, 3), (17, 16)])


def in_windows(problem, window):
    """(x, w, bias, how) of a problem whose results have a whole window at least, or None."""
    x, w, bias, g, how = problem.arrays()
    fits = all(n >= k for n, k in zip(g.shape[2:], window, strict=True))
    return (x, w, bias, how) if fits else None


@settings(max_examples=120, deadline=None)
@given(problems(), WINDOWS, st.sampled_from([1, 2000, 1 << 17]))
def test_all_in_one_is_one_by_one(problem, window, source):
    arrays = in_windows(problem, window)
    if arrays is None:
        return
    with changed(geometry, SOURCE=source, NEAR=source):
        same_results(pooled_all(*arrays, window), one_by_one(*arrays, window), problem.dtype)


def test_a_nan_goes_through_all_in_one():
    x, w = np.arange(64.0).reshape(1, 1, 8, 8) - 30, np.ones((1, 1, 1, 1))
    x[0, 0, 2, 3], x[0, 0, 6, 6] = np.nan, np.inf
    how = (1, 1), ((0, 0), (0, 0)), (1, 1), 1
    for got, want in zip(pooled_all(x, w, None, how, (2, 2))[:3],
                         one_by_one(x, w, None, how, (2, 2))[:3], strict=True):
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_network_with_pooling_is_the_plain_one(monkeypatch, dtype):
    x, labels = RNG.standard_normal((8, 3, 24, 24)).astype(dtype), np.arange(8) % 4
    found, runs = [], []
    monkeypatch.setattr(fast, "conv2d_pooled",
                        lambda *args, run=fast.conv2d_pooled, out: (
                            runs.append(1) or run(*args, out=out)))
    for available in (True, False):
        monkeypatch.setattr(kernels, "available", lambda value=available: value)
        model = nn.Sequential(
            nn.Conv2d(3, 16, 3, rng=0, dtype=dtype), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 12, 3, padding=1, rng=1, dtype=dtype), nn.ReLU(), nn.MaxPool2d(3),
            nn.Flatten(), nn.Linear(108, 4, rng=2, dtype=dtype))
        leaf = Tensor(x)
        nn.cross_entropy(model(leaf), labels).backward()
        found.append([leaf.grad, *(p.grad for p in model.parameters())])
    assert len(runs) == 2
    for got, want in zip(*found, strict=True):
        assert got.dtype == dtype
        np.testing.assert_allclose(got, want, rtol=0,
                                   atol=10 * EPS[dtype] * max(np.abs(want).max(), 1))


def test_only_what_is_the_same_is_made_one(monkeypatch):
    monkeypatch.setattr(fast, "conv2d_pooled", lambda *args, out: pytest.fail("made one"))
    x = np.ones((8, 3, 24, 24), np.float32)
    conv = nn.Conv2d(3, 16, 3, rng=0)
    replaced = nn.ReLU()
    replaced.forward = np.tanh
    for layers in ((conv, nn.ReLU()), (conv, nn.ReLU(), nn.MaxPool2d(3, 2)),
                   (conv, nn.ReLU(), nn.MaxPool2d(2, padding=1)), (conv, nn.MaxPool2d(2)),
                   (nn.Conv2d(3, 16, 3, bias=False), nn.ReLU(), nn.MaxPool2d(2)),
                   (conv, replaced, nn.MaxPool2d(2)), (conv, np.tanh, nn.MaxPool2d(2))):
        nn.Sequential(*layers)(x)
    with pytest.raises(tn.ShapeError) as error:
        nn.Sequential(conv, nn.ReLU(), nn.MaxPool2d(30))(x)
    assert str(error.value).startswith("2 (MaxPool2d")


# ---------------------------------------------------------------- pooling

@st.composite
def poolings(draw):
    """(x, kernel, stride, padding): of the drawn values some are equal, some are not finite."""
    n = st.integers
    kernel = draw(st.sampled_from([(2, 2), (2, 2), (3, 2), (1, 4), (3, 3), (17, 16)]))
    stride = draw(st.sampled_from([kernel, kernel, (1, 3), (2, 1)]))
    padding = tuple((draw(n(0, k // 2)),) * 2 for k in kernel)
    image = [max(1, k - sum(p)) + draw(n(0, 40)) for k, p in zip(kernel, padding, strict=True)]
    rng = np.random.default_rng(draw(n(0, 2**16)))
    x = rng.integers(-9, 9, (draw(n(1, 3)), draw(n(1, 3)), *image)) / 2
    x.flat[rng.integers(0, x.size, draw(n(0, 5)))] = draw(st.sampled_from(
        [np.nan, np.inf, -np.inf]))
    return x.astype(draw(st.sampled_from([np.float32, np.float64]))), kernel, stride, padding


def pool_all(module, x, how):
    """Of the compiled functions, or of the plain ones: the same bits are asked of them."""
    chosen = (fast_pooling.maxima(None, x, *how) if module is fast_pooling
              else module.maxima.plain(x, *how))
    g = np.random.default_rng(1).standard_normal(chosen.shape).astype(x.dtype)
    if module is fast_pooling:
        return (chosen, module.pick(None, x, chosen, *how),
                module.put(None, g, chosen, x.shape[2:], *how))
    return (chosen, module.pick.plain(x, chosen, *how),
            module.put.plain(g, chosen, x.shape[2:], *how))


@settings(max_examples=150, deadline=None)
@given(poolings())
def test_max_pooling_is_the_plain_one(drawn):
    x, *how = drawn
    chosen, y, dx = pool_all(fast_pooling, x, how)
    want_chosen, want_y, want_dx = pool_all(plain_pooling, x, how)
    assert (chosen.dtype, y.dtype, dx.dtype) == (want_chosen.dtype, x.dtype, x.dtype)
    np.testing.assert_array_equal(chosen, want_chosen)
    np.testing.assert_array_equal(y, want_y)
    close(dx, want_dx, x.dtype.type)                # sums of overlapping windows, in any order


# ---------------------------------------------------------------- the borders of memory

def guard_all(run_all, arrays, behind):
    """Run functions with every array, and the scratch memory, beside a page without access."""
    def scratch(size, dtype, use=""):
        memory = guarded(size, dtype, behind)
        memory.fill(np.nan)                                     # nothing may depend on it
        return memory
    with (changed(threads, scratch=scratch), changed(fast, np=GuardedNumpy(behind)),
          changed(fast_pooling, np=GuardedNumpy(behind))):
        return run_all(*arrays)


@pytest.mark.skipif(sys.platform != "linux", reason="mprotect by ctypes")
@settings(max_examples=100, deadline=None)
@given(problems(), st.booleans(), st.sampled_from([1, 2000, 1 << 17]))
def test_nothing_beyond_an_array_is_touched(problem, behind, source):
    with changed(geometry, SOURCE=source):
        found = guard_all(all_three, problem.arrays(), behind)
    for got, want in zip(found, wanted(*problem.arrays()), strict=True):
        close(got, want, problem.dtype)


@pytest.mark.skipif(sys.platform != "linux", reason="mprotect by ctypes")
@settings(max_examples=100, deadline=None)
@given(poolings(), st.booleans())
def test_nothing_beyond_an_array_is_touched_by_pooling(drawn, behind):
    x, *how = drawn
    chosen, y, dx = guard_all(pool_all, (fast_pooling, x, how), behind)
    want_chosen, want_y, want_dx = pool_all(plain_pooling, x, how)
    np.testing.assert_array_equal(chosen, want_chosen)
    np.testing.assert_array_equal(y, want_y)
    close(dx, want_dx, x.dtype.type)


@pytest.mark.skipif(sys.platform != "linux", reason="mprotect by ctypes")
@settings(max_examples=80, deadline=None)
@given(problems(), WINDOWS, st.booleans(), st.sampled_from([1, 2000, 1 << 17]))
def test_nothing_beyond_an_array_is_touched_by_all_in_one(problem, window, behind, source):
    arrays = in_windows(problem, window)
    if arrays is None:
        return
    with changed(geometry, SOURCE=source, NEAR=source):
        found = guard_all(pooled_all, (*arrays, window), behind)
    same_results(found, one_by_one(*arrays, window), problem.dtype)


@pytest.mark.skipif(sys.platform != "linux", reason="mprotect by ctypes")
@pytest.mark.parametrize("behind, index", [(True, 5), (False, -1)])
def test_the_page_beside_an_array_does_guard_it(behind, index):
    code = f"""
        import ctypes
        from guarding import guarded
        a = guarded(5, float, {behind})
        print(a.sum(), flush=True)
        ctypes.cast(a.ctypes.data, ctypes.POINTER(ctypes.c_double))[{index}]
        """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True,
                          text=True, cwd=os.path.dirname(__file__))
    assert done.stdout == "0.0\n" and done.returncode < 0

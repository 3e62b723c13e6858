"""Compiled kernels against the plain ones: values, borders of memory, threads, the choice."""

import contextlib
import os
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_nn as tn
from tinygrad_nn import Tensor, kernels, nn
from tinygrad_nn.rules import _convolution_kernels as plain
from tinygrad_nn.rules import _convolution_pooled as plain_pooled
from tinygrad_nn.rules import _pooling_kernels as plain_pooling
from tinygrad_nn.testing import laid_out, layouts

pytest.importorskip("numba")
from guarding import GuardedNumpy, guarded

from tinygrad_nn.kernels import _convolution as fast
from tinygrad_nn.kernels import _geometry as geometry
from tinygrad_nn.kernels import _looks
from tinygrad_nn.kernels import _pooling as fast_pooling
from tinygrad_nn.kernels import _threads as threads
from tinygrad_nn.kernels._loops import next_item

EPS = {np.float32: 1e-5, np.float64: 1e-13}
RNG = np.random.default_rng(0)


def close(got, want, dtype):
    assert got.shape == want.shape and got.dtype == dtype
    largest = np.abs(want).max(initial=0)
    assert np.abs(got - want).max(initial=0) <= EPS[dtype] * (largest + 1)


class Problem(NamedTuple):
    """Shapes, of which hypothesis can print a failing one, and a seed."""

    dtype: type
    x: tuple
    w: tuple
    bias: bool
    how: tuple                  # stride, padding, dilation, groups
    seed: int

    def arrays(self):
        """(x, w, bias or None, g, how)"""
        rng = np.random.default_rng(self.seed)
        out = geometry.extents(self.x[2:], self.w[2:], *self.how[:3])
        x, w, bias, g = (rng.standard_normal(shape).astype(self.dtype) for shape in (
            self.x, self.w, self.w[:1], (self.x[0], self.w[0], *out)))
        return x, w, bias if self.bias else None, g, self.how


@st.composite
def problems(draw, dtypes=(np.float32, np.float64)):
    """Odd sizes of every kind."""
    n = st.integers
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    channels, filters = draw(n(1, 7)), draw(n(1, 19) if groups == 1 else n(1, 5))
    kernel, stride = (draw(n(1, 5)), draw(n(1, 5))), (draw(n(1, 4)), draw(n(1, 4)))
    dilation = draw(n(1, 3)), draw(n(1, 3))
    padding = tuple((draw(n(0, 4)), draw(n(0, 4))) for _ in range(2))
    image = [max(1, d * (k - 1) + 1 - sum(p)) + draw(n(0, 40))
             for k, d, p in zip(kernel, dilation, padding, strict=True)]
    return Problem(draw(st.sampled_from(dtypes)), (draw(n(1, 5)), groups * channels, *image),
                   (groups * filters, channels, *kernel), draw(st.booleans()),
                   (stride, padding, dilation, groups), draw(n(0, 2**16)))


@contextlib.contextmanager
def changed(module, **values):
    """Other constants for a while; what was computed from them is forgotten."""
    old = {name: getattr(module, name) for name in values}
    caches = geometry.forward, geometry.backward, geometry.cells, threads._team
    try:
        for name, value in values.items():
            setattr(module, name, value)
        for cache in caches:
            cache.cache_clear()
        yield
    finally:
        for name, value in old.items():
            setattr(module, name, value)
        for cache in caches:
            cache.cache_clear()


def all_three(x, w, bias, g, how):
    return (fast.conv2d(None, x, w, bias, *how), fast.conv2d_dx(None, g, w, x.shape, *how),
            fast.conv2d_dw(None, g, x, w.shape, *how))


def wanted(x, w, bias, g, how):
    x, w, g = (a.astype(np.float64) for a in (x, w, g))
    return (plain.conv2d.plain(x, w, bias, *how),
            plain.conv2d_dx.plain(g, w, x.shape, *how),
            plain.conv2d_dw.plain(g, x, w.shape, *how))


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

def pooled_all(x, w, bias, how, window, g=None):
    """(y, cells, dx, dw) of the compiled forms of convolution, ReLU and pooling as one."""
    y, cells = fast.conv2d_pooled(None, x, w, bias, *how, window)
    if g is None:
        g = np.random.default_rng(1).standard_normal(y.shape).astype(y.dtype)
    dw = plain_pooled.conv2d_pooled_dw.plain
    return (y, cells, fast.conv2d_pooled_dx(None, g, cells, w, x.shape, *how, window),
            fast.conv2d_pooled_dw(dw, g, cells, x, w.shape, *how, window))


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


# ---------------------------------------------------------------- threads

def large(dtype=np.float32):
    x, w = RNG.normal(size=(6, 5, 40, 40)).astype(dtype), RNG.normal(size=(9, 5, 3, 3))
    how = (1, 1), ((1, 1), (1, 1)), (1, 1), 1
    return x, w.astype(dtype), None, RNG.normal(size=(6, 9, 40, 40)).astype(dtype), how


def test_the_number_of_threads_changes_no_bit():
    problem, found = large(), []
    for n in (1, 2, 5):
        with changed(threads, count=lambda n=n: n), changed(fast, ALONE=0):
            found.append([*all_three(*problem), *pooled_all(*problem[:3], problem[4], (2, 2))])
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_each_item_is_taken_once_from_one_end_or_the_other():
    counter, sizes = np.zeros(4, np.int64), [3, 4, 4, 3, 3, 4, 3, 4]
    assert [next_item(counter[:n], 7) for n in sizes] == [0, 6, 5, 1, 2, 4, 3, 7]


def test_several_python_threads_at_once():
    problems = [large(dtype) for dtype in (np.float32, np.float64) * 3]
    want = [all_three(*p) for p in problems]
    with changed(fast, ALONE=0), ThreadPoolExecutor(6) as pool:
        for _ in range(5):
            for found, right in zip(pool.map(lambda p: all_three(*p), problems), want,
                                    strict=True):
                for a, b in zip(found, right, strict=True):
                    np.testing.assert_array_equal(a, b)


def test_an_error_in_a_thread_is_raised_when_all_have_ended():
    ended = []

    def kernel(scratch, counter):
        ended.append(len(scratch))
        raise ZeroDivisionError
    with changed(threads, count=lambda: 3), pytest.raises(ZeroDivisionError):
        threads.run(kernel, 3, 10, np.float64)
    assert 1 <= len(ended) <= 3 and set(ended) == {10}


def test_helpers_of_another_thread_are_not_waited_for():
    calls = []
    with changed(threads, count=lambda: 2), threads._team().free:
        threads.run(lambda *args: calls.append(threading.current_thread()), 2, 1, np.float64)
    assert calls == [threading.current_thread()]


def test_a_helper_that_is_late_has_nothing_to_do_and_is_there_for_the_next_work(monkeypatch):
    late, calls = threading.Event(), []
    monkeypatch.setattr(_looks, "look_out", lambda *args: late.wait(10))
    team = threads.Team(1)
    team.run(lambda counter: calls.append(threading.current_thread()), 1)
    assert calls == [threading.current_thread()]
    late.set()
    both = threading.Barrier(2, timeout=10)
    team.run(lambda counter: (both.wait(), calls.append(len(counter))), 1)
    assert sorted(calls[1:]) == [3, 4]


def test_the_users_number_of_threads_wins(monkeypatch):
    for name, value, want in (("OMP_NUM_THREADS", "1", 1), ("NUMBA_NUM_THREADS", "1", 1),
                              ("OMP_NUM_THREADS", "4,2", None), ("OMP_NUM_THREADS", "0", None)):
        for other in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):
            monkeypatch.delenv(other, raising=False)
        threads.count.cache_clear()
        all_of_them = threads.count()
        monkeypatch.setenv(name, value)
        threads.count.cache_clear()
        assert threads.count() == (want or all_of_them)
    threads.count.cache_clear()


def test_scratch_memory_is_kept_unless_it_is_large():
    a = threads.scratch(100, np.float32)
    assert len(a) == 100 and a.ctypes.data % 64 == 0
    assert threads.scratch(50, np.float64).ctypes.data == a.ctypes.data
    assert not np.shares_memory(threads.scratch(100, np.float32, "another"), a)
    big = threads.scratch(threads.KEPT, np.uint8)
    assert threads.scratch(10, np.float32).ctypes.data != big.ctypes.data


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_process_computes_as_well():
    problem = large()
    with changed(threads, count=lambda: 2), changed(fast, ALONE=0):
        want = all_three(*problem)
        child = os.fork()
        if not child:
            same = all(np.array_equal(a, b) for a, b in zip(all_three(*problem), want,
                                                             strict=True))
            os._exit(0 if same else 1)
        assert os.waitpid(child, 0)[1] == 0


# ---------------------------------------------------------------- which form runs

def test_small_arrays_and_other_dtypes_stay_with_numpy(monkeypatch):
    monkeypatch.setattr(fast, "conv2d", lambda *args, out: pytest.fail("compiled"))
    how = (1, 1), ((0, 0), (0, 0)), (1, 1), 1
    plain.conv2d(np.ones((1, 1, 9, 9)), np.ones((1, 1, 3, 3)), None, *how)
    plain.conv2d(*(np.ones(s, np.float16) for s in ((9, 9, 29, 29), (9, 9, 3, 3))), None, *how)


WITHOUT = """
    import sys
    import numpy as np
    {prepare}
    import tinygrad_nn as tn
    x, w = np.ones((8, 8, 32, 32), np.float32), tn.Tensor(np.ones((8, 8, 3, 3), np.float32))
    y = tn.nn.conv2d(x, w)
    y.sum().backward()
    assert (y.data == 72).all() and (w.grad == 8 * 900).all()
    from tinygrad_nn import kernels
    print(kernels.available(), "tinygrad_nn.kernels._loops" in sys.modules)
    """


def run(code, **environment):
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True,
                          text=True, env={**os.environ, **environment})
    assert not done.returncode, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize("prepare, environment, compiled", [
    ("sys.modules['numba'] = None", {}, False), ("", {"NUMBA_DISABLE_JIT": "1"}, False),
    ("", {}, True)])
def test_without_numba_all_goes_on_as_before(prepare, environment, compiled):
    assert run(WITHOUT.format(prepare=prepare), **environment) == [str(compiled)] * 2


def test_a_second_process_does_not_compile_again(tmp_path):
    code = WITHOUT.format(prepare="") + """
    from tinygrad_nn.kernels import _loops
    print(*(sum(f.stats.cache_misses.values()) for f in (_loops.correlate, _loops.weigh)))
    """
    found = [run(code, NUMBA_CACHE_DIR=str(tmp_path))[2:] for _ in range(2)]
    assert found == [["1", "1"], ["0", "0"]]
    assert any(tmp_path.glob("tinygrad_nn-*/**/*.nbi"))


def test_the_choice_depends_on_shapes_alone():
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(8, 3, 24, 24)), rng.normal(size=(8, 3, 3, 3))
    first = tn.nn.conv2d(x, w)
    tn.nn.conv2d(x[:1, :, :4, :4], w)
    np.testing.assert_array_equal(first, tn.nn.conv2d(x, w))

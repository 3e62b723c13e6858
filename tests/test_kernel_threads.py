"""Compiled kernels: threads, and which form of a function runs."""

import os
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn.rules import _convolution_kernels as plain

pytest.importorskip("numba")
from convolving import RNG, all_three, changed, pooled_all

from tinygrad_nn.kernels import _convolution as fast
from tinygrad_nn.kernels import _looks
from tinygrad_nn.kernels import _threads as threads
from tinygrad_nn.kernels._loops import next_item

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


def test_helpers_find_compiled_what_they_begin_with(monkeypatch):
    calls = []
    monkeypatch.setattr(_looks, "look_out",
                        lambda *args: calls.append(threading.current_thread()))
    threads.Team(1)
    assert calls[0] is threading.current_thread()


def test_a_helper_that_is_late_has_nothing_to_do_and_is_there_for_the_next_work(monkeypatch):
    late, calls = threading.Event(), []
    here = threading.current_thread()
    monkeypatch.setattr(_looks, "look_out", lambda *args: (
        threading.current_thread() is here or late.wait(10)))
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

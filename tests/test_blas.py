"""Products by BLAS on our own threads: values, bits, limits; which of them start threads."""

import os
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from multiplying import Problem, close

from tinygrad_nn import kernels
from tinygrad_nn.kernels import _blas as blas
from tinygrad_nn.kernels import _threads as threads

try:
    import threadpoolctl
except ImportError:
    threadpoolctl = None
limited = pytest.mark.skipif(not (kernels.available() and blas._libraries()),
                             reason="no numba, or no OpenBLAS with threadpoolctl")

LARGE = Problem(np.float64, 1100, 300, 301, (False, True), (0, 0), 0)    # in four parts


@pytest.mark.parametrize("problem", [
    LARGE, LARGE._replace(m=301, n=1100, dtype=np.float32), LARGE._replace(m=100, n=100),
    LARGE._replace(transposed=(True, True)), LARGE._replace(m=1, n=200), LARGE._replace(k=0)])
def test_parts_are_the_product(problem):
    a, b = problem.matrices()
    close(blas.matmul(a, b), a, b)
    out = np.empty((problem.m, problem.n), problem.dtype)
    assert blas.matmul(a, b, out) is out
    np.testing.assert_array_equal(out, blas.matmul(a, b))


@limited
def test_the_number_of_threads_changes_no_bit_of_blas(monkeypatch):
    a, b = LARGE.matrices()
    found = []
    for n in (1, 2, 3):
        monkeypatch.setattr(threads, "count", lambda n=n: n)
        threads._team.cache_clear()
        with threadpoolctl.threadpool_limits(n):
            found.append(blas.matmul(a, b))
    monkeypatch.undo()
    threads._team.cache_clear()
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


@limited
def test_helpers_that_look_out_see_that_there_is_work(monkeypatch):
    counter, (a, b) = np.zeros(3, np.int64), LARGE.matrices()
    monkeypatch.setattr(threads, "run", lambda work, *how: work(None, counter))
    close(blas.matmul(a, b), a, b)
    assert counter[0] > 0


def limits():
    return [get() for get, _ in blas._libraries()]


@limited
def test_the_users_limit_holds_and_is_left_as_it_was(monkeypatch):
    a, b = LARGE.matrices()
    used, seen = [], []
    monkeypatch.setattr(threads, "run", lambda kernel, n, *args, run=threads.run: (
        used.append(n), seen.append(limits()), run(kernel, n, *args)))
    for n in (1, 2, 4):
        with threadpoolctl.threadpool_limits(n):
            assert blas.allowed() == n
            before = limits()
            blas.matmul(a, b)
            assert limits() == before
    assert used == [1, 2, 4]                            # of four parts
    assert seen == [[1] * len(limits())] * 3


@limited
def test_an_error_leaves_the_limit_as_it_was():
    with threadpoolctl.threadpool_limits(2):
        before = limits()
        with pytest.raises(ValueError, match="matmul"):
            blas.matmul(np.ones((1000, 1000)), np.ones((999, 1000)))
        assert limits() == before
        with np.errstate(invalid="raise"), pytest.raises(FloatingPointError):
            a = np.full((800, 300), np.inf)
            blas.matmul(a, np.zeros((300, 301)))
            raise FloatingPointError                    # not every BLAS tells
        assert limits() == before


@limited
def test_several_python_threads_hold_it_together():
    with threadpoolctl.threadpool_limits(2):
        before, barrier = limits(), threading.Barrier(3)

        def hold(_):
            with blas.Held() as allowed:
                barrier.wait()
                inside = limits()
                barrier.wait()
            return allowed, inside
        with ThreadPoolExecutor(3) as pool:
            assert list(pool.map(hold, range(3))) == [(2, [1] * len(before))] * 3
        assert limits() == before


@limited
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_process_has_the_users_limit():
    with threadpoolctl.threadpool_limits(2):
        before = limits()
        with blas.Held():
            child = os.fork()
            if not child:
                with blas.Held():
                    held = limits()
                os._exit(0 if limits() == before and held == [1] * len(before) else 1)
            assert os.waitpid(child, 0)[1] == 0


ALONE = """
    import sys
    import numpy as np
    {prepare}
    from tinygrad_nn.kernels import _blas as blas
    a, b = np.ones((800, 300)), np.ones((300, 301))
    assert (blas.matmul(a, b) == 300).all() and (blas.matmul(a, b, np.empty((800, 301))) == 300
                                                 ).all()
    print(blas.allowed(), len(blas._libraries()))
    """


def run(code, **environment):
    kept = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"}
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True,
                          text=True, env={**kept, **environment})
    assert not done.returncode, done.stderr
    return done.stdout.split()


def test_without_threadpoolctl_blas_is_left_alone():
    code = ALONE.format(prepare="sys.modules['threadpoolctl'] = None")
    assert run(code, OPENBLAS_NUM_THREADS="3") == ["3", "0"]
    assert run(code, OPENBLAS_NUM_THREADS="0")[0] == str(threads.count())


@limited
def test_the_users_environment_holds():
    assert run(ALONE.format(prepare=""), OPENBLAS_NUM_THREADS="1")[0] == "1"


@limited
@pytest.mark.skipif(not sys.platform.startswith("linux") or threads.count() < 2,
                    reason="times of threads in /proc, and two processors")
def test_products_that_are_said_to_start_no_threads_start_none():
    """Threads of OpenBLAS that wait do so at work, so it shows."""
    code = """
        import glob, itertools, os, time
        import numpy as np
        from tinygrad_nn.kernels import _blas as blas

        def at_work():
            return sum(int(open(f).read().split()[0])
                       for f in glob.glob("/proc/self/task/*/schedstat")
                       if f.split("/")[4] != str(os.getpid())) / 1e6
        tried, before = 0, -1
        while at_work() > before:                       # they are at work when they are made
            before = at_work()
            time.sleep(0.05)
        for m, k, n in [(64, 128, 63), (512, 101, 10), (10, 524, 100), (100, 10, 524),
                        (72, 72, 72), (512, 128, 10), (10, 128, 512), (100, 100, 100)]:
            for turned in itertools.product([False, True], repeat=2):
                for dtype in np.float32, np.float64:
                    a, b = (np.ones(s[::-1], dtype).T if t else np.ones(s, dtype)
                            for s, t in zip([(m, k), (k, n)], turned))
                    if not blas.starts_threads(a, b):
                        tried += 1
                        before = at_work()
                        a @ b
                        time.sleep(0.005)
                        assert at_work() - before < 1, (m, k, n, turned, dtype)
        before, large = at_work(), np.ones((300, 300))
        found = any((large @ large).size and at_work() - before > 1 for _ in range(10_000))
        print(tried, found)
        """
    assert run(code, OPENBLAS_NUM_THREADS="2") == ["40", "True"]

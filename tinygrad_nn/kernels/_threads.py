"""Work for several threads of our own, which wait without spinning. Knows nothing of kernels.

A compiled function lets go of the interpreter's lock and takes items of work until there are
none, so one call a thread is enough, and a thread that starts late (its processor is busy with
something else) finds less to do, or nothing: then nobody waits for it.

Rejected: numba's own threads. Its OpenMP layer spins between calls (with a second process on
one of two cores a training step took 2.5 ms in place of 0.65, and up to 32), its own layer
aborts when two Python threads call it.
"""

import functools
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np

KEPT = 1 << 24                  # bytes of scratch memory that a thread keeps
_own = threading.local()


@functools.cache
def count():
    """Threads to use: the processors that this process may use, or fewer where the user's
    environment says so, in the variables of numba and OpenMP."""
    try:
        most = len(os.sched_getaffinity(0))
    except AttributeError:                                  # not on macOS and Windows
        most = os.cpu_count() or 1
    asked = (os.environ.get(name, "") for name in ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS"))
    return min([most, *(int(n) for n in asked if n.isdigit() and int(n))])


@functools.cache
def _helpers():
    return ThreadPoolExecutor(max(count() - 1, 1), "tinygrad_nn")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_helpers.cache_clear)    # a child has no threads


def scratch(size, dtype, use=""):
    """An array of ``size`` numbers for this thread and use, aligned for vectors, of any values:
    what was used before is used again, since fresh memory costs page faults."""
    needed = size * np.dtype(dtype).itemsize + 64
    memory = _own.__dict__.get(use)
    if memory is None or memory.size < needed:
        memory = np.zeros(needed, np.uint8)
        if needed <= KEPT:
            _own.__dict__[use] = memory
    start = -memory.ctypes.data % 64
    return memory[start:start + needed - 64].view(dtype)


def zeros(out, shape, dtype):
    """``out`` filled with zeros, or a new array."""
    if out is None:
        return np.zeros(shape, dtype)
    out.fill(0)
    return out


def run(kernel, threads, size, dtype, *args):
    """``kernel(*args, scratch memory, counter)`` in so many threads, until all have returned.

    ``counter``: one integer, from 0 on, for `take`; ``size``: of the scratch memory.
    """
    counter = np.zeros(1, np.int64)

    def work():
        kernel(*args, scratch(size, dtype), counter)
    helpers = [_helpers().submit(work) for _ in range(min(threads, count()) - 1)]
    try:
        work()
    finally:
        late = [h for h in helpers if not h.cancel()]
        for h in late:
            h.result()

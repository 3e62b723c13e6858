"""NumPy's products of matrices on our own threads, one thread of BLAS in each.

The threads of OpenBLAS wait by spinning, for 25 ms after each product: whatever else wants the
processors meanwhile, our own threads above all, gets half of them. So where numba is installed,
whose kernels run on our threads, and threadpoolctl (both are the extra ``fast``), OpenBLAS is
held at one thread for the time of a product, and a large one is divided among our threads, into
parts that depend on its shape alone. How many threads OpenBLAS would use stays the user's
choice: with ``OPENBLAS_NUM_THREADS`` or a limit of threadpoolctl's no more than that take part.

With another process on one of two processors a network of 512 x 512 layers takes half the time
of OpenBLAS' own threads, and its slowest steps a third; alone it takes 1.2 to 1.3 times as long
on a batch of 128, since threads that do not spin have to be called, and 1.0 on one of 512.

Nothing is changed where OpenBLAS would not start a thread, where it uses OpenMP's (then each
thread has a limit of its own), for any other BLAS, and without numba: then hardly anything runs
on our threads (W4b took 1.12 times as long).
"""

import functools
import os
import threading

import numpy as np

from . import _threads as threads
from . import available

STARTS = 1 << 19                # multiplications from which on OpenBLAS may start threads
STARTS_VECTOR = 9216            # the same where one factor is a vector, in older versions
PART = 1 << 23                  # multiplications in a part at least
LEAST = 256                     # rows or columns, if there are more than two parts: each is
                                # copied into BLAS' own order again (1024 x 1024 x 1024 in 4
                                # takes 1.06 times as long as by OpenBLAS, in 8 1.18)


def matmul(a, b, out=None):
    """``np.matmul`` of two matrices."""
    if not (starts_threads(a, b) and available() and _libraries()):
        return np.matmul(a, b, out)
    m, n = len(a), b.shape[1]
    if out is None:
        out = np.empty((m, n), a.dtype)
    count = max(1, min(max(2, max(m, n) // LEAST), m * n * a.shape[1] // PART))
    count = 1 << count.bit_length() - 1                 # so that threads share them evenly
    with Held() as allowed:
        if count < 2:
            return np.matmul(a, b, out)
        cuts = [max(m, n) * i // count for i in range(count + 1)]
        some = map(slice, cuts, cuts[1:])
        parts = iter([(a[s], b, out[s]) if m >= n else (a, b[:, s], out[:, s]) for s in some])
        now = np.geterr()

        def multiply(scratch, counter):
            counter[0] = 1                              # what helpers look out for
            with np.errstate(**now):                    # each thread has its own
                for part in parts:
                    np.matmul(*part)
        threads.run(multiply, min(count, allowed), 0, a.dtype)
    return out


def starts_threads(a, b):
    """Whether OpenBLAS would start threads for the product of two matrices."""
    if len(a.shape) != 2 or a.dtype != b.dtype or a.dtype.char not in "fd":
        return False
    (m, k), n = a.shape, b.shape[1]
    return m * k * n >= (STARTS_VECTOR if m == 1 or n == 1 else STARTS)


def allowed():
    """How many threads the user lets a product have."""
    if not _libraries():
        asked = os.environ.get("OPENBLAS_NUM_THREADS", "")
        return int(asked) if asked.isdigit() and int(asked) else threads.count()
    return max(Held.before if Held.inside else [get() for get, _ in _libraries()])


@functools.cache
def _libraries():
    """Of each OpenBLAS in this process (what gives, what sets the number of its threads); none
    without threadpoolctl, whose own methods put their names together anew in each call."""
    try:
        import threadpoolctl
    except ImportError:
        return ()
    found = threadpoolctl.ThreadpoolController().select(internal_api="openblas")
    pairs = [[_function(c.dynlib, f"openblas_{verb}_num_threads") for verb in ("get", "set")]
             for c in found.lib_controllers if c.threading_layer == "pthreads"]
    return tuple(pair for pair in pairs if all(pair))


def _function(library, name):
    """The function of that name, as the builders of NumPy or others have renamed it."""
    names = (f"{before}{name}{after}" for before in ("", "scipy_")
             for after in ("", "64_", "_64", "64"))
    return next((getattr(library, n) for n in names if hasattr(library, n)), None)


class Held:
    """``with Held() as n``: OpenBLAS uses one thread; n is how many it would have used.

    The first of several Python threads that are within it at a time sets the limit, the last
    one puts back what was before.
    """

    lock, inside, before = threading.Lock(), 0, ()

    def __enter__(self):
        with Held.lock:
            if not Held.inside:
                Held.before = [get() for get, _ in _libraries()]
                self._set([1] * len(Held.before))
            Held.inside += 1
            return max(Held.before)

    def __exit__(self, *error):
        with Held.lock:
            Held.inside -= 1
            if not Held.inside:
                self._set(Held.before)

    def _set(self, numbers):
        for (_, put), n, before in zip(_libraries(), numbers, Held.before, strict=True):
            if before > 1:
                put(n)

    @classmethod
    def forked(cls):
        """A child has none of the threads that might have been within."""
        cls.lock, within = threading.Lock(), cls.inside
        cls.inside = min(within, 1)
        if within:
            cls().__exit__()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=Held.forked)

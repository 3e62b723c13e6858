"""Work for several threads of our own. Knows nothing of kernels.

A compiled function lets go of the interpreter's lock and takes items of work until there are
none, so one call a thread is enough, and a thread that starts late (its processor is busy with
something else) finds less to do, or nothing: then nobody waits for it.

Waking a thread takes as long as a small kernel (50 to 100 us where processors are virtual), so
one that has finished looks out for the next work for a while (`_looks`), before it sleeps.

Rejected: numba's own threads. Its OpenMP layer spins between calls (with a second process on
one of two cores a training step took 2.5 ms in place of 0.65, and up to 32), its own layer
aborts when two Python threads call it.
"""

import functools
import os
import threading
from queue import SimpleQueue

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


class Team:
    """Helpers that work for one thread at a time.

    ``counter`` is that of `run`; ``ended``, for each helper whether it is done, is only looked
    at to lose no time: what counts are the tokens in ``done``.
    """

    def __init__(self, helpers):
        from . import _looks  # needs numba, as does whoever calls `run`

        self.looks = _looks
        self.free = threading.Lock()
        self.counter, self.ended = np.zeros(4, np.int64), np.zeros(helpers, np.int64)
        self.jobs, self.done = SimpleQueue(), SimpleQueue()
        _looks.look_out(self.counter, self.ended, 0, False)     # a helper that compiles it is
        for i in range(helpers):                                # late, and slows down the rest
            threading.Thread(target=self._help, args=(i,), daemon=True,
                             name="tinygrad_nn").start()

    def _help(self, me):
        worked = False
        while True:
            self.looks.look_out(self.counter, self.ended, me, worked)
            work, error = _taken(self.jobs.get()), None
            worked = work is not None
            if worked:
                try:
                    work(self.counter[:3 + (me + 1) % 2])
                except BaseException as caught:
                    error = caught
                del work
                self.done.put(error)

    def run(self, work, helpers):
        """``work(counter)`` here and in so many helpers, until all have returned; helpers that
        are late have nothing to do, and look out for the next work."""
        self.counter.fill(0)
        self.ended.fill(0)
        jobs = [[work] for _ in range(helpers)]
        try:
            for job in jobs:
                self.jobs.put(job)
            work(self.counter[:3])
        finally:
            try:
                errors = self._wait(sum(_taken(job) is None for job in jobs))
            except BaseException:                   # somebody may still be counting
                _team.cache_clear()
                raise
            self.counter.fill(0)
        for error in errors:
            raise error

    def _wait(self, helpers):
        """Until so many are done; their errors."""
        if helpers:
            self.looks.look_for(self.ended, helpers)
        found = [self.done.get() for _ in range(helpers)]
        return [error for error in found if error is not None]


def _taken(job):
    """What is in a list of one, for the first who takes it out; then None."""
    try:
        return job.pop()
    except IndexError:
        return None


@functools.cache
def _team():
    return Team(count() - 1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_team.cache_clear)       # a child has no threads


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

    ``size``: of the scratch memory; ``counter``: three integers, from 0 on, for `take` and
    `next_item`, and in threads that take items from the end a fourth.
    """
    helpers, team = min(threads, count()) - 1, _team()
    if helpers < 1 or not team.free.acquire(blocking=False):    # at work for another thread
        kernel(*args, scratch(size, dtype), np.zeros(3, np.int64))
        return
    try:
        team.run(lambda counter: kernel(*args, scratch(size, dtype), counter), helpers)
    finally:
        team.free.release()

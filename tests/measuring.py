"""How the tests count objects and memory: with the garbage collector off, by tracemalloc."""

import contextlib
import gc
import tracemalloc


@contextlib.contextmanager
def no_collector():
    """Reference counting alone; yields a function: how many tracked objects there are more."""
    gc.collect()
    gc.freeze()                                     # counting looks at new objects alone
    gc.disable()
    try:
        before = len(gc.get_objects())
        yield lambda: len(gc.get_objects()) - before
    finally:
        gc.enable()
        gc.unfreeze()


@contextlib.contextmanager
def memory():
    """Yields a function: (bytes allocated since, peak since)."""
    gc.collect()
    tracemalloc.start()
    try:
        start, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        yield lambda: tuple(n - start for n in tracemalloc.get_traced_memory())
    finally:
        tracemalloc.stop()


def leaves_nothing(run):
    """Assert that a run leaves no object behind, not even one for the collector to find."""
    for _ in range(3):
        run()                                       # plans and caches
    with no_collector() as more:
        for _ in range(20):
            run()
        left = more()
        assert left < 20, f"{left} objects after 20 runs"  # one object a run would be 20
        found = gc.collect()
        assert found < 20, f"{found} unreachable objects after 20 runs"

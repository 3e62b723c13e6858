"""Rows whose every run is a process of its own: what counts is the beginning.

``way="whole"``: a whole training, from the first call on. ``way="caches"``: the first steps,
in a process that finds the folders empty where compilers keep what they made, and in a second
one that finds them as the first one left them.
"""

import tempfile

from ._results import compare, summarise
from ._workers import contestants, started

SECOND = "; second process"
FOLDERS = ("NUMBA_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR", "JAX_COMPILATION_CACHE_DIR",
           "XDG_CACHE_HOME")
# JAX keeps only what took a second to compile, unless told otherwise.
EVERYTHING = {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
              "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1"}


def measure(row, packages, quick, say=lambda text: None):
    """{label: result}, as `_rounds.measure`."""
    labels = contestants(row, packages)
    results = {k: {} for label in labels
               for k in ((label, label + SECOND) if row.way == "caches" else (label,))}
    for i in range(1 if quick else row.rounds):
        for label in labels[::-1 if i % 2 else 1]:
            say(f"round {i + 1}: {label}")
            with tempfile.TemporaryDirectory() as folder:
                variables = {**dict.fromkeys(FOLDERS, folder), **EVERYTHING}
                for k in (label, label + SECOND):
                    if k in results and "error" not in results[k]:
                        _run(row, label, quick, variables if row.way == "caches" else {},
                             results[k])
    compare(results, row.tolerance)
    summarise(results, row)
    return results


def _run(row, label, quick, variables, result):
    settings = row.settings_for(label, quick)
    worker = started(row, label, settings, variables)
    try:
        answer = worker.try_to("once")
        rounds = [*result.get("rounds_s", ()), answer.pop("step_s", None)]
        peak = {} if "error" in answer else worker.try_to("finish")
        result.update(settings=settings, **answer, **peak, rounds_s=rounds)
    finally:
        worker.close()

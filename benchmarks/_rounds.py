"""One row: a process for each framework, their results compared, then timed in turn.

All are prepared and warmed first. A round asks each for a batch of steps while the others wait;
every second round goes backwards. After each batch comes a pause: OpenBLAS spins for 25 ms.
"""

import contextlib
import subprocess
import sys
import time

from ._machine import cpus
from ._results import compare, summarise
from ._rows import QUICK, TIMED
from ._workers import contestants, started

LONG = {1.0: 5, 20.0: 2}   # steps longer than so many seconds: so many rounds are enough
SHARED = "; CPU shared"
LOOP = "import os, sys; os.sched_setaffinity(0, [int(sys.argv[1])])\nwhile True: pass"


def measure(row, packages, quick, say=lambda text: None):
    """{label: result} of one row for the frameworks whose package is in ``packages``."""
    timing = QUICK if quick else TIMED
    results, workers = {}, {}
    with contextlib.ExitStack() as stack:
        for label in contestants(row, packages):
            say(f"preparing {label}")
            settings = row.settings_for(label, quick)
            worker = workers[label] = started(row, label, settings)
            stack.callback(worker.close)
            results[label] = {"settings": settings, **worker.try_to("prepare")}
        compare(results, row.tolerance)
        ready = {label: w for label, w in workers.items() if "error" not in results[label]}
        say(f"timing {len(ready)}")
        _alternate(ready, results, timing, 3 if quick else row.rounds, row.way == "busy")
    summarise(results, row)
    return results


def _alternate(workers, results, timing, rounds, busy):
    for label, worker in workers.items():
        results[label].update(worker.try_to("warm", seconds=2 * timing["seconds"]))
        time.sleep(timing["idle"])
    slowest = max((r.get("step_s", 0) for r in results.values()), default=0)
    rounds = min([rounds, *(n for limit, n in LONG.items() if slowest > limit)])
    for i in range(rounds):
        for label in list(workers)[::-1 if i % 2 else 1]:
            _batch(workers[label], results[label], timing)
            if busy:
                shared = results.setdefault(label + SHARED, dict(results[label], rounds_s=[]))
                with busy_loop():
                    _batch(workers[label], shared, timing)
    for label, worker in workers.items():
        if "error" not in results[label]:
            results[label].update(worker.try_to("finish"))


def _batch(worker, result, timing):
    if "error" not in result:
        steps = max(1, round(timing["seconds"] / result["step_s"]))
        answer = worker.try_to("batch", steps=steps)
        result.setdefault("rounds_s", []).append(answer.pop("step_s", None))
        result.update(answer, steps=steps)
        time.sleep(timing["idle"])


@contextlib.contextmanager
def busy_loop():
    """Within it a process of its own keeps one of the CPUs busy."""
    process = subprocess.Popen([sys.executable, "-c", LOOP, str(cpus()[-1])])
    try:
        time.sleep(0.1)                              # until the interpreter is up
        yield process
    finally:
        process.kill()
        process.wait()

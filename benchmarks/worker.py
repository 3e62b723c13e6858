"""A process that holds one framework and one problem, and times steps when it is told to.

Started by `_workers.Worker` with its task as JSON in the first argument; then one JSON command
a line on standard input, one JSON answer a line. In between it waits and disturbs nobody.
"""

import importlib
import itertools
import json
import os
import sys
import traceback
from statistics import median
from time import perf_counter

from . import _memory

LARGE = 100                     # numbers of an array that are compared one by one

class Contestant:
    """The commands: `prepare`, `warm`, `batch` as often as wanted, `finish`."""

    def __init__(self, task):
        self.task, self.peak = task, 0

    def prepare(self):
        """Import, build, and run the first steps; their values are to be compared."""
        make, problem, answer = self._begin()
        bare = _memory.resident()
        if self.task["fit"]:
            answer["values"] = make(problem.head(8))(1)[1]
            self.step = make(problem)
            return {**answer, **self._made_of()}
        step = self.step = make(problem)
        if self.task["memory"]:
            make(problem._replace(n=100))()                # so that caches are filled
            answer["memory"] = {"n": problem.n, **_memory.cost_of(step)}
        before, self.peak = _memory.resident(), _memory.peak()
        if self.task["growth"]:
            _memory.reset_peak()
        start = perf_counter()
        results = [step()]
        if not self.task["memory"]:
            answer["first_s"] = perf_counter() - start
        results += [step() for _ in range(self.task["checked"] - 1)]
        answer["values"] = flat(results)
        if self.task["growth"]:
            answer["growth"] = {"steps": _memory.peak() - before,
                                "in_all": _memory.peak() - bare}
        if problem.expected is not None:
            answer["expected"] = flat([problem.expected])
        return {**answer, **self._made_of()}

    def once(self):
        """In a process that has run no step yet: a whole training, built on the clock; or the
        first steps of a model that was built before it."""
        make, problem, answer = self._begin()
        iterations = getattr(problem, "iterations", 0)
        step, results, times = None if iterations else make(problem), [], []
        for _ in range(iterations or self.task["checked"]):
            start = perf_counter()
            step = step or make(problem)
            results.append(step())
            times.append(perf_counter() - start)
        return {**answer, "values": flat(results[:8]), "first_s": times[0],
                "step_s": sum(times), **self._made_of()}

    def _begin(self):
        start = perf_counter()
        name, function = self.task["function"].split(".")
        make = getattr(importlib.import_module(f".frameworks.{name}", __package__), function)
        answer = {"import_s": perf_counter() - start}
        workloads = importlib.import_module(".workloads", __package__)
        return make, getattr(workloads, self.task["problem"])(**self.task["settings"]), answer

    def _made_of(self):
        return {"version": version(self.task["package"]), "blas": blas()}

    def warm(self, seconds):
        """Steps for so long, and at least four: the first ones may record and compile. The
        median time of the last three. (An epoch of `fit` is enough.)"""
        start, times, least = perf_counter(), [], 1 if self.task["fit"] else 4
        while len(times) < least or perf_counter() - start < seconds:
            times += self.times(1)
        return {"step_s": median(times[-3:])}

    def batch(self, steps):
        """The median time of so many steps, after one or a tenth more that are not counted: the
        caches belong to somebody else by now."""
        if steps > 1 and not self.task["fit"]:
            for _ in range(1 + steps // 10):
                self.step()
        return {"step_s": median(self.times(steps))}

    def times(self, steps):
        """How long each step takes; of `fit` each epoch but for the first, which compiles."""
        if self.task["fit"]:
            return self.step(1 + steps)[0][1:]
        return [timed(self.step) for _ in range(steps)]

    def finish(self):
        return {"peak": max(self.peak, _memory.peak())}


def timed(step):
    start = perf_counter()
    step()
    return perf_counter() - start


def flat(results):
    """A list of floats of tuples of arrays, each of whatever kind the framework has; of a large
    array its length and its component in a direction that no other array shares."""
    import numpy as np

    def numbers(a):
        if a.size <= LARGE:
            return a.tolist()
        a = a.astype(float)
        return [np.linalg.norm(a), a @ np.cos(np.arange(1.0, 1 + a.size) ** 2)]
    arrays = (numbers(np.ravel(np.asarray(v))) for v in itertools.chain(*results))
    return [float(v) for v in itertools.chain(*arrays)]


def version(package):
    package = package.partition(".")[0]                             # of torch.compile
    found = getattr(sys.modules[package], "__version__", None)
    return found or importlib.import_module("importlib.metadata").version(package)


def blas():
    """The BLAS that NumPy uses, with the kernel that it chose where that can be asked."""
    import numpy as np
    built = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    text = f"{built.get('name')} {built.get('version')}"
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return text + ", kernel unknown (threadpoolctl is not installed)"
    pools = [p for p in threadpool_info() if p["user_api"] == "blas"]
    return "; ".join([text, *(f"{p['internal_api']} {p['version']}, kernel "
                              f"{p.get('architecture')}, {p['num_threads']} threads"
                              for p in pools)])


def main():
    """Answers go to a private copy of standard output: libraries print to the public one."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    task = json.loads(sys.argv[1])
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, task["cpus"])
    contestant = Contestant(task)
    for line in sys.stdin:
        command = json.loads(line)
        try:
            answer = getattr(contestant, command.pop("do"))(**command)
        except Exception as error:
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()

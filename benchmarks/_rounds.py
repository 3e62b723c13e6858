"""One row: a process for each framework, their results compared, then timed in turn.

All are prepared and warmed first. A round asks each for a batch of steps while the others wait;
every second round goes backwards. After each batch comes a pause: OpenBLAS spins for 25 ms.
"""

import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time

from ._machine import ROOT, cpus, environment
from ._rows import MALLOC, QUICK, TIMED, TUNED
from ._statistics import disagreement, ratio

LONG = {1.0: 5, 20.0: 2}   # steps longer than so many seconds: so many rounds are enough
OURS = "tinygrad_nn"


class WorkerError(RuntimeError):
    """A worker raised, or died."""


class Worker:
    """The parent's end of a worker process."""

    def __init__(self, task, variables=()):
        self.errors = tempfile.TemporaryFile("w+")               # noqa: SIM115, see close()
        self.folder = tempfile.TemporaryDirectory()              # for all that it leaves behind
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", json.dumps(task)], cwd=ROOT,
            env={**environment(), "TMPDIR": self.folder.name, **dict(variables)}, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors)

    def ask(self, do, **arguments):
        """The answer to one command."""
        with contextlib.suppress(BrokenPipeError):               # told by the empty answer
            self.process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            self.process.stdin.flush()
        line = self.process.stdout.readline()
        answer = json.loads(line) if line else {"error": self._last_words()}
        if "error" in answer:
            raise WorkerError(answer["error"])
        return answer

    def _last_words(self):
        code = self.process.wait()
        self.errors.seek(0)
        lines = self.errors.read().strip().splitlines()
        return f"the process ended with code {code}: {lines[-1] if lines else 'no message'}"

    def close(self):
        """Let it end, whatever it is doing."""
        self.process.kill()
        self.process.wait()
        for file in (self.process.stdin, self.process.stdout, self.errors):
            with contextlib.suppress(BrokenPipeError):           # a command that nobody read
                file.close()
        with contextlib.suppress(OSError):                       # its own children may write
            self.folder.cleanup()


def measure(row, packages, quick, say=lambda text: None):
    """{label: result} of one row for the frameworks whose package is in ``packages``."""
    timing = QUICK if quick else TIMED
    results, workers = {}, {}
    with contextlib.ExitStack() as stack:
        for label, function in row.contestants.items():
            if label.split()[0] in packages:
                say(f"preparing {label}")
                settings = row.settings_for(label, quick)
                worker = Worker({
                    "package": label.split()[0], "function": function, "problem": row.problem,
                    "settings": settings, "checked": row.checked, "memory": row.memory,
                    "growth": row.growth, "fit": row.fit, "cpus": cpus()},
                    MALLOC if TUNED in label else {})
                stack.callback(worker.close)
                results[label] = {"settings": settings, **_answer(worker, "prepare")}
                workers[label] = worker
        _compare(results, row.tolerance)
        ready = {label: w for label, w in workers.items() if "error" not in results[label]}
        say(f"timing {len(ready)}")
        _alternate(ready, results, timing)
    _summarise(results, row)
    return results


def _answer(worker, do, **arguments):
    try:
        return worker.ask(do, **arguments)
    except WorkerError as error:
        return {"error": str(error)}


def _compare(results, tolerance):
    """Mark those that did not compute what was expected: the closed form where there is one,
    else what the first NumPy version computed."""
    numpy = next((r for k, r in results.items() if k.split()[0] == "numpy"), {})
    for result in results.values():
        expected = result.get("expected") or numpy.get("values")
        if "error" not in result:
            wrong = (disagreement(result["values"], expected, tolerance) if expected
                     else "nothing to compare with: the NumPy version failed")
            if wrong:
                result["error"] = f"wrong result: {wrong}"


def _alternate(workers, results, timing):
    for label, worker in workers.items():
        results[label].update(_answer(worker, "warm", seconds=2 * timing["seconds"]))
        time.sleep(timing["idle"])
    slowest = max((r.get("step_s", 0) for r in results.values()), default=0)
    rounds = min([timing["rounds"], *(n for limit, n in LONG.items() if slowest > limit)])
    for i in range(rounds):
        for label in list(workers)[::-1 if i % 2 else 1]:
            result = results[label]
            if "error" not in result:
                steps = max(1, round(timing["seconds"] / result["step_s"]))
                answer = _answer(workers[label], "batch", steps=steps)
                result.setdefault("rounds_s", []).append(answer.pop("step_s", None))
                result.update(answer, steps=steps)
                time.sleep(timing["idle"])
    for label, worker in workers.items():
        if "error" not in results[label]:
            results[label].update(_answer(worker, "finish"))


def _summarise(results, row):
    """Add the median in the row's unit, and the ratio of our last variant to each."""
    ours = next((r for label, r in reversed(results.items()) if label.startswith(OURS)), {})
    for result in results.values():
        if "error" not in result:
            scale = 1e6 / result["settings"]["n"] if row.problem == "chain" else 1e3
            result["unit"] = "µs an operation" if row.problem == "chain" else "ms"
            result["rounds"] = [scale * s for s in result.pop("rounds_s")]
            result["median"] = statistics.median(result["rounds"])
    for result in results.values():
        if "rounds" in result and "rounds" in ours:
            result["ours_over_it"] = ratio(ours["rounds"], result["rounds"])

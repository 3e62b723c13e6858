"""The parent's end of worker processes: started, asked, ended."""

import contextlib
import json
import subprocess
import sys
import tempfile

from ._contestants import VARIABLES
from ._machine import ROOT, cpus, environment, threads
from ._results import package


class WorkerError(RuntimeError):
    """A worker raised, or died."""


class Worker:
    """A process of `worker.py` that holds one framework and one problem."""

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

    def try_to(self, do, **arguments):
        """The answer, or {"error": …}."""
        try:
            return self.ask(do, **arguments)
        except WorkerError as error:
            return {"error": str(error)}

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


def contestants(row, packages):
    """The labels of those whose package is there."""
    return [label for label in row.contestants if package(label) in packages]


def started(row, label, settings, variables=()):
    """A worker for one contestant of a row."""
    task = {"package": package(label), "function": row.contestants[label],
            "problem": row.problem, "settings": settings, "checked": row.checked,
            "memory": row.memory, "growth": row.growth, "fit": row.way == "fit",
            "cpus": cpus()[:row.threads]}
    variables = {**threads(row.threads), **dict(variables)}
    for word, more in VARIABLES.items():
        variables |= more if word in label else {}
    return Worker(task, variables)

"""The row `import`: ``import tinygrad_nn`` beside ``import numpy``, each in a new process.

The clock starts inside the process, after the interpreter is up, so that its start does not
dilute the ratio. One run of each goes first: it writes byte code and warms the file cache.
"""

import statistics
import subprocess
import sys

from ._machine import ROOT, environment
from ._statistics import ratio

TITLE = "`import` in a new process"
ROUNDS, QUICK_ROUNDS = 25, 3
CODE = "from time import perf_counter as t; s = t(); import {}; print(t() - s)"


def once(module):
    """Seconds that importing it took, in a process of its own."""
    done = subprocess.run([sys.executable, "-c", CODE.format(module)], cwd=ROOT, text=True,
                          env=environment(), capture_output=True, check=False)
    if done.returncode:
        raise ImportError(done.stderr.strip().splitlines()[-1])
    return float(done.stdout)


def measure(quick):
    """{label: result}, in the form of `_rounds.measure`."""
    rounds = {"tinygrad_nn": [], "numpy": []}
    try:
        for module in rounds:
            once(module)
        for i in range(QUICK_ROUNDS if quick else ROUNDS):
            for module in list(rounds)[::-1 if i % 2 else 1]:
                rounds[module].append(1e3 * once(module))
    except ImportError as error:
        return {"tinygrad_nn": {"error": str(error)}}
    return {module: {"unit": "ms", "rounds": r, "median": statistics.median(r),
                     "ours_over_it": ratio(rounds["tinygrad_nn"], r)}
            for module, r in rounds.items()}

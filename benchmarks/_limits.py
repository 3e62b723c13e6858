"""How fast this machine multiplies matrices and moves memory, and how much of it a row reaches.

``python -m benchmarks._limits`` measures in a process of its own and prints JSON.
"""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter

from . import THREADS
from ._costs import cost
from ._machine import ROOT, environment

SIDE, ELEMENTS = 2048, 2 ** 25          # of a product; of an array, 128 MB, beyond any cache
STRIP = 2 ** 14                         # that stays in the first caches
ROUNDS = 5


def measured(quick):
    """{"flops", "copy", "triad"}: a second of float32, of bytes; the best of some rounds."""
    done = subprocess.run([sys.executable, "-m", "benchmarks._limits", str(int(quick))],
                          cwd=ROOT, env=environment(), text=True, capture_output=True,
                          check=True)
    return json.loads(done.stdout)


def reach(results, row, limits):
    """Add to each result what part it reaches of the flops and of the best bandwidth."""
    for result in results.values():
        found = cost(row.problem, result["settings"]) if "rounds" in result else None
        if found and row.way != "caches":
            operations, moved = found
            seconds = result["median"] / 1e3
            if operations:
                result["of_blas"] = operations / seconds / limits["flops"]
            result["of_bandwidth"] = moved / seconds / max(limits["copy"], limits["triad"])


def _best(run, rounds):
    times = []
    for _ in range(rounds):
        start = perf_counter()
        run()
        times.append(perf_counter() - start)
    return min(times)


def _main(quick):
    import numpy as np
    side, elements, rounds = (256, 2 ** 20, 2) if quick else (SIDE, ELEMENTS, ROUNDS)
    a, b, out = (np.ones((side, side), np.float32) for _ in range(3))
    flops = 2 * side ** 3 / _best(lambda: np.matmul(a, b, out=out), rounds)
    x, y, z = (np.ones(elements, np.float32) for _ in range(3))
    ends = [k * elements // THREADS for k in range(THREADS + 1)]
    parts = [slice(*ends[k:k + 2]) for k in range(THREADS)]

    def triad(part):
        for k in range(part.start, part.stop, STRIP):
            s = slice(k, min(k + STRIP, part.stop))
            np.multiply(y[s], np.float32(3), out=x[s])
            np.add(x[s], z[s], out=x[s])

    with ThreadPoolExecutor(THREADS) as pool:
        def on_all(f):
            return lambda: list(pool.map(f, parts))
        copy = _best(on_all(lambda part: np.copyto(x[part], y[part])), rounds)
        triads = _best(on_all(triad), rounds)
    print(json.dumps({"flops": flops, "copy": 2 * x.nbytes / copy,
                      "triad": 3 * x.nbytes / triads}))


if __name__ == "__main__":
    _main(int(sys.argv[1]))

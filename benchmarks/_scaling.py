"""Rows that show how cost grows: with depth, batch, width, parameters, threads.

A point of such a row is a row of its own, `scaling-batch-128`, with few rounds.
"""

from dataclasses import replace

from . import _contestants as who
from ._rows import ROWS, Row, chain, network

ROUNDS = 5
SOME = {label: who.NETWORK[label] for label in (
    "tinygrad_nn", "tinygrad_nn (compiled)", "numpy", "torch", "jax (jit)")}
WITHOUT_TORCH = {label: who.DEEP[label] for label in ("tinygrad_nn", "numpy")}


def _mlp(title, inputs, layers, samples):
    """Without comparing more than the first two losses: rates are not tuned for it."""
    row = network(title, [inputs], [], layers, samples, 10, 1, 1e-4, contestants=SOME)
    return replace(row, tolerance=1e-4, checked=2, growth=False, rounds=ROUNDS)


def _depth(n):
    row = chain(f"forward and backward through {n:,} operations on 2 numbers",
                who.DEEP if n <= 100_000 else WITHOUT_TORCH, 1e-8, n, 2, rounds=ROUNDS)
    return replace(row, small={"quick": {"n": min(n, 10_000)}})


def _threads(row, n):
    return replace(ROWS[row], title=f"{row} on {n} thread{'s' * (n > 1)}", threads=n,
                   rounds=ROUNDS, contestants={
                       k: f for k, f in ROWS[row].contestants.items() if k in SOME or
                       k in ("numpy (tuned)", "tensorflow (function)")})


POINTS: dict[str, Row] = {
    **{f"scaling-depth-{n}": _depth(n) for n in (1000, 10_000, 100_000, 1_000_000)},
    **{f"scaling-batch-{n}": _mlp(f"W3's step on a batch of {n}", 784, [128], n)
       for n in (8, 32, 128, 512, 2048)},
    **{f"scaling-width-{n}": _mlp(f"W3's step with {n} hidden units", 784, [n], 32)
       for n in (32, 128, 512, 2048)},
    **{f"scaling-parameters-{1000 * n}": _mlp(
        f"a step of {n}-1000-10 on a batch of 8, about {1000 * n:,} parameters", n, [1000], 8)
       for n in (10, 100, 1000, 10_000)},
    **{f"scaling-threads-{row}-{n}": _threads(row, n) for row in ("W2", "W3", "W5")
       for n in (1, 2)},
}


def table(rows, group):
    """Markdown: a line for each point that was measured, a column for each contestant."""
    points = {k: r for k, r in rows.items() if k.startswith(group)}
    labels = list(dict.fromkeys(label for r in points.values() for label in r))
    unit = next((x["unit"] for r in points.values() for x in r.values() if "unit" in x), "")
    lines = [f"| {group.removeprefix('scaling-')}, {unit} | {' | '.join(labels)} |",
             "|---|" + "--:|" * len(labels)]
    for point, results in points.items():
        cells = (f"{results[x]['median']:.3g}" if "median" in results.get(x, {}) else ""
                 for x in labels)
        lines.append(f"| {point.removeprefix(group + '-')} | {' | '.join(cells)} |")
    return "\n".join(lines)


GROUPS = list(dict.fromkeys("-".join(point.split("-")[:2]) for point in POINTS))

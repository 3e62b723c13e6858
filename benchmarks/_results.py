"""What a row comes to: compared with each other, in the row's unit, with ratios.

Results are {label: result}. A label is a package, what is particular in brackets, and behind a
semicolon the circumstances it was measured under: "jax (jit); second process". Ratios are
between results of the same circumstances.
"""

import statistics

from ._statistics import disagreement, ratio

OURS = "tinygrad_nn"


def package(label):
    """The first word: "torch.compile" is one of its own."""
    return label.partition(";")[0].split()[0]


def circumstances(label):
    return label.partition("; ")[2]


def compare(results, tolerance):
    """Mark those that did not compute what was expected: the closed form where there is one,
    else what the first NumPy version computed."""
    numpy = next((r for k, r in results.items() if package(k) == "numpy"), {})
    for result in results.values():
        expected = result.get("expected") or numpy.get("values")
        if "error" not in result:
            wrong = (disagreement(result["values"], expected, tolerance) if expected
                     else "nothing to compare with: the NumPy version failed")
            if wrong:
                result["error"] = f"wrong result: {wrong}"


def summarise(results, row):
    """Add the median in the row's unit, and the ratio of our last variant to each."""
    for result in results.values():
        if "rounds_s" in result and "error" not in result:
            scale = 1e6 / result["settings"]["n"] if row.problem == "chain" else 1e3
            result["unit"] = "µs an operation" if row.problem == "chain" else "ms"
            result["rounds"] = [scale * s for s in result.pop("rounds_s")]
            result["median"] = statistics.median(result["rounds"])
    for label, result in results.items():
        under = circumstances(label)
        ours = [r for k, r in results.items() if package(k) == OURS and "rounds" in r
                and circumstances(k) == under]
        if "rounds" in result and ours:
            result["ours_over_it"] = ratio(ours[-1]["rounds"], result["rounds"])
        before = results.get(label.removesuffix(f"; {under}"), {})
        if under and "rounds" in result and "rounds" in before:
            result["over_plain"] = ratio(result["rounds"], before["rounds"])

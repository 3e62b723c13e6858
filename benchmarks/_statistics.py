"""Medians, ratios with their spread, and whether two frameworks computed the same."""

import statistics


def quartiles(values):
    """(lower, median, upper) of any number of values."""
    if len(values) == 1:
        return values[0], values[0], values[0]
    return tuple(statistics.quantiles(values, n=4, method="inclusive"))


def ratio(ours, theirs):
    """Ours over theirs, from the medians of rounds that ran in turn.

    ``value`` is the ratio of the two medians over all rounds; ``low`` and ``high`` are the
    quartiles of the ratios within each round, which a drift of the machine leaves alone.
    """
    low, _, high = quartiles([a / b for a, b in zip(ours, theirs, strict=True)])
    value = statistics.median(ours) / statistics.median(theirs)
    return {"value": value, "low": low, "high": high}


def disagreement(values, expected, tolerance):
    """None, or a sentence on the first value that is not within ``tolerance``, relative."""
    if len(values) != len(expected):
        return f"{len(values)} values to compare, expected {len(expected)}"
    for i, (v, e) in enumerate(zip(values, expected, strict=True)):
        if not abs(v - e) <= tolerance * abs(e):                     # so that nan disagrees too
            return (f"value {i} of {len(values)} is {v:.9g}, expected {e:.9g} "
                    f"to {tolerance:g} relative")
    return None

"""The results as Markdown: a heading and a table for each row."""

from ._results import package
from ._statistics import quartiles

COLUMNS = {      # heading -> (the part of a result that it needs, the text that it makes of it)
    "median": ("median", lambda m: number(m)),
    "quartiles": ("rounds", lambda r: span(*quartiles(r)[::2])),
    "tinygrad_nn ÷ it": ("ours_over_it", lambda q: number(q["value"])),
    "quartiles of that": ("ours_over_it", lambda q: span(q["low"], q["high"])),
    "÷ without": ("over_plain", lambda q: number(q["value"])),
    "quartiles of this": ("over_plain", lambda q: span(q["low"], q["high"])),
    "of BLAS": ("of_blas", lambda f: f"{100 * f:.0f} %"),
    "of bandwidth": ("of_bandwidth", lambda f: f"{100 * f:.0f} %"),
    "first step": ("first_s", lambda s: f"{number(s)} s"),
    "peak memory": ("peak", lambda b: f"{b / 2**20:.0f} MB"),
    "growth by steps": ("growth", lambda g: f"{g['steps'] / 2**20:.1f} MB"),
    "by model and steps": ("growth", lambda g: f"{g['in_all'] / 2**20:.1f} MB"),
    "growth": ("memory", lambda m: f"{m['peak'] / m['n']:.0f} bytes an operation"),
    "growth again": ("memory", lambda m: f"{m['again'] / m['n']:.0f} bytes an operation"),
    "not freed": ("memory", lambda m: f"{m['objects']} objects"),
}


def number(x):
    """Three significant digits."""
    return f"{x:,.0f}" if abs(x) >= 1000 else f"{x:.3g}"


def span(low, high):
    return f"{number(low)}–{number(high)}"


def table(results):
    """The Markdown table of one row's results."""
    good = {label: r for label, r in results.items() if "error" not in r}
    errors = [f"- {label}: {r['error']}" for label, r in results.items() if "error" in r]
    if not good:
        return "\n".join(errors)
    used = {head: c for head, c in COLUMNS.items() if any(c[0] in r for r in good.values())}
    unit = next(r["unit"] for r in good.values())
    lines = [line(unit, *used), "|---|" + "--:|" * len(used)]
    for label, r in good.items():
        cells = (text(r[key]) if key in r else "" for key, text in used.values())
        lines.append(line(label, *cells))
    return "\n".join([*lines, *([""] if errors else []), *errors])


def line(*cells):
    return f"| {' | '.join(cells)} |"


def heading(machine, missing, quick):
    """What ran where, above all tables."""
    lines = [f"{machine['cpu']}, CPUs {machine['used_cpus']} of {machine['cpus']}, "
             f"{machine['threads']} threads, Python {machine['python']}, "
             f"commit {machine['commit']}, load before {machine['load']}.",
             "Its limits, measured: {flops:.0f} GFLOP/s in sgemm; copy {copy:.0f} GB/s, triad "
             "{triad:.0f} GB/s.".format(**{k: v / 1e9 for k, v in machine["limits"].items()})]
    if quick:
        lines.append("A quick run (deep chains have 20,000 operations): it shows that all "
                     "works, its times mean nothing.")
    return "\n\n".join([*lines, *missing.values()])


def footing(rows):
    """Versions and BLAS, as the workers told them."""
    results = {k: r for results in rows.values() for k, r in results.items() if "version" in r}
    versions = {package(label): r["version"] for label, r in results.items()}
    lines = [", ".join(f"{package} {v}" for package, v in versions.items())] if versions else []
    numpys = [r["blas"] for label, r in results.items() if package(label) == "numpy"]
    return "\n\n".join(lines + [f"NumPy's BLAS: {blas}" for blas in numpys[:1]])

"""The results as Markdown: a heading and a table for each row."""

from ._statistics import quartiles

COLUMNS = {                      # heading -> what a result has to say, or "" where it has nothing
    "median": lambda r: number(r["median"]),
    "quartiles": lambda r: span(*quartiles(r["rounds"])[::2]),
    "tinygrad_nn ÷ it": lambda r: number(r["ours_over_it"]["value"]) if "ours_over_it" in r else "",
    "quartiles of that": lambda r: span(r["ours_over_it"]["low"], r["ours_over_it"]["high"])
    if "ours_over_it" in r else "",
    "first step": lambda r: f"{number(r['first_s'])} s" if "first_s" in r else "",
    "peak memory": lambda r: f"{r['peak'] / 2**20:.0f} MB" if "peak" in r else "",
    "memory an operation": lambda r: f"{_an_operation(r, 'peak'):.0f} bytes, "
    f"{_an_operation(r, 'kept'):.0f} after" if "memory" in r else "",
    "not freed": lambda r: f"{r['memory']['objects']} objects" if "memory" in r else "",
}


def _an_operation(result, what):
    return result["memory"][what] / result["settings"]["n"]


def number(x):
    """Three significant digits."""
    return f"{x:,.0f}" if abs(x) >= 1000 else f"{x:.3g}"


def span(low, high):
    return f"{number(low)}–{number(high)}"


def table(results):
    """The Markdown table of one row's results."""
    good = {label: r for label, r in results.items() if "error" not in r}
    cells = {label: [f(r) for f in COLUMNS.values()] for label, r in good.items()}
    used = [i for i in range(len(COLUMNS)) if any(c[i] for c in cells.values())]
    unit = next((r["unit"] for r in good.values()), "")
    heads = [list(COLUMNS)[i] for i in used]
    lines = [f"| {unit} | " + " | ".join(heads) + " |", "|---|" + "--:|" * len(heads)]
    lines += [f"| {label} | " + " | ".join(cells[label][i] for i in used) + " |" for label in good]
    errors = [f"- {label}: {r['error']}" for label, r in results.items() if "error" in r]
    return "\n".join([*(lines if good else []), *([""] if good and errors else []), *errors])


def heading(machine, missing, quick):
    """What ran where, above all tables."""
    lines = [f"{machine['cpu']}, CPUs {machine['used_cpus']} of {machine['cpus']}, "
             f"{machine['threads']} threads, Python {machine['python']}, "
             f"commit {machine['commit']}, load before {machine['load']}."]
    if quick:
        lines.append("A quick run: it shows that everything works, its times mean nothing.")
    if missing:
        lines.append(f"Not installed: {', '.join(missing)}.")
    return "\n\n".join(lines)


def footing(rows):
    """Versions and BLAS, as the workers told them."""
    results = {k: r for results in rows.values() for k, r in results.items() if "version" in r}
    versions = {label.split()[0]: r["version"] for label, r in results.items()}
    lines = [", ".join(f"{package} {v}" for package, v in versions.items())] if versions else []
    numpys = [r["blas"] for label, r in results.items() if label.split()[0] == "numpy"]
    return "\n\n".join(lines + [f"NumPy's BLAS: {blas}" for blas in numpys[:1]])

"""The picture of a summary, by matplotlib: the only file that needs it."""

import math

from . import _scaling, _summary
from ._report import number
from ._results import OURS, package

INK, MUTED, RULE, BLUE = "#22262b", "#8a929c", "#e3e6ea", "#2563b0"
COLOURS = {"torch": "#d9822b", "torch.compile": "#8a5a2b", "jax": "#7a4fa3",
           "tensorflow": "#c0392b", "numpy": "#7f8c8d"}
MARKS = {"torch": "o", "torch.compile": "s", "jax": "D", "tensorflow": "^", "numpy": "v"}


def needed():
    """matplotlib; asked for before anything is measured, too."""
    try:
        import matplotlib
    except ImportError as error:
        raise SystemExit("--plot needs matplotlib: pip install matplotlib") from error
    matplotlib.use("Agg")
    return matplotlib


def save(rows, file):
    """Ratios of all rows, and below them the curves of the rows that scale."""
    matplotlib = needed()
    from matplotlib import pyplot
    matplotlib.rcParams.update({
        "font.size": 9, "font.family": "DejaVu Sans", "text.color": INK, "axes.edgecolor": RULE,
        "axes.labelcolor": INK, "xtick.color": MUTED, "ytick.color": INK,
        "svg.fonttype": "none", "axes.spines.top": False, "axes.spines.right": False})
    lines = _summary.lines(rows)
    groups = [g for g in _scaling.GROUPS if any(k.startswith(g) for k in rows)]
    down = math.ceil(len(groups) / 3)
    heights = [0.29 * len(lines) + 1.2] * bool(lines) + [2.6] * down
    figure = pyplot.figure(figsize=(8.6, sum(heights)), layout="constrained")
    grid = figure.add_gridspec(len(heights), 3, height_ratios=heights)
    if lines:
        _ratios(figure.add_subplot(grid[0, :]), lines)
    for k, group in enumerate(groups):
        _curves(figure.add_subplot(grid[bool(lines) + k // 3, k % 3]), rows, group)
    named = {name: handle for axes in figure.axes[::-1]
             for handle, name in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(named.values(), named, loc="outside lower center", ncols=4, frameon=False,
                  fontsize=8, handletextpad=0.4)
    figure.savefig(file, dpi=110, metadata={"Date": None} if str(file).endswith("svg") else {})
    pyplot.close(figure)


def _ratios(axes, lines):
    """A line a row: the ratio to its peer with quartiles, smaller marks for the others."""
    from matplotlib import ticker
    for y, (_, _, peer, good, fastest) in enumerate(lines):
        for name, result in fastest.items():
            axes.plot(result["ours_over_it"]["value"], y, MARKS[name], ms=4,
                      color=COLOURS[name], alpha=0.75, label=name)
        ratio = good[peer]["ours_over_it"]
        axes.plot([ratio["low"], ratio["high"]], [y, y], color=BLUE, lw=5, alpha=0.35,
                  solid_capstyle="round", zorder=0)
        axes.plot(ratio["value"], y, "|", ms=13, mew=2.5, color=BLUE,
                  label="ratio to the peer compared with, and its quartiles")
        axes.annotate(number(ratio["value"]), (1, y), xycoords=("axes fraction", "data"),
                      xytext=(6, 0), textcoords="offset points", va="center", color=BLUE)
    axes.axvline(1, color=INK, lw=0.8)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_locator(ticker.NullLocator())
    axes.set_yticks(range(len(lines)), [name for name, *_ in lines])
    axes.set_ylim(len(lines) - 0.4, -0.6)
    axes.grid(axis="y", color=RULE, lw=0.6)
    axes.set_axisbelow(True)
    axes.set_title("Our time over theirs: left of 1 we are faster", loc="left")


def _curves(axes, rows, group):
    """Time against the size, or for threads a bar for each row and number."""
    points = {k.removeprefix(group + "-"): r for k, r in rows.items() if k.startswith(group)}
    packages = dict.fromkeys(package(label) for r in points.values() for label in r)
    numeric = all(x.isdigit() for x in points)
    for name in packages:
        last = {x: [r[k]["median"] for k in r if package(k) == name and "median" in r[k]][-1:]
                for x, r in points.items()}              # our last variant
        xs, ys = [x for x in last if last[x]], [y for v in last.values() for y in v]
        colour = BLUE if name == OURS else COLOURS.get(name, MUTED)
        axes.plot([int(x) for x in xs] if numeric else xs, ys, marker=MARKS.get(name, "o"),
                  ms=3.5, lw=1.8 if name == OURS else 1, color=colour, label=name,
                  ls="-" if numeric else "")
    if numeric:
        axes.set_xscale("log")
    axes.set_yscale("log")
    units = {r["unit"] for results in points.values() for r in results.values() if "unit" in r}
    axes.set_title(f"{group.removeprefix('scaling-')}: {', '.join(sorted(units))}", loc="left",
                   fontsize=9)
    axes.tick_params(axis="x", labelsize=7, rotation=0 if numeric else 30)
    axes.tick_params(axis="y", labelsize=7, which="both")
    axes.grid(color=RULE, lw=0.5)

"""``python -m benchmarks``: measure, print Markdown, write JSON. README.md says how."""

import argparse
import json
import sys
from pathlib import Path

from . import _fresh, _imports, _limits, _machine, _plot, _report, _rounds, _scaling, _summary
from ._contestants import PEERS
from ._rows import ROWS

ALL = {**ROWS, **_scaling.POINTS}


def names(known, none=(), groups=()):
    """An argument parser's type: some of ``known``, separated by commas, in any case; a name of
    ``groups`` stands for all that begin with it."""
    def parse(text):
        by_name = {k.lower(): [k] for k in known}
        by_name |= {g: [k for k in known if k.startswith(f"{g}-")] for g in groups}
        wanted = [w.strip().lower() for w in text.split(",")]
        if wanted == [none]:
            return []
        unknown = [w for w in wanted if w not in by_name]
        if unknown:
            raise argparse.ArgumentTypeError(
                f"unknown {', '.join(unknown)}; there are {', '.join([*known, *groups])}")
        return list(dict.fromkeys(k for w in wanted for k in by_name[w]))
    return parse


def arguments(argv):
    groups = ("first", "fit", "scaling", *_scaling.GROUPS)
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rows", type=names(ALL, groups=groups), default=list(ROWS),
                        metavar="M1,W1,…", help=f"some of {', '.join(ROWS)}, which are all "
                        f"unless given; or {', '.join(groups)} and points of them")
    parser.add_argument("--peers", type=names(PEERS, "none"), default=list(PEERS),
                        metavar="torch,…", help=f"beside NumPy: some of {', '.join(PEERS)}, or "
                        "none; all that are installed unless given")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything there")
    parser.add_argument("--read", type=Path, nargs="+", metavar="FILE",
                        help="measure nothing: summarise what --json wrote; of a row in "
                        "several files the last")
    parser.add_argument("--plot", type=Path, metavar="FILE",
                        help="a picture of the summary, .svg or .png; needs matplotlib")
    parser.add_argument("--quick", action="store_true",
                        help="a few steps of each, to see that everything works")
    return parser.parse_args(argv)


def say(text):
    print(text, file=sys.stderr, flush=True)


def run(row, packages, quick, limits):
    """The heading and the results of one row."""
    if row == "import":
        say("import")
        return _imports.TITLE, _imports.measure(quick)
    how = _fresh if ALL[row].way in ("whole", "caches") else _rounds
    results = how.measure(ALL[row], packages, quick, lambda text: say(f"{row}: {text}"))
    _limits.reach(results, ALL[row], limits)
    return ALL[row].title, results


def measured(options):
    """{row: results}, told on the way and written."""
    missing = {p: why for p in options.peers if (why := _machine.missing(p))}
    packages = {"tinygrad_nn", "numpy", *options.peers} - set(missing)
    machine, rows = _machine.describe(), {}
    machine["limits"] = limits = _limits.measured(options.quick)
    print(_report.heading(machine, missing, options.quick))
    for row in options.rows:
        title, rows[row] = run(row, packages, options.quick, limits)
        print(f"\n### {row}: {title}\n\n{_report.table(rows[row])}", flush=True)
        if options.json:                         # after each row: a long run may be ended early
            everything = {"machine": machine, "quick": options.quick, "left_out": missing,
                          "rows": rows}
            options.json.write_text(json.dumps(everything, indent=1, ensure_ascii=False),
                                    encoding="utf-8")
    print("\n" + _report.footing(rows))
    return rows


def main(argv=None):
    """Exit code 1 if a framework failed or computed something else than the others."""
    options = arguments(argv)
    if options.plot:
        _plot.needed()
    rows = _summary.read(options.read) if options.read else measured(options)
    for group in _scaling.GROUPS:
        if any(row.startswith(group) for row in rows):
            print(f"\n{_scaling.table(rows, group)}")
    print(f"\n{_summary.table(rows)}")
    if options.plot:
        _plot.save(rows, options.plot)
    return int(any("error" in r for results in rows.values() for r in results.values()))


if __name__ == "__main__":
    sys.exit(main())

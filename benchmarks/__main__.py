"""``python -m benchmarks``: measure, print Markdown, write JSON. README.md says how."""

import argparse
import json
import sys
from pathlib import Path

from . import _fresh, _imports, _machine, _report, _rounds
from ._contestants import PEERS
from ._rows import ROWS


def names(known, none=()):
    """An argument parser's type: some of ``known``, separated by commas, in any case."""
    def parse(text):
        by_name = {k.lower(): k for k in known}
        wanted = [w.strip().lower() for w in text.split(",")]
        if wanted == [none]:
            return []
        unknown = [w for w in wanted if w not in by_name]
        if unknown:
            raise argparse.ArgumentTypeError(
                f"unknown {', '.join(unknown)}; there are {', '.join(known)}")
        return [by_name[w] for w in wanted]
    return parse


def arguments(argv):
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rows", type=names(ROWS), default=list(ROWS), metavar="M1,W1,…",
                        help=f"some of {', '.join(ROWS)}; all unless given")
    parser.add_argument("--peers", type=names(PEERS, "none"), default=list(PEERS),
                        metavar="torch,…", help=f"beside NumPy: some of {', '.join(PEERS)}, or "
                        "none; all that are installed unless given")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything there")
    parser.add_argument("--quick", action="store_true",
                        help="a few steps of each, to see that everything works")
    return parser.parse_args(argv)


def say(text):
    print(text, file=sys.stderr, flush=True)


def run(row, packages, quick):
    """The heading and the results of one row."""
    if row == "import":
        say("import")
        return _imports.TITLE, _imports.measure(quick)
    how = _fresh if ROWS[row].way in ("whole", "caches") else _rounds
    results = how.measure(ROWS[row], packages, quick, lambda text: say(f"{row}: {text}"))
    return ROWS[row].title, results


def main(argv=None):
    """Exit code 1 if a framework failed or computed something else than the others."""
    options = arguments(argv)
    missing = {p: why for p in options.peers if (why := _machine.missing(p))}
    packages = {"tinygrad_nn", "numpy", *options.peers} - set(missing)
    machine, rows = _machine.describe(), {}
    print(_report.heading(machine, missing, options.quick))
    for row in options.rows:
        title, rows[row] = run(row, packages, options.quick)
        print(f"\n### {row}: {title}\n\n{_report.table(rows[row])}", flush=True)
    print("\n" + _report.footing(rows))
    if options.json:
        everything = {"machine": machine, "quick": options.quick, "left_out": missing,
                      "rows": rows}
        options.json.write_text(json.dumps(everything, indent=1, ensure_ascii=False))
    return int(any("error" in r for results in rows.values() for r in results.values()))


if __name__ == "__main__":
    sys.exit(main())

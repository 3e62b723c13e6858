"""One line a row: our time over the fastest peer's, of this run or from JSON files."""

import json

from ._report import line, number, span
from ._results import OURS, circumstances, package
from ._rows import ROWS
from ._scaling import POINTS

PEERS = ("torch", "torch.compile", "jax", "tensorflow")
PLAIN = "without numba ÷ torch"
ALWAYS = "numpy"                        # of rows in which no peer took part


def read(files):
    """What the JSON files hold together: {row: results}; of a row in several, the last."""
    return {row: results for file in files
            for row, results in json.loads(file.read_text(encoding="utf-8"))["rows"].items()}


def lines(rows):
    """[(name, ours, peer, results, fastest)] of the rows: our label, the label that it is
    compared with, and {package: its fastest result}; the ratios are in the results."""
    found = []
    for row, results in rows.items():
        if row in POINTS:                # those have tables and curves of their own
            continue
        for under in dict.fromkeys(map(circumstances, results)):
            good = {k: r for k, r in results.items()
                    if circumstances(k) == under and "ours_over_it" in r}
            ours = [k for k in good if package(k) == OURS]
            peers = _rivals(row, good)
            if ours and peers:
                peer = min(peers, key=lambda k: good[k]["median"])
                fastest = {p: min((good[k] for k in good if package(k) == p),
                                  key=lambda r: r["median"])
                           for p in PEERS if any(package(k) == p for k in good)}
                found.append((f"{row}; {under}" if under else row, ours[-1], peer, good,
                              fastest))
    return found


def _rivals(row, good):
    known = ROWS.get(row)
    if known is not None and known.rival:
        named = [k for k in good if k.startswith(known.rival) and package(k) in PEERS]
        if named:
            return named
    return ([k for k in good if package(k) in PEERS]
            or [k for k in good if package(k) == ALWAYS])


def table(rows):
    """Markdown."""
    heads = ["row", "ours", "time", "compared with", "ours ÷ it", "quartiles",
             *(f"÷ {p}" for p in PEERS), PLAIN]
    text = [line(*heads), "|---|---|--:|---|" + "--:|" * (3 + len(PEERS))]
    for name, ours, peer, good, fastest in lines(rows):
        ratio, unit = good[peer]["ours_over_it"], good[ours]["unit"].split()[0]
        each = (number(fastest[p]["ours_over_it"]["value"]) if p in fastest else ""
                for p in PEERS)
        text.append(line(name, _short(ours), f"{number(good[ours]['median'])} {unit}",
                         _short(peer), f"**{number(ratio['value'])}**",
                         span(ratio["low"], ratio["high"]), *each, _without_numba(good)))
    return "\n".join(text)


def _without_numba(good):
    """Our time without numba over that of PyTorch with its defaults."""
    pair = [good.get(label) for label in ("tinygrad_nn (without numba)", "torch")]
    return number(pair[0]["median"] / pair[1]["median"]) if all(pair) else ""


def _short(label):
    """Without the circumstances; of ours the variant alone."""
    label = label.partition(";")[0]
    return label.removeprefix(OURS).strip(" ()") or "eager" if label.startswith(OURS) else label

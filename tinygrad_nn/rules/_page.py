"""The list of NumPy's functions, and the page of what this package knows about each.

    python -m tinygrad_nn.rules > docs/functions.md
"""

import numpy as np

from .._messages import name_of
from .._table import RULES

MODULES = {"np": np, "np.linalg": np.linalg, "np.fft": np.fft, "np.emath": np.emath,
           "np.lib.stride_tricks": np.lib.stride_tricks}
HOW = {"elementwise": "rule, elementwise", "select": "rule, selection",
       "linear": "rule, linear",
       "bilinear": "rule, bilinear", "rule": "rule", "variadic": "rule, any number of arrays",
       "composite": "in other operations", "zero": "zero derivative", "refused": "refused"}
HEAD = """# What is known of each function

Made by `python -m tinygrad_nn.rules`; a test fails when it is stale. Every function that
NumPy passes to array-like objects is here: *ruled* ones have a derivative of every order in
reverse and forward mode, *zero* ones return plain arrays, *refused* ones raise an error that
says why.
`np.strings` and `np.char` are about text and are not listed.
"""


def dispatchable():
    """{name: function} of the public functions that NumPy passes to array-like arguments."""
    found, names = {}, set()
    for module, where in MODULES.items():
        for name in sorted(dir(where)):
            fn = getattr(where, name)
            if (isinstance(fn, (np.ufunc, type(np.sum))) and not name.startswith("_")
                    and fn not in names):
                names.add(fn)
                found[f"{module}.{name}"] = fn
    return found


def own():
    """{name: primitive} of this package's primitives that people call."""
    mine = {fn for fn in RULES if getattr(fn, "__module__", "").startswith("tinygrad_nn")}
    return {f"tn.{name_of(fn)}": fn for fn in sorted(mine, key=name_of)
            if not fn.__name__.startswith("_") and fn.__name__ not in ("getitem", "scatter")}


def rows():
    """One line of the page for each function, {name: line}."""
    lines = {}
    for name, fn in {**dispatchable(), **own()}.items():
        rule = RULES.get(fn)
        if rule is None:
            continue
        modes = "reverse, forward" if rule.kind not in ("zero", "refused") else ""
        lines[name] = f"| `{name}` | {HOW[rule.kind]} | {modes} | {rule.kink} |"
    return lines


def page():
    """The whole page as text."""
    counts = dict.fromkeys(("ruled", "zero", "refused"), 0)
    for fn in {**dispatchable(), **own()}.values():
        if fn in RULES:
            kind = RULES[fn].kind
            counts[kind if kind in counts else "ruled"] += 1
    summary = (f"With NumPy {np.__version__}: {counts['ruled']} ruled, {counts['zero']} zero, "
               f"{counts['refused']} refused.")
    table = ["| function | how | modes | at kinks, or the reason |", "|---|---|---|---|"]
    return "\n".join([HEAD, summary, "", *table, *rows().values()]) + "\n"

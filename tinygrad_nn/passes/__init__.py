"""Passes: functions from program to program, and the run of them that a compiled call takes.

Each can be used alone. `PASSES` are in their order; then comes the memory plan (`_memory`) and
the source that is run (`_emit`).
"""

from ._algebra import algebra
from ._chains import chains
from ._clean import common_subexpressions, constants, dead_code
from ._expand import expand, multiplied  # noqa: F401
from ._fuse import fuse
from ._postpone import postpone
from ._products import products

CLEANING = (dead_code, expand, algebra, constants, common_subexpressions, dead_code)
PASSES = (*CLEANING, postpone, products, chains, fuse)
EXACT = tuple(p for p in PASSES if p not in (products, chains))     # they keep every bit


def optimised(program, passes=PASSES):
    """{name: program}: the program as recorded, and after each pass."""
    return further({"recorded": program}, passes)


def further(stages, passes):
    """Such stages, and those after more passes."""
    stages = dict(stages)
    program = list(stages.values())[-1]
    for p in passes:
        program, name = p(program), p.__name__.replace("_", " ")
        stages[f"{name} again" if name in stages else name] = program
    return stages

"""Strategies for what a function to be differentiated is called with: shapes that broadcast,
layouts in memory, arrays of every domain, and the arguments of an operation of the table."""

import numpy as np
from hypothesis import strategies as st

from . import (  # noqa: F401  they add their rows
    _specs,
    _specs_linalg,
    _specs_more,
    _specs_networks,
)
from ._code import LAYOUTS, laid_out, public_name
from ._matrices import MATRICES, check_domain, fill
from ._specs import BROADCAST, ROWS, Row
from ._values import Pool


@st.composite
def shapes(draw, max_dims=3, max_side=3, empty=True):
    """A shape: 0-d, one to ``max_dims`` axes of 1 to ``max_side``, at times (unless ``empty``
    is False) an axis of length 0.

    >>> from hypothesis import find
    >>> import tinygrad_nn as tn
    >>> find(tn.testing.shapes(), lambda shape: len(shape) == 2)
    (1, 1)
    """
    n = draw(st.integers(0, max_dims))
    sides = st.sampled_from([1, *range(2, max_side + 1), *range(2, max_side + 1), *[0] * empty])
    return tuple(draw(st.lists(sides, min_size=n, max_size=n)))


@st.composite
def broadcastable(draw, n=2, max_dims=3, max_side=3, empty=True):
    """A tuple of ``n`` shapes that broadcast: axes of 1, and axes in front left out.

    >>> from hypothesis import find
    >>> import tinygrad_nn as tn
    >>> find(tn.testing.broadcastable(2), lambda shapes: shapes[0] != shapes[1])
    ((1,), ())
    """
    whole = draw(shapes(max_dims, max_side, empty))
    found = []
    for _ in range(n):
        change = draw(st.integers(0, 3))                        # none, one or both of these:
        start = draw(st.integers(0, len(whole))) if change & 1 else 0
        ones = draw(st.integers(0, 2 ** len(whole) - 1)) if change & 2 else 0   # bit by bit
        found.append(tuple(1 if ones >> i & 1 else side
                           for i, side in enumerate(whole))[start:])
    return tuple(found)


def layouts():
    """The name of a layout in memory, for ``arrays(layout=...)`` and `laid_out`: "C", "F",
    "strided", "negative" or "read-only". Arrays that are 0-d or empty have them as well."""
    return st.sampled_from(LAYOUTS)


def arrays(shape=None, domain="real", dtype=np.float64, layout="C", special=False):
    """An array of a domain.

    ``domain``: "real" (within ±3), "nonzero", "distinct", "positive" and "nonnegative"
    (0.2 .. 3), "unit" (-0.9 .. 0.9), "above1" (1.2 .. 4); or a matrix: "well_conditioned",
    "positive_definite", "symmetric", "triangular" (lower, invertible), "orthogonal". The
    numbers are in general position: none near 0, an integer or a half, no two equal, opposite
    or multiples of each other. With ``special`` those of the domain are mixed in: zeros of both
    signs, ties, the smallest denormal, ±1e30, integers and halves; "nonzero" stays without
    zeros, "distinct" without ties. Or ``special`` is a list of the points to mix in.

    ``shape``, ``dtype`` and ``layout`` are values or strategies (see `shapes`, `layouts`);
    without a shape any is drawn, of a matrix 1 × 1 to 3 × 3. At most 256 elements.

    >>> from hypothesis import find
    >>> import tinygrad_nn as tn
    >>> find(tn.testing.arrays(3), lambda x: x[1] < 0).tolist()
    [0.25, -0.1, 0.06]
    """
    check_domain(domain)
    if shape is None:
        shape = _squares if domain in MATRICES else shapes()
    return _first(_arrays(st.tuples(as_strategy(shape)), (domain,), dtype, layout, special))


_squares = st.integers(1, 3).map(lambda n: (n, n))


@st.composite
def _first(draw, several):
    """Not ``several.map(...)``, of which hypothesis would print more than the array."""
    return draw(several)[0]


def op_arguments(fn, dtype=np.float64, layout="C", special=False):
    """A list of arrays to call ``fn`` with, as its rows of the table of sample arguments say.

    ``fn``: a function that has a row by which it is called with arrays alone, or a row (from
    `ROWS`, or made by `row`), whose ``call`` takes the arrays.

    >>> from hypothesis import find
    >>> import numpy as np, tinygrad_nn as tn
    >>> xs = find(tn.testing.op_arguments(np.matmul), lambda xs: xs[1].ndim == 2)
    >>> tn.testing.code(xs)
    '[np.array([0.25, 0.1, 0.06]), np.array([[0.07, 0.08], [0.09, 0.11], [0.13, 0.15]])]'
    """
    if isinstance(fn, Row):
        return _arguments_of(fn, dtype, layout, special)
    mine = [r for r in ROWS if r.fn is fn]
    plain = [r for r in mine if r.call is fn]
    if not plain:
        name = public_name(fn)
        raise ValueError(
            f"no row calls {name} with arrays alone, " + (
                f"{len(mine)} call it otherwise: give one of [r for r in tn.testing.ROWS if "
                f"r.fn is {name}]" if mine else
                f"or at all: tn.testing.row({name}, ...) adds one"))
    return st.one_of([_arguments_of(r, dtype, layout, special) for r in plain])


def _arguments_of(row, dtype, layout, special):
    wanted = (broadcastable(len(row.domains)) if row.shapes == BROADCAST
              else st.sampled_from(row.shapes))
    return _arrays(wanted, row.domains, dtype, layout, special if row.special else False)


@st.composite
def _arrays(draw, shapes, domains, dtype, layout, special):
    """Arrays of several domains, of a tuple of shapes, all numbers from one pool."""
    pool = Pool(draw, draw(as_strategy(dtype)), special, several=len(domains) > 1)
    found = [fill(pool, domain, _tuple(shape))
             for domain, shape in zip(domains, draw(shapes), strict=True)]
    return [laid_out(x, draw(as_strategy(layout))) for x in found]


def _tuple(shape):
    return (int(shape),) if isinstance(shape, (int, np.integer)) else shape


def as_strategy(x):
    """``x`` if it is a strategy, else that value alone."""
    return x if isinstance(x, st.SearchStrategy) else st.just(x)

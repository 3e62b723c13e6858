"""Points where a derivative jumps: what we chose there, and whether PyTorch chose the same.

``SAMPLES``: PyTorch's own samples where our documented choice is another. ``POINTS``: points
of our own, because PyTorch's samples have few ties, zeros and limits. A point without ``ours``
says that both choose alike; at the others ``ours`` is what we document, and ``why``.
"""

import dataclasses

import numpy as np

NAN, INF = np.nan, np.inf


@dataclasses.dataclass
class Sample:
    """``choice(xs, args, kwargs)``: our gradients, or None where they are PyTorch's."""

    why: str
    choice: object


def _norm_of_singular_values(xs, args, kwargs):
    ord = args[0] if args else kwargs.get("ord")
    if ord in (2, -2, "nuc") and xs[0].ndim == 2 and not xs[0].any():
        return [np.zeros_like(xs[0])]
    return None


SAMPLES = {
    "linalg.norm/subgradients_at_zero": Sample(
        "a singular value that is 0 has derivative 0, like a length; PyTorch gives what "
        "LAPACK happens to return as singular vectors", _norm_of_singular_values),
}


@dataclasses.dataclass
class Point:
    """The gradients of the sum of an operator's (first) result at ``args``."""

    name: str
    args: tuple
    kwargs: dict
    ours: object
    why: str

    def __repr__(self):
        return f"{self.name} {self.args} {self.kwargs or ''}"


POINTS = []


def point(name, *args, ours=None, why="", **kwargs):
    """Lists of numbers are arrays of the operator, all else is passed as it is."""
    arrays = tuple(np.array(a, float) if isinstance(a, list) else a for a in args)
    ours = None if ours is None else [np.array(g, float) for g in ours]
    POINTS.append(Point(name, arrays, kwargs, ours, why))


# ---------------------------------------------------------------- the same choice

point("abs", [0.0, -0.0])
point("sign", [0.0])
point("nn.functional.relu", [0.0])
point("nn.functional.hardshrink", [0.5])
point("sqrt", [0.0])
point("rsqrt", [0.0])
point("log", [0.0])
point("acos", [1.0, -1.0])
point("sinc", [0.0])
point("angle", [0.0, -0.0, -2.0])
point("copysign", [2.0, 2.0, 0.0], [0.0, -0.0, -1.0])
point("nan_to_num", [NAN, INF, -INF, 1.0])
point("remainder", [3.0, -3.0], [1.5, 1.5])
point("fmod", [3.0, -3.0], [1.5, 1.5])
point("pow", [0.0, 0.0, 0.0, 0.0, 0.0, -2.0], 2.0)
point("pow", [0.0, 0.0, 0.0, 0.0], [0.0, 0.5, 1.0, 2.0])
point("atan2", [0.0, -0.0], [0.0, 1.0])
point("logaddexp", [INF, 1.0, 1.0, -INF], [1.0, INF, -INF, 1.0])
point("maximum", [1.0, 2.0, NAN, 1.0, NAN], [1.0, 1.0, 1.0, NAN, NAN])
point("minimum", [1.0, 0.0, NAN, 1.0, NAN], [1.0, 1.0, 1.0, NAN, NAN])
point("amax", [1.0, 1.0, 0.0], dim=0)
point("amin", [[1.0, 1.0], [2.0, 1.0]])
point("max/reduction_no_dim", [1.0, 1.0, 0.0])
point("cummax", [1.0, 0.0, 1.0, 1.0, 2.0], 0)
point("sort", [1.0, 0.0, 1.0, 1.0], stable=True)
point("quantile", [1.0, 0.0, 1.0, 1.0, 1.0], 0.5)
point("nanmedian", [NAN, 1.0, 2.0])
point("nansum", [NAN, 1.0])
point("nanmean", [NAN, 1.0])
point("std", [1.0, 1.0])
point("std", [[1.0, 1.0], [1.0, 2.0]], dim=1, correction=0)
point("prod", [2.0, 0.0, 3.0])
point("prod", [2.0, 0.0, 0.0])
point("cumprod", [2.0, 0.0, 3.0, 0.0, 4.0], 0)
point("logsumexp", [-INF, -INF], 0)
point("nn.functional.softplus", [0.0, 1e4, -1e4])
point("sigmoid", [0.0, 1e4, -1e4])
for _ord in (0.5, 1, 2, 3, INF, -INF):
    point("norm", [0.0, 0.0], _ord)
    point("norm", [0.0, 1.0], _ord)
point("norm", [1.0, -1.0], INF)
point("dist", [1.0, 1.0], [1.0, 1.0])
point("linalg.det", [[1.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
point("linalg.svdvals", [[1.0, 0.0], [0.0, 1.0]])
point("linalg.matrix_norm", [[1.0, 0.0], [0.0, 1.0]], 2)

# ---------------------------------------------------------------- another choice

_TIES = "ties share evenly, also between two arguments"
for _name in ("fmax", "fmin"):
    point(_name, [1.0, 1.0, NAN, NAN], [1.0, NAN, 1.0, NAN],
          ours=([0.5, 1.0, 0.0, 1.0], [0.5, 0.0, 1.0, 1.0]),
          why=_TIES + "; of two nan both get it all, as in np.maximum")
point("clamp_max", [1.0], [1.0], ours=([0.5], [0.5]), why=_TIES)
point("clamp_min", [1.0], [1.0], ours=([0.5], [0.5]), why=_TIES)
point("clamp", [0.0, 1.0, 0.5], [0.0, 0.0, 0.0], [1.0, 1.0, 1.0],
      ours=([0.5, 0.5, 1.0], [0.5, 0.0, 0.0], [0.0, 0.5, 0.0]), why=_TIES)
point("nn.functional.hardtanh", [-1.0, 1.0], ours=([0.5, 0.5],), why=_TIES)
point("max/reduction_with_dim", [1.0, 1.0, 0.0], 0, ours=([0.5, 0.5, 0.0],),
      why="np.max shares between ties with an axis as it does without")
point("median", [1.0, 0.0, 1.0, 1.0, 1.0], ours=([0.0, 0.0, 1.0, 0.0, 0.0],),
      why="the middle one of a stable sort, with an axis and without")
point("kthvalue", [1.0, 0.0, 1.0, 1.0, 1.0], 3, ours=([0.0, 0.0, 1.0, 0.0, 0.0],),
      why="the middle one of a stable sort")
point("hypot", [0.0, 0.0], [0.0, 1.0], ours=([0.0, 0.0], [0.0, 1.0]),
      why="the length of the zero vector has derivative 0; PyTorch gives nan")
point("logsumexp", [INF, 0.0], 0, ours=([1.0, 0.0],),
      why="one infinite element is the whole sum, as in logaddexp; PyTorch gives nan")
point("linalg.svdvals", [[0.0, 0.0], [0.0, 0.0]], ours=([[0.0, 0.0], [0.0, 0.0]],),
      why="a singular value that is 0 has derivative 0")
point("linalg.cond", [[1.0, 0.0], [0.0, 1.0]], ours=([[0.0, 0.0], [0.0, 0.0]],),
      why="the extreme singular values share evenly between ties")
point("linalg.det", [[1.0, 2.0], [2.0, 4.0]], ours=([[4.0, -2.0], [-2.0, 1.0]],),
      why="exact, the matrix of cofactors; PyTorch solves with a singular matrix and gives 0")

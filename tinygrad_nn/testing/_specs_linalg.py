"""Rows for linear algebra; arguments are made well conditioned within each call."""

import numpy as np

from ..rules import _decompositions, _linalg
from ..rules._linalg import mT
from ._specs import ZEROS, calls, row

SQUARE = [((3, 3),), ((1, 1),), ((2, 2, 2),), ((0, 0),), ((2, 0, 0),)]
TALL = [((3, 2),), ((2, 3, 1),), ((3, 0),)]
WIDE = [((2, 3),), ((2, 1, 3),), ((0, 3),)]
FLAT = [((3, 3),), ((3, 2),), ((2, 3),)]
ANY_FORM = [*SQUARE[:3], *TALL[:2], *WIDE[:2]]
NONEMPTY = SQUARE[:3]


def firm(x, step=0.0):
    """Near a rectangular identity (times 2, 2 + step, …): far from singular."""
    m, n = np.shape(x)[-2:]
    return 0.1 * x + np.eye(m, n, dtype=x.dtype) * (2 + step * np.arange(n, dtype=x.dtype))


def apart(x):
    """With eigenvalues and singular values far from each other and from 0."""
    return firm(x, 3.0)


def outside(q):
    """The projector on the last two columns of q."""
    rest = q[..., -2:]
    return rest @ mT(rest)


def of(fn, change=firm, **kw):
    """A function of a matrix made firm (or apart), as the call of a row."""
    return lambda x: fn(change(x), **kw)


def rows(fn, *variants, change=firm, shapes=SQUARE):
    for kw in variants or ({},):            # special points would make the matrix infirm again
        row(fn, call=of(fn, change, **kw), shapes=shapes, note=f"{kw or ''}", special=False)


# ---------------------------------------------------------------- solve, inv, determinants
row(np.linalg.solve, "real", "real", special=False,
    call=lambda a, b: np.linalg.solve(firm(a), b),
    shapes=[((3, 3), (3,)), ((3, 3), (3, 2)), ((2, 2, 2), (2,)), ((2, 2, 2), (2, 1)),
            ((2, 2), (3, 2, 1)), ((2, 1, 2, 2), (3, 2, 1)), ((2, 1, 1), (1,)),
            ((0, 0), (0, 2))])
rows(np.linalg.inv)
rows(_linalg._inverse)
rows(np.linalg.pinv, {}, {"rcond": 1e-10}, {"rtol": 1e-10}, shapes=[*ANY_FORM, TALL[2]])
rows(np.linalg.pinv, {"hermitian": True}, shapes=NONEMPTY)
rows(np.linalg.pinv, {"rtol": 0.5}, {"rcond": 0.35}, {"rtol": 0.5, "hermitian": True},
     change=apart, shapes=[((3, 3),), ((2, 2, 2),)])
rows(np.linalg.pinv, {"rtol": 0.5}, change=apart, shapes=[((4, 3),), ((2, 3),)])
row(np.linalg.pinv, special=False,
    call=lambda x: np.linalg.pinv(firm(x), np.array([1e-9, 1e-8])),
    shapes=[((2, 3, 2),)], note="rcond of a batch")
row(np.linalg.det, shapes=[*SQUARE, ((4, 4),)])
row(_linalg._cofactors, shapes=[*SQUARE, ((4, 4),)])
rows(np.linalg.slogdet)
row(np.linalg.slogdet, special=False,
    call=lambda x: np.linalg.slogdet(-firm(x)), shapes=SQUARE, note="< 0")
for _fn in (np.linalg.lstsq, _linalg._lstsq):
    row(_fn, "real", "real", special=False,
        call=lambda a, b, fn=_fn: fn(apart(a), b),
        shapes=[((3, 2), (3,)), ((4, 2), (4, 3)), ((2, 2), (2, 2)), ((2, 3), (2,)),
                ((2, 4), (2, 3)), ((1, 1), (1,))])
row(np.linalg.lstsq, "real", "real", special=False,
    call=lambda a, b: np.linalg.lstsq(firm(a), b, 1e-12)[:2],
    shapes=[((3, 2), (3,))], note="rcond")
rows(np.linalg.tensorinv, {"ind": 1}, shapes=[((3, 3),)])
row(np.linalg.tensorinv, special=False,
    call=lambda x: np.linalg.tensorinv(np.reshape(firm(x), (4, 2, 2)), 1),
    shapes=[((4, 4),)], note="ind 1")
row(np.linalg.tensorinv, special=False,
    call=lambda x: np.linalg.tensorinv(np.reshape(firm(x), (2, 2, 4))),
    shapes=[((4, 4),)], note="ind 2")
row(np.linalg.tensorsolve, "real", "real", shapes=[((4, 4), (4,)), ((4, 4), (2, 2))],
    special=False,
    call=lambda a, b: np.linalg.tensorsolve(np.reshape(firm(a), (*b.shape, 2, 2)), b))
row(np.linalg.tensorsolve, "real", "real", shapes=[((4, 4), (4,))], special=False,
    call=lambda a, b: np.linalg.tensorsolve(np.reshape(firm(a), (2, 4, 2)), b, axes=(0,)),
    note="axes")
for _n in (1, 2, 3, 5, -1, -2, -3):
    rows(np.linalg.matrix_power, {"n": _n}, shapes=[((2, 2),), ((2, 2, 2),), ((0, 0),)])
for _shapes in (((2, 3), (3, 2)), ((2, 3), (3, 1), (1, 2)), ((3,), (3, 2), (2, 1), (1,)),
                ((3,), (3, 2), (2, 2)), ((1, 2), (2, 3), (3, 2), (2,)), ((2,), (2,))):
    row(np.linalg.multi_dot, *("real" for _ in _shapes), shapes=[_shapes],
        call=lambda *xs: np.linalg.multi_dot(xs), note=str(len(_shapes)))

# ---------------------------------------------------------------- decompositions
_uplo = ({}, {"UPLO": "U"}, {"UPLO": "l"})
rows(np.linalg.eigh, *_uplo, change=apart)
rows(np.linalg.eigvalsh, *_uplo, change=apart)
rows(np.linalg.cholesky, {}, {"upper": True})
rows(np.linalg.qr, {}, {"mode": "r"}, shapes=[*ANY_FORM, TALL[2], WIDE[2]])
rows(np.linalg.qr, {"mode": "complete"}, shapes=[*NONEMPTY, *WIDE[:2], ((3, 2),), ((3, 0),)])
row(np.linalg.qr, special=False,
    call=lambda x: outside(np.linalg.qr(firm(x), "complete")[0]),
    shapes=[((4, 2),), ((2, 3, 1),)], note="subspace")
rows(_decompositions._qr, shapes=ANY_FORM)
rows(np.linalg.svd, {"full_matrices": False}, change=apart, shapes=[*ANY_FORM, TALL[2]])
rows(np.linalg.svd, {}, change=apart, shapes=[*SQUARE, ((3, 2),), ((2, 2, 3),)])
row(np.linalg.svd, special=False,
    call=lambda x: outside(np.linalg.svd(apart(x))[0]), note="subspace of u",
    shapes=[((4, 2),), ((2, 3, 1),)])
row(np.linalg.svd, special=False,
    call=lambda x: outside(mT(np.linalg.svd(apart(x))[2])),
    shapes=[((2, 4),), ((2, 1, 3),)], note="subspace of vh")
rows(np.linalg.svd, {"compute_uv": False}, change=apart, shapes=ANY_FORM)
rows(np.linalg.svd, {"hermitian": True}, {"hermitian": True, "compute_uv": False},
     change=lambda x: apart(x) - 4 * np.eye(x.shape[-1], dtype=x.dtype), shapes=NONEMPTY)
rows(_decompositions._svd, change=apart, shapes=ANY_FORM)
rows(np.linalg.svdvals, change=apart, shapes=[*ANY_FORM, WIDE[2]])
for _fn in (_decompositions._nuclear, _decompositions._polar):
    rows(_fn, shapes=[*ANY_FORM, WIDE[2]])

# ---------------------------------------------------------------- norms and condition numbers
for _ord in ("nuc", 2, -2):
    rows(np.linalg.norm, {"ord": _ord}, {"ord": _ord, "keepdims": True}, change=apart,
         shapes=FLAT)
    rows(np.linalg.norm, {"ord": _ord, "axis": (-2, -1)},
         {"ord": _ord, "axis": (1, -3), "keepdims": True}, change=apart, shapes=[((2, 3, 2),)])
for _ord in ("nuc", 2, -2, "fro", 1, -1, np.inf, -np.inf):
    rows(np.linalg.matrix_norm, {"ord": _ord, "keepdims": _ord in (2, 1)}, change=apart,
         shapes=ANY_FORM)
    rows(np.linalg.cond, {"p": _ord}, change=apart, shapes=NONEMPTY)
rows(np.linalg.matrix_norm, change=apart, shapes=ANY_FORM)
rows(np.linalg.cond, {}, {"p": 2}, {"p": -2}, change=apart, shapes=ANY_FORM)
calls(np.linalg.vector_norm, {}, {"axis": 0}, {"keepdims": True})
for _ord in (2, 1, 3, 2.5, -1, -2, np.inf, -np.inf):
    calls(np.linalg.vector_norm, {"ord": _ord, "axis": -1, "keepdims": True})
    calls(np.linalg.vector_norm, {"ord": _ord, "axis": (-1, 0)}, shapes=[((2, 3),)])
calls(np.linalg.vector_norm, {"axis": (2, 0), "keepdims": True}, shapes=[((2, 1, 2),)])
row(np.linalg.vector_norm, shapes=[((),), ((0,),), ((2, 0),)], note="0-d and empty")

# ---------------------------------------------------------------- products
_vectors = [((3,), (3,)), ((2, 3), (3,)), ((3,), (2, 3)), ((2, 1, 3), (4, 3))]
row(np.vecdot, "real", "real", shapes=[*_vectors, ((0,), (0,)), ((2, 0), (0,))])
row(np.linalg.vecdot, "real", "real", shapes=_vectors)
row(np.linalg.vecdot, "real", "real", shapes=[((3, 2), (3, 2)), ((3, 2), (3, 1))],
    call=lambda a, b: np.linalg.vecdot(a, b, axis=-2), note="axis")
if hasattr(np, "matvec"):
    row(np.matvec, "real", "real", shapes=[((2, 3), (3,)), ((2, 2, 3), (3,)), ((2, 3), (4, 3)),
                                           ((2, 1, 2, 3), (2, 3)), ((0, 3), (3,)),
                                           ((2, 0), (0,))])
    row(np.vecmat, "real", "real", shapes=[((3,), (3, 2)), ((2, 3), (3, 2)), ((3,), (2, 3, 2)),
                                           ((2, 1, 3), (2, 3, 2)), ((3,), (3, 0))])
for _fn in (np.cross, np.linalg.cross, _linalg._cross):
    row(_fn, "real", "real", shapes=_vectors)
row(np.cross, "real", "real", call=lambda a, b: np.cross(a, b, axis=0),
    shapes=[((3, 2), (3, 2)), ((3,), (3, 2)), ((3, 2), (3,))], note="axis")
row(np.cross, "real", "real", shapes=[((3, 2), (2, 3)), ((3,), (2, 3))],
    call=lambda a, b: np.cross(a, b, axisa=0, axisb=1, axisc=0), note="axisa, axisb, axisc")
row(np.linalg.cross, "real", "real", call=lambda a, b: np.linalg.cross(a, b, axis=0),
    shapes=[((3, 2), (3, 2))], note="axis")
row(np.kron, "real", "real", shapes=[((2,), (3,)), ((2, 3), (2, 1)), ((2,), (2, 3)),
                                     ((), (2,)), ((2, 1), ()), ((2, 2), (1, 2, 2)),
                                     ((0,), (2,))])
row(np.linalg.outer, "real", "real", shapes=[((3,), (2,)), ((1,), (0,))])
row(np.linalg.matmul, "real", "real", shapes=[((2, 3), (3, 2)), ((3,), (2, 3, 2)),
                                              ((3,), (3,))])
row(np.linalg.tensordot, "real", "real", shapes=[((2, 3), (2, 3))])
row(np.linalg.tensordot, "real", "real", shapes=[((2, 3), (3, 2)), ((1, 2, 2), (2, 1))],
    call=lambda a, b: np.linalg.tensordot(a, b, axes=1), note="axes")
for _fn in (np.matrix_transpose, np.linalg.matrix_transpose):
    row(_fn, shapes=[((2, 3),), ((2, 1, 3),), ((0, 2),)])
for _fn in (np.linalg.diagonal, np.linalg.trace):
    calls(_fn, {}, {"offset": 1}, {"offset": -1}, shapes=[((3, 3),), ((2, 3),), ((2, 3, 2),)])
calls(np.linalg.trace, {"dtype": np.float64}, shapes=[((2, 2),)])

ZEROS += [(np.linalg.matrix_rank, np.linalg.matrix_rank)]

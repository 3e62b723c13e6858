"""Linear algebra without decompositions: solve, inv, det, lstsq, powers, and the products of
np.linalg. Decompositions, and what is made of singular values, are in `_decompositions`.

Matrices are the last two axes, everything before is a batch. Sources: Magnus and Neudecker,
*Matrix Differential Calculus*, 3rd ed. (inv, det, solve); Golub and Pereyra, "The
Differentiation of Pseudo-Inverses and Nonlinear Least Squares Problems", SIAM J. Numer. Anal.
10 (1973) (lstsq).

det is a polynomial of the elements, so its derivatives are exact at every matrix, also a
singular one: `_cofactors` multiplies singular values and divides by none. det(a) * inv(a).T
would be nan there, and lose digits near it; the price is a singular value decomposition.
"""

import functools
import operator

import numpy as np

from .._core import Box, primitive
from .._errors import NoRuleError
from .._table import bilinear, composite, kink, rule


def mT(x):
    """The matrices of ``x`` transposed."""
    return np.swapaxes(x, -1, -2)


def used(g):
    """False for the zeros that stand for "nothing arrived" at an output nobody used.

    Its terms must be left out, not multiplied by zero: they divide by gaps that may be zero. A
    gradient that is part of another derivative (a Box) always counts as used.
    """
    return isinstance(g, Box) or bool(np.any(g))


def mirror(a, UPLO="L"):
    """The symmetric matrices of which a function reads one triangle of ``a``."""
    if UPLO.upper() == "U":
        return np.triu(a) + mT(np.triu(a, 1))
    return np.tril(a) + mT(np.tril(a, -1))


def fold(g, UPLO="L"):
    """The adjoint of `mirror`: all of the gradient in the triangle that was read."""
    if UPLO.upper() == "U":
        return np.triu(g) + np.triu(mT(g), 1)
    return np.tril(g) + np.tril(mT(g), -1)


# ---------------------------------------------------------------- solve and inv

def _as_columns(f, x, vector):
    """``f`` of matrices for ``x`` that is a batch of vectors if ``vector``."""
    return f(x[..., None])[..., 0] if vector else f(x)


def _solve_da(g, a, y):
    vector = np.ndim(y) < np.ndim(a)                    # NumPy 2: only where b is 1-d
    g = _as_columns(lambda g: np.linalg.solve(mT(a), g), g, vector)
    return -(g[..., None] * y[..., None, :] if vector else g @ mT(y))


def _solve_db(g, a, y):
    return _as_columns(lambda g: np.linalg.solve(mT(a), g), g, np.ndim(y) < np.ndim(a))


def _solve_jvp_a(t, a, y):
    return -_as_columns(lambda y: np.linalg.solve(a, t @ y), y, np.ndim(y) < np.ndim(a))


rule(np.linalg.solve, vjp=(_solve_da, _solve_db),
     jvp=(_solve_jvp_a, lambda t, a: np.linalg.solve(a, t)))


@primitive
def _inverse(a):
    """np.linalg.inv, but nan for a singular matrix of a batch rather than an error for all."""
    try:
        return np.linalg.inv(a)
    except np.linalg.LinAlgError:
        if a.ndim == 2:
            return np.full_like(a, np.nan)
        return np.stack([_inverse(m) for m in a])


for _fn in (np.linalg.inv, _inverse):
    rule(_fn, vjp=lambda g, y: -(mT(y) @ g @ mT(y)), jvp=lambda t, y: -(y @ t @ y))


# ---------------------------------------------------------------- determinants

@primitive
def _cofactors(a):
    """The gradient of det(a): det(a) * inv(a).T where that exists, a polynomial everywhere."""
    u, s, vh = np.linalg.svd(a)
    others = _before(s) * np.flip(_before(np.flip(s, -1)), -1)
    return _sign(u, vh) * (u * others[..., None, :]) @ vh


def _cofactors_slope(t, a):
    """The derivative of the cofactors along t, which is also its own adjoint.

    In the basis of the singular vectors, where ``a`` is diagonal: a diagonal element is made
    of the other diagonal ones, c_ij is -t_ji times the singular values except s_i and s_j.
    """
    u, s, vh = np.linalg.svd(a)
    t = mT(u) @ t @ mT(vh)
    n = s.shape[-1]
    row = _before(np.where(np.tri(n, dtype=bool), 1.0, s[..., None, :]))    # between i and j
    both = np.triu(_before(s)[..., None] * row
                   * np.flip(_before(np.flip(s, -1)), -1)[..., None, :], 1)
    both = both + mT(both)
    diagonal = np.sum(np.where(np.eye(n, dtype=bool), t, 0.0), axis=-1)
    c = np.where(np.eye(n, dtype=bool), (both @ diagonal[..., None]), 0.0) - both * mT(t)
    return _sign(u, vh) * (u @ c @ vh)


def _before(s):
    """The product of all elements before each, along the last axis."""
    return np.cumprod(np.concatenate([np.ones_like(s[..., :1]), s[..., :-1]], -1), axis=-1)


def _sign(u, vh):
    return np.sign(np.linalg.det(u @ vh))[..., None, None]


rule(_cofactors, vjp=_cofactors_slope, jvp=_cofactors_slope)
rule(np.linalg.det, vjp=lambda g, a: g[..., None, None] * _cofactors(a),
     jvp=lambda t, a: np.sum(t * _cofactors(a), axis=(-2, -1)))
rule(np.linalg.slogdet, several=True, vjp=lambda g, a: g[1][..., None, None] * mT(_inverse(a)),
     jvp=lambda t, a, y: (np.zeros_like(y[0]), np.sum(t * mT(_inverse(a)), axis=(-2, -1))))
kink("exact at singular matrices, as the polynomial that it is", np.linalg.det)
kink("sign has derivative zero; nan at a singular matrix", np.linalg.slogdet)


# ---------------------------------------------------------------- least squares

@primitive
def _lstsq(a, b, rcond=None):
    y = np.linalg.lstsq(a, b, rcond)
    if y[2] < min(a.shape):
        raise NoRuleError(
            f"np.linalg.lstsq of a matrix {a.shape} of rank {y[2]}: the solution jumps as "
            "soon as the rank grows, so it has no derivative; add a small multiple of the "
            "identity")
    return y


def _lstsq_parts(a, b, x):
    """The matrices x and r = b - a x, and p, the pseudo-inverse of a."""
    x, b = (x[:, None], b[:, None]) if np.ndim(x) == 1 else (x, b)
    return x, b - a @ x, np.linalg.pinv(a)


def _lstsq_da(g, a, b, y, rcond=None):
    x, r, p = _lstsq_parts(a, b, y[0])
    gx, pt = np.reshape(g[0], x.shape), mT(p)
    m, n = a.shape
    ga = -(pt @ gx) @ mT(x)
    if m > n:
        ga = ga + r @ mT(p @ (pt @ gx))
    elif m < n:
        ga = ga + (pt @ x) @ mT(gx - p @ (a @ gx))
    if y[1].size:
        ga = ga - 2 * (r * g[1]) @ mT(x)
    if used(g[3]):
        u, _, vh = np.linalg.svd(a, full_matrices=False)
        ga = ga + (u * g[3]) @ vh
    return ga


def _lstsq_db(g, a, b, y, rcond=None):
    x, r, p = _lstsq_parts(a, b, y[0])
    gb = mT(p) @ np.reshape(g[0], x.shape)
    return np.reshape(gb + 2 * r * g[1] if y[1].size else gb, b.shape)


def _lstsq_jvp_a(t, a, b, y):
    x, r, p = _lstsq_parts(a, b, y[0])
    m, n = a.shape
    dx = -p @ (t @ x)
    if m > n:
        dx = dx + p @ (mT(p) @ (mT(t) @ r))
    elif m < n:
        w = mT(t) @ (mT(p) @ x)
        dx = dx + w - p @ (a @ w)
    dr = -2 * np.sum(r * (t @ x), axis=0) if y[1].size else np.zeros_like(y[1])
    u, _, vh = np.linalg.svd(a, full_matrices=False)
    return np.reshape(dx, y[0].shape), dr, 0, np.sum(u * (t @ mT(vh)), axis=0)


def _lstsq_jvp_b(t, a, b, y):
    _, r, p = _lstsq_parts(a, b, y[0])
    t = np.reshape(t, r.shape)
    dr = 2 * np.sum(r * t, axis=0) if y[1].size else np.zeros_like(y[1])
    return np.reshape(p @ t, y[0].shape), dr, 0, np.zeros_like(y[3])


rule(_lstsq, several=True, vjp=(_lstsq_da, _lstsq_db), jvp=(_lstsq_jvp_a, _lstsq_jvp_b))
composite(np.linalg.lstsq, lambda a, b, rcond=None: _lstsq(a, b, rcond=rcond))
kink("refused where the rank is not full", np.linalg.lstsq)


# ---------------------------------------------------------------- made of the above

def _matrix_power(a, n):
    n, (*_, rows, columns) = operator.index(n), (1, *np.shape(a))
    if np.ndim(a) < 2 or rows != columns:
        raise np.linalg.LinAlgError(f"np.linalg.matrix_power of an array of shape {a.shape}: "
                                    "the last two axes must be equal")
    if n == 0:
        return np.broadcast_to(np.eye(rows, dtype=a.dtype), a.shape).copy()
    square, n = (np.linalg.inv(a) if n < 0 else a), abs(n)
    y = None
    while n:
        n, odd = divmod(n, 2)
        y = y if not odd else square if y is None else y @ square
        square = square @ square if n else None
    return y


def _multi_dot(arrays, out=None):
    """The product in the order that takes the fewest multiplications (Cormen et al.,
    *Introduction to Algorithms*, 3rd ed., 15.2)."""
    if len(arrays) < 2:
        raise ValueError("np.linalg.multi_dot: expected at least two arrays, got "
                         f"{len(arrays)}")
    shapes = [np.shape(a) for a in arrays]
    sizes = [s[0] if len(s) == 2 else 1 for s in shapes[:1]] + [s[0] for s in shapes[1:]]
    sizes.append(shapes[-1][1] if len(shapes[-1]) == 2 else 1)
    if any(len(s) != 2 for s in shapes[1:-1]) or {len(shapes[0]), len(shapes[-1])} - {1, 2}:
        raise np.linalg.LinAlgError(f"np.linalg.multi_dot: shapes {shapes}: expected matrices,"
                                    " the first and the last may be vectors")

    @functools.cache
    def best(i, j):                         # (cost, last factor on the left) of i … j
        return min((best(i, k)[0] + best(k + 1, j)[0] + sizes[i] * sizes[k + 1] * sizes[j + 1],
                    k) for k in range(i, j)) if i < j else (0, i)

    def product(i, j):
        k = best(i, j)[1]
        return arrays[i] if i == j else np.matmul(product(i, k), product(k + 1, j))
    return product(0, len(arrays) - 1)


def _tensorsolve(a, b, axes=None):
    if axes is not None:
        a = np.moveaxis(a, axes, range(np.ndim(a) - len(axes), np.ndim(a)))
    shape = np.shape(a)[-(np.ndim(a) - np.ndim(b)):]
    n = int(np.prod(shape, dtype=int))
    if np.size(a) != n * n:
        raise np.linalg.LinAlgError(f"np.linalg.tensorsolve: shapes {np.shape(a)} and "
                                    f"{np.shape(b)}: a must be as large as the square of x "
                                    f"of shape {shape}")
    return np.reshape(np.linalg.solve(np.reshape(a, (n, n)), np.ravel(b)), shape)


def _tensorinv(a, ind=2):
    if ind <= 0:
        raise ValueError(f"np.linalg.tensorinv: ind={ind!r}: expected a positive integer")
    shape = np.shape(a)
    n = int(np.prod(shape[ind:], dtype=int))
    return np.reshape(np.linalg.inv(np.reshape(a, (np.size(a) // max(n, 1), n))),
                      shape[ind:] + shape[:ind])


composite(np.linalg.matrix_power, _matrix_power)
composite(np.linalg.multi_dot, _multi_dot)
composite(np.linalg.tensorsolve, _tensorsolve)
composite(np.linalg.tensorinv, _tensorinv)


# ---------------------------------------------------------------- products of vectors

bilinear(np.vecdot, lambda g, b: g[..., None] * b, lambda g, a: g[..., None] * a)
if hasattr(np, "matvec"):                                           # NumPy 2.2
    bilinear(np.matvec, lambda g, b: g[..., None] * b[..., None, :],
             lambda g, a: np.vecmat(g, a))
    bilinear(np.vecmat, lambda g, b: np.matvec(b, g),
             lambda g, a: a[..., None] * g[..., None, :])


@primitive
def _cross(a, b):
    return np.cross(a, b)


bilinear(_cross, lambda g, b: _cross(b, g), lambda g, a: _cross(g, a))


def _last(x, axis):
    return x if axis == -1 else np.moveaxis(x, axis, -1)


def _cross_over(a, b, axisa=-1, axisb=-1, axisc=-1, axis=None):
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = _last(a, axisa), _last(b, axisb)
    sizes = np.shape(a)[-1:], np.shape(b)[-1:]
    if (2,) in sizes:
        raise NoRuleError("np.cross of vectors of length 2 is refused, NumPy deprecates it: "
                          "write a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]")
    if sizes != ((3,), (3,)):
        raise ValueError(f"np.cross: shapes {np.shape(a)} and {np.shape(b)}: expected vectors "
                         "of length 3")
    y = _cross(a, b)
    return y if axisc == -1 else np.moveaxis(y, -1, axisc)


def _kron(a, b):
    if np.ndim(a) == 0 or np.ndim(b) == 0:
        return np.multiply(a, b)
    ndim = max(np.ndim(a), np.ndim(b))
    left, right = ((1,) * (ndim - np.ndim(x)) + np.shape(x) for x in (a, b))
    y = (np.reshape(a, [k for n in left for k in (n, 1)])
         * np.reshape(b, [k for n in right for k in (1, n)]))
    return np.reshape(y, [n * k for n, k in zip(left, right, strict=True)])


def _outer(x1, x2):
    if np.ndim(x1) != 1 or np.ndim(x2) != 1:
        raise ValueError(f"np.linalg.outer: shapes {np.shape(x1)} and {np.shape(x2)}: expected"
                         " vectors")
    return np.outer(x1, x2)


def _matrix_transpose(x):
    if np.ndim(x) < 2:
        raise ValueError(f"matrix_transpose of shape {np.shape(x)}: expected at least 2 axes")
    return mT(x)


composite(np.cross, _cross_over)
composite(np.kron, _kron)
composite(np.matrix_transpose, _matrix_transpose)

# the names of the array API standard, on the last axes
composite(np.linalg.matrix_transpose, _matrix_transpose)
composite(np.linalg.cross, lambda x1, x2, axis=-1: _cross_over(x1, x2, axis=axis))
composite(np.linalg.outer, _outer)
composite(np.linalg.matmul, lambda x1, x2: np.matmul(x1, x2))
composite(np.linalg.tensordot, lambda x1, x2, axes=2: np.tensordot(x1, x2, axes))
composite(np.linalg.vecdot, lambda x1, x2, axis=-1:
          np.vecdot(_last(x1, axis), _last(x2, axis)))
composite(np.linalg.diagonal, lambda x, offset=0: np.diagonal(x, offset, -2, -1))
composite(np.linalg.trace, lambda x, offset=0, dtype=None:
          np.sum(np.diagonal(x, offset, -2, -1), axis=-1, dtype=dtype))

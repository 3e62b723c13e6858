"""Matrix decompositions: eigh, cholesky, qr, svd, and what is made of singular values.

Matrices are the last two axes, everything before is a batch. Sources: Giles, "Collected Matrix
Derivative Results for Forward and Reverse Mode Algorithmic Differentiation" (2008) (eigh,
svd); Townsend, "Differentiating the Singular Value Decomposition" (2016); Murray,
"Differentiation of the Cholesky decomposition", arXiv:1602.07527; Roberts and Roberts, "QR and
LQ decomposition matrix backpropagation algorithms", arXiv:2009.10071; Golub and Pereyra, "The
Differentiation of Pseudo-Inverses and Nonlinear Least Squares Problems", SIAM J. Numer. Anal.
10 (1973) (pinv).

eigh, eigvalsh and cholesky read one triangle of their argument, as NumPy says, so that is
where the gradient lies; with ``a = (s + s.T) / 2`` it comes out symmetric. The rejected way, a
symmetric gradient, is the derivative of another function: differences do not confirm it.

Equal eigenvalues or singular values: the values keep their derivative, the vectors have none,
and the gaps that the formulas divide by make it inf or nan. Rejected: zero for such a pair. It
looks harmless and makes ``v @ diag(exp(w)) @ v.T`` at the identity silently wrong.

The columns that complete an orthogonal matrix (svd with full_matrices, qr with "complete") are
any basis of a subspace. Theirs is the derivative with no turning within it, exact for whatever
depends on the subspace alone, and for a single column. Rejected: refusing them, since
``u, s, vh = np.linalg.svd(a)`` is written by people who then use s.
"""

import numpy as np

from .._core import primitive
from .._errors import NoRuleError
from .._table import composite, kink, refuse, rule, zero
from ._linalg import _inverse, fold, mirror, mT, used

SVDResult = type(np.linalg.svd(np.eye(1)))          # a named tuple that NumPy does not export


def _inverse_gaps(first, second):
    """1 / (difference) for each pair, with the diagonal 0."""
    here = np.eye(first.shape[-1], dtype=bool)
    return 1 / np.where(here, np.inf, first * second)


# ---------------------------------------------------------------- symmetric eigenvalues

def _eigvalsh_vjp(g, a, UPLO="L"):
    v = np.linalg.eigh(a, UPLO)[1]
    return fold((v * g[..., None, :]) @ mT(v), UPLO)


def _eigvalsh_jvp(t, a, UPLO="L"):
    v = np.linalg.eigh(a, UPLO)[1]
    return np.sum(v * (mirror(t, UPLO) @ v), axis=-2)


def _gaps(w):
    return _inverse_gaps(w[..., None, :] - w[..., None], 1.0)


def _eigh_vjp(g, y, UPLO="L"):
    (gw, gv), (w, v) = g, y
    g = (v * gw[..., None, :]) @ mT(v)
    if used(gv):
        g = g + v @ (_gaps(w) * (mT(v) @ gv)) @ mT(v)
    return fold(g, UPLO)


def _eigh_jvp(t, y, UPLO="L"):
    w, v = y
    tv = mirror(t, UPLO) @ v
    return np.sum(v * tv, axis=-2), v @ (_gaps(w) * (mT(v) @ tv))


rule(np.linalg.eigvalsh, vjp=_eigvalsh_vjp, jvp=_eigvalsh_jvp)
rule(np.linalg.eigh, vjp=_eigh_vjp, jvp=_eigh_jvp, several=True)
kink("gradient in the triangle that is read; second derivatives need distinct eigenvalues",
     np.linalg.eigvalsh)
kink("gradient in the triangle that is read; vectors of equal eigenvalues have no derivative: "
     "nan", np.linalg.eigh)
refuse("its results are complex in general; use np.linalg.eigh or eigvalsh for a symmetric "
       "matrix, np.linalg.svd for any", np.linalg.eig, np.linalg.eigvals)


# ---------------------------------------------------------------- cholesky and qr

def _phi(m):
    """The lower triangle with half the diagonal."""
    return (np.tril(m) + np.tril(m, -1)) / 2


def _cholesky_vjp(g, y, upper=False):
    up = y if upper else mT(y)
    g = np.linalg.solve(up, _phi(up @ (mT(g) if upper else g)))
    return fold(np.linalg.solve(up, mT(g)), "U" if upper else "L")


def _cholesky_jvp(t, y, upper=False):
    low = mT(y) if upper else y
    t = mirror(t, "U" if upper else "L")
    t = low @ _phi(np.linalg.solve(low, mT(np.linalg.solve(low, t))))
    return mT(t) if upper else t


rule(np.linalg.cholesky, vjp=_cholesky_vjp, jvp=_cholesky_jvp)
kink("gradient in the triangle that is read", np.linalg.cholesky)


def _completed(du, u, k):
    """The tangent of all columns of an orthogonal u, from that of the first k."""
    first, rest = u[..., :k], u[..., k:]
    return np.concatenate([du, -first @ (mT(du) @ rest)], -1) if rest.shape[-1] else du


def _gathered(g, u, k):
    """The adjoint of `_completed`."""
    first, rest = u[..., :k], u[..., k:]
    return g[..., :k] - rest @ (mT(g[..., k:]) @ first) if rest.shape[-1] else g


@primitive
def _qr(a, mode="reduced"):
    return np.linalg.qr(a, mode)


def _qr_square(gq, gr, q, r):
    """The gradient for at least as many rows as columns."""
    m = r @ mT(gr) - mT(gq) @ q
    return (gq + q @ (np.tril(m) + mT(np.tril(m, -1)))) @ mT(_inverse(r))


def _qr_vjp(g, y, mode="reduced"):
    (gq, gr), (q, r) = g, y
    k = min(q.shape[-2], r.shape[-1])
    gq, q, gr, r = _gathered(gq, q, k), q[..., :k], gr[..., :k, :], r[..., :k, :]
    if r.shape[-1] == k:
        return _qr_square(gq, gr, q, r)
    gq = gq + q @ r[..., k:] @ mT(gr[..., k:])         # wide: a = q @ [u, v], v = q.T @ (rest)
    return np.concatenate([_qr_square(gq, gr[..., :k], q, r[..., :k]), q @ gr[..., k:]], -1)


def _qr_jvp(t, y):
    (all_q, r), k = y, min(t.shape[-2:])
    q, head, tail = all_q[..., :k], r[..., :k, :k], r[..., :k, k:]
    c = t[..., :k] @ _inverse(head)
    m = mT(q) @ c
    skew = np.tril(m, -1) - mT(np.tril(m, -1))
    dq, dr = c + q @ (skew - m), (m - skew) @ head
    if tail.shape[-1]:
        dr = np.concatenate([dr, mT(dq) @ (q @ tail) + mT(q) @ t[..., k:]], -1)
    if r.shape[-2] > k:
        dr = np.concatenate([dr, np.zeros_like(r[..., k:, :])], -2)
    return _completed(dq, all_q, k), dr


rule(_qr, vjp=_qr_vjp, jvp=_qr_jvp, several=True)


def _qr_in_mode(a, mode="reduced"):
    if mode not in ("reduced", "complete", "r"):
        raise NoRuleError(f"np.linalg.qr with mode={mode!r} has no derivative rule: use "
                          "'reduced', 'complete' or 'r'")
    return _qr(a)[1] if mode == "r" else _qr(a, mode=mode)


composite(np.linalg.qr, _qr_in_mode)
kink("nan where the first min(m, n) columns are dependent; the columns that complete q follow "
     "as a subspace", np.linalg.qr)


# ---------------------------------------------------------------- singular values
# 0 is a kink of a singular value, like that of a length: derivative 0.

@primitive
def _svd(a, full_matrices=False):
    return np.linalg.svd(a, full_matrices)


def _squared_gaps(s):
    i, j = s[..., None], s[..., None, :]
    return _inverse_gaps(j - i, j + i)


def _svd_vjp(g, y, full_matrices=False):
    (gu, gs, gv), (u, s, v) = g, y
    k, v = s.shape[-1], mT(v)
    gu, u, gv, v = _gathered(gu, u, k), u[..., :k], _gathered(mT(gv), v, k), v[..., :k]
    i, j = s[..., None], s[..., None, :]
    g = (u * (gs * np.sign(s))[..., None, :]) @ mT(v)
    if used(gu):
        m = mT(u) @ gu
        g = g + u @ (_squared_gaps(s) * (m - mT(m)) * j) @ mT(v)
        if u.shape[-2] > k:
            g = g + ((gu - u @ m) / j) @ mT(v)
    if used(gv):
        m = mT(v) @ gv
        g = g + u @ (i * _squared_gaps(s) * (m - mT(m))) @ mT(v)
        if v.shape[-2] > k:
            g = g + u @ mT((gv - v @ m) / j)
    return g


def _svd_jvp(t, y):
    (all_u, s, all_v), k = (y[0], y[1], mT(y[2])), y[1].shape[-1]
    u, v, i, j = all_u[..., :k], all_v[..., :k], s[..., None], s[..., None, :]
    tv, tu, gaps = t @ v, mT(t) @ u, _squared_gaps(s)
    p = mT(u) @ tv
    du = u @ (gaps * (p * j + i * mT(p)))
    dv = v @ (gaps * (i * p + mT(p) * j))
    if u.shape[-2] > k:
        du = du + (tv - u @ p) / j
    if v.shape[-2] > k:
        dv = dv + (tu - v @ mT(p)) / j
    return (_completed(du, all_u, k), np.sum(u * tv, axis=-2) * np.sign(s),
            mT(_completed(dv, all_v, k)))


def _svdvals_vjp(g, a):
    u, s, vh = np.linalg.svd(a, full_matrices=False)
    return (u * (g * np.sign(s))[..., None, :]) @ vh


def _svdvals_jvp(t, a):
    u, s, vh = np.linalg.svd(a, full_matrices=False)
    return np.sum(u * (t @ mT(vh)), axis=-2) * np.sign(s)


rule(_svd, vjp=_svd_vjp, jvp=_svd_jvp, several=True)
rule(np.linalg.svdvals, vjp=_svdvals_vjp, jvp=_svdvals_jvp)


def _symmetric_svd(a, compute_uv):
    if not compute_uv:
        return np.flip(np.sort(np.abs(np.linalg.eigvalsh(a)), axis=-1), -1)
    w, v = np.linalg.eigh(a)
    order = np.argsort(np.abs(w), axis=-1)[..., ::-1]
    w, v = (np.take_along_axis(w, order, axis=-1),
            np.take_along_axis(v, order[..., None, :], axis=-1))
    return SVDResult(v, np.abs(w), mT(v * np.sign(w)[..., None, :]))


def _svd_in_form(a, full_matrices=True, compute_uv=True, hermitian=False):
    if hermitian:
        return _symmetric_svd(a, compute_uv)
    if not compute_uv:
        return np.linalg.svdvals(a)
    return _svd(a, full_matrices=full_matrices)


composite(np.linalg.svd, _svd_in_form)
zero(np.linalg.matrix_rank)
kink("derivative 0 of a singular value that is 0; second derivatives need distinct ones",
     np.linalg.svdvals)
kink("vectors of equal or zero singular values have no derivative: nan; those that complete u "
     "and vh follow as a subspace", np.linalg.svd)


# ---------------------------------------------------------------- pseudo-inverse
# Two formulas. Golub and Pereyra (1973) needs no decomposition, so equal singular values do it
# no harm in any order, but holds only where nothing that counts is cut off. With a cut-off of
# the user's it is that of a function f of singular values (f = 1 / s, or 0 below the cut):
# differences (f_i - f_j) / (s_i - s_j) for the symmetric part, sums for the other.

def _cut_slope(t, a, cut):
    """The derivative of pinv(a).T along t, which is also its own adjoint."""
    u, s, vh = np.linalg.svd(a, full_matrices=False)
    kept = s > np.asarray(cut)[..., None] * s[..., :1]
    f = np.where(kept, 1 / np.where(kept, s, 1), 0)
    one, both = kept[..., None] ^ kept[..., None, :], kept[..., None] & kept[..., None, :]
    i, j, fi, fj = s[..., None], s[..., None, :], f[..., None], f[..., None, :]
    d = np.where(one, (fi - fj) / np.where(one, i - j, 1), np.where(both, -fi * fj, 0))
    e = np.where(one, (fi + fj) / np.where(one, i + j, 1), np.where(both, fi * fj, 0))
    p = mT(u) @ t @ mT(vh)
    y = u @ (d * (p + mT(p)) + e * (p - mT(p))) @ vh / 2
    y = y + ((t @ mT(vh) - u @ p) * (fj * fj)) @ vh
    return y + u @ ((mT(u) @ t - p @ vh) * (fi * fi))


def _pinv_vjp(g, a, y, rcond=None, hermitian=False, rtol=None):
    a, p, pt, gt = mirror(a) if hermitian else a, y, mT(y), mT(g)
    if rcond is not None or rtol is not None:
        g = _cut_slope(gt, a, rtol if rcond is None else rcond)
    else:
        g = (gt - a @ (p @ gt)) @ p @ pt + pt @ p @ (gt - (gt @ p) @ a) - pt @ g @ pt
    return fold(g) if hermitian else g


def _pinv_jvp(t, a, y, rcond=None, hermitian=False, rtol=None):
    a, t = (mirror(a), mirror(t)) if hermitian else (a, t)
    if rcond is not None or rtol is not None:
        return mT(_cut_slope(t, a, rtol if rcond is None else rcond))
    p, pt, tt = y, mT(y), mT(t)
    return p @ pt @ (tt - (tt @ a) @ p) + (tt - p @ (a @ tt)) @ pt @ p - p @ t @ p


rule(np.linalg.pinv, vjp=_pinv_vjp, jvp=_pinv_jvp)
kink("that of a change which keeps the rank; hermitian=True reads the lower triangle, and the "
     "gradient lies there", np.linalg.pinv)


# ---------------------------------------------------------------- norms and condition numbers
# The nuclear norm has a rule of its own: its gradient, the orthogonal factor of the polar
# decomposition, is smooth where singular values are equal, although the vectors are not.

@primitive
def _polar(a):
    """The orthogonal factor of ``a``, u @ vh; 0 in the directions in which ``a`` is 0."""
    u, s, vh = np.linalg.svd(a, full_matrices=False)
    return (u * np.sign(s)[..., None, :]) @ vh


def _polar_slope(t, a):
    """The derivative of the factor along t, which is also its own adjoint (Higham, *Functions
    of Matrices*, 2008, section 8.2)."""
    u, s, vh = np.linalg.svd(a, full_matrices=False)
    tv, i, j = t @ mT(vh), s[..., None], s[..., None, :]
    p = mT(u) @ tv
    y = u @ ((p - mT(p)) / (i + j)) @ vh
    if u.shape[-2] > s.shape[-1]:
        y = y + ((tv - u @ p) / j) @ vh
    if vh.shape[-1] > s.shape[-1]:
        y = y + u @ ((mT(u) @ t - p @ vh) / i)
    return y


@primitive
def _nuclear(a):
    return np.sum(np.linalg.svd(a, compute_uv=False), axis=-1)


rule(_polar, vjp=_polar_slope, jvp=_polar_slope)
rule(_nuclear, vjp=lambda g, a: g[..., None, None] * _polar(a),
     jvp=lambda t, a: np.sum(t * _polar(a), axis=(-2, -1)))


def matrix_norm_by_svd(x, ord, over, keepdims):
    """np.linalg.norm with ord 2, -2 or 'nuc' over two axes ``over``, not negative."""
    x = np.moveaxis(x, over, (-2, -1))
    if ord == "nuc":
        y = _nuclear(x)
    else:
        y = (np.max if ord == 2 else np.min)(np.linalg.svdvals(x), axis=-1)
    return np.expand_dims(y, over) if keepdims else y


def _vector_norm(x, axis=None, keepdims=False, ord=2):
    ndim = np.ndim(x)
    over = np.lib.array_utils.normalize_axis_tuple(range(ndim) if axis is None else axis, ndim)
    x = np.moveaxis(x, over, range(len(over)))
    rest = np.shape(x)[len(over):]
    n = int(np.prod(np.shape(x)[:len(over)], dtype=int))
    y = np.linalg.norm(np.reshape(x, (n, *rest)), ord, 0)
    return np.expand_dims(y, over) if keepdims else y


def _cond(x, p=None):
    if 0 in np.shape(x)[-2:]:
        raise np.linalg.LinAlgError("np.linalg.cond of an empty matrix is not defined")
    with np.errstate(all="ignore"):
        if p in (None, 2, -2):
            s = np.linalg.svdvals(x)
            small, large = np.min(s, axis=-1), np.max(s, axis=-1)
            y = small / large if p == -2 else large / small
            infinite = np.isnan(y)
        else:
            singular = np.any(np.isnan(_inverse(x)), axis=(-2, -1), keepdims=True)
            regular = np.where(singular, np.eye(x.shape[-1], dtype=x.dtype), x)
            y = (np.linalg.norm(x, p, axis=(-2, -1))
                 * np.linalg.norm(_inverse(regular), p, axis=(-2, -1)))
            infinite = singular[..., 0, 0]
    return np.where(infinite & ~np.any(np.isnan(x), axis=(-2, -1)), np.inf, y)


composite(np.linalg.vector_norm, _vector_norm)
composite(np.linalg.matrix_norm, lambda x, keepdims=False, ord="fro":
          np.linalg.norm(x, ord, (-2, -1), keepdims))
composite(np.linalg.cond, _cond)
kink("largest and smallest singular values that tie share evenly; 0 where it is inf since the "
     "matrix has no inverse", np.linalg.cond)

"""Operators of PyTorch that multiply and decompose, in NumPy's words."""

import numpy as np

import tinygrad_nn as tn

from .adapt import batched, over


def _added(product):
    """beta * x + alpha * (product of two)."""
    return lambda x, a, b, beta=1, alpha=1: beta * x + alpha * product(a, b)


def _tensordot(a, b, dims):
    """PyTorch sums an axis by itself where the other's is of length one."""
    if not isinstance(dims, int):
        for i, j in zip(*dims, strict=True):
            n = max(np.shape(a)[i], np.shape(b)[j])
            a = np.broadcast_to(a, [n if k == i else m for k, m in enumerate(np.shape(a))])
            b = np.broadcast_to(b, [n if k == j else m for k, m in enumerate(np.shape(b))])
    return np.tensordot(a, b, dims)


def _cross(a, b, dim=None):
    if dim is None:
        dim = np.broadcast_shapes(np.shape(a), np.shape(b)).index(3)
    a, b = np.broadcast_arrays(a, b)
    return np.cross(a, b, axis=dim)


def _solve(a, b, left=True):
    if not left:
        return np.matrix_transpose(_solve(np.matrix_transpose(a), np.matrix_transpose(b)))
    if np.ndim(b) > 1 and np.shape(b) == np.shape(a)[:-1]:         # a batch of vectors
        return np.linalg.solve(a, b[..., None])[..., 0]
    return np.linalg.solve(a, b)


def _solve_triangular(a, b, upper, left=True, unitriangular=False):
    part, sign = (np.triu, 1) if upper else (np.tril, -1)
    if unitriangular:
        return _solve(part(a, sign) + np.eye(np.shape(a)[-1]), b, left)
    return _solve(part(a), b, left)


def _from_factor(low, upper=False):
    low = np.matrix_transpose(low) if upper else low
    return low @ np.matrix_transpose(low)


def _lstsq(a, b, driver=None):
    x, rest = batched(lambda a, b: np.linalg.lstsq(a, b)[:2])(a, b)
    return x, rest if driver != "gelsy" else np.zeros(0)            # PyTorch has none there


def _logdet(a):
    sign, logarithm = np.linalg.slogdet(a)
    return np.where(sign < 0, np.nan, logarithm)


def _vander(x, N=None):
    if np.ndim(x) == 0:
        x = np.reshape(x, (1,))
    if np.ndim(x) == 1:
        return np.vander(x, N, increasing=True)
    return x[..., None] ** np.arange(np.shape(x)[-1] if N is None else N)


PRODUCTS = {
    "matmul": np.matmul, "mm": np.matmul, "bmm": np.matmul, "mv": np.matmul,
    "__rmatmul__": lambda a, b: b @ a,
    "dot": np.dot, "vdot": np.vdot, "inner": np.inner, "outer": np.outer, "kron": np.kron,
    "einsum": lambda arrays, text: np.einsum(text, *arrays),
    "tensordot": _tensordot,
    "addmm": _added(np.matmul), "addmv": _added(np.matmul), "addr": _added(np.outer),
    "baddbmm": _added(np.matmul),
    "addbmm": _added(lambda a, b: np.sum(a @ b, axis=0)),
    "cross": _cross, "linalg.cross": lambda a, b, dim=-1: _cross(a, b, dim),
    "linalg.vecdot": lambda a, b, dim=-1: np.linalg.vecdot(a, b, axis=dim),
    "linalg.multi_dot": np.linalg.multi_dot,
    "linalg.matrix_power": np.linalg.matrix_power,
    "nn.functional.linear": lambda x, w, b=None: (
        tn.rules.dense(x, w) if b is None else tn.rules.dense(x, w) + b),
    "nn.functional.bilinear": lambda x, y, w, b=0.0: b + np.einsum(
        "...i,oij,...j->...o", x, w, y),

    "linalg.solve": _solve, "linalg.inv": np.linalg.inv,
    "linalg.solve_triangular": _solve_triangular,
    "cholesky_solve": lambda b, low, upper=False: _solve(_from_factor(low, upper), b),
    "cholesky_inverse": lambda low, upper=False: np.linalg.inv(_from_factor(low, upper)),
    "linalg.tensorinv": np.linalg.tensorinv,
    "linalg.tensorsolve": lambda a, b, dims=None: np.linalg.tensorsolve(a, b, dims),
    "linalg.lstsq": _lstsq,
    "linalg.pinv": lambda a, rtol=None, hermitian=False: np.linalg.pinv(
        a, rtol=rtol, hermitian=hermitian),
    "linalg.pinv/singular": lambda a, b: np.linalg.pinv(a @ np.matrix_transpose(b)),
    "linalg.det": np.linalg.det, "linalg.slogdet": np.linalg.slogdet, "logdet": _logdet,
    "linalg.cholesky": lambda a, upper=False: np.linalg.cholesky(a, upper=upper),
    "linalg.qr": np.linalg.qr,
    "linalg.eigh": np.linalg.eigh, "linalg.eigvalsh": np.linalg.eigvalsh,
    "linalg.svd": np.linalg.svd, "linalg.svdvals": np.linalg.svdvals,
    "linalg.cond": lambda a, p=None: np.linalg.cond(a, p),
    "linalg.norm": lambda x, ord=None, dim=None, keepdim=False, dtype=None: np.linalg.norm(
        x, ord, dim, keepdim),
    "linalg.matrix_norm": lambda x, ord="fro", dim=(-2, -1), keepdim=False, dtype=None:
        np.linalg.norm(x, ord, tuple(dim), keepdim),
    "linalg.vector_norm": lambda x, ord=2, dim=None, keepdim=False, dtype=None:
        np.linalg.vector_norm(x, ord=ord, axis=over(dim, x), keepdims=keepdim),
    "linalg.vander": _vander,
    "cdist": lambda a, b, p=2.0, mode=None: np.linalg.norm(
        a[..., :, None, :] - b[..., None, :, :], p, axis=-1),
}

"""Polynomials as arrays of coefficients, the highest power first."""

import warnings

import numpy as np

from .._core import astype, highest
from .._errors import NoRuleError
from .._table import composite, kink, refuse
from ._statistics import array


def _coefficients(fn, *ps, most=1):
    """1-d arrays of coefficients; a np.poly1d would give one back, which holds no Tensor."""
    if any(isinstance(p, np.poly1d) for p in ps):
        raise NoRuleError(f"np.{fn} of a Tensor and a np.poly1d: pass its .coeffs")
    if max(map(np.ndim, ps)) > most:
        raise ValueError(f"np.{fn}: coefficients must be 1-d")
    return [np.atleast_1d(array(p)) for p in ps]


def _padded(p, n):
    p = array(p)
    return np.concatenate([np.zeros(n - len(p), p.dtype), p]) if n > len(p) else p


def _sum(fn, operate):
    def run(a1, a2):
        a1, a2 = _coefficients(fn, a1, a2, most=np.inf)
        n = max(len(a1), len(a2))
        return operate(_padded(a1, n), _padded(a2, n))
    return run


def _polymul(a1, a2):
    a1, a2 = _coefficients("polymul", a1, a2)
    return np.convolve(_without_zeros(a1), _without_zeros(a2))


def _without_zeros(p):
    """Without leading zeros, as np.poly1d; one zero where there are only zeros."""
    used = np.flatnonzero(p)
    return p[int(used[0]):] if len(used) else np.zeros(1, p.dtype)


def _polyval(p, x):
    if isinstance(p, np.poly1d) or isinstance(x, np.poly1d):
        raise NoRuleError("np.polyval of a Tensor and a np.poly1d: pass its .coeffs")
    x = array(x)
    y = np.zeros_like(x)
    for c in np.asarray(p) if highest(p) is None else p:
        y = y * x + c
    return y


def _polyder(p, m=1):
    p, = _coefficients("polyder", p)
    if m < 0:
        raise ValueError("Order of derivative must be positive (see polyint)")
    for _ in range(int(m)):
        p = p[:-1] * np.arange(len(p) - 1, 0, -1)
    return p


def _polyint(p, m=1, k=None):
    p, = _coefficients("polyint", p)
    m = int(m)
    if m < 0:
        raise ValueError("Order of integral must be positive (see polyder)")
    k = np.zeros(m) if k is None else np.atleast_1d(array(k))
    if len(k) < m and len(k) != 1:
        raise ValueError("k must be a scalar or a rank-1 array of length 1 or >m.")
    for i in range(m):
        here = k[i:i + 1] if len(k) > 1 else k
        p = np.concatenate([p / np.arange(len(p), 0, -1), here])
    return p


def _polydiv(u, v):
    u, v = _coefficients("polydiv", u, v)
    if not len(u) or not len(v):
        raise IndexError("np.polydiv: a polynomial without coefficients")
    u, v = u + 0.0, v + 0.0
    dtype, n = np.result_type(u.dtype, v.dtype), len(v)
    r, q = u if u.dtype == dtype else astype(u, dtype), []
    for k in range(len(u) - n + 1):
        q.append(1.0 / v[0] * r[k])
        r = np.concatenate([r[:k], r[k:k + n] - q[-1] * v, r[k + n:]])
    while len(r) > 1 and np.allclose(r[0], 0, rtol=1e-14):
        r = r[1:]
    return np.stack(q) if q else np.zeros(1, dtype), r


def _poly(seq_of_zeros):
    if np.ndim(seq_of_zeros) == 2:
        raise NoRuleError("np.poly of a matrix goes through its eigenvalues, complex in "
                          "general: np.poly(np.linalg.eigvalsh(a)) where it is symmetric")
    roots, = _coefficients("poly", seq_of_zeros)
    if not len(roots):
        return 1.0
    y = np.ones(1, roots.dtype)
    for root in roots:
        y = np.concatenate([y[:1], y[1:] - root * y[:-1], -root * y[-1:]])
    return y


def _vander(x, N=None, increasing=False):
    x = array(x)
    if x.ndim != 1:
        raise ValueError("x must be a one-dimensional array or sequence.")
    powers = np.arange(len(x) if N is None else N)
    y = x[:, None] ** (powers if increasing else powers[::-1])
    dtype = np.promote_types(x.dtype, int)
    return y if y.dtype == dtype else astype(y, dtype)


def _polyfit(x, y, deg, rcond=None, full=False, w=None, cov=False):
    """Least squares in powers of x, each scaled to length 1, as np.polyfit does it."""
    x, y, order = array(x) + 0.0, array(y) + 0.0, int(deg) + 1
    if deg < 0:
        raise ValueError("expected deg >= 0")
    if x.ndim != 1 or not x.size or y.ndim not in (1, 2) or len(x) != len(y):
        raise TypeError(f"np.polyfit: x of shape {x.shape} and y of shape {y.shape}, expected "
                        "1-d x, not empty, and y with as many rows")
    rcond = len(x) * np.finfo(x.dtype).eps if rcond is None else rcond
    a, b = np.vander(x, order), y
    if w is not None:
        w = array(w) + 0.0
        a, b = a * w[:, None], b * (w[:, None] if b.ndim == 2 else w)
    scale = np.sqrt(np.sum(a * a, axis=0))
    a = a / scale
    c, residuals, rank, s = np.linalg.lstsq(a, b, rcond)
    c = np.transpose(np.transpose(c) / scale)
    if full:
        return c, residuals, rank, s, rcond
    if rank != order:
        warnings.warn("Polyfit may be poorly conditioned", np.exceptions.RankWarning,
                      stacklevel=4)
    if not cov:
        return c
    v = np.linalg.inv(np.matmul(a.T, a)) / (scale[:, None] * scale)
    if cov == "unscaled":
        return c, v if y.ndim == 1 else v[:, :, None] * 1
    if len(x) <= order:
        raise ValueError("the number of data points must exceed order to scale the covariance "
                         "matrix")
    factor = residuals / (len(x) - order)
    return c, (v if y.ndim == 1 else v[:, :, None]) * factor


composite(np.polyadd, _sum("polyadd", np.add))
composite(np.polysub, _sum("polysub", np.subtract))
composite(np.polymul, _polymul)
composite(np.polyval, _polyval)
composite(np.polyder, _polyder)
composite(np.polyint, _polyint)
composite(np.polydiv, _polydiv)
composite(np.poly, _poly)
composite(np.vander, _vander)
composite(np.polyfit, _polyfit)
kink("leading zeros of the factors are cut off, as in NumPy", np.polymul)
refuse("its results are complex in general: a real root r of np.roots(p.data) gets its "
       "derivative from one Newton step, r - np.polyval(p, r) / np.polyval(np.polyder(p), r)",
       np.roots)

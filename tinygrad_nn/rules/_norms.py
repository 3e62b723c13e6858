"""np.linalg.norm: lengths of vectors, norms of matrices."""

import numpy as np

from .._core import highest, primitive
from .._errors import NoRuleError
from .._table import composite, kink, rule
from ._decompositions import matrix_norm_by_svd
from ._reductions import axes, spread

# One primitive for the Euclidean length, so that its derivative at 0 is 0 (a choice within the
# subgradients); composed as sqrt(sum(x**2)) NumPy's arithmetic gives nan there.

@primitive
def _length(x, axis=None, keepdims=False):
    return np.sqrt(np.sum(np.square(x), axis=axis, keepdims=keepdims))


def _unit(x, y, axis, keepdims):
    y = spread(y, np.shape(x), axis, keepdims)
    return np.where(y == 0, 0.0, x / np.where(y == 0, 1.0, y))


rule(_length, vjp=lambda g, shape, x, y, axis=None, keepdims=False:
     spread(g, shape, axis, keepdims) * _unit(x, y, axis, keepdims),
     jvp=lambda t, x, y, axis=None, keepdims=False:
     np.sum(t * _unit(x, y, axis, keepdims), axis=axis, keepdims=keepdims))


@primitive
def _p_length(x, ord, axis=None, keepdims=False):
    return np.sum(np.abs(x) ** ord, axis=axis, keepdims=keepdims) ** (1 / ord)


def _p_unit(x, y, ord, axis, keepdims):
    y = spread(y, np.shape(x), axis, keepdims)
    flat = np.equal(x, 0) | np.equal(y, 0)
    ratio = np.where(flat, 1.0, np.abs(x)) / np.where(flat, 1.0, y)
    return np.where(flat, 0.0, np.sign(x) * ratio ** (ord - 1))


rule(_p_length, vjp=lambda g, shape, x, y, ord, axis=None, keepdims=False:
     spread(g, shape, axis, keepdims) * _p_unit(x, y, ord, axis, keepdims),
     jvp=lambda t, x, y, ord, axis=None, keepdims=False:
     np.sum(t * _p_unit(x, y, ord, axis, keepdims), axis=axis, keepdims=keepdims))


def _norm(x, ord=None, axis=None, keepdims=False):
    if highest(ord) is not None:
        raise NoRuleError("np.linalg.norm has no derivative with respect to ord=: pass its "
                          ".data")
    over = axes(axis, np.ndim(x))
    if ord is None or (ord == 2 and len(over) == 1) or (ord == "fro" and len(over) == 2):
        return _length(x, axis=over, keepdims=keepdims)
    if len(over) == 1:
        return _vector_norm(x, ord, over, keepdims)
    if len(over) == 2 and ord in (1, -1, np.inf, -np.inf):
        rows, columns = over if abs(ord) == 1 else over[::-1]
        sums = np.sum(np.abs(x), axis=rows, keepdims=True)
        y = (np.max if ord > 0 else np.min)(sums, axis=columns, keepdims=True)
        return y if keepdims else np.squeeze(y, over)
    if len(over) == 2 and ord in (2, -2, "nuc"):
        return matrix_norm_by_svd(x, ord, over, keepdims)
    raise ValueError(f"np.linalg.norm: there is no norm of ord={ord!r} over {len(over)} axes")


def _vector_norm(x, ord, axis, keepdims):
    if ord == np.inf:
        return np.max(np.abs(x), axis=axis, keepdims=keepdims)
    if ord == -np.inf:
        return np.min(np.abs(x), axis=axis, keepdims=keepdims)
    if ord == 0:
        return np.sum(np.not_equal(x, 0).astype(x.dtype), axis=axis, keepdims=keepdims)
    if ord == 1:
        return np.sum(np.abs(x), axis=axis, keepdims=keepdims)
    return _p_length(x, ord=ord, axis=axis, keepdims=keepdims)


composite(np.linalg.norm, _norm)
kink("0 at 0, for lengths", np.linalg.norm)

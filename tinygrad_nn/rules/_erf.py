"""The error function and its complement, which NumPy lacks.

By the rational approximations of W. J. Cody, *Rational Chebyshev approximations for the error
function*, Mathematics of Computation 23 (1969), 631-637: one for erf near 0, one for
exp(x²) erfc(x) in the middle, one for x exp(x²) erfc(x) in the tail. Within about 1e-15 of the
exact value, relatively, also where erfc is tiny.
"""

import numpy as np

from .._core import primitive
from .._table import elementwise

NEAR, FAR = 0.46875, 4.0                # where the three approximations meet
TWO_BY_ROOT_PI = float(2 / np.sqrt(np.pi))
# numerator and denominator, highest power first; the denominators begin with 1
NEAR_P = (1.85777706184603153e-1, 3.16112374387056560e0, 1.13864154151050156e2,
          3.77485237685302021e2, 3.20937758913846947e3)
NEAR_Q = (1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3,
          2.84423683343917062e3)
MIDDLE_P = (2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594e0,
            6.61191906371416295e1, 2.98635138197400131e2, 8.81952221241769090e2,
            1.71204761263407058e3, 2.05107837782607147e3, 1.23033935479799725e3)
MIDDLE_Q = (1.0, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2,
            1.62138957456669019e3, 3.29079923573345963e3, 4.36261909014324716e3,
            3.43936767414372164e3, 1.23033935480374942e3)
FAR_P = (1.63153871373020978e-2, 3.05326634961232344e-1, 3.60344899949804439e-1,
         1.25781726111229246e-1, 1.60837851487422766e-2, 6.58749161529837803e-4)
FAR_Q = (1.0, 2.56852019228982242e0, 1.87295284992346725e0, 5.27905102951428412e-1,
         6.05183413124413191e-2, 2.33520497626869185e-3)


BLOCK = 8192                            # elements at a time: the temporaries stay in the cache


@primitive
def erf(x):
    """2 / sqrt(pi) times the integral of exp(-t²) from 0 to x, elementwise.

    >>> import numpy as np, tinygrad_nn as tn
    >>> tn.erf(np.array([-np.inf, 0.0, 0.5])).round(6)
    array([-1.    ,  0.    ,  0.5205])
    """
    return _in_blocks(_erf, x)


@primitive
def erfc(x):
    """1 - erf(x), elementwise, exact also where erf rounds to 1.

    >>> import numpy as np, tinygrad_nn as tn
    >>> print(f"{tn.erfc(10.0):.6e}")
    2.088488e-45
    """
    return _in_blocks(_erfc, x)


def _in_blocks(f, x, out=None):
    """``f`` of a block after the other; half precision, which would overflow, as double."""
    x = np.asarray(x)
    flat = np.ravel(x)
    double = x.dtype not in (np.float32, np.float64)
    y = np.empty(x.shape, np.result_type(x.dtype, np.float16)) if out is None else out
    to = np.reshape(y, -1)
    for i in range(0, len(flat), BLOCK):
        block = flat[i:i + BLOCK]
        to[i:i + BLOCK] = f(block.astype(np.float64) if double else block)
    return y[()]


def _erf(x):
    a = np.abs(x)
    near = a < NEAR
    y = np.copysign(1 - _tail(a), x)
    y[near] = _near(x[near])
    return y


def _erfc(x):
    a = np.abs(x)
    near = a < NEAR
    y = _tail(a)
    y = np.where(x < 0, 2 - y, y)
    y[near] = 1 - _near(x[near])
    return y


def _near(x):
    """erf(x) for |x| < 0.46875."""
    s = x * x
    return x * (_polynomial(NEAR_P, s) / _polynomial(NEAR_Q, s))


def _tail(a):
    """erfc(a) for a >= 0.46875, and nan for nan."""
    a = np.minimum(a, 30)                           # where it is 0 in double precision
    y = _polynomial(MIDDLE_P, a) / _polynomial(MIDDLE_Q, a)
    far = a > FAR
    f = a[far]
    s = 1 / (f * f)
    y[far] = (TWO_BY_ROOT_PI / 2 - s * (_polynomial(FAR_P, s) / _polynomial(FAR_Q, s))) / f
    top = np.floor(16 * a) / 16                     # its square is exact: a² = top² + rest
    y *= np.exp(-top * top)
    y *= np.exp((top - a) * (a + top))
    return y


def _polynomial(coefficients, x):
    y = np.full_like(x, coefficients[0])
    for c in coefficients[1:]:
        y *= x
        y += c
    return y


erf.into = lambda out, x: _in_blocks(_erf, x, out)
erfc.into = lambda out, x: _in_blocks(_erfc, x, out)
erf.safe = erfc.safe = True
elementwise(erf, lambda x: TWO_BY_ROOT_PI * np.exp(-x * x))
elementwise(erfc, lambda x: -TWO_BY_ROOT_PI * np.exp(-x * x))

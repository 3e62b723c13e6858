"""What generated kernels can compute: NumPy's functions and ours as code on vectors.

`step_of` says of an equation whether it is an elementwise step or a sum of a chain
(`kernels._chains`), and of which function, kinds and cost. Imported where numba is installed.
"""

import math

import numpy as np

from .._core import astype
from .._table import masked
from ..kernels import _vectors as v
from ..kernels._tables import JOINS
from ..rules import _erf
from ..rules._activations import minus_top
from ._expand import share

KINDS = {np.dtype(np.float32): v.FLOAT, np.dtype(np.float64): v.DOUBLE, np.dtype(bool): None}
REDUCTIONS = {np.add.reduce: "sum", np.maximum.reduce: "max", np.minimum.reduce: "min"}
ARITHMETIC = {  # (function, cost): arguments and result of one kind
    np.add: (lambda x, y: x + y, 1), np.subtract: (lambda x, y: x - y, 1),
    np.multiply: (lambda x, y: x * y, 1), np.divide: (lambda x, y: x / y, 5),
    np.negative: (lambda x: -x, 1), np.positive: (lambda x: x, 0),
    np.square: (lambda x: x * x, 1), np.reciprocal: (lambda x: 1 / x, 5),
    np.absolute: (lambda x: x.called("fabs"), 1), np.fabs: (lambda x: x.called("fabs"), 1),
    np.sqrt: (lambda x: x.called("sqrt"), 6), np.maximum: (v.maximum, 2),
    np.minimum: (v.minimum, 2), np.copysign: (lambda x, y: x.called("copysign", y), 1),
    np.floor: (lambda x: x.called("floor"), 1), np.ceil: (lambda x: x.called("ceil"), 1),
    np.trunc: (lambda x: x.called("trunc"), 1), np.rint: (lambda x: x.called("rint"), 1),
    np.exp: (v.exp, 15), np.expm1: (v.expm1, 16), np.tanh: (v.tanh, 25), np.log: (v.log, 20),
    np.log1p: (v.log1p, 30), np.logaddexp: (v.logaddexp, 50)}
POWERS = {2: np.square, 1: np.positive, 0.5: np.sqrt, -1: np.reciprocal}      # as NumPy does
SIGNS = {np.greater: ">", np.greater_equal: ">=", np.less: "<", np.less_equal: "<=",
         np.equal: "==", np.not_equal: "!="}
TRUTH = {np.logical_and: lambda x, y: x & y, np.bitwise_and: lambda x, y: x & y,
         np.logical_or: lambda x, y: x | y, np.bitwise_or: lambda x, y: x | y,
         np.logical_xor: lambda x, y: x ^ y, np.bitwise_xor: lambda x, y: x ^ y,
         np.logical_not: lambda x: x ^ True, np.invert: lambda x: x ^ True}
TESTS = {np.isnan: lambda x: x.nan(),
         np.isfinite: lambda x: x.called("fabs").is_("<", math.inf),
         np.isinf: lambda x: x.called("fabs").is_("==", math.inf)}


def step_of(e):
    """(function, [(argument, kind)], kind, cost, "" or the reduction) of an equation, or None.

    Arguments are variables, or numbers.
    """
    if e.several or e.effect or e.again or e.lazy or e.outs[0].dtype not in KINDS:
        return None
    if not all(_is_known(a) for a in e.args):
        return None
    if e.fn in REDUCTIONS:
        return _reduction(e)
    plain = not e.kwargs
    if isinstance(e.fn, np.ufunc) and plain and len(e.args) == e.fn.nin:
        return _ufunc(e)
    own = OWN.get(e.fn)
    return own(e) if own and plain else None


def _is_known(a):
    dtype = getattr(a, "dtype", None)
    if not hasattr(a, "shape"):
        return isinstance(a, (bool, int, float, np.dtype, type)) or a is None
    return dtype in KINDS or (a.shape == () and isinstance(a, (np.generic, np.ndarray))
                              and dtype.kind in "iu")


def _ufunc(e):
    kind, args = KINDS[e.outs[0].dtype], e.args
    if e.fn in ARITHMETIC and kind:
        function, cost = ARITHMETIC[e.fn]
        return function, _all(args, kind), kind, cost, ""
    if e.fn in SIGNS or e.fn in TESTS:
        common = KINDS.get(np.result_type(*(
            a if isinstance(a, (bool, int, float)) else a.dtype for a in args)))
        if common is None:
            return None
        sign = SIGNS.get(e.fn)
        function = TESTS.get(e.fn) or (lambda x, y: x.is_(sign, y))
        return function, _all(args, common), None, 1, ""
    if e.fn in TRUTH and all(map(_is_truth, args)):
        return TRUTH[e.fn], _all(args, None), None, 1, ""
    return None


def _is_truth(a):
    return isinstance(a, bool) or (hasattr(a, "dtype") and a.dtype == np.bool_)


def _all(args, kind):
    return [(a, kind) for a in args]


def _reduction(e):
    (x,), how = e.args, REDUCTIONS[e.fn]
    kind, neutral = KINDS[e.outs[0].dtype], JOINS[how][1]
    known = e.kwargs.keys() <= {"axis", "keepdims", "initial"}
    if not known or kind is None or KINDS.get(getattr(x, "dtype", None)) is not kind or (
            e.kwargs.get("initial", neutral) != neutral):
        return None
    return None, [(x, kind)], kind, 2, how


def _where(e):
    kind = KINDS[e.outs[0].dtype]
    if len(e.args) != 3 or not _is_truth(e.args[0]):
        return None
    args = [(e.args[0], None), *_all(e.args[1:], kind)]
    return (lambda c, x, y: c.choose(x, y)), args, kind, 1, ""


def _masked(e):
    x, mask = e.args
    kind = KINDS[e.outs[0].dtype]
    return (lambda x, c: c.choose(x, 0)), [(x, kind), (mask, None)], kind, 1, ""


def _converted(e):
    kind = KINDS[e.outs[0].dtype]
    return (lambda x: x), [(e.args[0], kind)], kind, 1, ""


def _clipped(e):
    kind, (x, *limits) = KINDS[e.outs[0].dtype], (*e.args, None)[:3]
    if kind is None or not all(a is None or (isinstance(a, (int, float)) and a == a)
                               for a in limits):
        return None
    return (lambda x: v.clip(x, *limits)), [(x, kind)], kind, 2, ""


def _shared(e):
    (total, n), kind = e.args, KINDS[e.outs[0].dtype]
    return (lambda x: x / float(n)), [(total, kind)], kind, 5, ""


def _power(e):
    kind = KINDS[e.outs[0].dtype]
    x, n = e.args
    if not isinstance(n, (int, float)) or n not in POWERS or kind is None:
        return None
    function, cost = ARITHMETIC[POWERS[n]]
    return function, [(x, kind)], kind, cost, ""


def _below_top(x, top):
    return (x.is_("==", top) & top.is_(">", 0)).choose(0, x - top)


def _minus_top(e):
    kind = KINDS[e.outs[0].dtype]
    return _below_top, _all(e.args, kind), kind, 3, ""


def _near(x):
    s = x * x
    return x * (v.polynomial(s, _erf.NEAR_P) / v.polynomial(s, _erf.NEAR_Q))


def _tail(a):
    a = v.clip(a, None, 30.0)
    y = v.polynomial(a, _erf.MIDDLE_P) / v.polynomial(a, _erf.MIDDLE_Q)
    s = 1 / (a * a)
    far = _erf.TWO_BY_ROOT_PI / 2 - s * (v.polynomial(s, _erf.FAR_P)
                                         / v.polynomial(s, _erf.FAR_Q))
    y = a.is_(">", _erf.FAR).choose(far / a, y)
    top = (16 * a).called("floor") * 0.0625
    return y * v.exp(-top * top) * v.exp((top - a) * (a + top))


def _erf_of(x):
    a = x.called("fabs")
    return a.is_("<", _erf.NEAR).choose(_near(x), (1 - _tail(a)).called("copysign", x))


def _erfc_of(x):
    a = x.called("fabs")
    y = _tail(a)
    y = x.is_("<", 0).choose(2 - y, y)
    return a.is_("<", _erf.NEAR).choose(1 - _near(x), y)


def _error(function):
    def own(e):
        kind = KINDS[e.outs[0].dtype]
        return function, [(e.args[0], kind)], kind, 100, ""
    return own


OWN = {np.where: _where, masked: _masked, astype: _converted, np.copy: _converted,
       np.clip: _clipped, share: _shared, pow: _power, minus_top: _minus_top,
       _erf.erf: _error(_erf_of), _erf.erfc: _error(_erfc_of)}

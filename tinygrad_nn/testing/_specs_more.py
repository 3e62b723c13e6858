"""Rows for calculus, order, statistics, polynomials, forms and ranges."""

import warnings

import numpy as np

from ..rules import _calculus, _cumulative, _more, _order, _statistics
from ._specs import ANY, AXES, BROADCAST, FILLED, ZEROS, calls, row

LINE = [((3,),), ((4,),)]
PLANE = [((2, 3),), ((3, 2),)]
SPACE = [((2, 3, 2),)]
SOLID = [*PLANE, *SPACE]
MASK = np.array([True, False, True])

# ---------------------------------------------------------------- extrema and variance
for _fn in (np.max, np.min, np.nanmax, np.nanmin, np.amax, np.amin):
    calls(_fn, {}, {"axis": 0}, {"axis": -1, "keepdims": True}, {"axis": -1, "initial": 0.125})
    calls(_fn, {"axis": (0, -1)}, {"axis": (0, 1), "keepdims": True}, {"axis": None},
          shapes=SOLID)
    calls(_fn, {"axis": 1, "where": MASK, "initial": -5.0}, shapes=[((2, 3),)])
    calls(_fn, {"axis": (0, 1), "where": MASK, "initial": 0.125, "keepdims": True},
          shapes=[((2, 3),)])
for _fn in (np.var, np.std, np.nanvar, np.nanstd):
    calls(_fn, {}, {"axis": 0}, {"axis": -1, "keepdims": True}, {"ddof": 1}, {"correction": 1},
          {"axis": (0, 1)}, {"dtype": np.float64}, shapes=[((3, 2),), ((3, 3),)])
    calls(_fn, {"axis": 1, "where": MASK}, {"where": MASK, "ddof": 1}, shapes=[((2, 3),)])
    row(_fn, "real", "real", shapes=[((2, 3), (2, 1))], note="mean=",
        call=lambda x, m, fn=_fn: fn(x, axis=1, mean=m))
for _fn in (np.nansum, np.nanmean, np.nanprod):
    row(_fn, shapes=FILLED, note="any shape")
    calls(_fn, {"axis": 0}, {"axis": -1, "keepdims": True}, {"dtype": np.float64})
    calls(_fn, {"axis": (0, 1)}, {"axis": 1, "where": MASK}, shapes=[((2, 3),)])
calls(np.nansum, {"initial": 2.0})
for _fn in (np.nansum, np.nanmean, np.nanprod, np.nanmax, np.nanvar, np.nanmedian, np.nancumsum,
            np.nancumprod, np.nanstd, np.nanmin):
    row(_fn, call=lambda x, fn=_fn: fn(np.where(x == x[..., :1], np.nan, x), axis=-1),
        shapes=[((2, 4),), ((4,),)], note="with a nan", special=False)

# ---------------------------------------------------------------- products and running results
row(np.prod, note="any shape")
calls(np.prod, {"axis": 0}, {"axis": -1, "keepdims": True}, {"initial": 2.0},
      {"dtype": np.float64})
calls(np.prod, {"axis": (0, 2)}, {"axis": (0, -1), "keepdims": True}, {"axis": (2, 0, 1)},
      {"axis": ()}, shapes=SPACE)
calls(np.prod, {"axis": 1, "where": MASK}, {"where": MASK, "initial": 3.0}, shapes=[((2, 3),)])
row(_cumulative._product)
for _fn in (np.cumprod, np.nancumprod, np.nancumsum):
    calls(_fn, {}, {"axis": 0}, {"axis": -1}, {"dtype": np.float64}, shapes=[*AXES, ((2, 0),)])
row(np.cumprod, call=lambda x: np.cumprod(np.where(x == x[0], 0.0, x)), shapes=[((4,),)],
    note="with a zero")
row(np.prod, call=lambda x: np.prod(x * np.array([1.0, 0.0, 1.0, 1.0])), shapes=[((4,),)],
    note="with a zero")
for _fn in filter(None, (getattr(np, n, None) for n in ("cumulative_sum", "cumulative_prod"))):
    calls(_fn, {"axis": 0}, {"axis": -1, "include_initial": True}, shapes=[*AXES, ((0, 2),)])
    calls(_fn, {}, {"include_initial": True}, shapes=LINE)
row(_cumulative.scan, "real", "real", call=lambda a, b: _cumulative.scan(a, b, 0),
    shapes=[((3,), (3,)), ((3, 2), (3, 2)), ((1, 2), (1, 2))])
row(_cumulative.scan, "real", "real", call=lambda a, b: _cumulative.scan(a, b, -1),
    shapes=[((2, 3), (2, 3)), ((1, 3), (1, 3))], note="last axis")

# ---------------------------------------------------------------- np.f.reduce and its kin
for _ufunc in (np.multiply, np.maximum, np.minimum, np.fmax, np.fmin, np.logaddexp, np.subtract,
               np.hypot, np.add, np.logaddexp2):
    for _kw in ({}, {"axis": 1}, {"axis": -1, "keepdims": True}, {"initial": 2.0}):
        if _ufunc is not np.logaddexp or "initial" not in _kw:
            row(_ufunc, call=lambda x, f=_ufunc.reduce, kw=_kw: f(x, **kw), shapes=PLANE,
                note=f"reduce {_kw}")
    for _axis in (0, -1):
        row(_ufunc, call=lambda x, f=_ufunc.accumulate, i=_axis: f(x, axis=i), shapes=PLANE,
            note=f"accumulate {_axis}")
    row(_ufunc, call=lambda x, f=_ufunc: f.reduceat(x, [0, 2, 1, 1], 1), shapes=[((2, 3),)],
        note="reduceat")
    row(_ufunc, "real", "real", call=_ufunc.outer, shapes=[((2,), (3,)), ((), (2, 2))],
        note="outer")
for _ufunc in (np.multiply, np.maximum, np.logaddexp, np.hypot, np.fmin):
    row(_ufunc, call=lambda x, f=_ufunc.reduce: f(x, axis=(0, -1)), shapes=SPACE,
        note="reduce, two axes")
    row(_ufunc, call=lambda x, f=_ufunc.reduce: f(x, axis=None, keepdims=True), shapes=SPACE,
        note="reduce, all axes")
row(np.divide, call=np.divide.reduce, shapes=PLANE, note="reduce")

# ---------------------------------------------------------------- median and quantiles
# without ties: of three equal elements one is chosen, which differences of one cannot tell
for _fn in (np.median, np.nanmedian):
    row(_fn, "distinct", shapes=FILLED, note="any shape")
    calls(_fn, {"axis": 0}, {"axis": -1, "keepdims": True}, domain="distinct")
    calls(_fn, {"axis": (0, 2)}, {"axis": (1, 0), "keepdims": True}, domain="distinct",
          shapes=SPACE)
for _fn, _unit in ((np.quantile, 1), (np.nanquantile, 1), (np.percentile, 100),
                   (np.nanpercentile, 100)):
    for _method in ("inverted_cdf", "averaged_inverted_cdf", "closest_observation", "hazen",
                    "interpolated_inverted_cdf", "weibull", "linear", "median_unbiased",
                    "normal_unbiased", "lower", "higher", "midpoint", "nearest"):
        calls(_fn, {"q": 0.3 * _unit, "method": _method, "axis": 0},
              {"q": np.array([0.0, 0.45, 1.0]) * _unit, "method": _method}, domain="distinct",
              shapes=[((4, 2),)])
    calls(_fn, {"q": 0.7 * _unit}, {"q": 0.7 * _unit, "axis": -1, "keepdims": True},
          domain="distinct")
    calls(_fn, {"q": [0.1 * _unit, 0.8 * _unit], "axis": (0, 2)},
          {"q": [0.1 * _unit, 0.8 * _unit], "axis": (0, 1), "keepdims": True},
          {"q": 0.4 * _unit, "axis": (2, 0)}, domain="distinct", shapes=SPACE)
    calls(_fn, *({"q": q, "axis": 1, "method": "inverted_cdf",
                  "weights": np.array([[1.0, 3.0, 2.0], [2.0, 0.0, 1.0]])}
                 for q in (0.6 * _unit, [0.2 * _unit, 0.6 * _unit])), domain="distinct",
          shapes=[((2, 3),)])
for _kw in ({"axis": 1}, {"axis": (-1,), "keepdims": True}):
    row(np.quantile, "distinct", note=f"weights of an axis {_kw}", shapes=[((2, 3),)],
        call=lambda x, kw=_kw:
        np.quantile(x, [0.2, 0.6], method="inverted_cdf", weights=[1.0, 3.0, 2.0], **kw))
for _fn in (np.nanquantile, np.nanpercentile):
    row(_fn, call=lambda x, fn=_fn: fn(np.where(x == x[0, :1], np.nan, x), [0.2, 0.9], axis=1),
        shapes=[((2, 4),)], note="with a nan", special=False)

# ---------------------------------------------------------------- selections
for _fn in (np.unique, np.unique_values):
    row(_fn, call=lambda x, fn=_fn: fn(np.concatenate([x, x[:1]])), shapes=[((3,),), ((2, 2),)],
        special=False)
for _fn in (np.unique_counts, np.unique_inverse, np.unique_all):
    row(_fn, "distinct", call=lambda x, fn=_fn: fn(x).values, shapes=[((3,),), ((2, 2),)])
row(np.unique, "distinct", call=lambda x: np.unique(x, True, True, True)[0], shapes=LINE,
    note="counted")
calls(np.unique, {"axis": 0}, {"axis": 1}, domain="distinct", shapes=PLANE)
for _fn in (np.union1d, np.setdiff1d, np.setxor1d):
    row(_fn, "real", "positive", call=lambda a, b, fn=_fn: fn(np.append(a, b[0]), b),
        shapes=[((3,), (2,)), ((2, 2), (2,))], special=False)
row(np.choose, "real", "real", call=lambda a, b: np.choose([2, 0, 1], [a, b, a * b]),
    shapes=[((3,), (3,)), ((2, 3), ()), ((), (2, 1))])
row(np.choose, call=lambda x: np.choose([[1], [0]], x), shapes=[((2, 3),)], note="of a Tensor")
row(np.choose, "real", "real", call=lambda a, b: np.choose([3, -1], [a, b], mode="wrap"),
    shapes=[((2,), ())], note="wrap")
row(np.choose, "real", "real", call=lambda a, b: np.choose([3, -1], [a, b], mode="clip"),
    shapes=[((2,), ())], note="clip")
row(np.compress, call=lambda x: np.compress([True, False, True], x, axis=-1),
    shapes=[((3,),), ((2, 3),)])
row(np.compress, call=lambda x: np.compress([False, True], x), shapes=PLANE, note="flat")
row(np.extract, call=lambda x: np.extract(x > 0, x), shapes=[((3,),), ((2, 3),)])

# ---------------------------------------------------------------- averages, covariance, counts
row(np.average, shapes=FILLED, note="any shape")
calls(np.average, {"axis": 0}, {"axis": (0, -1)}, {"axis": 1, "keepdims": True}, shapes=SOLID)
row(np.average, call=lambda x: np.average(x, axis=0, returned=True), shapes=SOLID,
    note="returned")
row(np.average, "real", "positive", call=lambda x, w: np.average(x, weights=w),
    shapes=[((3,), (3,)), ((2, 3), (2, 3))], note="weights")
row(np.average, "real", "positive", shapes=[((2, 3), (3,))], note="along an axis",
    call=lambda x, w: np.average(x, axis=-1, weights=w, returned=True, keepdims=True))
row(np.average, "real", "positive", shapes=[((2, 3, 2), (2, 3))], note="along two axes",
    call=lambda x, w: np.average(x, axis=(2, 1), weights=w))
calls(np.cov, {}, {"bias": True}, {"ddof": 0}, {"rowvar": False}, shapes=[((2, 3),), ((4,),)])
calls(np.cov, {"fweights": [1, 2, 3]}, {"dtype": np.float64}, shapes=[((2, 3),)])
row(np.cov, "real", "real", shapes=[((2, 3), (3,)), ((2, 3), (1, 3)), ((3,), (3,))], note="y")
row(np.cov, "real", "real", call=lambda x, y: np.cov(x, y, rowvar=False),
    shapes=[((3, 2), (3, 1))], note="y, columns")
row(np.cov, "real", "positive", call=lambda x, w: np.cov(x, aweights=w),
    shapes=[((2, 3), (3,))], note="aweights", special=False)
row(np.cov, "real", "positive", shapes=[((2, 3), (3,))], note="both weights", special=False,
    call=lambda x, w: np.cov(x, fweights=[2, 1, 3], aweights=w, ddof=0))
calls(np.corrcoef, {}, {"rowvar": False}, shapes=[((3, 4),), ((4, 3),)])
row(np.corrcoef, "real", "real", shapes=[((4,), (4,)), ((2, 4), (4,))], note="y")
row(_statistics._within_one, "unit")
row(np.bincount, call=lambda w: np.bincount([0, 2, 2, 1][:w.size], w), shapes=LINE)
row(np.bincount, call=lambda w: np.bincount([0, 2, 2], weights=w, minlength=5),
    shapes=[((3,),)], note="minlength")
for _kw in ({"bins": 3}, {"bins": [0.0, 1.0, 1.5, 3.0]}, {"bins": 2, "range": (0, 2.5)},
            {"bins": 2, "density": True}):
    row(np.histogram, "positive", note=str(_kw), shapes=[((4,),)],
        call=lambda w, kw=_kw: np.histogram([0.0, 1.0, 3.0, 2.5], weights=w, **kw)[0])
for _kw in ({"bins": 2}, {"bins": [2, [0.0, 1.0, 5.0]]}, {"density": True, "bins": (1, 2)}):
    row(np.histogramdd, "positive", shapes=[((3,),)], note=str(_kw), call=lambda w, kw=_kw:
        np.histogramdd(np.array([[0.0, 1], [2, 2], [1, 0]]), weights=w, **kw)[0])
    row(np.histogram2d, "positive", shapes=[((3,),)], note=str(_kw), call=lambda w, kw=_kw:
        np.histogram2d([0.0, 2, 1], [1.0, 2, 0], weights=w, **kw)[0])
row(np.histogram_bin_edges, call=lambda x: np.histogram_bin_edges(x, 3), shapes=SOLID)

# ---------------------------------------------------------------- differences and integrals
calls(np.diff, {}, {"n": 2}, {"axis": 0}, {"n": 0}, {"prepend": 1.0, "append": 2.0},
      shapes=[((3,),), ((3, 3),), ((1, 2),)])
row(np.diff, "real", "real", call=lambda x, p: np.diff(x, prepend=p, append=p[..., :1]),
    shapes=[((2, 3), (2, 2))], note="prepend")
row(np.ediff1d, shapes=[((3,),), ((2, 2),), ((1,),)])
row(np.ediff1d, "real", "real", call=lambda x, e: np.ediff1d(x, to_end=e, to_begin=[1.0]),
    shapes=[((3,), (2,)), ((2, 2), ())], note="ends")
calls(np.gradient, {}, {"axis": 0}, {"axis": (0, 1)}, {"edge_order": 2},
      {"axis": -1, "edge_order": 2}, shapes=[((3, 4),), ((3, 3, 3),)])
row(np.gradient, shapes=LINE)
row(np.gradient, "real", "positive", shapes=[((3,), ()), ((2, 3), ())], note="step")
for _order_ in (1, 2):
    row(np.gradient, "real", "positive", shapes=[((4,), (4,)), ((3,), (3,))],
        call=lambda f, x, n=_order_: np.gradient(f, np.cumsum(x), edge_order=n),
        note=f"places {_order_}", special=False)
    row(np.gradient, "real", "positive", "positive", shapes=[((3, 4), (4,), ())],
        call=lambda f, x, h, n=_order_: np.gradient(f, h, np.cumsum(x), edge_order=n),
        note=f"step and places {_order_}", special=False)
calls(np.trapezoid, {}, {"axis": 0}, {"dx": 0.5}, shapes=[((3,),), ((2, 3),)])
row(np.trapezoid, "real", "real", shapes=[((3,), (3,)), ((2, 3), (3,)), ((2, 3), (2, 3))],
    note="x")
calls(np.unwrap, {}, {"axis": 0}, {"period": 3.0}, {"discont": 4.0},
      shapes=[((4,),), ((3, 2),)], special=False)

# ---------------------------------------------------------------- interpolation, convolution
row(np.interp, "real", "positive", "real", note="places", special=False,
    call=lambda x, xp, fp: np.interp(x, np.cumsum(xp), fp), shapes=[((3,), (4,), (4,)),
                                                                  ((), (1,), (1,)),
                                                                  ((2, 2), (2,), (2,))])
row(np.interp, "real", "real", "real", "real", note="outside", shapes=[((4,), (3,), (), ())],
    call=lambda x, fp, a, b: np.interp(x, [-0.6, 0.1, 0.9], fp, left=a, right=b))
row(np.interp, "real", "real", "real", note="periodic", shapes=[((4,), (3,), (3,))],
    special=False, call=lambda x, xp, fp: np.interp(x, xp, fp, period=3.1))
_lines = [((3,), (2,)), ((2,), (3,)), ((3,), (3,)), ((1,), (4,)), ((4,), (2,)), ((2,), (5,))]
for _mode in ("full", "same", "valid"):
    for _fn in (np.convolve, np.correlate):
        row(_fn, "real", "real", call=lambda a, b, fn=_fn, m=_mode: fn(a, b, m),
            shapes=_lines, note=_mode)
    row(np.convolve, "real", "real", call=lambda a, b, m=_mode: np.convolve(a, b, m),
        shapes=[((4,), ()), ((), (3,)), ((), ())], note=f"{_mode}, a number")
row(np.sinc)
row(np.sinc, call=lambda x: np.sinc(x * 0.01), note="near 0")
row(np.i0)
row(np.i0, call=lambda x: np.i0(x * 4) / 1000, note="large")
for _n in (1, 2, 5):
    row(_calculus._sine_ratio, call=lambda x, n=_n: _calculus._sine_ratio(x, order=n),
        note=str(_n))
    row(_calculus._bessel_i, call=lambda x, n=_n: _calculus._bessel_i(x, order=n), note=str(_n))

# ---------------------------------------------------------------- polynomials
_two = [((3,), (3,)), ((2,), (4,)), ((3,), (1,)), ((3,), ())]
for _fn in (np.polyadd, np.polysub, np.polymul):
    row(_fn, "real", "real", shapes=_two, special=_fn is not np.polymul)
row(np.polyval, "real", "real", shapes=[((3,), ()), ((2,), (2, 2)), ((4,), (3,))])
row(np.polyval, "real", "real", call=lambda a, x: np.polyval([a, a, a * a], x),
    shapes=[((), (2,))], note="list")
calls(np.polyder, {}, {"m": 2}, {"m": 0}, shapes=LINE)
calls(np.polyint, {}, {"m": 2}, {"m": 0}, {"m": 2, "k": [1.0, 2.0]}, {"m": 3, "k": 2.0},
      shapes=LINE)
row(np.polyint, "real", "real", call=lambda p, k: np.polyint(p, 2, k), shapes=[((3,), (2,))],
    note="k")
row(np.polydiv, "real", "above1", special=False,
    shapes=[((4,), (2,)), ((3,), (3,)), ((2,), (3,)), ((3,), (1,))])
row(np.poly, shapes=[((3,),), ((1,),)])
calls(np.vander, {}, {"N": 2}, {"N": 4, "increasing": True}, {"N": 0}, shapes=LINE)
row(np.polyfit, "real", "real", call=lambda x, y: np.polyfit(x, y, 1), special=False,
    shapes=[((4,), (4,)), ((4,), (4, 2))])
row(np.polyfit, "real", "real", "positive", shapes=[((4,), (4,), (4,))], note="weights",
    call=lambda x, y, w: np.polyfit(x, y, 1, w=w), special=False)
for _how in (True, "unscaled"):
    row(np.polyfit, "real", "real", call=lambda x, y, how=_how: np.polyfit(x, y, 1, cov=how),
        shapes=[((4,), (4,))], note=f"cov {_how}", special=False)

# ---------------------------------------------------------------- parts of a number
for _fn in (np.conjugate, np.real, np.real_if_close, np.modf):
    row(_fn)
row(np.frexp, call=lambda x: np.frexp(x)[0])
row(np.ldexp, call=lambda x: np.ldexp(x, 3))
row(np.ldexp, call=lambda x: np.ldexp(x, np.array([[1], [-2]])), shapes=[((3,),), ((),)],
    note="broadcast")
row(np.copysign, "real", "real", shapes=BROADCAST)
row(np.nextafter, call=lambda x: np.nextafter(x, 5.0))
row(_more._fraction)

# ---------------------------------------------------------------- form
row(np.atleast_3d)
row(np.atleast_3d, "real", "real", call=lambda a, b: np.atleast_3d(a, b), shapes=[((3,), ())],
    note="two")
row(np.dstack, "real", "real", call=lambda a, b: np.dstack([a, b]),
    shapes=[((3,), (3,)), ((2, 3), (2, 3)), ((2, 1, 1), (2, 1, 2))])
row(np.dsplit, call=lambda x: np.dsplit(x, 2), shapes=SPACE)
row(np.dsplit, call=lambda x: np.dsplit(x, [1]), shapes=SPACE, note="at 1")
calls(np.rollaxis, {"axis": 2}, {"axis": 0, "start": 3}, {"axis": -2, "start": -1},
      {"axis": 1, "start": 1}, shapes=SPACE)
row(np.broadcast_arrays, "real", "real", shapes=BROADCAST)
for _kw in ({}, {"indexing": "ij"}, {"sparse": True}, {"sparse": True, "copy": False}):
    row(np.meshgrid, "real", "real", call=lambda a, b, kw=_kw: np.meshgrid(a, b, a, **kw),
        shapes=[((2,), (3,)), ((), (2,))], note=str(_kw))
row(np.meshgrid, shapes=LINE, note="one")
calls(np.diagflat, {}, {"k": 1}, {"k": -2}, shapes=[((2,),), ((2, 2),), ((),)])
_windows = np.lib.stride_tricks.sliding_window_view
row(_windows, call=lambda x: _windows(x, 2), shapes=LINE)
row(_windows, call=lambda x: _windows(x, (2, 2)), shapes=PLANE, note="plane")
row(_windows, call=lambda x: _windows(x, (1, 2), (-1, 0)), shapes=SPACE, note="axes")
if hasattr(np, "unstack"):
    calls(np.unstack, {}, {"axis": -1}, shapes=SOLID)
if hasattr(np, "astype"):
    row(np.astype, call=lambda x: np.astype(x, np.float64))
for _fn in (np.fft.fftshift, np.fft.ifftshift):
    calls(_fn, {}, {"axes": 0}, {"axes": (0, -1)}, shapes=SOLID)
row(np.full_like, call=lambda x: np.full_like(np.zeros((2, 3)) + 0 * x, x),
    shapes=[((),), ((3,),), ((2, 1),)])
row(np.full_like, "real", "real", call=lambda a, x: np.full_like(a, x, shape=(2, 3)),
    shapes=[((2,), (3,))], note="shape")

# ---------------------------------------------------------------- insert, delete, resize, trim
for _obj in (1, -1, [0, 2], slice(0, 3, 2), np.array([True, False, True]), []):
    calls(np.delete, {"obj": _obj, "axis": 0}, shapes=[((3,),), ((3, 2),)])
calls(np.delete, {"obj": [1, 4]}, {"obj": 1, "axis": -1}, shapes=[((2, 3),)])
for _obj in (1, -1, [1], slice(0, 1)):
    row(np.insert, "real", "real", call=lambda x, v, i=_obj: np.insert(x, i, v, axis=0),
        shapes=[((3,), (2,)), ((3, 2), (2,)), ((3, 2), ())], note=str(_obj))
for _obj in ([0, 2], [2, 2], slice(0, 3, 2), [-1, 0]):
    row(np.insert, "real", "real", call=lambda x, v, i=_obj: np.insert(x, i, v, axis=1),
        shapes=[((2, 3), (2,)), ((2, 3), (2, 1)), ((2, 3), ())], note=f"{_obj} along 1")
row(np.insert, "real", "real", call=lambda x, v: np.insert(x, [1, 3], v),
    shapes=[((2, 2), (2,)), ((4,), ())], note="flat")
row(np.insert, "real", "real", call=lambda x, v: np.insert(x, 1, v, axis=-1),
    shapes=[((2, 3), (2,)), ((2, 3), ())], note="a column")
row(np.insert, call=lambda x: np.insert(np.zeros(3), [], x), shapes=[((0,),)], note="nothing")
for _shape in (5, (2, 3), (0,), ()):
    row(np.resize, call=lambda x, s=_shape: np.resize(x, s), shapes=[((3,),), ((2, 2),)],
        note=str(_shape))
for _how in ("fb", "f", "b"):
    row(np.trim_zeros, call=lambda x, how=_how: np.trim_zeros(
        x * np.array([0.0, 1.0, 0.0, 1.0, 0.0]), how), shapes=[((5,),)], note=_how,
        special=False)

# ---------------------------------------------------------------- ranges
_ends = [((), ()), ((2,), ()), ((), (3,)), ((2, 1), (3,)), ((2,), (2,))]
for _kw in ({}, {"endpoint": False}, {"axis": -1}, {"num": 1}, {"num": 0}, {"retstep": True}):
    _kw = {"num": 4, **_kw}
    row(np.linspace, "real", "real", shapes=_ends, note=str(_kw),
        call=lambda a, b, kw=_kw: np.linspace(a, b, **kw))
    if "retstep" not in _kw:
        row(_more._line, "real", "real", shapes=_ends, note=str(_kw),
            call=lambda a, b, kw=_kw: _more._line(a, b, **kw))
        row(np.logspace, "real", "real", shapes=_ends, note=str(_kw),
            call=lambda a, b, kw=_kw: np.logspace(a / 4, b / 4, **kw))
        row(np.geomspace, "positive", "positive", shapes=_ends, note=str(_kw), special=False,
            call=lambda a, b, kw=_kw: np.geomspace(a, b, **kw))
row(np.logspace, "positive", "positive", note="base",
    shapes=[((), ()), ((2,), (2,)), ((), (2,))],
    call=lambda a, b: np.logspace(a, 1.0, 3, base=b))
row(np.geomspace, "positive", "positive", shapes=_ends, note="negative", special=False,
    call=lambda a, b: np.geomspace(-a, -b, 3))

# ---------------------------------------------------------------- a function of one's own
row(np.apply_along_axis, call=lambda x: np.apply_along_axis(np.sum, 0, x), shapes=SOLID)
row(np.apply_along_axis, shapes=SOLID, note="to vectors",
    call=lambda x: np.apply_along_axis(lambda v: np.sort(v)[:2] * 2, 1, x))
row(np.apply_along_axis, shapes=SPACE, note="to matrices",
    call=lambda x: np.apply_along_axis(np.diag, -2, x))
row(np.apply_over_axes, call=lambda x: np.apply_over_axes(np.sum, x, (0, -1)), shapes=SOLID)
row(np.piecewise, shapes=ANY,
    call=lambda x: np.piecewise(x, [x < -1, x > 1], [lambda v: v * v, np.log, 0.5]))
row(np.piecewise, call=lambda x: np.piecewise(x, x > 0, [np.sqrt, np.sin]), shapes=LINE,
    note="one condition")

# ---------------------------------------------------------------- derivative zero

def quietly(fn, *args):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return fn(*args)


ZEROS[:] = [pair for pair in ZEROS if pair[0] is not np.full_like] + [
    *((fn, fn) for fn in (np.around, np.angle, np.imag, np.isreal, np.iscomplex, np.nanargmax,
                          np.nanargmin, np.common_type)),
    (np.digitize, lambda x: np.digitize(x, [0.0, 1.0])),
    (np.isin, lambda x: np.isin(x, [0.25, 7.0])),
    *((getattr(np, name), lambda x, name=name: quietly(getattr(np, name), x, [0.25, 7.0]))
      for name in ("in1d",) if hasattr(np, name)),          # deprecated
    (np.array_equiv, lambda x: np.array_equiv(x, x)),
    (np.einsum_path, lambda x: np.einsum_path("i,i", x, x)),
    *((fn, lambda x, fn=fn: fn(x[:, None] * x)) for fn in (
        np.diag_indices_from, np.tril_indices_from, np.triu_indices_from)),
    (_more._exponent, _more._exponent),
    (_cumulative._latest, lambda x: _cumulative._latest(x, extremum=np.maximum, axis=0)),
    (_order._distinct, lambda x: _order._distinct(x, fn=np.unique_values)),
    (_order._rows, lambda x: _order._rows(x[:, None], axis=0)),
]

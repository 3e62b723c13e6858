"""Rows for convolution, pooling and normalisation."""

import numpy as np

from ..nn import _checks
from ..rules import (
    _activations,
    _convolution,
    _convolution_pooled,
    _normalization,
    _order,
    _pooling,
    _statistics,
)
from ..rules._convolution import Steps
from ._specs import ZEROS, row

# ---------------------------------------------------------------- convolution
# (images, kernels, gradients) and how: plain; strided with uneven padding; dilated; groups;
# each channel by itself, and one that leaves pixels unused
_no, _one = ((0, 0), (0, 0)), (1, 1)
_how = [(((1, 2, 3, 3), (2, 2, 2, 2), (1, 2, 2, 2)), Steps(_one, _no, _one, 1)),
        (((2, 1, 3, 4), (1, 1, 2, 3), (2, 1, 2, 2)), Steps((2, 3), ((1, 0), (1, 2)), _one, 1)),
        (((1, 1, 4, 3), (2, 1, 2, 2), (1, 2, 3, 1)), Steps(_one, ((0, 1), (0, 0)), (2, 2), 1)),
        (((1, 4, 2, 2), (2, 2, 1, 2), (1, 2, 2, 1)), Steps(_one, _no, _one, 2)),
        (((1, 2, 3, 2), (2, 1, 2, 1), (1, 2, 1, 1)), Steps((2, 2), _no, _one, 2)),
        (((0, 1, 2, 2), (1, 1, 1, 1), (0, 1, 2, 2)), Steps(_one, _no, _one, 1))]
for (_x, _w, _g), _h in _how:
    row(_convolution._conv2d, "real", "real", shapes=[(_x, _w)], note=str(tuple(_h)),
        call=lambda x, w, h=_h: _convolution._conv2d(x, w, how=h))
    row(_convolution._conv2d_with_bias, "real", "real", "real", shapes=[(_x, _w, _w[:1])],
        call=lambda x, w, b, h=_h: _convolution._conv2d_with_bias(x, w, b, how=h),
        note=str(tuple(_h)))
    row(_convolution._conv2d_dx, "real", "real", shapes=[(_g, _w)], note=str(tuple(_h)),
        call=lambda g, w, h=_h, s=_x: _convolution._conv2d_dx(g, w, into=s, how=h))
    row(_convolution._conv2d_dw, "real", "real", shapes=[(_g, _x)], note=str(tuple(_h)),
        call=lambda g, x, h=_h, s=_w: _convolution._conv2d_dw(g, x, into=s, how=h))

# ---------------------------------------------------------------- with ReLU and pooling
# (images, kernels, pooled results), how and window
for _x, _w, _g, _h, _n in (
        ((1, 1, 4, 5), (2, 1, 2, 2), (1, 2, 1, 2), Steps(_one, _no, _one, 1), (2, 2)),
        ((2, 2, 3, 3), (2, 1, 2, 2), (2, 2, 3, 1), Steps((1, 2), ((1, 0), (0, 1)), _one, 2),
         (1, 2))):
    _cells = np.arange(np.prod(_g)).reshape(_g) % (_n[0] * _n[1] + 1)
    row(_convolution_pooled._pooled, "real", "real", "real", shapes=[(_x, _w, _w[:1])],
        call=lambda x, w, b, h=_h, n=_n: _convolution_pooled.conv2d_relu_max_pool2d(
            x, w, b, h, n), note=f"{_n}", special=False)
    row(_convolution_pooled._pooled_dx, "real", "real", shapes=[(_g, _w)], note=f"{_n}",
        call=lambda g, w, c=_cells, h=_h, s=_x, n=_n: _convolution_pooled._pooled_dx(
            g, w, chosen=c, into=s, how=h, window=n))
    row(_convolution_pooled._pooled_dw, "real", "real", shapes=[(_g, _x)], note=f"{_n}",
        call=lambda g, x, c=_cells, h=_h, s=_w, n=_n: _convolution_pooled._pooled_dw(
            g, x, chosen=c, into=s, how=h, window=n))
# ---------------------------------------------------------------- pooling: (images, windows)
for _x, _n, _windows in (((1, 2, 4, 4), (2, 2), ((2, 2), (2, 2), _no)),
                         ((2, 1, 4, 3), (2, 2), ((3, 2), (2, 1), ((1, 1), (0, 0)))),
                         ((1, 1, 3, 5), (2, 2), ((1, 2), (2, 3), _no)),
                         ((0, 2, 2, 2), (1, 1), ((2, 2), (2, 2), _no))):
    _cells = np.arange(np.prod((*_x[:2], *_n))).reshape(*_x[:2], *_n) % 2
    row(_pooling._pick, shapes=[(_x,)], note=f"the largest {_windows}",
        call=lambda x, w=_windows: _pooling._pick(x, _pooling._maxima(x, windows=w), windows=w))
    row(_pooling._pick, shapes=[(_x,)], note=str(_windows),
        call=lambda x, c=_cells, w=_windows: _pooling._pick(x, c, windows=w))
    row(_pooling._put, shapes=[((*_x[:2], *_n),)], note=str(_windows),
        call=lambda g, c=_cells, w=_windows, i=_x[2:]: _pooling._put(g, c, image=i, windows=w))
    row(_pooling._total, shapes=[(_x,)], note=str(_windows),
        call=lambda x, w=_windows: _pooling._total(x, windows=w))
    row(_pooling._spread, shapes=[((*_x[:2], *_n),)], note=str(_windows),
        call=lambda g, w=_windows, i=_x[2:]: _pooling._spread(g, image=i, windows=w))
ZEROS.append((_pooling._maxima, lambda x: _pooling._maxima(
    np.reshape(x, (1, 1, 1, 3)), windows=((1, 2), (1, 1), _no))))
ZEROS.append((_convolution_pooled._peaks, lambda x: _convolution_pooled._peaks(
    np.reshape(x, (1, 1, 1, 3)), np.ones((1, 1, 1, 2)), np.zeros(1), window=(1, 2),
    how=Steps(_one, _no, _one, 1))[1]))
for _n in (1, 2, 3, 5):
    row(_pooling._parts, shapes=[((1, 2, 3, 2),)], note=f"{_n}",
        call=lambda x, n=_n: _pooling._parts(x, n=n))
    row(_pooling._parts_back, shapes=[((1, 2, _n, 2),)], note=f"{_n}",
        call=lambda g: _pooling._parts_back(g, size=3))

# ---------------------------------------------------------------- normalisation
for _axes in ((0,), (1,), (0, 2)):
    row(_normalization.standardize, shapes=[((2, 3, 2),), ((3, 2, 1),)], note=str(_axes),
        call=lambda x, axes=_axes: _normalization.standardize(x, axes=axes, eps=0.1))

# ---------------------------------------------------------------- the slope of relu
row(_activations._where_positive, "real", "real", shapes=[((3,), (3,)), ((2, 3), (2, 3))])

# ---------------------------------------------------------------- checks of values
ZEROS.append((_checks.check_unit, lambda x: _checks.check_unit(0 * x, "x")))
ZEROS.append((_checks.check_probabilities, lambda x: _checks.check_probabilities(0 * x, "f")))
ZEROS.append((_checks.check_signs, lambda x: _checks.check_signs(0 * x + 1, "f")))
ZEROS.append((_checks.check_labels, lambda x: _checks.check_labels(0 * x, 3, "f")))
ZEROS.append((_checks.check_rows, lambda x: _checks.check_rows(0 * x, 3, "layer")))
ZEROS.append((_statistics.check_total, lambda x: _statistics.check_total(0 * x + 1)))
ZEROS.append((_order.check_choice, lambda x: _order.check_choice(0 * x, 1)))
ZEROS.append((_order._places,
              lambda x: _order._places(x, np.quantile, 0.5, None, "linear", None)))

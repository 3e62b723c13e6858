"""Edges of the rules for calculus, order, statistics, polynomials, forms and ranges."""

import inspect
import time
import warnings

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn._messages import name_of
from tinygrad_nn._table import RULES
from tinygrad_nn.rules import _calculus, _cumulative

A = np.array
NAN, INF = np.nan, np.inf


def forward(f):
    """The gradient of a scalar function, by forward mode."""
    def run(x):
        units = np.eye(x.size).reshape(-1, *x.shape).astype(x.dtype)
        return np.reshape(np.stack([tn.jvp(f, (x,), (u,))[1] for u in units]), x.shape)
    return run


def check(f, x, first, second=None, rtol=1e-12):
    """Gradient of sum(f * 1) in both modes, and the product of its Hessian with ones."""
    def total(x):
        return np.sum(f(x))
    x = A(x, np.float64)
    with np.errstate(all="ignore"):
        for derivative in (tn.grad, forward):
            np.testing.assert_allclose(derivative(total)(x), first, rtol=rtol, atol=1e-14)
            if second is not None:
                for outer in (tn.grad, forward):
                    got = outer(lambda x, d=derivative: np.sum(d(total)(x)))(x)
                    np.testing.assert_allclose(got, second, rtol=rtol, atol=1e-14)


# ---------------------------------------------------------------- products with zeros

def test_products_are_exact_with_zeros():
    check(np.prod, [2.0, 3.0, 4.0], [12, 8, 6], [7, 6, 5])
    check(np.prod, [2.0, 0.0, 4.0], [0, 8, 0], [4, 6, 2])
    check(np.prod, [0.0, 0.0, 4.0], [0, 0, 0], [4, 4, 0])
    check(np.prod, [0.0, 0.0, 0.0], [0, 0, 0], [0, 0, 0])
    check(np.multiply.reduce, [0.0, 3.0], [3, 0], [1, 1])
    check(lambda x: np.prod(x, initial=5.0), [0.0, 3.0], [15, 0], [5, 5])
    check(np.cumprod, [2.0, 0.0, 4.0], [1, 10, 0], [5, 7, 2])
    check(np.cumprod, [0.0, 0.0, 4.0], [1, 0, 0], [5, 5, 0])
    check(lambda x: np.cumprod(x.reshape(2, 2), axis=0), [0.0, 0.0, 0.0, 5.0], [1, 6, 0, 0],
          [1, 1, 1, 1])
    check(np.nanprod, [NAN, 0.0, 3.0], [0, 3, 0], [0, 1, 1])
    check(np.nancumprod, [NAN, 0.0, 3.0], [0, 4, 0], [0, 1, 1])


def test_products_of_the_smallest_and_largest_numbers():
    tiny = 5e-324
    check(np.prod, [1e200, tiny, 1e100], [tiny * 1e100, 1e300, tiny * 1e200])
    check(np.prod, [tiny, 1e-300], [1e-300, tiny])


def test_a_product_of_what_is_not_selected():
    x = A([0.0, 2.0, 3.0])
    check(lambda x: np.prod(np.log(x), where=x > 0), x, [0, np.log(3) / 2, np.log(2) / 3])


def test_long_products_take_linear_time():
    x = np.full(100_000, 1.0)
    start = time.perf_counter()
    g = tn.grad(lambda x: np.sum(np.cumprod(x)))(x)
    tn.grad(np.prod)(x)
    assert time.perf_counter() - start < 5
    np.testing.assert_array_equal(g, np.arange(x.size, 0, -1))


def test_a_recurrence_of_empty_axes():
    for shape, axis in (((0,), 0), ((2, 0), 1), ((0, 3), 0)):
        z = np.zeros(shape)
        assert _cumulative.scan(z, z, axis).shape == shape
        assert tn.grad(lambda x, axis=axis: np.sum(np.cumprod(x, axis)))(z).shape == shape


# ---------------------------------------------------------------- kinks, alike in both modes

@pytest.mark.parametrize("f, x, first", [
    (lambda x: np.max(x, initial=2.0), [1.0, 2.0, 2.0], [0, 1 / 3, 1 / 3]),
    (lambda x: np.max(x, initial=3.0), [1.0, 2.0], [0, 0]),
    (lambda x: np.max(x, where=A([True, True, False]), initial=0.0), [2.0, 2.0, 2.0],
     [0.5, 0.5, 0]),
    (lambda x: np.min(x, where=False, initial=7.0), [1.0, 2.0], [0, 0]),
    (np.nanmax, [3.0, NAN, 3.0], [0.5, 0, 0.5]), (np.nanmin, [NAN, NAN], [0, 0]),
    (np.max, [NAN, 1.0], [0, 0]),
    (lambda x: np.fmax.reduce(x), [1.0, NAN, 1.0], [0.5, 0, 0.5]),
    (np.amax, [3.0, 3.0], [0.5, 0.5]), (np.amin, [3.0, 3.0], [0.5, 0.5]),
    (np.maximum.accumulate, [1.0, 1.0, 0.0, 1.0], [1, 2, 0, 1]),
    (np.minimum.accumulate, [1.0, 2.0, 1.0, 1.0], [2, 0, 1, 1]),
    (np.fmax.accumulate, [NAN, 1.0, NAN, 3.0], [1, 2, 0, 1]),
    (np.maximum.accumulate, [1.0, NAN, 5.0], [1, 2, 0]),
    (np.median, [2.0, 1.0, 2.0, 2.0], [0.5, 0, 0.5, 0]),
    (np.median, [2.0, 2.0, 2.0], [0, 1, 0]),
    (lambda x: np.quantile(x, 0.25), [5.0, 5.0, 5.0, 5.0, 5.0], [0, 1, 0, 0, 0]),
    (lambda x: np.quantile(x, [0.0, 1.0]), [1.0, 2.0, 1.0, 2.0], [1, 0, 0, 1]),
    (np.median, [NAN, 1.0, 2.0], [1, 0, 0]), (np.nanmedian, [NAN, 1.0, 2.0], [0, 0.5, 0.5]),
    (np.std, [3.0, 3.0], [0, 0]), (np.nanstd, [3.0, NAN, 3.0], [0, 0, 0]),
    (np.unique, [2.0, 1.0, 2.0], [1, 1, 0]),
    (lambda x: np.setxor1d(x, [1.0]), [2.0, 1.0, 2.0], [1, 0, 0]),
    (lambda x: np.copysign(x, [-1.0, -1.0, 1.0]), [0.0, 3.0, -2.0], [0, -1, -1]),
    (lambda x: np.copysign(2.0, x), [0.0, -3.0], [0, 0]),
    (lambda x: np.modf(x)[0], [1.0, -2.0, 0.5], [1, 1, 1]),
    (lambda x: np.frexp(x)[0], [1.0, 2.0, 3.0], [0.5, 0.25, 0.25]),
    (lambda x: np.interp(x, [0.0, 1.0, 3.0], [0.0, 2.0, 8.0]), [-1.0, 0, 0.5, 1, 3, 4],
     [0, 2, 2, 3, 3, 0]),
    (lambda y: np.interp([0.0, 1.0, 3.0, 9.0], [0.0, 1.0, 3.0], y), [0.0, 2, 8], [1, 1, 2]),
    (np.unwrap, [0.0, 4.0, 1.0], [1, 1, 1]),
    (lambda x: np.histogram_bin_edges(x, 2), [1.0, 1.0, 1.0], [1, 1, 1]),
])
def test_kinks(f, x, first):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")                     # NumPy's own, of slices of nans
        check(f, x, first, np.zeros(len(x)))


# ---------------------------------------------------------------- structural zeros

@pytest.mark.parametrize("f, first", [
    (lambda x: np.var(np.log(x), where=x > 0), [0, -np.log(4) / 2, np.log(4) / 8]),
    (lambda x: np.nansum(np.where(x > 0, np.log(x), NAN)), [0, 1, 0.25]),
    (lambda x: np.nansum(np.sqrt(x - 0.75)), [0, 1, 0.5 / np.sqrt(3.25)]),
    (lambda x: np.nanmean(np.sqrt(x - 1)[[0, 2]]), [0, 0, 0.5 / np.sqrt(3)]),
    (lambda x: np.nanvar(np.sqrt(x - 1)[[0, 2]]), [0, 0, 0]),
    (lambda x: np.nanmax(np.sqrt(x - 1)), [0, 0, 0.5 / np.sqrt(3)]),
    (lambda x: np.nanmedian(np.sqrt(x - 1)[[0, 2]]), [0, 0, 0.5 / np.sqrt(3)]),
    (lambda x: np.median(np.log(x)), [0, 1, 0]), (lambda x: np.amax(np.log(x)), [0, 0, 0.25]),
    (lambda x: np.max(np.log(x), where=x > 0, initial=-9.0), [0, 0, 0.25]),
    (lambda x: np.quantile(np.log(x), 0.75), [0, 0.5, 0.125]),
    (lambda x: np.percentile(np.log(x), [50, 100]), [0, 1, 0.25]),
    (lambda x: np.unique(np.log(x))[1:], [0, 1, 0.25]),
    (lambda x: np.compress(x > 0, np.log(x)), [0, 1, 0.25]),
    (lambda x: np.extract(x > 0, np.log(x)), [0, 1, 0.25]),
    (lambda x: np.choose([1, 0, 0], [np.log(x), x * x]), [0, 1, 0.25]),
    (lambda x: np.piecewise(x, [x > 0], [np.log, lambda v: v * v]), [0, 1, 0.25]),
    (lambda x: np.delete(np.log(x), 0), [0, 1, 0.25]),
    (lambda x: np.resize(np.log(x)[1:], 4), [0, 2, 0.5]),
    (lambda x: np.trim_zeros(np.where(x > 0, np.log(x), 0.0)), [0, 0, 0.25]),
    (lambda x: np.maximum.accumulate(np.log(x))[1:], [0, 1, 0.25]),
    (lambda x: np.unstack(np.log(x))[2] if hasattr(np, "unstack") else np.log(x)[2],
     [0, 0, 0.25]),
    (lambda x: np.lib.stride_tricks.sliding_window_view(np.log(x), 2)[1], [0, 1, 0.25]),
    (lambda x: np.broadcast_arrays(np.log(x), np.ones((2, 1)))[0][:, 1:], [0, 2, 0.5]),
    (lambda x: np.fft.fftshift(np.log(x))[[0, 2]], [0, 1, 0.25]),
    (lambda x: np.where(x > 0, np.unwrap(np.log(x)), 0.0), [0, 1, 0.25]),
])
def test_what_is_left_out_has_gradient_zero(f, first):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(f, [0.0, 1.0, 4.0], first)
        assert not np.isnan(tn.hessian(lambda x: np.sum(f(x)))(A([0.0, 2.0, 4.0]))).any()


# ---------------------------------------------------------------- values where numbers end

@pytest.mark.parametrize("f", [
    np.median, np.nanmedian, np.max, np.nanmin, np.nansum, np.nanprod, np.cumprod, np.nanmean,
    lambda x: np.quantile(x, [0, 0.5, 1.0]), lambda x: np.nanquantile(x, [0.1, 0.5]),
    lambda x: np.quantile(x, 0.5, method="averaged_inverted_cdf"), np.unique, np.unwrap,
    lambda x: np.interp(x, [0.0, 1.0], [-INF, 3.0]),
    lambda x: np.interp([0.5, NAN], [0, 1], x[:2]),
    lambda x: np.interp([-1, 0.0, 0.5, 1.0, 2.5], np.arange(x.size), x), np.sinc, np.modf,
    lambda x: np.unique(x, equal_nan=False), np.poly, lambda x: np.frexp(x)[0], np.trapezoid,
])
@pytest.mark.parametrize("x", [[1.0, NAN, INF, 2.0], [INF, INF, -INF], [NAN, NAN], [-INF, 3.0],
                               [0.0, -0.0, 5e-324], [1e300, 1e300, -1e300]])
def test_values_are_numpys(f, x):
    for dtype in (np.float64, np.float32):
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            v = A(x).astype(dtype)
            want, got = f(v), f(tn.Tensor(v))
        for w, g in zip(*((y if isinstance(y, tuple) else (y,)) for y in (want, got)),
                        strict=True):
            g = g.data if isinstance(g, tn.Tensor) else g
            np.testing.assert_allclose(g, w, rtol=1e-6 if dtype is np.float32 else 1e-13)
            assert g.dtype == w.dtype


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("q", [0.3, np.float32(0.3), np.float64(0.3), [0.3], A([0.3, 0.5])])
def test_quantiles_have_numpys_dtype(dtype, q):
    x = np.arange(7, dtype=dtype)
    for method in ("linear", "inverted_cdf", "midpoint"):
        got = np.quantile(tn.Tensor(x), q, method=method)
        want = np.quantile(x, q, method=method)
        assert got.dtype == want.dtype and got.shape == want.shape
        np.testing.assert_array_equal(got.data, want)


def test_quantiles_of_steps_select_what_numpy_selects():
    for n in (3, 10, 100):
        x = np.random.default_rng(n).normal(size=n)
        for method in ("inverted_cdf", "closest_observation", "lower", "higher", "nearest"):
            for q in np.linspace(0, 1, 21):
                for dtype in (np.float64, np.float32):
                    v = x.astype(dtype)
                    g = tn.grad(lambda v, q=q, m=method: np.quantile(v, q, method=m) * 1.0)(v)
                    assert v[np.argmax(g)] == np.quantile(v, q, method=method)
                    assert g.sum() == 1


def test_quantiles_by_weights():
    x, w = A([3.0, 1.0, 2.0]), A([1.0, 1.0, 8.0])
    check(lambda x: np.quantile(x, [0.1, 0.5], weights=w, method="inverted_cdf"), x, [0, 1, 1])
    check(lambda x: np.nanquantile(x, 0.5, weights=w, method="inverted_cdf"), [3.0, 1.0, NAN],
          [0, 1, 0])


# ---------------------------------------------------------------- smooth at every point

def test_sinc_is_smooth_at_zero():
    f = np.sinc
    for order, want in enumerate((0, -np.pi**2 / 3, 0, np.pi**4 / 5, 0, -np.pi**6 / 7)):
        f = tn.grad(f)
        np.testing.assert_allclose(f(0.0), want, rtol=1e-12, atol=1e-12, err_msg=str(order))
    np.testing.assert_allclose(tn.grad(np.sinc)(1e-9), -np.pi**2 / 3 * 1e-9, rtol=1e-12)
    np.testing.assert_allclose(tn.grad(np.sinc)(1e-300), -np.pi**2 / 3 * 1e-300, rtol=1e-12)
    np.testing.assert_allclose(tn.grad(np.sinc)(1e8), 1e-8, rtol=1e-6)


@pytest.mark.parametrize("order", range(7))
def test_the_forms_of_sinc_agree_where_they_meet(order):
    z = max(order / 2, 1)
    near, far = _calculus._sine_ratio(A([z, np.nextafter(z, 9)]), order=order)
    np.testing.assert_allclose(near, far, atol=1e-15)


def test_i0_is_smooth_and_large():
    f = np.i0
    for want in (0, 0.5, 0, 3 / 8, 0, 5 / 16):                  # DLMF 10.25.2, term by term
        f = tn.grad(f)
        np.testing.assert_allclose(f(0.0), want, atol=1e-15)
    for x, want in ((0.5, 0.2578943053908963), (-7.9, -363.8539440845083),     # I_1, mpmath
                    (8.1, 439.4843089103586), (700.0, 1.528500390233901e302)):
        np.testing.assert_allclose(tn.grad(np.i0)(x), want, rtol=1e-14)
    assert tn.grad(np.i0)(np.float32(80)) > 1e33


def test_correlations_of_equal_variables():
    x = A([[1.0, 2.0, 4.0], [2.0, 4.0, 8.0]])
    np.testing.assert_allclose(tn.grad(lambda x: np.sum(np.corrcoef(x)))(x), 0, atol=1e-15)
    assert np.abs(np.corrcoef(tn.Tensor(x)).data).max() <= 1


def test_vander_and_polyval_at_zero():
    check(lambda x: np.vander(x, 3), [0.0], [1], [2])
    check(lambda x: np.polyval([3.0, 2.0, 1.0], x), [0.0], [2], [6])


def test_powers_with_exponent_zero_have_mixed_derivatives():
    def slope(b):
        return tn.grad(lambda a: a ** b)(2.0)
    for derivative in (tn.grad, lambda f: lambda b: tn.jvp(f, (b,), (1.0,))[1]):
        np.testing.assert_allclose(derivative(slope)(0.0), 0.5)


# ---------------------------------------------------------------- containers

def test_results_have_numpys_containers():
    t = tn.Tensor(A([3.0, 1.0, 3.0, 2.0]))
    counts = np.unique_counts(t)
    assert type(counts) is type(np.unique_counts(t.data)) and counts.values.shape == (3,)
    np.testing.assert_array_equal(counts.counts, [1, 1, 2])
    whole = np.unique_all(t)
    np.testing.assert_array_equal(t.data[whole.indices], whole.values.data)
    values, first, inverse, count = np.unique(t, True, True, True)
    np.testing.assert_array_equal(values.data[inverse], t.data)
    np.testing.assert_array_equal(first, [1, 3, 0])
    np.testing.assert_array_equal(count, [1, 1, 2])
    m = tn.Tensor(np.ones((3, 3)))
    for run in (np.gradient, np.meshgrid, np.broadcast_arrays, lambda x: np.meshgrid(x, x),
                lambda x: np.broadcast_arrays(x, x), lambda x: np.atleast_3d(x, x), np.modf,
                lambda x: np.average(x, returned=True), lambda x: np.polydiv(x[0], x[0]),
                lambda x: np.meshgrid(x, x, sparse=True, copy=False), np.frexp,
                lambda x: np.dsplit(x[None], 3),
                lambda x: np.linspace(x, 2.0, 3, retstep=True)):
        got, want = run(m), run(m.data)
        assert type(got) is type(want) and len(got) == len(want)
    assert isinstance(np.gradient(m, axis=0), tn.Tensor)
    if hasattr(np, "unstack"):
        assert type(np.unstack(m)) is tuple
    h, edges = np.histogram([1.0, 2.0, 2.5], 2, weights=tn.Tensor(np.ones(3)))
    assert isinstance(h, tn.Tensor) and type(edges) is np.ndarray


def test_zero_parts_are_plain():
    t = tn.Tensor(A([1.5, -2.25]))
    for plain in (np.modf(t)[1], np.frexp(t)[1], np.unique(t, return_index=True)[1],
                  np.copysign(2.0, t), np.average(t, returned=True)[1],
                  np.logical_and.reduce(t),
                  np.full_like(t, 3.0), np.real_if_close(t.data), np.imag(t), np.angle(t)):
        assert not isinstance(plain, tn.Tensor)
    assert isinstance(np.full_like(t, t[0]), tn.Tensor)


# ---------------------------------------------------------------- functions of ufuncs

def test_reduce_and_accumulate_of_axes_and_empties():
    x = np.arange(1.0, 7.0).reshape(1, 2, 3)
    t = tn.Tensor(x)
    for f in (np.multiply, np.maximum, np.fmin, np.logaddexp, np.hypot, np.logaddexp2):
        np.testing.assert_allclose(f.reduce(t, axis=None).data, f.reduce(x, axis=None))
        np.testing.assert_allclose(f.reduce(t, (0, 2), keepdims=True).data,
                                   f.reduce(x, (0, 2), keepdims=True))
    with pytest.raises(ValueError, match="order matters"):
        np.divide.reduce(t, axis=(0, 1))
    empty = tn.Tensor(np.zeros((0, 2)))
    np.testing.assert_array_equal(np.hypot.reduce(empty), [0, 0])
    np.testing.assert_array_equal(np.multiply.reduce(empty).data, [1, 1])
    assert np.subtract.accumulate(empty).shape == (0, 2)
    with pytest.raises(ValueError, match="no identity"):
        np.subtract.reduce(empty)
    with pytest.raises(IndexError, match=r"0 \.\. 2"):
        np.add.reduceat(tn.Tensor(np.ones(3)), [0, 3])


def test_at_writes_in_place():
    for run in (lambda t: np.add.at(np.zeros(2), [0], t), lambda t: np.add.at(t, [0], 1.0),
                lambda t: np.maximum.at(np.zeros(2), [0], t)):
        with pytest.raises(tn.DetachError, match=r"\.at writes .*np\.bincount.*np\.where"):
            run(tn.Tensor([1.0]))


# ---------------------------------------------------------------- refusals say what to do

T = tn.Tensor(A([[1.0, 2.0], [3.0, 5.0]]))
INTS = A([0, 1])


@pytest.mark.parametrize("run, message", [
    (lambda: np.copyto(np.zeros((2, 2)), T), r"np\.copyto .*np\.where\(mask, src, dst\)"),
    (lambda: np.full((2, 2), T, float), r"np\.broadcast_to\(x, shape\) a full one"),
    (lambda: np.put(T, INTS, 1.0), r"np\.put .*writes into its first argument: np\.where"),
    (lambda: np.put_along_axis(T, INTS[None], 0.0, 0), r"np\.put_along_axis\(mask, indices"),
    (lambda: np.place(T, T.data > 2, [0.0]), r"np\.place .*np\.where\(mask, new, x\)"),
    (lambda: np.putmask(T, T.data > 2, 0.0), r"np\.putmask .*np\.where\(mask, new, x\)"),
    (lambda: np.fill_diagonal(T, 0.0), r"np\.eye\(n, dtype=bool\)"),
    (lambda: np.bitwise_and(T, 1), r"integers\. Pass \.data\.astype\(int\)"),
    (lambda: np.gcd(T, 2), r"np\.gcd of a Tensor is refused"),
    (lambda: np.ix_(T[0], T[1]), r"np\.ix_ .*indices"),
    (lambda: np.sort_complex(T), "complex"), (lambda: np.fft.rfft(T), r"np\.convolve"),
    (lambda: np.emath.sqrt(T), r"np\.sqrt stays within"),
    (lambda: np.emath.logn(2, T), r"np\.log\(x\) / np\.log\(n\)"),
    (lambda: np.save("nowhere", T), r"pass \.data"),
    (lambda: np.savez("nowhere", T), r"pass \.data"),
    (lambda: np.roots(T[0]), r"Newton step, r - np\.polyval"),
    (lambda: np.poly(T), r"eigenvalues.*np\.linalg\.eigvalsh"),
    (lambda: np.polyval(np.poly1d([1.0, 2.0]), T), r"np\.polyval .*\.coeffs"),
    (lambda: np.polymul(np.poly1d([1.0, 2.0]), T[0]), r"np\.polymul .*\.coeffs"),
    (lambda: np.intersect1d(T, T), r"np\.isin"), (lambda: np.histogram(T), r"weights="),
    (lambda: np.histogram([1.0, 2.0], bins=T[0]), r"weights="),
    (lambda: np.histogramdd(T), r"counts.*weights="), (lambda: np.bincount(T[0]), r"weights="),
    (lambda: np.histogram2d(T[0], T[1]), r"counts: a step function"),
    (lambda: np.histogram_bin_edges(T, "auto"), r"pass \.data"),
    (lambda: np.convolve(T[0], T[1], "middle"), r"mode"),
    (lambda: np.insert(np.arange(3), 0, T[0]), r"int.*\.astype\(float\)"),
    (lambda: np.hypot.reduce(T, where=T.data > 1), r"np\.hypot\.reduce .*where="),
    (lambda: np.quantile(T, T[0] / 9), r"with respect to q="),
    (lambda: np.quantile(T, 0.5, overwrite_input=True), "overwrite_input="),
    (lambda: np.lib.stride_tricks.sliding_window_view(T, (1, 1), writeable=True), "writeable"),
])
def test_refusals(run, message):
    with pytest.raises((tn.NoRuleError, ValueError), match=message):
        run()


@pytest.mark.parametrize("run, message", [
    (lambda: np.choose([0, 2], [T, 1.0]), r"an index is not in 0 \.\. 1"),
    (lambda: np.interp(T, [0.0, 1.0], [1.0]), r"shapes \(2,\) and \(1,\)"),
    (lambda: np.diff(T, axis=2), "axis 2 is out of bounds"),
    (lambda: np.diff(T, n=-1), "non-negative"),
    (lambda: np.gradient(T, 1.0, 2.0, 3.0), "number"),
    (lambda: np.gradient(T, edge_order=2), "too small"),
    (lambda: np.cov(T[None]), "at most 2"),
    (lambda: np.cov(T, aweights=[1.0]), "observations"),
    (lambda: np.cov(T, fweights=[0.5, 1]), "integer"), (lambda: np.dsplit(T, 2), "3 or more"),
    (lambda: np.average(T, weights=[1.0, 1.0]), "Axis must be specified"),
    (lambda: np.average(T, 0, [1.0, 1.0, 1.0]), "consistent"),
    (lambda: np.average(T, weights=T * 0), "sum to zero"),
    (lambda: np.var(T, ddof=1, correction=2), "simultaneously"),
    (lambda: np.lib.stride_tricks.sliding_window_view(T, (3, 1)), "does not fit"),
    (lambda: np.rollaxis(T, 2), "out of bounds"), (lambda: np.geomspace(0.0, T, 3), "zero"),
    (lambda: np.resize(T, (-1,)), "non-negative"), (lambda: np.trim_zeros(T[0], "x"), "trim"),
    (lambda: np.vander(T), "one-dimensional"), (lambda: np.polyfit(T, T, 1), "1-d x"),
    (lambda: np.correlate(T, T), "1-d"), (lambda: np.convolve(T, T), "deep|dim"),
    (lambda: np.meshgrid(T, indexing="yx"), "xy"), (lambda: np.polyder(T[0], -1), "positive"),
    (lambda: np.ediff1d(T.data.astype(int), to_end=T), "dtype|ends of"),
    (lambda: np.piecewise(T, [T > 1], [1.0, 2.0, 3.0]), "functions are expected"),
    (lambda: np.histogram([1.0], weights=T), "same shape"),
])
def test_wrong_arguments_raise_as_in_numpy(run, message):
    with pytest.raises((ValueError, TypeError, IndexError, ZeroDivisionError, RuntimeError),
                       match=message):
        run()


def test_averages_of_nothing_warn_as_in_numpy():
    t = tn.Tensor(A([NAN, NAN]))
    for f in (np.nanmean, np.nanvar, np.nanmax, np.nanmedian):
        with pytest.warns(RuntimeWarning):
            assert np.isnan(f(t).data)


# ---------------------------------------------------------------- what composites do not take

def test_composites_take_numpys_arguments_in_numpys_order():
    for fn, rule in RULES.items():
        if rule.kind != "composite" or isinstance(fn, np.ufunc) or not rule.names:
            continue
        ours = [p.name for p in inspect.signature(rule.run).parameters.values()
                if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        theirs = [p.name for p in inspect.signature(fn).parameters.values()
                  if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) and p.name != "out"]
        ours = [n for n in ours if n != "out"]
        assert ours[:len(theirs)] == theirs[:len(ours)], name_of(fn)


def test_arguments_by_position():
    t = tn.Tensor(A([[1.0, 2.0], [4.0, 7.0]]))
    for fn, *args in (
            (np.var, 0, None, None, 1, True), (np.take, [0], 0, None, "wrap"),
            (np.median, 0, None, False, True), (np.prod, 0, None, None, True),
            (np.quantile, 0.3, 0, None, False, "lower", True), (np.max, 0, None, True),
            (np.nanmean, 0, None, None, True), (np.nansum, 0, None, None, True),
            (np.ptp, 0, None, True), (np.clip, 2.0, 3.0, None), (np.std, 0, None, None, 1)):
        np.testing.assert_array_equal(fn(t, *args).data, fn(t.data, *args))
    np.testing.assert_array_equal(np.choose([0, 1], t, None, "clip").data, [1, 7])
    out = np.zeros(2)
    for run in (lambda: np.var(t, 0, None, out), lambda: np.take(t, 0, 0, out),
                lambda: np.median(t, 0, out), lambda: np.max(t, 0, out),
                lambda: np.sum(t, 0, None, out)):
        with pytest.raises(tn.DetachError, match="out="):
            run()


@pytest.mark.parametrize("run, name", [
    (lambda: np.clip(T, 0, 1, dtype=float), "dtype"),
    (lambda: np.clip(T, 0, 1, where=True), "where"),
    (lambda: np.median(T, axis=0, overwrite_input=True), "overwrite_input"),
    (lambda: np.pad(T, 1, mode="linear_ramp", end_values=1), "linear_ramp|end_values"),
    (lambda: np.sum(T, dtype=float, where=T), "where"),
])
def test_a_keyword_without_a_rule_is_named(run, name):
    with pytest.raises(tn.NoRuleError, match=name):
        run()


@pytest.mark.parametrize("fn", [np.sum, np.mean, np.var, np.prod])
def test_what_where_leaves_out_has_gradient_zero_in_both_modes(fn):
    def f(x):
        with np.errstate(all="ignore"):
            return fn(np.log(x), where=x > 0)
    x = A([1.0, 0.0, 2.0])
    reverse = tn.grad(f)(x)
    forward = [tn.jvp(f, (x,), (unit,))[1] for unit in np.eye(3)]
    assert reverse[1] == 0
    np.testing.assert_allclose(forward, reverse, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("run", [
    lambda out: np.concatenate([T, T], 0, out), lambda out: np.stack([T, T], 0, out),
    lambda out: np.dot(T, T, out), lambda out: np.outer(T, T, out),
    lambda out: np.trace(T, 0, 0, 1, None, out)])
def test_out_by_position_is_refused(run):
    with pytest.raises(tn.DetachError, match="out="):
        run(np.zeros(3))


def test_take_along_axis_of_all_axes_wants_flat_indices():
    for x in (T, T.data):
        with pytest.raises(ValueError, match=r"indices|one axis"):
            np.take_along_axis(x, np.array([[0, 1]]), None)
    np.testing.assert_array_equal(np.take_along_axis(T, A([3, 0]), None).data, [5, 1])

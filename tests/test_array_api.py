"""Code written for the Python array API standard runs on Tensors and can be differentiated."""

import re

import numpy as np
import pytest
from derivatives import boxes

import tinygrad_nn as tn
from tinygrad_nn import Tensor

try:
    import array_api_extra as xpx
except ImportError:
    xpx = None

A = np.array
NUMPY = np.lib.NumpyVersion(np.__version__)
X = A([0.3, -0.7, 1.2])
M = A([[0.3, -0.7, 1.2], [2.1, 0.4, -1.5]])
S = A([[2.0, 0.3], [0.3, 1.0]])


# ---------------------------------------------------------------- the namespace

def test_the_namespace_is_numpy():
    newest = "2023.12" if NUMPY >= "2.1.0" else "2022.12"
    for x in boxes(M):
        assert x.__array_namespace__() is np
        assert x.__array_namespace__(api_version=newest) is np
        assert x.__array_namespace__(api_version=None) is np
        for unknown in ("1900.01", "2999.12"):                  # as NumPy's arrays say
            with pytest.raises(ValueError, match=re.escape(unknown)):
                x.__array_namespace__(api_version=unknown)
        with pytest.raises(TypeError):
            x.__array_namespace__(newest)                       # by keyword only


def test_the_attributes_of_the_standards_array():
    for x in boxes(M):
        assert (x.shape, x.ndim, x.size, x.dtype) == ((2, 3), 2, 6, np.float64)
        assert x.device == "cpu" and x.T.shape == x.mT.shape == (3, 2)
        assert x.to_device("cpu").shape == (2, 3)


# ---------------------------------------------------------------- functions of the standard
# The differentiable names that the standard has and older code does not use, with a call.

STANDARD = {
    "abs": lambda xp, x: xp.abs(x), "acos": lambda xp, x: xp.acos(x / 2),
    "acosh": lambda xp, x: xp.acosh(x * x + 2), "add": lambda xp, x: xp.add(x, x),
    "asin": lambda xp, x: xp.asin(x / 2), "asinh": lambda xp, x: xp.asinh(x),
    "astype": lambda xp, x: xp.astype(x, xp.float64),
    "astype, copy": lambda xp, x: xp.astype(x, xp.float64, copy=False),
    "atan": lambda xp, x: xp.atan(x), "atan2": lambda xp, x: xp.atan2(x, x + 5),
    "atanh": lambda xp, x: xp.atanh(x / 2),
    "broadcast_arrays": lambda xp, x: xp.broadcast_arrays(x, M)[0],
    "broadcast_to": lambda xp, x: xp.broadcast_to(x, (2, 3)),
    "clip": lambda xp, x: xp.clip(x, min=-0.5, max=1.0),
    "concat": lambda xp, x: xp.concat([x, X, x]),
    "concat, axis": lambda xp, x: xp.concat((x[None], M), axis=0),
    "copysign": lambda xp, x: xp.copysign(x, X),
    "cumulative_prod": lambda xp, x: xp.cumulative_prod(x),
    "cumulative_sum": lambda xp, x: xp.cumulative_sum(x, include_initial=True),
    "diff": lambda xp, x: xp.diff(x, prepend=x[:1] * 2),
    "divide": lambda xp, x: xp.divide(1, x),
    "exp": lambda xp, x: xp.exp(x), "expand_dims": lambda xp, x: xp.expand_dims(x, axis=1),
    "expm1": lambda xp, x: xp.expm1(x), "flip": lambda xp, x: xp.flip(x),
    "hypot": lambda xp, x: xp.hypot(x, 2.0),
    "linalg.cholesky": lambda xp, x: xp.linalg.cholesky(S + x[0] * x[0]),
    "linalg.cross": lambda xp, x: xp.linalg.cross(x, X[::-1]),
    "linalg.det": lambda xp, x: xp.linalg.det(S * x[0]),
    "linalg.diagonal": lambda xp, x: xp.linalg.diagonal(x[:, None] * X),
    "linalg.eigvalsh": lambda xp, x: xp.linalg.eigvalsh(S * x[0]),
    "linalg.inv": lambda xp, x: xp.linalg.inv(S * x[0]),
    "linalg.matmul": lambda xp, x: xp.linalg.matmul(M, x),
    "linalg.matrix_norm": lambda xp, x: xp.linalg.matrix_norm(M * x),
    "linalg.matrix_power": lambda xp, x: xp.linalg.matrix_power(S * x[0], 3),
    "linalg.matrix_transpose": lambda xp, x: xp.linalg.matrix_transpose(M * x),
    "linalg.outer": lambda xp, x: xp.linalg.outer(x, x),
    "linalg.pinv": lambda xp, x: xp.linalg.pinv(M * x),
    "linalg.slogdet": lambda xp, x: xp.linalg.slogdet(S * x[2]).logabsdet,
    "linalg.solve": lambda xp, x: xp.linalg.solve(S, x[:2]),
    "linalg.svdvals": lambda xp, x: xp.linalg.svdvals(M * x),
    "linalg.tensordot": lambda xp, x: xp.linalg.tensordot(M * x, M, axes=2),
    "linalg.trace": lambda xp, x: xp.linalg.trace(x[:, None] * X),
    "linalg.vecdot": lambda xp, x: xp.linalg.vecdot(M, x),
    "linalg.vector_norm": lambda xp, x: xp.linalg.vector_norm(x, ord=3),
    "log1p": lambda xp, x: xp.log1p(x * x), "logaddexp": lambda xp, x: xp.logaddexp(x, X),
    "matmul": lambda xp, x: xp.matmul(M, x),
    "matrix_transpose": lambda xp, x: xp.matrix_transpose(M * x),
    "max": lambda xp, x: xp.max(x), "maximum": lambda xp, x: xp.maximum(x, 0.0),
    "mean": lambda xp, x: xp.mean(x, keepdims=True),
    "meshgrid": lambda xp, x: xp.meshgrid(x, X, indexing="ij")[0],
    "moveaxis": lambda xp, x: xp.moveaxis(M * x, 0, 1),
    "multiply": lambda xp, x: xp.multiply(x, X), "negative": lambda xp, x: xp.negative(x),
    "permute_dims": lambda xp, x: xp.permute_dims(M * x, (1, 0)),
    "positive": lambda xp, x: xp.positive(x), "pow": lambda xp, x: xp.pow(x, 3),
    "prod": lambda xp, x: xp.prod(x), "real": lambda xp, x: xp.real(x),
    "reciprocal": lambda xp, x: xp.reciprocal(x),
    "remainder": lambda xp, x: xp.remainder(x, 0.9),
    "repeat": lambda xp, x: xp.repeat(x, A([1, 0, 2])),
    "reshape": lambda xp, x: xp.reshape(x, (3, 1)),
    "roll": lambda xp, x: xp.roll(x, 1), "sort": lambda xp, x: xp.sort(x, stable=True),
    "sort, descending": lambda xp, x: xp.flip(xp.sort(x)),
    "sqrt": lambda xp, x: xp.sqrt(x * x + 1), "square": lambda xp, x: xp.square(x),
    "squeeze": lambda xp, x: xp.squeeze(x[None], axis=0),
    "stack": lambda xp, x: xp.stack([x, X], axis=1),
    "std": lambda xp, x: xp.std(x, correction=1), "subtract": lambda xp, x: xp.subtract(x, X),
    "sum": lambda xp, x: xp.sum(x, dtype=xp.float64),
    "take": lambda xp, x: xp.take(x, A([2, 2])),
    "take_along_axis": lambda xp, x: xp.take_along_axis(x, A([1, 0]), axis=0),
    "tanh": lambda xp, x: xp.tanh(x), "tensordot": lambda xp, x: xp.tensordot(M, x, axes=1),
    "tile": lambda xp, x: xp.tile(x, (2, 1)), "tril": lambda xp, x: xp.tril(M * x),
    "triu": lambda xp, x: xp.triu(M * x, k=1), "trunc": lambda xp, x: xp.trunc(x) * x,
    "unstack": lambda xp, x: xp.unstack(M * x, axis=1)[2],
    "var": lambda xp, x: xp.var(x, correction=1), "vecdot": lambda xp, x: xp.vecdot(M, x),
    "where": lambda xp, x: xp.where(x > 0, x, x * x),
}


@pytest.mark.parametrize("name", STANDARD)
def test_functions_of_the_standard(name):
    if not hasattr(np.linalg if "linalg" in name else np, name.split(",")[0].split(".")[-1]):
        pytest.skip(f"this NumPy has no {name}")
    if name == "clip" and NUMPY < "2.1.0":
        pytest.skip("this NumPy's clip does not take min= and max= yet")
    f = lambda x: STANDARD[name](x.__array_namespace__(), x)
    w = Tensor(X)
    y = f(w)
    assert isinstance(y, Tensor)
    np.testing.assert_allclose(y.data, f(X), rtol=1e-14)
    assert tn.gradcheck(f, X)


@pytest.mark.parametrize("call", [
    lambda xp, x: xp.any(x > 0), lambda xp, x: xp.argmax(x), lambda xp, x: xp.argsort(x),
    lambda xp, x: xp.count_nonzero(x), lambda xp, x: xp.isfinite(x), lambda xp, x: xp.floor(x),
    lambda xp, x: xp.nonzero(x)[0], lambda xp, x: xp.signbit(x),
    lambda xp, x: xp.zeros_like(x), lambda xp, x: xp.full_like(x, 2.0),
    lambda xp, x: xp.searchsorted(xp.sort(x), 0.0),
    lambda xp, x: A(xp.finfo(x.dtype).eps), lambda xp, x: A(xp.isdtype(x.dtype, "integral")),
    lambda xp, x: A(xp.result_type(x, xp.float32) == xp.float64), lambda xp, x: xp.sign(x)])
def test_functions_without_a_derivative_give_numpys_values(call):
    got = call(np, Tensor(X))
    assert not isinstance(got, Tensor)
    np.testing.assert_array_equal(got, call(np, X))


def test_the_fill_value_of_full_like_is_not_detached():
    """Its gradient either arrives or is refused."""
    fill = lambda t: np.sum(np.full_like(X, t) if not isinstance(t, Tensor) else
                            np.full_like(X * t, t))
    try:
        g = tn.grad(fill)(2.0)
    except (tn.TinygradError, TypeError):
        return
    assert g == 3


# ---------------------------------------------------------------- programs for the standard

def layer_norm(x, eps=1e-5):
    xp = x.__array_namespace__()
    mean = xp.mean(x, axis=-1, keepdims=True)
    var = xp.var(x, axis=-1, keepdims=True, correction=0)
    return (x - mean) / xp.sqrt(var + eps)


def pairwise_distances(x):
    xp = x.__array_namespace__()
    d = xp.expand_dims(x, axis=0) - xp.expand_dims(x, axis=1)
    return xp.sqrt(xp.sum(xp.pow(d, 2), axis=-1) + xp.eye(x.shape[0], dtype=x.dtype))


def attention(x):
    xp = x.__array_namespace__()
    scores = x @ xp.permute_dims(x, (1, 0)) / x.shape[-1] ** 0.5
    weights = xp.exp(scores - xp.max(scores, axis=-1, keepdims=True))
    return (weights / xp.sum(weights, axis=-1, keepdims=True)) @ x


@pytest.mark.parametrize("f", [layer_norm, pairwise_distances, attention])
def test_programs_for_the_standard(f):
    np.testing.assert_allclose(f(Tensor(M)).data, f(M), rtol=1e-14)
    assert tn.gradcheck(f, M, order=2)
    assert f(Tensor(M.astype("f4"))).dtype == np.float32


# ---------------------------------------------------------------- a library for the standard

needs_library = pytest.mark.skipif(xpx is None, reason="array_api_extra is not installed")
WITH_NAN = A([1.0, np.nan, 3.0])

LIBRARY = {     # functions of array_api_extra, their arguments
    "create_diagonal": (lambda x: xpx.create_diagonal(x), X),
    "create_diagonal above": (lambda x: xpx.create_diagonal(x, offset=2), X),
    "create_diagonal below": (lambda x: xpx.create_diagonal(x, offset=-1), X),
    "kron": (lambda x, m: xpx.kron(x, m), X, M),
    "kron of matrices": (lambda a, b: xpx.kron(a, b), M, S),
    "cov": (lambda m: xpx.cov(m), M), "cov of a vector": (lambda x: xpx.cov(x), X),
    "cov, correction": (lambda m: xpx.cov(m, correction=0), M),
    "pad": (lambda m: xpx.pad(m, 1), M),
    "pad, pairs": (lambda m: xpx.pad(m, [(0, 1), (2, 0)], constant_values=3.0), M),
    "atleast_nd": (lambda m: xpx.atleast_nd(m, ndim=4) * 2, M),
    "sinc": (lambda x: xpx.sinc(x), X), "deg2rad": (lambda x: xpx.deg2rad(x), X),
    "rad2deg": (lambda x: xpx.rad2deg(x), X),
    "partition": (lambda m: xpx.partition(m, 1, axis=1)[:, 1], M),
    "nansum": (lambda x: xpx.nansum(x * WITH_NAN), X),
    "nanmean": (lambda x: xpx.nanmean(x * WITH_NAN), X),
    "nanmax": (lambda x: xpx.nanmax(x * WITH_NAN), X),
    "nanmin": (lambda x: xpx.nanmin(x * WITH_NAN), X),
    "together": (lambda x, m: xpx.pad(xpx.cov(xpx.kron(m, x[None])), 1)
                 @ xpx.create_diagonal(xpx.atleast_nd(x, ndim=1)[:1] * np.ones(4)), X, M),
}


@needs_library
@pytest.mark.filterwarnings("ignore::DeprecationWarning")       # some moved to the standard
@pytest.mark.parametrize("name", LIBRARY)
def test_functions_of_array_api_extra(name):
    f, *args = LIBRARY[name]
    with np.errstate(all="ignore"):
        y = f(*map(Tensor, args))
        assert isinstance(y, Tensor)
        np.testing.assert_allclose(y.data, f(*args), rtol=1e-13)
        assert tn.gradcheck(f, *args)
    leaves = list(map(Tensor, args))
    np.sum(f(*leaves) ** 2).backward()
    for w, g in zip(leaves, tn.grad(lambda *xs: np.sum(f(*xs) ** 2), range(len(args)))(*args),
                    strict=True):
        np.testing.assert_array_equal(w.grad, g)


@needs_library
def test_gradients_of_the_library_by_hand():
    np.testing.assert_array_equal(
        tn.grad(lambda x: np.sum(xpx.create_diagonal(x) * np.arange(9.0).reshape(3, 3)))(X),
        [0, 4, 8])
    np.testing.assert_array_equal(
        tn.grad(lambda m: np.sum(xpx.pad(m, 1) * np.arange(20.0).reshape(4, 5)))(M),
        [[6, 7, 8], [11, 12, 13]])
    np.testing.assert_allclose(tn.grad(lambda x: xpx.cov(x))(X), X - X.mean(), rtol=1e-14)


@needs_library
def test_what_writes_in_place_is_refused():
    """`at(x)[i].set` writes into arrays: not silently into a Tensor's values."""
    w = Tensor(X)
    with pytest.raises(tn.DetachError):
        xpx.at(w, 0).set(5.0)
    np.testing.assert_array_equal(w.data, X)
    with pytest.raises(tn.DetachError):
        xpx.at(w)[0].add(5.0, copy=True)

"""Operators and methods of Tensors: values, dtypes, both orders of operands."""

import operator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinygrad_nn as tn
from tinygrad_nn import Tensor

A = np.array


def numeric(f, x, h=1e-6):
    """Central differences of a scalar function."""
    out = np.zeros(x.shape)
    for i in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[i] += h
        down[i] -= h
        out[i] = (np.sum(f(up)) - np.sum(f(down))) / (2 * h)
    return out


def plain(x):
    return x.data if isinstance(x, Tensor) else x


# ---------------------------------------------------------------- operators

BINARY = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv,
          "**": operator.pow, "//": operator.floordiv, "%": operator.mod}
OPERANDS = {
    "float": 1.5, "int": 3, "bool": True, "float64": np.float64(1.5),
    "float32": np.float32(1.5), "int64": np.int64(3), "0-d": A(1.5),
    "array": A([1.5, 0.4, 2.5]), "ints": A([1, 2, 3]),
    "float32 array": A([1.5, 0.4, 2.5], np.float32), "list": [1.5, 0.4, 2.5],
    "column": A([[1.5], [0.3]]), "Tensor": Tensor([1.5, 0.4, 2.5]), "0-d Tensor": Tensor(1.5),
    "wide Tensor": Tensor(np.full((2, 3), 1.5)), "negative strides": A([1.5, 0.4, 2.5])[::-1],
}


@pytest.mark.parametrize("kind", OPERANDS)
@pytest.mark.parametrize("sign", BINARY)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_binary_operators_in_both_orders(sign, kind, dtype):
    op, other = BINARY[sign], OPERANDS[kind]
    a, b = A([0.7, 2.6, 3.2], dtype), plain(other)
    b = np.asarray(b) if isinstance(b, list) else b
    for f in (lambda x, c: op(x, c), lambda x, c: op(c, x)):
        w, want = Tensor(a), f(a, b)
        y = f(w, other)
        assert y.dtype == want.dtype and y.shape == want.shape
        np.testing.assert_array_equal(plain(y), want)
        if sign == "//":
            assert isinstance(y, np.ndarray)
            continue
        assert isinstance(y, Tensor)
        y.backward(np.ones(y.shape))
        assert w.grad.dtype == dtype and w.grad.shape == a.shape
        expected = numeric(lambda x, f=f: f(x, b), a.astype(np.float64))
        np.testing.assert_allclose(w.grad, expected, rtol=1e-6 if dtype is np.float64 else 1e-4)
        if isinstance(other, Tensor):
            assert other.grad.shape == other.shape and other.grad.dtype == other.dtype
            other.grad = None


@pytest.mark.parametrize("sign", BINARY)
def test_operators_with_lists_and_numbers_in_forward_mode(sign):
    op, x = BINARY[sign], A([0.7, 2.6])
    for c in (1.5, 2, [1.5, 0.4], A([1.5, 0.4]), np.float64(1.5), (1.5, 0.4)):
        b = np.asarray(c) if isinstance(c, (list, tuple)) else c
        for f in (op, lambda x, c: op(c, x)):
            y, dy = tn.jvp(lambda x, f=f, c=c: f(x, c), (x,), (np.ones(2),))
            np.testing.assert_array_equal(y, f(x, b))
            if sign != "//":
                each = [numeric(lambda v, f=f, k=k, b=b: f(v, b)[k], x)[k] for k in range(2)]
                np.testing.assert_allclose(dy, each, rtol=1e-6)


@pytest.mark.parametrize("op", [operator.neg, operator.pos, abs])
def test_unary_operators(op):
    a = A([-1.5, 2.0], np.float32)
    w = Tensor(a)
    y = op(w)
    np.testing.assert_array_equal(y.data, op(a))
    assert y.dtype == np.float32
    y.sum().backward()
    np.testing.assert_allclose(w.grad, numeric(op, a.astype(float)), rtol=1e-6)


def test_divmod_in_both_orders():
    a, b = A([7.5, -2.5]), A([2.0, 2.0])
    for x, y in ((Tensor(a), b), (a, Tensor(b)), (Tensor(a), Tensor(b)), (Tensor(a), 2.0)):
        q, r = divmod(x, y)
        assert isinstance(q, np.ndarray) and isinstance(r, Tensor)
        np.testing.assert_array_equal(q, a // 2)
        np.testing.assert_array_equal(r.data, a % 2)


@pytest.mark.parametrize("left, right", [
    ((3,), (3,)), ((3,), (3, 2)), ((2, 3), (3,)), ((2, 3), (3, 4)), ((5, 2, 3), (3,)),
    ((3,), (5, 3, 2)), ((5, 2, 3), (3, 4)), ((2, 3), (5, 3, 4)), ((5, 1, 2, 3), (4, 3, 2)),
    ((0, 3), (3, 2)), ((2, 0), (0, 3)),
])
def test_matmul_in_all_arrangements(left, right):
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=left), rng.normal(size=right)
    seed = rng.normal(size=(a @ b).shape)
    ga, gb = numeric(lambda x: (x @ b) * seed, a), numeric(lambda x: (a @ x) * seed, b)
    for boxed in ((1, 0), (0, 1), (1, 1)):
        x, y = (Tensor(v) if on else v for v, on in zip((a, b), boxed, strict=True))
        out = x @ y
        np.testing.assert_array_equal(out.data, a @ b)
        out.backward(seed)
        for t, want in ((x, ga), (y, gb)):
            if isinstance(t, Tensor):
                np.testing.assert_allclose(t.grad, want, atol=1e-8)


def test_matmul_with_lists():
    w = Tensor(np.ones((2, 2)))
    np.testing.assert_array_equal(([1.0, 2.0] @ w).data, [3, 3])
    np.testing.assert_array_equal((w @ [1.0, 2.0]).data, [3, 3])


@pytest.mark.parametrize("op", [operator.eq, operator.ne, operator.lt, operator.le, operator.gt,
                                operator.ge])
@pytest.mark.parametrize("other", [2.0, 2, A([2.0, 1.0, 3.0]), [2.0, 1.0, 3.0], A(2),
                                   np.float32(2), Tensor([2.0, 1.0, 3.0])])
def test_comparisons_give_plain_arrays(op, other):
    a = A([1.0, 2.0, 3.0])
    b = np.asarray(plain(other))
    for got, want in ((op(Tensor(a), other), op(a, b)), (op(other, Tensor(a)), op(b, a))):
        assert type(got) is np.ndarray and got.dtype == bool
        np.testing.assert_array_equal(got, want)
    assert isinstance(op(Tensor(1.0), 2.0), (np.ndarray, np.bool_))
    seen = []
    tn.grad(lambda x: seen.append(op(x, plain(other))) or x.sum())(a)
    tn.jvp(lambda x: seen.append(op(x, plain(other))) or x, (a,), (a,))
    assert [type(v) for v in seen] == [np.ndarray] * 2


@pytest.mark.parametrize("fn", [
    np.argmax, np.argmin, np.argsort, np.sign, np.floor, np.ceil, np.isnan, np.isfinite,
    np.count_nonzero, np.zeros_like, np.ones_like, np.rint, np.trunc, np.any, np.all,
])
def test_functions_without_a_derivative_give_plain_arrays(fn):
    a = A([[1.5, -2.5], [0.0, 4.0]])
    y = fn(Tensor(a))
    assert isinstance(y, (np.ndarray, np.generic, int)) and not isinstance(y, Tensor)
    np.testing.assert_array_equal(y, fn(a))


def test_shape_questions_and_closeness():
    t = Tensor(np.ones((2, 3)))
    assert np.shape(t) == (2, 3) and np.ndim(t) == 2 and np.size(t) == 6
    assert np.allclose(t, 1.0) and np.allclose(np.ones((2, 3)), t) and np.array_equal(t, t)
    assert np.result_type(t, np.float32) == np.float64
    np.testing.assert_array_equal(np.nonzero(Tensor([0.0, 2.0]))[0], [1])


@given(st.sampled_from([np.float16, np.float32, np.float64]),
       st.sampled_from([1, 2.5, True, np.float16(2), np.float32(2), np.float64(2), np.int8(2),
                        np.int64(2), A(2.0), A([2, 3]), A([2, 3], np.int8), A([2.0, 3.0]),
                        A([2, 3], np.float32), A([2, 3], np.float16), A([True, False])]),
       st.sampled_from([operator.add, operator.sub, operator.mul, operator.truediv, np.maximum,
                        np.arctan2, np.hypot]),
       st.booleans())
@settings(max_examples=150, deadline=None)
def test_promotion_is_numpys_and_gradients_keep_the_leafs_dtype(dtype, other, op, swap):
    a = A([1, 2], dtype)
    f = (lambda x: op(other, x)) if swap else (lambda x: op(x, other))
    w = Tensor(a)
    with np.errstate(all="ignore"):
        want, y = f(a), f(w)
        y.backward(np.ones(2))
        _, dy = tn.jvp(f, (a,), (np.ones(2, dtype),))
    assert y.dtype == dy.dtype == want.dtype
    np.testing.assert_array_equal(y.data, want)
    assert w.grad.dtype == dtype and w.grad.shape == (2,)
    np.testing.assert_allclose(dy.astype(dtype), w.grad, rtol=2e-3)


@pytest.mark.parametrize("f", [
    lambda x: x * 2.0 + 1, lambda x: 1 / (1 + x), lambda x: x ** 2, lambda x: x ** 0.5,
    lambda x: 2 ** x, lambda x: x / 3, np.mean, np.var, lambda x: np.where(x > 0, x, 0.0),
    lambda x: np.maximum(x, 0.1), tn.sigmoid, tn.softplus, tn.relu, tn.softmax, tn.logsumexp,
    tn.log_softmax, lambda x: np.clip(x, 0.1, 0.9), lambda x: np.linalg.norm(x), np.std, np.ptp,
    lambda x: np.pad(x, 1), lambda x: -x % 2.0, lambda x: np.nan_to_num(x), np.cumsum,
])
def test_float32_stays_float32(f):
    a = A([0.5, 0.25, 2.0], np.float32)
    w = Tensor(a)
    y = f(w)
    assert y.dtype == np.float32
    y.sum().backward()
    assert w.grad.dtype == np.float32
    y, dy = tn.jvp(f, (a,), (a,))
    assert y.dtype == dy.dtype == np.float32
    second = tn.grad(lambda x: np.sum(tn.grad(lambda x: np.sum(f(x)))(x) ** 2))(a)
    assert second.dtype == np.float32


# ---------------------------------------------------------------- methods

METHODS = {
    "sum": lambda x: x.sum(), "sum axis": lambda x: x.sum(axis=0), "sum positional":
    lambda x: x.sum(1), "sum keepdims": lambda x: x.sum(axis=(0, 1), keepdims=True),
    "mean": lambda x: x.mean(), "mean axis": lambda x: x.mean(-1), "max": lambda x: x.max(),
    "max axis": lambda x: x.max(axis=1, keepdims=True), "min": lambda x: x.min(0),
    "reshape ints": lambda x: x.reshape(3, 2), "reshape tuple": lambda x: x.reshape((3, -1)),
    "reshape list": lambda x: x.reshape([6]), "reshape -1": lambda x: x.reshape(-1),
    "transpose": lambda x: x.transpose(), "transpose ints": lambda x: x.transpose(1, 0),
    "transpose tuple": lambda x: x.transpose((1, 0)), "std": lambda x: x.std(),
    "var": lambda x: x.var(axis=0), "ravel": lambda x: x.ravel(),
    "flatten": lambda x: x.flatten(), "clip": lambda x: x.clip(0.4, 0.9),
    "cumsum": lambda x: x.cumsum(1), "copy": lambda x: x.copy(),
    "repeat": lambda x: x.repeat(2, axis=0), "squeeze": lambda x: x[:1].squeeze(),
    "swapaxes": lambda x: x.swapaxes(0, 1), "take": lambda x: x.take(A([0, 2, 2]), axis=1),
    "trace": lambda x: x.trace(), "diagonal": lambda x: x.diagonal(),
    "dot": lambda x: x.dot(np.ones((3, 2))), "astype": lambda x: x.astype(np.float32),
    "index": lambda x: x[:, 1], "mask": lambda x: x[A([[1, 0, 1], [0, 0, 1]]) > 0],
    "fancy": lambda x: x[A([0, 1, 1]), A([2, 0, 0])],
    "newaxis": lambda x: x[:, None, ..., ::-1],
}
OURS = {"exp": np.exp, "log": np.log, "tanh": np.tanh, "relu": tn.relu, "sigmoid": tn.sigmoid}


@pytest.mark.parametrize("name", METHODS)
def test_methods_are_those_of_arrays(name):
    f, a = METHODS[name], A([[0.3, 0.8, 1.2], [2.0, 0.5, 0.7]])
    w = Tensor(a)
    y = f(w)
    assert isinstance(y, Tensor)
    np.testing.assert_allclose(y.data, f(a), rtol=1e-6 if name == "astype" else 1e-15)
    assert y.dtype == f(a).dtype
    y.sum().backward()
    tolerance = 1e-1 if name == "astype" else 1e-7
    np.testing.assert_allclose(w.grad, numeric(f, a), atol=tolerance)


@pytest.mark.parametrize("name", OURS)
def test_methods_that_arrays_lack(name):
    a = A([0.3, 2.0])
    w = Tensor(a)
    y = getattr(w, name)()
    np.testing.assert_array_equal(y.data, OURS[name](a))
    y.sum().backward()
    np.testing.assert_allclose(w.grad, numeric(OURS[name], a), rtol=1e-7)
    assert type(OURS[name](a)) is np.ndarray


SHAPE = (3, 4, 2)
INDICES = st.one_of(
    hnp.basic_indices(SHAPE, allow_newaxis=True, allow_ellipsis=True),
    hnp.integer_array_indices(SHAPE, result_shape=hnp.array_shapes(max_dims=2, max_side=3)),
    hnp.arrays(bool, SHAPE), hnp.arrays(bool, SHAPE[:2]),
    st.tuples(hnp.arrays(np.int64, 3, elements=st.integers(-3, 2)), st.slices(4)),
    st.tuples(st.just(slice(None)), hnp.arrays(bool, 4), st.integers(-2, 1)),
    st.lists(st.integers(-3, 2), max_size=4),
    st.tuples(st.lists(st.integers(-3, 2), min_size=2, max_size=2), st.just(...), st.just([0])),
)


@given(INDICES)
@settings(max_examples=80, deadline=None)
def test_indexing_of_every_kind(index):
    a = np.arange(24.0).reshape(SHAPE)
    plain_index = np.asarray(index, int) if isinstance(index, list) else index
    want = a[plain_index]
    w = Tensor(a)
    y = w[index]
    assert isinstance(y, Tensor) and y.shape == want.shape
    np.testing.assert_array_equal(y.data, want)
    g = np.random.default_rng(0).normal(size=want.shape)
    y.backward(g)
    expected, count = np.zeros(SHAPE), np.zeros(SHAPE)
    np.add.at(expected, plain_index, g)
    np.add.at(count, plain_index, 1)
    np.testing.assert_allclose(w.grad, expected)
    z, dz = tn.jvp(lambda x: x[index], (a,), (a + 1,))
    np.testing.assert_array_equal(z, want)
    np.testing.assert_array_equal(dz, want + 1)
    second = tn.grad(lambda x: np.sum(tn.grad(lambda x: np.sum(x[index] ** 3))(x)))(a)
    np.testing.assert_array_equal(second, 6 * count * a)


def test_methods_without_derivative_give_arrays():
    t = Tensor([0.4, 2.6])
    assert t.argmax() == 1 and t.argmin() == 0 and t.any() and t.all()
    np.testing.assert_array_equal(t.argsort(), [0, 1])
    np.testing.assert_array_equal(t.round(), [0.0, 3.0])
    assert isinstance(t.round(), np.ndarray)


def test_python_builtins():
    a, b = Tensor([1.0, 5.0]), Tensor([2.0, 3.0])
    sum([a, b, a]).sum().backward()
    np.testing.assert_array_equal(a.grad, [2, 2])
    max(a).backward()
    np.testing.assert_array_equal(a.grad, [2, 3])
    assert [t.item() for t in reversed(list(b))] == [3.0, 2.0]

"""Tensor as a person meets it: construction, operators, methods, backward(), what .grad is."""

import copy
import operator
import pickle
import re
import warnings
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinygrad_nn as tn
from tinygrad_nn import Tensor

A = np.array
FLOATS = [np.float16, np.float32, np.float64, np.longdouble]


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


# ---------------------------------------------------------------- construction

@pytest.mark.parametrize("data, shape", [
    (1.0, ()), ([], (0,)), ([1.0, 2], (2,)), ([[1.0], [2.0]], (2, 1)), ((0.5, 1.5), (2,)),
    (np.float64(2), ()), ([np.float64(1)], (1,)),
])
def test_lists_and_numbers_become_float64(data, shape):
    t = Tensor(data)
    assert t.dtype == np.float64 and t.shape == shape
    assert type(t.data) is np.ndarray and t.grad is None


@pytest.mark.parametrize("dtype", FLOATS)
def test_floating_arrays_keep_their_dtype_and_are_not_copied(dtype):
    a = np.ones((2, 3), dtype)
    t = Tensor(a)
    assert t.dtype == dtype and np.shares_memory(t.data, a)


@pytest.mark.parametrize("data, dtype", [
    (1, "int64"), ([1, 2], "int64"), (A([1], np.uint8), "uint8"), (True, "bool"),
    ([True, False], "bool"), (1j, "complex128"), (A([1], np.complex64), "complex64"),
    ("abc", "U3"), ([b"x"], "S1"), (None, "object"), ([None, 1.0], "object"),
    (object(), "object"), ({"a": 1.0}, "object"), (A(["2020-01-01"], "M8[D]"), "datetime64"),
    (np.zeros(1, [("a", float)]), "a"),
])
def test_other_data_is_refused_with_its_dtype(data, dtype):
    with pytest.raises(TypeError, match=rf"real floating.*got dtype .*{dtype}"):
        Tensor(data)
    leaf = Tensor(np.zeros(np.shape(np.asarray(data))))
    with pytest.raises(TypeError, match=dtype):
        leaf.data = data


@pytest.mark.parametrize("data, hint", [
    (1, r"1\.0 instead of 1"), ([True], r"\.astype\(float\)"), (1j, r"\.real and \.imag"),
    (None, "NoneType"),
])
def test_the_refusal_says_what_to_write(data, hint):
    with pytest.raises(TypeError, match=hint):
        Tensor(data)


def test_a_tensor_of_a_box_is_refused():
    t = Tensor([1.0])
    for make in (lambda: Tensor(t), lambda: Tensor(t * 2), lambda: Tensor([t, t]),
                 lambda: tn.grad(lambda x: Tensor(x))(1.0),
                 lambda: tn.jvp(lambda x: Tensor(x), (1.0,), (1.0,)),
                 lambda: tn.grad(lambda x: Tensor([x, x]).sum())(1.0)):
        with pytest.raises(tn.DetachError, match="graph"):
            make()


# ---------------------------------------------------------------- attributes

@given(hnp.arrays(np.float64, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3),
                  elements=st.floats(-9, 9)))
@settings(max_examples=40, deadline=None)
def test_attributes_are_numpys(a):
    for t in (Tensor(a), Tensor(a) * 1.0):
        assert (t.shape, t.ndim, t.dtype, t.size) == (a.shape, a.ndim, a.dtype, a.size)
        np.testing.assert_array_equal(plain(t.T), a.T)
        if a.ndim > 1:
            np.testing.assert_array_equal(plain(t.mT), a.mT)
        if a.ndim:
            assert len(t) == len(a)
            assert [plain(row).tolist() for row in t] == [row.tolist() for row in a]
        if a.size == 1:
            assert t.item() == a.item() and type(t.item()) is float
            assert bool(t) == bool(a)


def test_what_numpy_refuses_is_refused():
    with pytest.raises(TypeError, match="0-d"):
        len(Tensor(1.0))
    with pytest.raises(TypeError, match="0-d"):
        iter(Tensor(1.0))
    with pytest.raises(ValueError, match="ambiguous"):
        bool(Tensor([1.0, 2.0]))
    with pytest.raises(ValueError):
        Tensor([1.0, 2.0]).item()
    with pytest.raises(ValueError):
        _ = Tensor([1.0, 2.0]).mT
    with pytest.raises(IndexError):
        _ = Tensor([1.0, 2.0])[2]


def test_iteration_and_transposes_are_recorded():
    w = Tensor(A([[1.0, 2.0], [3.0, 4.0]]))
    first, second = w
    (first * 10 + second.T * w.T[0] + w.mT[1]).sum().backward()
    np.testing.assert_array_equal(w.grad, [[13.0, 11.0], [5.0, 4.0]])


def test_hash_is_identity_and_equality_elementwise():
    a, b = Tensor([1.0, 2.0]), Tensor([1.0, 3.0])
    assert len({a, b, a}) == 2 and {a: "a"}[a] == "a"
    np.testing.assert_array_equal(a == b, [True, False])


def test_data_of_a_leaf_is_assignable():
    w = Tensor(np.ones(3, np.float32))
    w.data = A([1.0, 2.0, 3.0], np.float32)
    np.testing.assert_array_equal((w * 2).data, [2, 4, 6])
    w.data -= 1
    np.testing.assert_array_equal(w.data, [0, 1, 2])
    w.data[0] = 7
    np.testing.assert_array_equal(w.data, [7, 1, 2])
    w.data = [4.0, 5.0, 6.0]
    assert type(w.data) is np.ndarray
    s = Tensor(1.0)
    s.data = s.data - 0.5
    s.data -= 0.25
    assert type(s.data) is np.ndarray and s.shape == () and s.item() == 0.25


def test_data_assignment_refuses_other_shapes_recorded_tensors_and_tensors():
    w = Tensor(np.ones(3))
    with pytest.raises(tn.ShapeError, match=r"\(2,\).*\(3,\)"):
        w.data = np.ones(2)
    with pytest.raises(tn.GraphError, match=r"leaf.*np\.multiply"):
        (w * 2).data = np.ones(3)
    with pytest.raises(tn.DetachError):
        w.data = Tensor(np.ones(3))
    np.testing.assert_array_equal(w.data, 1)


def test_data_of_a_computed_tensor_is_a_read_only_view():
    w = Tensor(np.ones((2, 2)))
    for y in (w * 2, w.reshape(4), w[0], w.sum(), w.T):
        assert type(y.data) is np.ndarray
        with pytest.raises(ValueError, match="read-only"):
            y.data[...] = 5
    np.testing.assert_array_equal(w.data, 1)


def test_detach_is_a_leaf_without_history():
    w = Tensor([1.0, 2.0])
    d = (w * 3).detach()
    assert isinstance(d, Tensor)
    (d * w).sum().backward()
    np.testing.assert_array_equal(w.grad, [3.0, 6.0])
    np.testing.assert_array_equal(d.grad, [1.0, 2.0])
    assert tn.grad(lambda x: x * x.detach())(3.0) == 3.0
    assert tn.jvp(lambda x: x * x.detach(), (3.0,), (1.0,))[1] == 3.0


# ---------------------------------------------------------------- repr, copies, weak references

def test_repr_shows_values_dtype_and_origin():
    w = Tensor(A([1.5, 2.0], np.float32))
    assert repr(w) == "Tensor([1.5, 2. ], dtype=float32)"
    for y, made in ((w * 2, "multiply"), (w.sum(), "sum"), (tn.relu(w), "relu"),
                    (w[0], "getitem")):
        assert repr(y).startswith("Tensor(") and made in repr(y) and "float32" in repr(y)
    assert "3." in repr(w * 2) and "4." in repr(w * 2)
    assert "1.5" in str(w) and "float64" in repr(Tensor(1.0))
    assert "..." in repr(Tensor(np.zeros(5000)))
    seen = []
    tn.grad(lambda x: seen.append(repr(x * 2)) or x)(1.0)
    tn.jvp(lambda x: seen.append(repr(x * 2)) or x, (1.0,), (1.0,))
    assert all("2.0" in s for s in seen) and "multiply" in seen[0] and "Dual" in seen[1]


def test_formatting_gives_the_number():
    w = Tensor(1.23456)
    assert f"{w:.2f} {w * 2:.1f} {Tensor([7.0]):.0f}" == "1.23 2.5 7"
    assert f"{w}" == str(w)
    assert tn.grad(lambda x: x * float(f"{x:.1f}"))(2.0) == 2.0


@pytest.mark.parametrize("duplicate", [
    copy.copy, copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t))])
def test_leaves_can_be_copied_and_pickled(duplicate):
    w = Tensor(A([[1.0, 2.0]], np.float32))
    (w * w).sum().backward()
    v = duplicate(w)
    assert type(v) is Tensor and v is not w and v.dtype == w.dtype
    np.testing.assert_array_equal(v.data, w.data)
    np.testing.assert_array_equal(v.grad, w.grad)
    (v * 3).sum().backward()
    np.testing.assert_array_equal(w.grad, [[2.0, 4.0]])
    np.testing.assert_array_equal(v.grad, [[5.0, 7.0]])


def test_deep_copies_are_independent_and_keep_sharing():
    w = Tensor([1.0, 2.0])
    w.grad = np.ones(2)
    a, b = copy.deepcopy([w, w])
    assert a is b
    a.data[0] = 9
    a.grad[0] = 9
    assert w.data[0] == 1 and w.grad[0] == 1


def test_computed_tensors_are_not_copied_or_pickled():
    y = Tensor([1.0]) * 2
    for duplicate in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(tn.GraphError, match=r"leaf.*detach"):
            duplicate(y)


def test_weak_references_work():
    w = Tensor([1.0])
    y = w * 2
    r, s = weakref.ref(w), weakref.ref(y)
    assert r() is w and s() is y
    del y
    assert s() is None
    del w
    assert r() is None


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


# ---------------------------------------------------------------- backward()

def test_backward_of_a_scalar():
    w, b = Tensor(np.zeros((3, 1))), Tensor(np.zeros(1))
    x = A([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    y = A([[1.0], [0.0]])
    p = tn.sigmoid(x @ w + b)
    loss = -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))
    assert loss.backward() is None
    np.testing.assert_allclose(w.grad, x.T @ ((0.5 - y) / 2), rtol=1e-14)
    np.testing.assert_allclose(b.grad, [0.0], atol=1e-16)


@pytest.mark.parametrize("shape", [(), (1,), (1, 1), (1, 1, 1)])
def test_backward_without_a_seed_takes_one_element(shape):
    w = Tensor(np.full(shape, 3.0))
    (w * w).backward()
    assert type(w.grad) is np.ndarray and w.grad.shape == shape
    np.testing.assert_array_equal(w.grad, 6)


def test_backward_with_a_seed():
    w = Tensor([1.0, 2.0, 3.0])
    for seed in (A([1.0, 10.0, 100.0]), [1.0, 10.0, 100.0], [1, 10, 100],
                 A([1, 10, 100], "f4")):
        w.grad = None
        (w * w).backward(seed)
        np.testing.assert_array_equal(w.grad, [2, 40, 600])


@pytest.mark.parametrize("shape", [(0,), (2,), (2, 3)])
def test_backward_without_a_seed_is_refused_for_several(shape):
    w = Tensor(np.ones(shape))
    y = w * w
    with pytest.raises(tn.ShapeError, match=re.escape(str(shape)) + r".*backward\(g\)"):
        y.backward()
    assert w.grad is None
    y.backward(np.ones(shape))                      # the graph is still there
    np.testing.assert_array_equal(w.grad, np.full(shape, 2.0))


@pytest.mark.parametrize("seed", [1.0, np.ones(2), np.ones((3, 1)), np.ones((1, 3)), []])
def test_a_seed_of_another_shape_is_refused(seed):
    w = Tensor(np.ones(3))
    with pytest.raises(tn.ShapeError) as error:
        (w * w).backward(seed)
    assert str(np.shape(seed)) in str(error.value) and "(3,)" in str(error.value)
    assert w.grad is None


@pytest.mark.parametrize("seed", [A([1j, 0]), [1j, 2], A(["a", "b"]), [None, None]])
def test_a_seed_that_is_not_real_is_refused(seed):
    w = Tensor(np.ones(2))
    with pytest.raises((TypeError, ValueError)), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        (w * w).backward(seed)
    assert w.grad is None


def test_grad_is_an_array_whatever_the_seed_is():
    w = Tensor(np.ones(2))
    try:
        (w * 2).backward(Tensor(np.ones(2)))
    except TypeError:
        assert w.grad is None
    else:
        assert type(w.grad) is np.ndarray


def test_backward_of_a_leaf():
    w = Tensor(3.0)
    w.backward()
    w.backward(A(2.0))
    assert w.grad == 3.0 and type(w.grad) is np.ndarray


@pytest.mark.parametrize("shape", [(), (1,), (2, 3), (0,)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gradients_accumulate_as_arrays(shape, dtype):
    w = Tensor(np.full(shape, 2, dtype))
    for k in (1, 2, 3):
        (w * w).sum().backward()
        assert type(w.grad) is np.ndarray
        assert w.grad.dtype == dtype and w.grad.shape == shape
        np.testing.assert_array_equal(w.grad, 4 * k)
    w.grad = None
    (w * 3).sum().backward()
    np.testing.assert_array_equal(w.grad, 3)


def test_several_uses_add_up():
    w = Tensor(A([2.0, 3.0]))
    h = w * w
    (h * h + h * w + h + w).sum().backward()
    x = A([2.0, 3.0])
    np.testing.assert_array_equal(w.grad, 4 * x ** 3 + 3 * x ** 2 + 2 * x + 1)


def test_only_leaves_that_take_part_get_a_gradient():
    a, b, c = Tensor(1.0), Tensor(2.0), Tensor(3.0)
    h = a * b
    h.backward()
    assert a.grad == 2 and b.grad == 1 and c.grad is None and h.grad is None


def test_a_used_graph_says_so():
    w = Tensor([1.0, 2.0])
    y = (w * w).sum()
    y.backward()
    with pytest.raises(tn.GraphError, match=r"used up.*backward"):
        y.backward()
    with pytest.raises(tn.GraphError, match="used up"):
        (y * 2).backward()
    np.testing.assert_array_equal(w.grad, [2, 4])


def test_a_partly_used_graph_touches_no_leaf():
    w, v = Tensor([1.0, 2.0]), Tensor([3.0, 4.0])
    h = w * w
    first, second = h.sum(), (h * v).sum()
    first.backward()
    with pytest.raises(tn.GraphError, match="used up"):
        second.backward()
    np.testing.assert_array_equal(w.grad, [2, 4])
    assert v.grad is None


def test_losses_added_first_are_one_graph():
    w = Tensor([1.0, 2.0])
    h = w * w
    (h.sum() + (h * 3).sum()).backward()
    np.testing.assert_array_equal(w.grad, [8, 16])


def test_only_a_used_tensor_converts_like_a_number():
    w = Tensor(3.0)
    y = w * w
    for t in (w, y):
        for convert in (float, int):
            with pytest.raises(tn.DetachError, match=r"\.item\(\)"):
                convert(t)
    y.backward()
    assert float(y) == 9.0 and int(y) == 9
    costs = np.zeros(2)
    costs[1] = y
    assert costs[1] == 9.0
    with pytest.raises(tn.DetachError):
        float(w)


# ---------------------------------------------------------------- what .grad may not share

@pytest.mark.parametrize("f", [
    lambda a, b: a + b, lambda a, b: (a + b).reshape(2, 3).T, lambda a, b: np.stack([a, b]),
    lambda a, b: np.concatenate([a, b]), lambda a, b: a.reshape(3, 2) + b.reshape(3, 2),
    lambda a, b: np.where(np.ones(6) > 0, a, b) + b, lambda a, b: +a + b[::-1][::-1],
    lambda a, b: a[:3] + b[:3], lambda a, b: np.broadcast_to(a + b, (2, 6)),
    lambda a, b: a.sum() + b.sum(), lambda a, b: np.copy(a) + b.astype(float),
    lambda a, b: a.copy() + np.block([b]),
])
def test_two_leaves_and_the_seed_share_nothing(f):
    a, b = Tensor(np.arange(6.0)), Tensor(np.ones(6))
    y = f(a, b)
    seed = np.random.default_rng(0).normal(size=y.shape)
    kept = seed.copy()
    y.backward(seed)
    assert not np.shares_memory(a.grad, b.grad)
    for leaf in (a, b):
        assert type(leaf.grad) is np.ndarray and leaf.grad.flags.writeable
        assert not np.shares_memory(leaf.grad, seed)
        assert not np.shares_memory(leaf.grad, leaf.data)
    other = b.grad.copy()
    a.grad += 100
    np.testing.assert_array_equal(b.grad, other)
    np.testing.assert_array_equal(seed, kept)


@pytest.mark.parametrize("f", [
    lambda a, c: a * c, lambda a, c: c * a, lambda a, c: a @ c,
    lambda a, c: np.einsum("i,i->i", a, c),
    lambda a, c: np.where(c > 0, a, c), lambda a, c: a[c.astype(int) * 0], lambda a, c: a / c,
    lambda a, c: np.dot(a, c), lambda a, c: np.outer(a, c), lambda a, c: a.sum() * c.sum(),
])
def test_gradients_share_nothing_with_constants(f):
    a, c = Tensor(np.ones(3)), np.ones(3)
    y = f(a, c)
    y.backward(np.ones(y.shape))
    assert not np.shares_memory(a.grad, c)
    a.grad += 1
    a.grad *= 2
    np.testing.assert_array_equal(c, 1)


def test_a_gradient_taken_earlier_does_not_change():
    w = Tensor([1.0, 2.0])
    (w * w).sum().backward()
    earlier = w.grad
    (w * w).sum().backward()
    np.testing.assert_array_equal(earlier, [2, 4])


def test_an_earlier_gradient_set_by_hand_is_added_to():
    w = Tensor([1.0, 2.0])
    w.grad = mine = A([10.0, 10.0])
    (w * 2).sum().backward()
    np.testing.assert_array_equal(w.grad, [12, 12])
    np.testing.assert_array_equal(mine, [10, 10])


shapes = hnp.mutually_broadcastable_shapes(num_shapes=3, max_dims=3, max_side=3, min_side=0)


@given(shapes, st.tuples(*[st.sampled_from([np.float32, np.float64])] * 3))
@settings(max_examples=60, deadline=None)
def test_gradients_have_the_shape_and_dtype_of_their_leaf(broadcast, dtypes):
    leaves = [Tensor(np.full(shape, 1.5, dtype))
              for shape, dtype in zip(broadcast.input_shapes, dtypes, strict=True)]
    kept = [t.data.copy() for t in leaves]
    a, b, c = leaves
    y = np.where(a > 1, a * b, c) + c / b - np.maximum(a, c) * 2
    y.backward(np.ones(y.shape))
    for t, before in zip(leaves, kept, strict=True):
        assert type(t.grad) is np.ndarray
        assert t.grad.shape == t.shape and t.grad.dtype == t.dtype
        np.testing.assert_array_equal(t.data, before)
        scale = int(np.prod(y.shape)) / max(t.size, 1)
        want = {a: 1.5 - 1, b: 1.5 - 1.5 / 2.25, c: 1 / 1.5 - 1}[t] * scale
        np.testing.assert_allclose(t.grad, np.full(t.shape, want), rtol=1e-5)


# ---------------------------------------------------------------- no_grad

def test_under_no_grad_operations_give_arrays():
    w = Tensor([1.0, 2.0])
    with tn.no_grad():
        results = [w * 2, 2 * w, w + w, -w, w @ w, np.exp(w), np.sum(w), w[0], tn.relu(w),
                   np.concatenate([w, w]), np.where(w > 0, w, 0.0), w.reshape(2, 1), np.var(w),
                   np.linalg.norm(w), w.T, tn.softmax(w), np.einsum("i->", w),
                   w.astype(np.float32)]
        list(w)
    assert all(isinstance(r, (np.ndarray, np.generic)) for r in results)
    assert isinstance(w * 2, Tensor)


def test_no_grad_is_a_decorator_and_survives_exceptions_and_reuse():
    w = Tensor([1.0])

    @tn.no_grad()
    def evaluate(depth=2):
        assert not isinstance(w * 2, Tensor)
        if depth:
            evaluate(depth - 1)
        return w * 2
    assert isinstance(evaluate(), np.ndarray)
    with pytest.raises(ZeroDivisionError), tn.no_grad():
        _ = 1 / 0
    assert isinstance(w * 2, Tensor)
    again = tn.no_grad()
    with again:
        with again:
            assert not isinstance(w * 2, Tensor)
        assert not isinstance(w * 2, Tensor)
    assert isinstance(w * 2, Tensor)
    with again:
        assert not isinstance(w * 2, Tensor)
    assert isinstance(w * 2, Tensor)

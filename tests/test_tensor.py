"""Tensor as a person meets it: construction, attributes, copies."""

import copy
import pickle
import weakref

import numpy as np
import pytest
from hypothesis import given, settings

import tinygrad_nn as tn
from tinygrad_nn import Tensor
from tinygrad_nn.testing import arrays, layouts, shapes

A = np.array
FLOATS = [np.float16, np.float32, np.float64, np.longdouble]


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

@given(arrays(shapes(max_dims=4), layout=layouts(), special=True))
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

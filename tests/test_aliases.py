"""What was used is written to through another name, or is one element of a large array.

What is not noticed is tested too: it is what the documentation says, and no more.
"""

import numpy as np
import pytest
from derivatives import constant, line
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_nn as tn
from tinygrad_nn import Tensor

A = np.array


# ---------------------------------------------------------------- aliases

def test_through_the_array_that_the_leaf_was_made_of():
    a = constant(3)
    w = Tensor(a)
    y = w * w
    a += 1
    with pytest.raises(tn.MutationError):
        y.sum().backward()


def test_through_a_base_and_through_a_view():
    x = Tensor(constant(3))
    base = constant(3, 3)
    y = (x * base[0]).sum() + (x * base[:, 2]).sum()
    base[0, 1] = 7
    with pytest.raises(tn.MutationError):
        y.backward()
    c = constant(3)
    view = c[1:]
    y = (x * c).sum()
    view[0] = 7
    with pytest.raises(tn.MutationError):
        y.backward()


def test_read_only_views_of_arrays_that_somebody_writes_to():
    x, c = Tensor(constant(3)), constant(3)
    locked = c[:]
    locked.flags.writeable = False
    for constant_view in (locked, np.broadcast_to(c, (2, 3))):
        y = (x * constant_view).sum()
        c += 1
        with pytest.raises(tn.MutationError):
            y.backward()


def test_one_part_of_an_array_changes_another_is_used():
    x, c = Tensor(constant(3)), constant(6)
    y = (x * c[:3]).sum()
    c[3:] = 0
    y.backward()
    np.testing.assert_array_equal(x.grad, c[:3])


def test_a_loader_that_uses_its_buffer_again():
    model = tn.nn.Sequential(tn.nn.Linear(3, 4, rng=0), tn.nn.ReLU(), tn.nn.Linear(4, 1, rng=0))
    buffer = np.ones((5, 3), np.float32)
    loss = np.mean(model(buffer)); here = line()
    buffer[:] = 2
    with pytest.raises(tn.MutationError, match=rf"dense.*test_aliases\.py, line {here}"):
        loss.backward()


@pytest.mark.parametrize("kind", [np.memmap, np.matrix, np.recarray])
def test_constants_of_array_subclasses(kind, tmp_path):
    if kind is np.memmap:
        c = np.memmap(tmp_path / "c", np.float64, "w+", shape=(2, 2))
    else:
        c = np.ones((2, 2)).view(kind)
    c[...] = 1
    w = Tensor(np.ones((2, 2)))
    y = np.sum(w * c)
    c[...] = 7
    with pytest.raises(tn.MutationError):
        y.backward()


def test_a_primitive_that_returns_its_argument():
    from tinygrad_nn import _table
    same = tn.primitive(lambda x: x)
    tn.rules.linear(same, lambda g: g)
    try:
        w = Tensor(constant(3))
        y = same(w)
        z = (y * y).sum()
        w.data[:] = 5
        with pytest.raises(tn.MutationError):
            z.backward()
    finally:
        _table.RULES.pop(same)


def test_indices_in_lists_are_taken_by_value():
    w = Tensor(A([1.0, 2.0, 3.0]))
    i, j = [0, 1], [0, 1]
    y = w[i].sum() + np.take(w, j).sum()
    i[0] = j[0] = 2
    y.backward()
    np.testing.assert_array_equal(w.grad, [2, 2, 0])
    w.grad = None
    w[range(-3, 3)].sum().backward()
    np.testing.assert_array_equal(w.grad, [2, 2, 2])


def test_constants_in_lists_are_taken_by_value():
    w = Tensor(A([1.0, 2.0]))
    c = [3.0, 4.0]
    y = (w * c).sum() + (w @ c)
    c[0] = 100.0
    y.backward()
    np.testing.assert_array_equal(w.grad, [6, 8])


# ---------------------------------------------------------------- large arrays, the limit

def views(a):
    """The same large array as the operation may meet it."""
    return [a, a.T, a[::2], a[..., ::-1], a[..., 1:], a.reshape(-1)]


@pytest.mark.parametrize("shape", [(10_000,), (100, 100), (5, 10, 20, 10), (2, 5000), (5000, 2),
                                   (1, 1, 6000)])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_whole_array_writes_to_large_arrays(shape, dtype):
    for k in range(6):
        c = np.random.default_rng(0).uniform(1, 2, shape).astype(dtype)
        v = views(c)[k]
        w = Tensor(np.ones(v.shape, dtype))
        y, z = (v * w).sum(), (w * w).sum()
        c *= 2
        with pytest.raises(tn.MutationError):
            y.backward()
        w.data -= dtype(0.1)
        with pytest.raises(tn.MutationError):
            z.backward()


@given(st.integers(1, 512), st.data())
@settings(max_examples=50, deadline=None)
def test_any_element_of_an_array_up_to_4_kb(n, data):
    c = np.ones(n)
    w = Tensor(np.ones(n))
    y, z = (w * c).sum(), (w * w).sum()
    i = data.draw(st.integers(0, n - 1))
    c[i] = np.nextafter(1.0, 2.0)
    w.data[i] = -1.0
    for loss in (y, z):
        with pytest.raises(tn.MutationError):
            loss.backward()


def test_integers_are_kept_as_floats_of_their_own():
    c = np.arange(3)
    w = Tensor(np.ones(3))
    y = (w * c).sum()
    c[:] = 7
    y.backward()
    np.testing.assert_array_equal(w.grad, [0, 1, 2])


def test_one_element_of_a_larger_array_is_missed():
    """Documented: about 64 samples of a larger array are compared."""
    c = np.ones((100, 100))
    w = Tensor(np.ones((100, 100)))
    y = (w * c).sum()
    c[5, 5] = 3
    y.backward()
    assert w.grad[5, 5] == 3                        # wrong, and known to be
    z = (w * w).sum()
    w.data[5, 5] = 3
    z.backward()


def test_sparse_updates_of_a_large_leaf_through_data_are_seen():
    for write in (lambda w, g: setattr(w, "data", w.data - g),
                  lambda w, g: w.__class__.data.fset(w, w.data.__isub__(g))):
        w = Tensor(np.ones((100, 100)))
        g = np.zeros((100, 100))
        g[5, 5] = 1
        loss = (w * w).sum()
        write(w, g)
        with pytest.raises(tn.MutationError):
            loss.backward()


def test_not_a_number_is_not_a_change():
    c = A([np.nan, 1.0, -0.0])
    w = Tensor([np.nan, 1.0, 2.0])
    (w * c * w).sum().backward()
    assert np.isnan(w.grad[0]) and w.grad[1] == 2


def test_empty_arrays():
    w, c = Tensor(np.zeros((0, 3))), np.zeros((0, 3))
    y = (w * c).sum()
    c[:] = 1
    y.backward()
    assert w.grad.shape == (0, 3)

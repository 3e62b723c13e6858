"""backward(): seeds, accumulation, what .grad may not share, no_grad."""

import re
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_nn as tn
from tinygrad_nn import Tensor
from tinygrad_nn.testing import broadcastable

A = np.array


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


@given(broadcastable(3), st.tuples(*[st.sampled_from([np.float32, np.float64])] * 3))
@settings(max_examples=60, deadline=None)
def test_gradients_have_the_shape_and_dtype_of_their_leaf(shapes, dtypes):
    leaves = [Tensor(np.full(shape, 1.5, dtype))
              for shape, dtype in zip(shapes, dtypes, strict=True)]
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

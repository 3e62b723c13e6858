"""Every rule of the table: there, equal to NumPy, right in both modes and at second order."""

import numpy as np
import pytest
import specs_linalg  # noqa: F401  they add their rows
import specs_more  # noqa: F401
import specs_networks  # noqa: F401
from hypothesis import given, settings
from hypothesis import strategies as st
from specs import ROWS, ZEROS
from strategies import arguments

import tinygrad_nn as tn
from tinygrad_nn._table import RULES
from tinygrad_nn._transforms import flatten

IDS = [repr(r) for r in ROWS]


def leaves(y):
    return [np.asarray(v) for _, v in flatten(y)]


def the_packages(fn):
    """Not what tests add to the table."""
    if isinstance(fn, np.ufunc):
        return getattr(np, fn.__name__, None) is not None
    return fn.__module__.partition(".")[0] in ("numpy", "tinygrad_nn")


def test_every_rule_has_its_row():
    table = {fn: rule.kind for fn, rule in RULES.items() if the_packages(fn)}
    assert {fn for fn, kind in table.items() if kind not in ("zero", "refused")} == {
        r.fn for r in ROWS}
    assert {fn for fn, kind in table.items() if kind == "zero"} == {fn for fn, _ in ZEROS}


def drawn(check):
    """Run ``check(data)`` on a few draws.

    A function of its own each time: given a thousand parameters, one decorated test nests
    hypothesis' settings a thousand deep.
    """
    settings(max_examples=5, deadline=None)(given(data=st.data())(lambda data: check(data)))()


@pytest.mark.parametrize("row", ROWS, ids=IDS)
def test_derivatives(row):
    drawn(lambda data: derivatives(row, data))


def derivatives(row, data):
    xs = data.draw(arguments(row))
    before = [x.copy() for x in xs]
    assert tn.gradcheck(row.call, *xs, order=2)
    for x, b in zip(xs, before, strict=True):
        np.testing.assert_array_equal(x, b)


@pytest.mark.parametrize("row", ROWS, ids=IDS)
def test_values_dtypes_and_untouched_inputs(row):
    drawn(lambda data: values_and_dtypes(row, data))


def values_and_dtypes(row, data):
    dtype = data.draw(st.sampled_from([np.float64, np.float32]))
    xs = data.draw(arguments(row, dtype))
    before = [x.copy() for x in xs]
    tensors = [tn.Tensor(x) for x in xs]
    out = [v for _, v in flatten(row.call(*tensors))]
    for got, want in zip(out, leaves(row.call(*xs)), strict=True):
        got = got.data if isinstance(got, tn.Tensor) else np.asarray(got)
        np.testing.assert_allclose(got, want, rtol=1e-5 if dtype == np.float32 else 1e-12,
                                   atol=1e-6 if dtype == np.float32 else 1e-13)
        assert got.dtype == want.dtype and got.shape == want.shape
    total = sum(np.sum(v) for v in out if isinstance(v, tn.Tensor))
    total.backward()
    for t, x, b in zip(tensors, xs, before, strict=True):
        assert t.grad is None or (t.grad.dtype == dtype and t.grad.shape == x.shape)
        np.testing.assert_array_equal(x, b)


@pytest.mark.parametrize("row", ROWS, ids=IDS)
def test_float32_gradients_are_those_of_float64(row):
    shapes = row.shapes if isinstance(row.shapes, list) else [((2, 1), (3,))]
    from strategies import values
    rng = np.random.default_rng(1)
    xs = [values(d, s, rng) for d, s in zip(row.domains, shapes[-1], strict=True)]

    def total(*xs):
        return sum(np.sum(v) for _, v in flatten(row.call(*xs)))
    numbers = tuple(range(len(xs)))
    exact = tn.grad(total, argnums=numbers)(*xs)
    single = tn.grad(total, argnums=numbers)(*(x.astype(np.float32) for x in xs))
    for e, s in zip(exact, single, strict=True):
        assert s.dtype == np.float32
        np.testing.assert_allclose(s, e, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize(("fn", "call"), ZEROS, ids=[f.__name__ for f, _ in ZEROS])
def test_zero_derivatives_give_plain_values(fn, call):
    x = np.array([0.25, -1.25, 2.25])
    t = tn.Tensor(x)
    got = call(t)
    assert not isinstance(got, tn.Tensor)
    if fn is not np.empty_like:
        assert repr(got) == repr(call(x))
    if isinstance(got, np.ndarray) and got.shape == x.shape and fn is not np.empty_like:
        slope = tn.jvp(lambda x: np.sum(call(x) * x), (x,), (np.ones(3),))[1]
        np.testing.assert_allclose(slope, np.sum(got))

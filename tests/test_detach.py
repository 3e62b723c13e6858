"""NumPy asks a Tensor for a plain array, a number, a place to write: errors with a remedy."""

import math
import operator
import re

import numpy as np
import pytest
from derivatives import boxes

import tinygrad_nn as tn
from tinygrad_nn import Tensor

A = np.array


# ---------------------------------------------------------------- NumPy asks for a plain array

REMEDY = r"np\.stack\(\[\.\.\.\]\).*\.data"
CONVERSIONS = {
    "np.asarray": np.asarray, "np.array": np.array,
    "np.array of a list": lambda t: np.array([t, t]),
    "np.asarray of a tuple": lambda t: np.asarray((t, t)),
    "nested list": lambda t: np.array([[t, 1.0], [2.0, t]]),
    "np.array with dtype": lambda t: np.array(t, np.float32), "np.r_": lambda t: np.r_[t, 1.0],
    "np.c_": lambda t: np.c_[t, t], "np.full": lambda t: np.full(3, t),
    "np.ascontiguousarray": np.ascontiguousarray, "np.asanyarray": np.asanyarray,
    "np.sum of a list": lambda t: np.sum([t, t]), "np.exp of a list": lambda t: np.exp([t, t]),
    "np.mean of a list": lambda t: np.mean([t, 1.0]), "np.arange": np.arange,
    "np.vectorize": lambda t: np.vectorize(abs)(t),
    "np.testing": lambda t: np.testing.assert_allclose(np.ones(2), t),
    "c[:] = t": lambda t: np.zeros(2).__setitem__(slice(None), t),
    "c[mask] = t": lambda t: np.zeros(2).__setitem__(A([True, True]), t),
    "c.dot(t)": lambda t: np.ones(2).dot(t), "c[t]": lambda t: np.ones(3)[t],
    "Generator.normal": lambda t: np.random.default_rng(0).normal(t),
}


@pytest.mark.parametrize("name", CONVERSIONS)
@pytest.mark.parametrize("x", [A([1.0, 2.0]), A(1.0)], ids=["1-d", "0-d"])
def test_no_silent_conversion_to_an_array(name, x):
    for t in boxes(x):
        with pytest.raises(tn.DetachError, match=REMEDY):
            CONVERSIONS[name](t)


ITEM_ASSIGNMENTS = {
    "c[0] = t": lambda t: np.zeros(2).__setitem__(0, t),
    "c[0, 0] = t": lambda t: np.zeros((2, 2)).__setitem__((0, 0), t),
    "c.flat[0] = t": lambda t: np.zeros(2).flat.__setitem__(0, t),
    "c.fill(t)": lambda t: np.zeros(2).fill(t),
    "np.fromiter": lambda t: np.fromiter([t], float),
    "0-d": lambda t: np.zeros(()).__setitem__((), t),
}


@pytest.mark.parametrize("name", ITEM_ASSIGNMENTS)
@pytest.mark.parametrize("x", [A(1.0), A([1.0]), A([1.0, 2.0])], ids=str)
def test_no_silent_assignment_of_an_element(name, x):
    for t in boxes(x):
        with pytest.raises((TypeError, ValueError)) as error:
            ITEM_ASSIGNMENTS[name](t)
        if name == "c[0] = t":                      # NumPy puts its own error on top of ours
            causes = (error.value, error.value.__cause__)
            assert any(isinstance(e, tn.DetachError) for e in causes)


NUMBERS = {
    "float": float, "int": int, "complex": complex, "math.exp": math.exp, "range": range,
    "list index": lambda t: [1, 2][t], "operator.index": operator.index, "hex": hex,
    "math.sqrt": math.sqrt, "repetition": lambda t: [0] * t if t.size > 1 else [0][:t],
}


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("shape", [(), (1,)])
def test_no_silent_conversion_to_a_number(name, shape):
    for t in boxes(np.ones(shape)):
        with pytest.raises(tn.DetachError, match=r"number.*\.item\(\)"):
            NUMBERS[name](t)


def test_what_gives_the_number():
    for t in boxes(A(2.5)):
        assert t.item() == 2.5 and type(t.item()) is float
        assert f"{t:.2f}" == "2.50" and bool(t) and "2.5" in str(t)


def test_indexing_with_a_tensor():
    i = Tensor(1.0)
    for t in boxes(A([1.0, 2.0])):
        for index in (i, (i,), [i], (0, i), slice(i, None), (..., i), t):
            with pytest.raises((tn.DetachError, TypeError)):
                t[index]
    with pytest.raises(tn.DetachError, match=r"index.*\.data"):
        _ = Tensor([1.0])[i]


# ---------------------------------------------------------------- writing in place

def test_item_assignment_to_a_tensor():
    for t in boxes(A([1.0, 2.0])):
        for index in (0, slice(None), A([True, False]), (..., 0)):
            with pytest.raises(tn.DetachError, match=r"np\.where.*\.data\["):
                t[index] = 3.0
        with pytest.raises(tn.DetachError):
            t[0] += 1
        with pytest.raises((TypeError, AttributeError)):
            del t[0]


AUGMENTED = {"+": "t += 1.0", "-": "t -= 1.0", "*": "t *= 2.0", "/": "t /= 2.0",
             "**": "t **= 2.0", "//": "t //= 2.0", "%": "t %= 2.0", "@": "t @= m"}


@pytest.mark.parametrize("sign", AUGMENTED)
def test_augmented_assignment_to_a_leaf(sign):
    t = Tensor(A([3.0, 4.0]))
    sign_ = re.escape(sign)
    with pytest.raises(tn.DetachError, match=rf"{sign_}=.*leaf.*\.data {sign_}="):
        exec(AUGMENTED[sign], {}, {"t": t, "m": np.eye(2)})
    np.testing.assert_array_equal(t.data, [3, 4])


@pytest.mark.parametrize("sign", AUGMENTED)
def test_augmented_assignment_rebinds_computed_tensors(sign):
    w = Tensor(A([3.0, 4.0]))
    start = w * 1.0
    names = {"t": start, "m": np.eye(2)}
    exec(AUGMENTED[sign], {}, names)
    np.testing.assert_array_equal(start.data, [3, 4])
    if sign != "//":
        assert isinstance(names["t"], Tensor) and names["t"] is not start
        names["t"].sum().backward()
        assert w.grad is not None

    def f(x):
        names = {"t": x, "m": np.eye(2)}
        exec(AUGMENTED[sign], {}, names)
        return np.sum(names["t"])
    x = A([3.0, 4.0])
    np.testing.assert_allclose(tn.grad(f)(x), np.zeros(2) if sign == "//" else w.grad)
    np.testing.assert_array_equal(x, [3, 4])
    tn.jvp(f, (x,), (x,))
    np.testing.assert_array_equal(x, [3, 4])


@pytest.mark.parametrize("sign", [s for s in AUGMENTED if s != "@"])
def test_augmented_assignment_of_a_tensor_to_an_array(sign):
    for t in boxes(A([3.0, 4.0])):
        c = A([1.0, 2.0])
        with pytest.raises(tn.DetachError, match=r"a = a \+ t"):
            exec(f"c {sign}= t", {}, {"c": c, "t": t})
        np.testing.assert_array_equal(c, [1, 2])


def test_rebinding_a_loss_is_right():
    w = Tensor(A([1.0, 2.0]))
    loss = (w * w).sum()
    loss += (w * 3).sum()
    loss /= 2
    loss.backward()
    np.testing.assert_array_equal(w.grad, [2.5, 3.5])
    total = 0.0
    for x in w:
        total += x * x
    total.backward()


OUT = {
    "np.add": lambda t, o: np.add(t, 1.0, out=o), "np.exp": lambda t, o: np.exp(t, out=o),
    "np.sum": lambda t, o: np.sum(t, axis=0, keepdims=True, out=o),
    "np.matmul": lambda t, o: np.matmul(np.eye(2), t, out=o),
    "np.clip": lambda t, o: np.clip(t, 0, 1, out=o),
    "np.concatenate": lambda t, o: np.concatenate([t[:1], t[1:]], out=o),
    "np.stack": lambda t, o: np.stack([t[0], t[1]], out=o),
    "np.cumsum": lambda t, o: np.cumsum(t, out=o),
    "np.max": lambda t, o: np.max(t, keepdims=True, out=o),
    "np.einsum": lambda t, o: np.einsum("i->i", t, out=o),
    "np.dot": lambda t, o: np.dot(np.eye(2), t, out=o),
    "np.take": lambda t, o: np.take(t, [0, 1], out=o),
    "np.mean": lambda t, o: np.mean(t, axis=0, out=o), "t.sum": lambda t, o: t.sum(out=o),
    "np.floor": lambda t, o: np.floor(t, out=o), "np.var": lambda t, o: np.var(t, out=o),
    "np.greater": lambda t, o: np.greater(t, 0, out=o), "positional": lambda t, o: np.exp(t, o),
    "np.round": lambda t, o: np.round(t, out=o), "np.outer": lambda t, o: np.outer(t, t, out=o),
    "np.add.reduce": lambda t, o: np.add.reduce(t, out=o),
    "np.add.accumulate": lambda t, o: np.add.accumulate(t, out=o),
}


@pytest.mark.parametrize("name", OUT)
def test_out_is_refused_with_the_rewrite(name):
    for t in boxes(A([1.0, 2.0])):
        o = np.zeros(2)
        with pytest.raises(tn.DetachError, match=r"out=.*y = np\."):
            OUT[name](t, o)
        np.testing.assert_array_equal(o, 0)


@pytest.mark.parametrize("run", [
    lambda t: np.add(np.ones(2), 1.0, out=t), lambda t: np.sum(np.ones((2, 2)), axis=0, out=t),
    lambda t: np.exp(np.ones(2), t), lambda t: np.add(np.ones(2), 1.0, out=(t,)),
    lambda t: np.concatenate([np.ones(1), np.ones(1)], out=t),
])
def test_a_tensor_as_out_is_refused(run):
    for t in boxes(A([1.0, 2.0])):
        with pytest.raises(tn.DetachError, match="out="):
            run(t)


@pytest.mark.parametrize("run", [
    lambda t: np.add.at(np.zeros(2), [0], t), lambda t: np.copyto(np.zeros(2), t),
    lambda t: np.put(np.zeros(2), [0, 1], t), lambda t: np.full_like(np.zeros(2), t),
    lambda t: np.place(np.zeros(2), A([True, True]), t),
    lambda t: np.putmask(np.zeros(2), A([True, True]), t),
    lambda t: np.fill_diagonal(np.zeros((2, 2)), t), lambda t: np.full(2, t, like=t),
    lambda t: np.put_along_axis(np.zeros(2), A([0, 1]), t, 0),
])
def test_functions_that_write_in_place(run):
    for t in boxes(A([1.0, 2.0])):
        with pytest.raises((tn.NoRuleError, tn.DetachError)):
            run(t)

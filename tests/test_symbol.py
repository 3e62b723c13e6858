"""Tracing: what is written down, that it is what ran, and what is refused at its line."""

import operator
import traceback

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn import Tensor, optim
from tinygrad_nn._graph import guarded
from tinygrad_nn._program import Program
from tinygrad_nn._symbol import Draws, Symbol, Trace, Var, stand_ins

X = np.arange(6.0).reshape(2, 3) + 1


def traced(f, *arrays):
    """(result, equations) of a function of arrays."""
    trace = Trace()
    return f(*map(trace.stand_in, arrays)), trace.equations


def names(equations):
    return [getattr(e.fn, "__name__", "?").lstrip("_") for e in equations]


# ---------------------------------------------------------------- what is written down

@pytest.mark.parametrize("operate", [
    operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod,
    operator.pow, operator.lt, operator.eq, divmod], ids=lambda f: f.__name__)
@pytest.mark.parametrize("other", [2.0, X, np.float32(3), np.array(2)], ids=type)
def test_operators_on_both_sides(operate, other):
    for f in (lambda x: operate(x, other), lambda x: operate(other, x)):
        y, equations = traced(f, X)
        want = f(X)
        for a, b in zip(y if isinstance(y, tuple) else [y],
                        want if isinstance(want, tuple) else [want], strict=True):
            assert isinstance(a, Symbol) and a.dtype == b.dtype
            np.testing.assert_array_equal(a._data, b)
        assert len(equations) in ((1, 2) if operate is divmod else (1,))


def test_an_equation_tells_what_ran_and_where():
    y, (e, last) = traced(lambda a, b: np.sum(np.concatenate([a, b], axis=1), axis=0), X, 2 * X)
    assert e.fn is np.concatenate and e.kwargs == {"axis": 1}
    (a, b), = e.args
    assert isinstance(a, Var) and a.shape == (2, 3) and a is not b
    assert last.args == e.outs and last.outs == (y.var,)
    assert "test_symbol.py, line" in e.place
    assert (e.effect, e.lazy, e.again) == (False, False, False)
    assert (e.several, e.bases) == (None, (None,))


def test_views_know_their_base():
    (a, b, c, d), equations = traced(
        lambda x: (x.T, x[1:], np.reshape(x, 6), x[:, [0, 2]]), X)
    assert [e.bases[0] is e.args[0] for e in equations] == [True, True, True, False]
    assert (a.shape, b.shape, c.shape, d.shape) == ((3, 2), (1, 3), (6,), (2, 2))
    assert stand_ins([a, {"k": (b, 3)}]) == [a, b]


def test_several_results_keep_their_form():
    y, (e,) = traced(lambda x: np.linalg.svd(x, full_matrices=False), X)
    assert type(y).__name__ == "SVDResult" and isinstance(y.S, Symbol) and len(e.outs) == 3
    y, (e,) = traced(lambda x: np.split(x, 3, axis=1), X)
    assert isinstance(y, list) and e.several is list and len(e.bases) == 3
    assert all(b is e.args[0] for b in e.bases)


def test_functions_without_a_rule_and_composites_are_recorded_whole():
    assert names(traced(lambda x: np.fft.fft(np.var(x, axis=0)), X)[1]) == ["var", "fft"]
    plain = tn.primitive(lambda x: x + 1)
    assert len(traced(lambda x: plain(x), X)[1]) == 1


def test_what_is_known_of_shapes_is_plain():
    def f(x):
        assert (len(x), x.shape, x.ndim, x.size, x.dtype) == (2, (2, 3), 2, 6, np.float64)
        assert np.shape(x) == (2, 3) and np.ndim(x) == 2 and np.size(x) == 6
        assert (x.nbytes, x.itemsize, x.strides) == (48, 8, (24, 8)) and x.flags.c_contiguous
        assert np.result_type(x, np.float32) == np.float64 and "Symbol" in repr(x)
        return np.zeros_like(x)
    y, equations = traced(f, X)
    assert isinstance(y, np.ndarray) and not equations


def test_array_methods_and_scalars():
    def f(x):
        total = x.sum()
        total += x.prod(axis=0).max()                   # a scalar of NumPy's: rebinds
        return total, x.clip(2, 3), x.real, x.argmax(axis=1), ~(x > 2) & (x < 5) | (x == 6)
    y, _ = traced(f, X)
    for a, b in zip(y, f(X), strict=True):
        np.testing.assert_array_equal(a._data, b)


def test_tensors_over_symbols_record_forward_and_backward():
    trace = Trace()
    w = Tensor(np.ones((3, 2)))
    w._data = trace.stand_in(w._data)
    loss = np.mean(np.tanh(trace.stand_in(X) @ w))
    loss.backward()
    assert isinstance(w.grad, Symbol) and "Symbol" in repr(loss)
    want = tn.grad(lambda w: np.mean(np.tanh(X @ w)))(np.ones((3, 2)))
    np.testing.assert_array_equal(w.grad._data, want)
    assert names(trace.equations)[:3] == ["matmul", "tanh", "mean"]


def test_masks_are_lazy_and_what_remat_repeats_is_marked():
    def f(x):
        x = Tensor(x)
        y = tn.remat(lambda v: np.sin(np.where(v > 2, np.sqrt(v), v)))(x)
        np.sum(y @ np.ones(3)).backward()
        return x.grad
    _, equations = traced(f, X)
    guards = [e for e in equations if e.fn is guarded]
    lazy = {v for e in equations if e.lazy for v in e.outs}
    assert guards and all(e.args[1] in lazy and not e.lazy for e in guards)
    assert {e.again for e in equations if e.fn is np.sin} == {False, True}


def test_integers_of_symbols_do_not_wrap_round():
    x = np.array([100, 120], np.int8)
    f = lambda x: tn.grad(lambda w: np.sum(np.power(w, 2) * x))(np.ones(2))
    y, _ = traced(f, x)
    np.testing.assert_array_equal(y._data, f(x))


def test_draws_come_from_the_generator():
    trace = Trace()
    rng = trace.stand_in(np.random.default_rng(0))
    assert isinstance(rng, Draws)
    y, z = rng.random(3), rng.normal(size=(2,), scale=2.0)
    other = np.random.default_rng(0)
    np.testing.assert_array_equal(y._data, other.random(3))
    np.testing.assert_array_equal(z._data, other.normal(size=2, scale=2.0))
    assert all(e.effect and e.args[0] is rng.var for e in trace.equations)
    for name in ("shuffle", "bit_generator", "spawn"):
        with pytest.raises(tn.DetachError, match=f"Generator's .{name} in a compiled"):
            getattr(rng, name)
    with pytest.raises(AttributeError):
        rng.absent                                                              # noqa: B018


def test_a_program_prints_as_one_would_write_it():
    trace = Trace()
    x, rng = trace.stand_in(X), trace.stand_in(np.random.default_rng(0))
    y = np.concatenate([x[0, 1:], np.add.reduce(x, axis=0)], axis=0)
    y = tn.relu(y * np.array([1.0, 2.0, 3.0, 4.0, 5.0])) - np.float32(2) + rng.random(5)
    program = Program({x.var: "x", rng.var: "rng"}, tuple(trace.equations),
                      (("return 0", y.var), ("return 1", None)))
    assert str(program) == """\
inputs
    x f8[2, 3]
    rng generator
equations
    v1 f8[2] = getitem(x, index=(0, 1:))
    v2 f8[3] = np.add.reduce(x, axis=0)
    v3 f8[5] = np.concatenate([v1, v2], axis=0)
    v4 f8[5] = np.multiply(v3, constant f8[5])
    v5 f8[5] = relu(v4)
    v6 f8[5] = np.subtract(v5, 2.0 f4)
    v7 f8[5] = Generator.random(rng, 5)
    v8 f8[5] = np.add(v6, v7)
outputs
    return 0 = v8
    return 1 = None"""


# ---------------------------------------------------------------- what is refused

def assigned(x):
    x[0] = 1.0


def added(x):
    x += 1


W = Tensor(np.ones(3))
OPT = optim.SGD([W], lr=0.1)


def rate(x):
    OPT.settings["lr"], old = x[0, 0], OPT.settings["lr"]
    try:
        return OPT.lr
    finally:
        OPT.settings["lr"] = old


REFUSED = {
    "cannot branch on values": [
        lambda x: 1 if x[0, 0] > 0 else 2, lambda x: x[0, 0] and 1, lambda x: not x[0],
        lambda x: max(x[0, 0], 0), lambda x: x[0, 0] in [1, 2], lambda x: sorted(x[0]),
        lambda x: 0 < x[0, 0] < 1],
    "a number taken out of an array": [
        lambda x: float(x[0, 0]), lambda x: int(x[0, 0]), lambda x: x.item(),
        lambda x: x.tolist(), lambda x: f"{x[0, 0]:.3f}", lambda x: complex(x[0, 0]),
        lambda x: round(float(x.sum())), rate],
    "cannot be a size, a position or an index": [
        lambda x: range(x.argmax()), lambda x: [1, 2][x.argmax()], lambda x: x[:x.argmax()]],
    "asked for a plain array of a value": [
        np.asarray, np.array, lambda x: np.arange(3)[x.argmax(axis=1)],
        lambda x: np.random.default_rng(0).normal(x)],
    "cannot write into an array": [assigned],
    r"x \+= y writes into the array x": [added],
    "with out= would write": [
        lambda x: np.add(x, 1, out=np.empty((2, 3))), lambda x: np.sum(x, 0, None, np.empty(3)),
        lambda x: np.sum(x, out=np.empty(()))],
    "cannot be updated in place": [lambda x: operator.iadd(np.ones((2, 3)), x)],
    "writes into its first argument": [
        lambda x: np.add.at(x, 0, 1), lambda x: np.copyto(np.empty((2, 3)), x),
        lambda x: np.putmask(x, x > 0, 1), lambda x: np.fill_diagonal(x, 1)],
    "as many elements as the values make": [
        lambda x: x[x > 2], np.unique, np.nonzero, np.argwhere, lambda x: np.where(x > 2),
        lambda x: np.compress([True, False], x), lambda x: np.unique(Tensor(x)),
        lambda x: Tensor(x)[x > 2], lambda x: np.trim_zeros(x[0])],
    "cannot be recorded: use NumPy's functions": [
        lambda x: x.sort(), lambda x: x.fill(1), lambda x: x.flat, lambda x: x.tobytes()],
    "a file holds numbers": [lambda x: np.savetxt("x", x)],
    "gives a bool, which a compiled function would freeze": [
        lambda x: np.allclose(x, x), lambda x: np.array_equal(x, x)],
    "shapes .* do not broadcast": [lambda x: x + np.ones(2)],
}


def test_backward_of_what_depends_on_no_tensor_says_so():
    with pytest.raises(tn.GraphError, match="depends on no Tensor: is all of the model frozen"):
        traced(lambda x: np.sum(x).backward(), X)


@pytest.mark.parametrize(("message", "f"), [
    (message, f) for message, fs in REFUSED.items() for f in fs])
def test_what_cannot_be_recorded_raises_at_its_line(message, f):
    error = tn.ShapeError if "broadcast" in message else tn.DetachError
    with pytest.raises(error, match=message) as caught:
        traced(f, X)
    mine = [line for line in traceback.extract_tb(caught.value.__traceback__)
            if line.filename == __file__]
    assert len(mine) >= 2 or f.__module__.startswith("numpy")   # this test, and the function


def test_tensors_within_a_recorded_function_are_refused_alike():
    for f in (lambda t: bool(t.sum() > 0), lambda t: float(t.sum()), lambda t: t.sum().item(),
              lambda t: np.asarray(t), lambda t: f"{t.sum():.2f}"):
        with pytest.raises(tn.DetachError):
            traced(lambda x, f=f: f(Tensor(x) * 2), X)
    with pytest.raises(AttributeError, match="no attribute 'absent'"):
        traced(lambda x: x.absent, X)


def test_assignment_into_a_plain_array_is_refused_by_numpy_because_of_us():
    for write in (lambda x: np.zeros(3).__setitem__(0, x[0, 0]), np.zeros((2, 3)).fill):
        with pytest.raises(ValueError, match="setting an array element") as caught:
            traced(write, X)
        assert isinstance(caught.value.__cause__, tn.DetachError)


def test_a_value_that_outlives_its_call_says_so_when_it_is_used():
    trace = Trace()
    x = trace.stand_in(X)
    trace.open = False
    for f in (lambda: x + 1, lambda: np.sum(x), lambda: x[0], lambda: Tensor(x) * 2):
        with pytest.raises(tn.GraphError, match="kept from inside a compiled function"):
            f()

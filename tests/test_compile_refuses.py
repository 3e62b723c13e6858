"""What cannot be compiled is refused where it stands, and leaves everything as it was."""

import collections
import dataclasses
import threading
import traceback
import types

import numpy as np
import pytest
from compiling import everything, network, same

import tinygrad_nn as tn
from tinygrad_nn import nn, optim

RNG2 = np.random.default_rng
RNG = RNG2(0)


def differs(change):
    """A function that calls ``change()``, a number or an array, and does more arithmetic."""
    return lambda x: np.sum(x * 2) * change() + 1


class Counter:
    n = 0

    def __call__(self):
        self.n += 1
        return self.n


CALLS, LEGACY = iter(range(1000)), np.random.RandomState(0)


@pytest.mark.parametrize(("f", "message"), [
    (differs(lambda: next(CALLS)), r"np.multiply in .*test_compile_refuses.py, line \d+ "
                                   r"got \d+ in the first call and \d+ in the second"),
    (differs(lambda: LEGACY.random(3)), "np.multiply in .* got "),
    (lambda x: [x + 1 for _ in range(next(CALLS))], "operations more in the"),
    (lambda x: np.sin(x) if next(CALLS) % 2 else np.cos(x), "another way"),
    (lambda x: (x + 1, next(CALLS)), "numbers that are no arrays must be"),
    (lambda x: x[:next(CALLS)] + 1, r"getitem .* got :\d+ in the first call and :"),
])
def test_what_differs_between_two_calls_is_named(f, message):
    compiled = tn.compile(f)
    compiled(np.ones(3))
    with pytest.raises(tn.GraphError, match=message) as caught:
        compiled(np.ones(3))
    assert "What changes must come in as an array" in str(caught.value)


def test_a_python_number_that_the_function_changes_is_named():
    counter = Counter()
    with pytest.raises(tn.GraphError, match=r"changed n from 0 to 1.*np\.array\(0\)"):
        vars(counter)["n"] = 0
        tn.compile(counter)(np.ones(2)) if False else tn.compile(counter)()
    model = nn.Linear(2, 2)
    model.eval()
    train = tn.compile(lambda x: model.train()(x))
    for _ in range(4):
        train(np.ones((1, 2), "f4"))
        assert model.training
        model.eval()


@dataclasses.dataclass(slots=True)
class Found:
    y: object


@pytest.mark.parametrize("f", [
    Found, lambda x: Found(tn.Tensor(x) * 2), lambda x: types.SimpleNamespace(y=x + 1),
    lambda x: {tn.Tensor(x) + 1}, lambda x: [collections.deque([x])], lambda x: lambda: x,
    lambda x: (row for row in x), lambda x: map(np.sum, x)])
def test_arrays_in_returned_objects_are_refused(f):
    with pytest.raises(tn.GraphError, match=r"the function returned a \w+, and .* return one"):
        tn.compile(f)(np.ones(3))
    for _ in range(4):
        assert tn.compile(lambda x: Found(1))(np.ones(3)) == Found(1)


@pytest.mark.filterwarnings("ignore:the matrix subclass")
@pytest.mark.parametrize("kind", [np.matrix, np.ma.masked_array])
@pytest.mark.parametrize("before", [0, 4])
def test_arrays_with_operations_of_their_own_are_refused(kind, before, tmp_path):
    f, x = tn.compile(lambda x: x * x), np.eye(3)
    for _ in range(before):
        f(x)
    with pytest.raises(tn.DetachError, match=f"x is a {kind(x).__class__.__name__}, .*asarray"):
        f(kind(x))
    mapped = np.memmap(tmp_path / "x", float, "w+", shape=(3, 3))
    mapped[:] = 2 * x
    for _ in range(4):
        same([f(x), np.asarray(f(mapped))], [x, 4 * x])


def test_many_recordings_in_a_row_are_told():
    f = tn.compile(lambda x: x + 1)
    with pytest.warns(RuntimeWarning, match="recorded 20 times in a row"):
        for n in range(21):
            f(np.ones(n))
    assert len(f._recordings) <= 20


@pytest.mark.parametrize("compiled", [False, True])
def test_a_step_that_raises_leaves_all_as_it_was(compiled):
    model = network(np.float64)
    opt = optim.Adam(model.parameters())

    @tn.compile
    def step(x, t):
        y = model(x)
        loss = nn.cross_entropy(y, np.where(t < 0, 0, t))
        loss.backward()
        opt.step()
        return loss + nn.cross_entropy(y.detach(), t)   # fails after everything was updated
    x, t = RNG2(0).normal(size=(4, 5)), np.array([0, 1, 2, 1])
    for _ in range(5 * compiled):
        step(x, t)
    opt_state = opt.state[0]
    before = everything(model, opt)
    with pytest.raises(ValueError, match="labels must lie in"):
        step(x, np.array([0, 1, 2, -1]))
    assert everything(model, opt) == before and opt.state[0] is opt_state
    step(x, t)
    assert everything(model, opt) != before


@pytest.mark.parametrize("pick", [lambda x, i: x[i], lambda x, i: np.take(x, i) * 2.0,
                                  lambda x, i: np.power(np.array([2, 3]), 2 - i)])
def test_a_number_out_of_range_raises_and_leaves_all_as_it_was(pick):
    w = tn.Tensor(np.ones(3))
    opt = optim.SGD([w], lr=0.1)

    @tn.compile
    def step(x, i):
        np.sum(np.square(w * x)).backward()
        opt.step()
        opt.zero_grad()
        return pick(x, i)                               # after everything was updated
    x = np.arange(3.0)
    for _ in range(6):
        same(step(x, np.array([0, -1])), pick(x, np.array([0, -1])))
        before, step_of = w.data.copy(), opt.state[0]["step"]
        with pytest.raises((IndexError, ValueError)):
            step(x, np.array([0, 3]))
        same([w.data, opt.state[0]["step"]], [before, step_of])


def test_threads_take_turns():
    model = nn.Linear(3, 3, rng=0, dtype=float)
    opt = optim.SGD(model.parameters(), lr=0.01)

    @tn.compile
    def step(x):
        loss = np.sum(np.square(model(x)))
        loss.backward()
        opt.step()
        opt.zero_grad()
        return loss
    x = np.ones((2, 3))
    threads = [threading.Thread(target=lambda: [step(x) for _ in range(50)]) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    other = nn.Linear(3, 3, rng=0, dtype=float)
    opt2 = optim.SGD(other.parameters(), lr=0.01)
    for _ in range(200):
        np.sum(np.square(other(x))).backward()
        opt2.step()
        opt2.zero_grad()
    same(model.state_dict(), other.state_dict())


def test_it_takes_functions():
    with pytest.raises(TypeError, match=r"tn.compile takes a function, got int"):
        tn.compile(3)
    with pytest.raises(ValueError, match="nothing has been recorded yet"):
        tn.compile(np.sin).program                                              # noqa: B018
    assert tn.compile(np.sin).__name__ == "sin" and "sin" in repr(tn.compile(np.sin))


def test_errors_are_raised_at_the_line_that_caused_them():
    model = nn.Sequential(nn.Linear(2, 2), lambda x: x if x.data.sum() > 0 else -x)
    with pytest.raises(tn.DetachError, match="cannot branch on values") as caught:
        tn.compile(model)(np.ones((1, 2), "f4"))
    lines = [f.line for f in traceback.extract_tb(caught.value.__traceback__)]
    assert any("if x.data.sum() > 0" in line for line in lines)
    same(model(np.ones((1, 2), "f4")).shape, (1, 2))    # and the model is as it was

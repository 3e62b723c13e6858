"""Loops over one constant batch: the closed form gives what the loop itself does, whoever looks
or interferes; and it keeps out where it does not hold or does not pay."""

import copy
import subprocess
import sys
import textwrap

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn import Tensor, kernels, nn, optim
from tinygrad_nn._closed_form import closed_form
from tinygrad_nn._loop import OWNERS

N, D = 12, 400
RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(N, D)), RNG.integers(0, 2, (N, 1)).astype(float)


class Run:
    """A network on one batch, with ``losses`` as far as it has come."""

    def __init__(self, settings=None, layers=(D, 6, 1), dtype=np.float64, opt=optim.SGD,
                 prepare=lambda x: x, zero="after", loss=nn.binary_cross_entropy):
        self.x, self.y = X.astype(dtype), Y.astype(dtype)
        self.model = tn.models.CatClassifier(layers, rng=0, dtype=dtype)
        self.opt = opt(self.model.parameters(), **{"lr": 0.05, **(settings or {})})
        self.losses = []
        model, optimizer = self.model, self.opt

        @tn.compile
        def step(x, y):
            if zero == "before":
                optimizer.zero_grad()
            value = loss(model(prepare(x)), y)
            value.backward()
            optimizer.step()
            if zero == "after":
                optimizer.zero_grad()
            return value
        self.step = step

    def go(self, n, closed=True, each=lambda run, i: None):
        for i, loss in enumerate(self.step.repeat(n, self.x, self.y, closed_form=closed)):
            self.losses.append(loss.item())
            each(self, i)
        return self

    @property
    def is_closed(self):
        return "closed form, once" in self.step.program.stages

    def agrees(self, other, tolerance=1e-12):
        np.testing.assert_allclose(self.losses, other.losses, rtol=0, atol=tolerance)
        for a, b in ((self.model.state_dict(), other.model.state_dict()),
                     *zip(self.opt.state_dict()["state"].values(),
                          other.opt.state_dict()["state"].values(), strict=True)):
            assert a.keys() == b.keys()
            for name in a:
                np.testing.assert_allclose(a[name], b[name], rtol=0, atol=tolerance)


def both(n=60, each=lambda run, i: None, closed=True, **kwargs):
    """A run with and one without the closed form; they agree."""
    one, two = Run(**kwargs).go(n, True, each), Run(**kwargs).go(n, False, each)
    one.agrees(two)
    assert one.is_closed == closed and not two.is_closed
    assert not OWNERS
    return one, two


SETTINGS = [{}, {"momentum": 0.9}, {"weight_decay": 0.1}, {"momentum": 0.5, "nesterov": True},
            {"momentum": 0.9, "nesterov": True, "weight_decay": 0.02}]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_it_is_what_the_loop_does(settings):
    both(settings=settings)


@pytest.mark.parametrize("settings", SETTINGS[1:3], ids=str)
@pytest.mark.parametrize("zero", ["before", "never"])
def test_gradients_that_stay(settings, zero):
    """They are put together as well, or added up."""
    one, two = both(settings={**settings, "lr": 1e-3}, zero=zero)
    for p, q in zip(one.model.parameters(), two.model.parameters(), strict=True):
        np.testing.assert_allclose(p.grad, q.grad, atol=1e-12)


def test_one_layer_and_deep_ones_and_what_is_done_to_the_data_first():
    both(layers=(D, 1))
    both(layers=(D, 8, 7, 6, 1))
    both(prepare=lambda x: (x / 255 - 0.5).reshape(N, -1))
    both(prepare=lambda x: np.concatenate([x, x], axis=1)[:, :D])


def test_float32_stays_float32():
    one = Run(dtype=np.float32).go(30)
    two = Run(dtype=np.float32).go(30, False)
    one.agrees(two, 1e-5)
    assert one.is_closed and {a.dtype for a in one.model.state_dict().values()} == {
        np.dtype(np.float32)}


def test_schedules_and_the_learning_rate_by_hand():
    def each(run, i):
        if i == 0:
            run.schedule = optim.CosineAnnealingLR(run.opt, 40)
        run.schedule.step()
        if i == 30:
            run.opt.lr = 0.2
        if i == 40:
            run.opt.momentum = 0.3
    both(each=each, settings={"momentum": 0.9})


def test_whoever_looks_sees_the_weights():
    """At them, at the velocity, at what is computed with them; and keeps what was seen."""
    def each(run, i):
        if i % 7 == 3:
            run.seen = (*getattr(run, "seen", ()), [
                run.model.layers[0].weight.data, run.model(run.x).data,
                run.opt.state_dict()["state"][0]["momentum_buffer"],
                np.asarray(run.opt.state[0]["momentum_buffer"]),
                copy.deepcopy(run.model).layers[0].weight.data])
            run.copies = copy.deepcopy(run.seen)
    one, two = both(each=each, settings={"momentum": 0.9})
    for a, b, c in zip(one.seen, two.seen, one.copies, strict=True):
        for x, y, z in zip(a, b, c, strict=True):
            np.testing.assert_allclose(x, y, atol=1e-12)
            np.testing.assert_array_equal(x, z)


def test_whoever_changes_something_is_heeded():
    def each(run, i):
        first = run.model.layers[0]
        if i == 10:
            first.weight.data = first.weight.data * 0.5
        if i == 20:
            first.weight.data[:] += 0.01
        if i == 25:
            first.bias.data = first.bias.data + 1
        if i == 30:
            run.x[:] = run.x * 0.9
        if i == 35:
            run.opt.state[0]["momentum_buffer"] = np.ones((6, D)) * 1e-3
        if i == 40:
            run.model.layers[2].freeze()
        if i == 50:
            run.opt.weight_decay = 0.1
    both(each=each, settings={"momentum": 0.9})


def test_where_something_changes_all_the_time_it_is_left():
    def each(run, i):
        if i > 20:
            run.model.layers[0].weight.data = run.model.layers[0].weight.data * 0.999
        if i == 25:
            run.step.program.stages.pop("closed form, once", None)  # it does not come back
    both(each=each, closed=False)


def test_another_compiled_function_and_eager_steps_in_between():
    def each(run, i):
        if i == 5:
            run.evaluate = tn.compile(lambda x: run.model(x))
        if i >= 5 and i % 4 == 0:
            run.seen = run.evaluate(run.x).data
        if i == 21:
            run.step._function(run.x, run.y)            # the step itself, not compiled
        if i == 30:
            run.step(run.x, run.y)
    one, two = both(each=each, settings={"momentum": 0.9})
    np.testing.assert_allclose(one.seen, two.seen, atol=1e-12)


def test_a_loop_may_be_left_and_taken_up_again():
    one, two = Run(settings={"momentum": 0.9}), Run(settings={"momentum": 0.9})
    for run, closed in ((one, True), (two, False)):
        for stop in (3, 20, 1):
            for i, loss in enumerate(run.step.repeat(100, run.x, run.y, closed_form=closed)):
                run.losses.append(loss.item())
                if i == stop:
                    break
        with pytest.raises(KeyError):
            for loss in run.step.repeat(100, run.x, run.y, closed_form=closed):
                run.losses.append(loss.item())
                raise KeyError
        run.go(20, closed)
    one.agrees(two)
    assert one.is_closed and not OWNERS


def test_two_loops_take_turns():
    one, two, turns = Run(settings={"momentum": 0.9}), Run(settings={"momentum": 0.9}), []
    for run, closed in ((one, True), (two, False)):
        loops = [iter(run.step.repeat(60, run.x, run.y, closed_form=closed)) for _ in range(2)]
        for turn in (*[0] * 10, *[1] * 10, *[0] * 4):
            run.losses.append(next(loops[turn]).item())
            turns.append(run.is_closed)
        loops[0].close()
        run.losses.append(run.step(run.x, run.y).item())
        loops[1].close()
    one.agrees(two)
    assert any(turns) and not OWNERS


def test_a_step_that_raises_leaves_the_state_of_the_last():
    one, two = Run(), Run()
    for run, closed in ((one, True), (two, False)):
        bad = run.y.copy()
        loop = iter(run.step.repeat(100, run.x, run.y, closed_form=closed))
        for _ in range(10):
            run.losses.append(next(loop).item())
        run.y[0] = 7                                    # checked when it is looked at again
        with pytest.raises(ValueError, match=r"targets must lie in 0\.\.1, got 7"):
            next(loop)
        run.y[:] = bad
    one.agrees(two)


# ---------------------------------------------------------------- where there is none

@pytest.mark.parametrize("opt", [optim.Adam, optim.RMSprop, optim.Adagrad])
def test_an_update_with_squares_of_gradients_has_none(opt):
    both(n=20, closed=False, opt=opt)


def test_a_batch_that_changes_has_none():
    draws = np.random.default_rng(1)
    both(n=20, closed=False, prepare=lambda x: np.where(draws.random(x.shape) < 0, 0.0, x))


@pytest.mark.parametrize("kwargs", [
    {"loss": lambda p, t: nn.mse_loss(p, t) + 0 * np.sum(p)}, {"layers": (D, 300, 1)}], ids=str)
def test_other_costs_and_layers(kwargs):
    both(n=20, closed=True, **kwargs)


def test_a_norm_of_the_gradients_or_of_the_weights_has_none():
    model = nn.Linear(D, 1, rng=0, dtype=float)
    opt = optim.SGD(model.parameters(), lr=0.01)

    def clip():
        optim.clip_grad_norm(model.parameters(), 1.0)
    for penalty, between in ((0.0, clip), (0.1, lambda: None)):
        @tn.compile
        def step(x, y, penalty=penalty, between=between):
            loss = nn.mse_loss(model(x), y)
            if penalty:
                loss = loss + penalty * np.sum(np.square(model.weight))
            loss.backward()
            between()
            opt.step()
            opt.zero_grad()
            return loss
        assert len(list(step.repeat(30, X, Y))) == 30
        assert "closed form, once" not in step.program.stages


def test_it_is_chosen_where_it_is_cheaper():
    def program(n, d, h, steps):
        w, x = Tensor(np.zeros((h, d))), np.zeros((n, d))
        opt = optim.SGD([w], lr=0.1)

        @tn.compile
        def step(x):
            np.sum(tn.rules.dense(x, w) ** 2).backward()
            opt.step()
            opt.zero_grad()
        for _ in range(2):
            step(x)
        p = step.program["dead code again"]
        constant = {v: name for v, name in p.inputs.items() if name == "x"}
        return closed_form(p, constant, steps)
    assert program(10, 100, 3, 1000) is not None
    assert program(10, 100, 3, 3) is None               # the products before it cost more
    assert program(100, 100, 3, 10 ** 6) is not None    # half of the direct one
    assert program(200, 100, 3, 10 ** 6) is None        # too many samples


def test_data_that_are_not_finite_have_none():
    run = Run()
    run.x[0, 0] = np.inf
    with np.errstate(all="ignore"):
        losses = list(run.step.repeat(6, run.x, run.y))
    assert len(losses) == 6 and not run.is_closed


def test_repeat_takes_a_number():
    run = Run()
    for n in (-1, 2.5, None):
        with pytest.raises(ValueError, match="repeat takes a number of calls"):
            run.step.repeat(n, run.x, run.y)
    assert len(run.step.repeat(7, run.x, run.y)) == 7
    assert list(run.step.repeat(0, run.x, run.y)) == []
    assert len(list(run.step.repeat(1, run.x, run.y))) == 1


def test_the_program_shows_it():
    run = Run().go(20)
    text = str(run.step.program)
    once, each = text.partition("== closed form, once")[2].split("== closed form, each step")
    assert "X X' f8" not in once.partition("equations")[0] and "X X' = v" in once
    assert "X X' f8[12, 12]" in each and "next rows of model.layers.0.weight = v" in each
    assert "f8[12, 400]" not in each and "f8[6, 400]" not in each


def test_a_weight_that_is_away_is_a_tensor_all_the_same():
    def each(run, i):
        w = run.model.layers[0].weight
        assert isinstance(w, Tensor)
        if i == 10:
            with pytest.raises(AttributeError, match="no attribute 'absent'"):
                w.absent                                                        # noqa: B018
            run.seen = np.sum(w * w).data, tn.grad(lambda v: np.sum(v * v))(w).shape
    one, two = both(each=each)
    np.testing.assert_allclose(one.seen[0], two.seen[0], atol=1e-12)
    assert one.seen[1] == (6, D) and type(one.model.layers[0].weight) is Tensor


WITHOUT = """
    import sys
    import numpy as np
    import tinygrad_nn as tn
    model = tn.models.CatClassifier((6000, 10, 1), rng=0)
    opt = tn.optim.SGD(model.parameters(), lr=0.01)

    @tn.compile
    def step(x, y):
        loss = tn.nn.binary_cross_entropy(model(x), y)
        loss.backward()
        opt.step()
        opt.zero_grad()
        return loss
    x, y = np.ones((100, 6000), np.float32), np.ones((100, 1), np.float32)
    losses = [loss.item() for loss in step.repeat(50, x, y)]
    assert "closed form, once" in step.program.stages and losses[-1] < losses[0]
    print("numba" in sys.modules, "llvmlite" in sys.modules)
    """


def test_it_needs_no_kernels_and_does_not_ask_for_them():
    """Where numba is installed it takes longer to import than hundreds of such steps."""
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(WITHOUT)], text=True,
                          capture_output=True)
    assert done.stdout.split() == ["False", "False"], done.stderr


def test_where_there_is_none_kernels_run(monkeypatch):
    """What was recorded without them for a closed form is not what is compiled."""
    seen = []
    run = Run(opt=optim.Adam)
    monkeypatch.setattr(run.step, "_record", lambda *args, record=run.step._record: (
        seen.append(kernels._left_out.get()), record(*args))[1])
    run.go(12)
    assert not run.is_closed and seen and not any(seen)

"""Compiled functions: what changes between calls, and what is recorded again."""

import functools

import numpy as np
import pytest
from compiling import agree, bits, everything, network, same, training

import tinygrad_nn as tn
from tinygrad_nn import Tensor, nn, optim

RNG2 = np.random.default_rng
RNG = RNG2(0)


def test_modes_settings_and_layers_may_change():
    def run(wrap):
        model = network(np.float64)
        opt = optim.Adam(model.parameters(), lr=0.01)
        step = wrap(training(model, opt))
        seen = []
        x, t = RNG2(0).normal(size=(6, 5)), np.arange(6) % 3
        changes = {4: lambda: model.eval(), 8: lambda: model.train(),
                   12: lambda: setattr(model[3], "p", 0.5),
                   16: lambda: setattr(opt, "lr", 0.5),
                   20: lambda: setattr(opt, "betas", (0, 0)),
                   24: lambda: setattr(opt, "weight_decay", 0.1),
                   28: lambda: model[0].freeze(), 32: lambda: model[0].unfreeze(),
                   36: lambda: model.load_state_dict(network(np.float64).state_dict()),
                   40: lambda: model[0].weight.data.fill(0.25),
                   44: lambda: setattr(model[3], "rng", RNG2(5)),
                   48: lambda: setattr(model, "0", nn.Linear(5, 8, rng=9, dtype=float))}
        for k in range(52):
            changes.get(k, lambda: None)()
            seen.append(step(x, t).item())
        return seen, everything(model, opt)
    assert run(tn.compile) == run(lambda f: f)


SCALE, TABLE, HALVES = 2.0, {"a": np.ones(2)}, np.full(2, 0.5)


def helper(x):
    return x * SCALE + TABLE["a"]


def test_globals_closures_defaults_and_helpers_are_seen(monkeypatch):
    offset, count = np.zeros(2), 3

    def f(x, extra=HALVES):
        return helper(x) + offset + count + extra
    g = tn.compile(f)
    for k in range(20):
        if k == 4:
            offset = np.full(2, 7.0)
        if k == 8:
            count = 4
        if k == 12:
            monkeypatch.setitem(globals(), "SCALE", 3.0)
        if k == 16:
            TABLE["a"][:] = 5
        same(g(np.ones(2) * k), f(np.ones(2) * k))
    same([offset, TABLE["a"]], [np.full(2, 7.0), np.full(2, 5.0)])
    TABLE["a"][:] = 1


def test_methods_objects_and_partials():
    class Trainer:
        def __init__(self):
            self.model, self.mean, self.log = nn.Linear(2, 1, rng=0), np.zeros(2), []
            self.opt = optim.SGD(self.model.parameters(), lr=0.1)

        def step(self, x):
            self.mean = 0.5 * self.mean + 0.5 * x.mean(axis=0)
            loss = np.mean(np.square(self.model(x - self.mean)))
            loss.backward()
            self.opt.step()
            self.opt.zero_grad()
            return loss

        @tn.compile
        def fast(self, x):
            return self.step(x)

    def run(choose):
        trainer, seen = Trainer(), []
        step = choose(trainer)
        for k in range(6):
            seen.append(step(np.full((3, 2), k, np.float32)).item())
            trainer.log.append(k)                       # not the step's business
        return seen, bits([trainer.mean, trainer.model.state_dict()])
    plain = run(lambda t: t.step)
    assert run(lambda t: tn.compile(t.step)) == plain
    assert run(lambda t: t.fast) == plain
    assert run(lambda t: tn.compile(functools.partial(Trainer.step, t))) == plain
    assert run(lambda t: tn.compile(tn.compile(lambda x: t.fast(x)))) == plain
    assert run(lambda t: t.fast) == plain
    assert len(Trainer.fast._links) == 2                # one for each trainer


def test_one_program_serves_several_models():
    forward = tn.compile(lambda model, x: model(x))
    models = [nn.Linear(3, 2, rng=k) for k in range(5)]
    x = np.ones((4, 3), np.float32)
    for _ in range(3):
        for model in models:
            y = forward(model, x)
            same(y.data, model(x).data)
    assert len(forward._made) == 1
    assert tn.compile(models[0])(x).shape == (4, 2)
    identity = tn.compile(lambda model: model)
    for model in models * 2:
        assert identity(model) is model


def test_gradients_as_modules_and_trees():
    model = nn.Sequential(nn.Linear(3, 4, rng=0, dtype=float), nn.BatchNorm1d(4, dtype=float))
    x = RNG2(0).normal(size=(5, 3))
    f = tn.grad(lambda model, x: np.sum(np.sin(model(x))))
    compiled = tn.compile(f)
    for _ in range(4):
        one, two = compiled(model, x), f(model, x)
        same(one.state_dict(), two.state_dict())
        assert one is not model


def test_a_returned_tensor():
    w = Tensor(np.ones(2))
    f = tn.compile(lambda x: (np.sum(w * x), w, Tensor(x)))
    for _ in range(4):
        loss, back, leaf = f(np.ones(2))
        assert back is w and leaf.node is None and f"{loss:.1f}" == "2.0" and float(loss) == 2
        assert "made by np.sum" in repr(loss)
        with pytest.raises(tn.GraphError, match="compiled function, which keeps no graph"):
            loss.backward()
        with pytest.raises(tn.GraphError, match="keeps no graph"):
            (loss * 2).backward()


def test_within_transforms_other_compiled_functions_and_blocks():
    f = tn.compile(lambda x: np.sum(np.where(x > 0, np.log(x), x) ** 2))
    x = np.array([1.0, 2.0])
    outer = tn.compile(lambda x: f(x) + f(x * 2))
    for _ in range(4):
        same(tn.grad(f)(x), tn.grad(f._function)(x))
        same(f(Tensor(x) * 1).data, f(x))
        same(outer(x), f(x) + f(x * 2))
        with np.errstate(all="ignore"), tn.debug_nans(), pytest.raises(tn.NonFiniteError):
            f(Tensor(np.zeros(2)) * 1)
    w = Tensor(np.ones(2))
    g = tn.compile(lambda x: w * x)
    for k in range(8):
        with tn.no_grad() if k % 2 else tn.debug_nans():
            assert isinstance(g(x), np.ndarray if k % 2 else Tensor)


def test_structural_zeros_are_kept():
    """Masks are looked at when a gradient is not finite, as without compiling."""
    def f(x):
        y = np.where(x > 0, np.sqrt(x), 0.0) * np.where(x > 1, np.log(x), x)
        return np.sum(y @ np.ones(3) + tn.relu(y) @ np.ones(3) + np.maximum(y, 0).sum())
    agree(tn.value_and_grad(f), (np.array([0.0, 2.0, -1.0]),), (np.zeros(3),),
          (np.array([np.nan, 1.0, np.inf]),))
    agree(tn.hessian(f), (np.array([0.0, 2.0, -1.0]),))
    agree(lambda x: tn.jvp(f, (x,), (x,)), (np.array([0.0, 2.0, 1.0]),))
    dead = nn.Sequential(nn.Linear(2, 3, rng=0, dtype=float), nn.ReLU(), nn.Linear(3, 1, rng=1))
    dead[0].bias.data[:] = -1e9
    dead[2].weight.data[:] = np.inf
    agree(tn.grad(lambda m, x: np.sum(m(x))), (dead, np.ones((2, 2))))


def test_a_large_gradient_without_a_living_element_is_zero():
    """Its mask is one number, and asked before all elements are."""
    x = np.full((1, 600), 2.0)
    x[0, 5] = np.inf

    def f(w, low):
        return np.sum(tn.relu(x @ w + low))
    w = np.ones((600, 600))
    with np.errstate(all="ignore"):
        compiled = agree(tn.grad(f), (w, np.full(600, -np.inf)), (w, np.zeros(600)))
    assert "if not" in next(iter(compiled._made.values())).spec.source
    assert not compiled(w, np.full(600, -np.inf)).any()


@pytest.mark.parametrize("transform", [
    tn.grad, lambda f: lambda x: tn.jvp(f, (x,), (np.ones(3),))[1]])
def test_a_transforms_variable_in_a_closure(transform):
    """It runs as it is then, as with such a variable among its arguments."""
    held = [None]
    product = tn.compile(lambda x: np.sum(held[0] * held[0] * x))

    def f(w):
        held[0] = w
        return sum(product(np.full(3, float(k))) for k in range(4))
    for k in range(4):
        same(transform(f)(np.full(3, float(k))),
             transform(lambda w: np.sum(w * w * 6.0))(np.full(3, float(k))))

"""Optimisers: their parameters, settings and state."""

import copy
import math
import pickle

import numpy as np
import pytest
from optimisers import every_case, run, start

import tinygrad_nn as tn
from tinygrad_nn import Tensor, nn, optim

A = np.array


# ---------------------------------------------------------------- the class

def test_a_parameter_without_gradient_stays_with_its_state():
    w, v = Tensor([1.0]), Tensor([1.0])
    opt = optim.Adam([w, v], lr=0.5)
    for _ in range(3):
        w.grad = A([1.0])
        opt.step()
    assert v.item() == 1.0 and opt.state[1]["step"] == 0 and opt.state[0]["step"] == 3
    v.grad = A([7.0])
    opt.step()
    assert v.item() == pytest.approx(0.5)       # a first step: lr, whatever the gradient


def test_settings_are_attributes_checked_at_every_assignment():
    opt = optim.AdamW([Tensor([1.0])], lr=0.1)
    assert (opt.lr, opt.betas, opt.eps, opt.weight_decay) == (0.1, (0.9, 0.999), 1e-8, 0.01)
    assert type(opt.lr) is float
    opt.lr, opt.betas = np.float32(0.25), (0.5, 0.6)
    assert opt.lr == 0.25 and opt.betas == (0.5, 0.6)
    assert isinstance(opt.settings["lr"], np.ndarray) and opt.settings["lr"].shape == ()
    before = opt.settings["lr"]
    opt.lr *= 2
    assert before == 0.25 and opt.lr == 0.5     # replaced, not changed
    for name, value in (("lr", math.nan), ("lr", -1), ("lr", math.inf), ("betas", (0.9, 1.0)),
                        ("eps", -1e-9), ("weight_decay", -0.1)):
        with pytest.raises(ValueError, match="must be at least 0"):
            setattr(opt, name, value)
    assert opt.lr == 0.5
    assert repr(opt).startswith("AdamW(1 parameter, lr=0.5, beta1=0.5,")


def test_momentum_may_begin_later():
    for name, slot in (("SGD", 0), ("RMSprop", 1)):
        w = Tensor([1.0])
        opt = getattr(optim, name)([w], lr=0.1)
        assert len(opt.state[0]) == 1 + slot
        opt.momentum = 0.5
        w.grad = A([1.0])
        opt.step()
        opt.step()
        again = getattr(optim, name)([v := Tensor([1.0])], lr=0.1, momentum=0.5)
        v.grad = A([1.0])
        again.step()
        again.step()
        assert v.item() == w.item()


def test_a_parameter_that_changes_its_dtype_takes_its_state_along():
    w = Tensor(np.ones(3, np.float32))
    opt = optim.Adam([w])
    for dtype in (np.float32, np.float64, np.float32):
        w.data = w.data.astype(dtype)
        w.grad = np.ones(3)                     # and a gradient of any dtype is taken
        opt.step()
        assert w.dtype == dtype and opt.state[0]["exp_avg"].dtype == dtype


@pytest.mark.parametrize("make", [optim.SGD, optim.Adam, optim.AdamW, optim.RMSprop,
                                  optim.Adagrad])
@pytest.mark.parametrize("parameters, error, message", [
    ([], ValueError, "got no parameters: pass model.parameters"),
    (iter(()), ValueError, "used before is empty"),
    ([np.ones(2)], TypeError, "takes Tensors, got ndarray"),
    (nn.Linear(2, 2), TypeError, r"got Linear: pass model.parameters\(\)"),
    (nn.Sequential(nn.Linear(2, 2)), TypeError, "got Linear"),
    (Tensor([1.0]), TypeError, r"a single one: write \[w\]"),
    ([{"params": [Tensor([1.0])], "lr": 0.1}], TypeError, "parameter groups"),
    ([Tensor([1.0])] * 2, ValueError, "the same parameter twice"),
    ([("w", Tensor([1.0])), ("w", Tensor([1.0]))], ValueError, "twice"),
    ([("w", Tensor([1.0])), Tensor([1.0])], TypeError, "takes Tensors, got tuple"),
    ([Tensor([1.0]) * 2], tn.GraphError, "leaf Tensors, parameter 0 of shape"),
])
def test_parameter_lists_that_are_refused(make, parameters, error, message):
    with pytest.raises(error, match=message) as raised:
        make(parameters)
    assert str(raised.value).startswith(make.__name__)


def test_a_parameter_that_is_frozen_for_a_while_goes_on_with_its_state():
    model = nn.Sequential(nn.Linear(3, 4, rng=0), nn.Tanh(), nn.Linear(4, 2, rng=1))
    opt = optim.Adam(model.named_parameters(), lr=0.1)
    x = np.ones((5, 3), np.float32)

    def step():
        (model(x) ** 2).sum().backward()
        opt.step()
        opt.zero_grad()
    step()
    model[0].freeze()
    before = model.state_dict()
    step()
    after = model.state_dict()
    assert (before["0.weight"] == after["0.weight"]).all()
    assert (before["2.weight"] != after["2.weight"]).any()
    model[0].unfreeze()
    step()
    assert (model[0].weight.data != after["0.weight"]).any()
    assert {k: int(s["step"]) for k, s in opt.state.items()} == {
        "0.weight": 2, "0.bias": 2, "2.weight": 3, "2.bias": 3}


def test_an_optimiser_of_ones_own():
    class Lion(optim.Optimizer):
        """Chen et al. (2023), without its weight decay."""

        @staticmethod
        def rule(w, g, state, t, *, lr):
            m = state["m"]
            return w - lr * np.sign(0.9 * m + 0.1 * g), {"m": 0.99 * m + 0.01 * g}

        def __init__(self, parameters, lr):
            super().__init__(parameters, lr=lr)
            self._keep("m")
    w = Tensor(A([1.0, -1.0], np.float32))
    opt = Lion([w], lr=0.25)
    w.grad = A([1.0, -2.0], np.float32)
    opt.step()
    assert w.data.tolist() == [0.75, -0.75] and w.dtype == np.float32
    optim.StepLR(opt, 1).step()
    assert opt.lr == 0.025
    again = Lion([w], lr=1.0)
    again.load_state_dict(opt.state_dict())
    np.testing.assert_equal(again.state_dict(), opt.state_dict())


def test_settings_are_loaded_in_any_order():
    opt = optim.SGD([Tensor([1.0])], momentum=0.9, nesterov=True)
    state = opt.state_dict()
    state["settings"] = dict(reversed(state["settings"].items()))
    other = optim.SGD([Tensor([1.0])], momentum=0.5)
    other.load_state_dict(state)
    assert repr(other) == repr(opt)


def test_variables_of_a_transform_are_refused():
    with pytest.raises(tn.GraphError, match="leaf Tensors"):
        tn.grad(lambda x: optim.SGD([x]) and x)(1.0)


@pytest.mark.parametrize("name, options, error, message", [
    ("SGD", {"lr": -0.1}, ValueError, "learning rate must be at least 0 and finite, got -0.1"),
    ("SGD", {"lr": math.nan}, ValueError, "learning rate.*nan"),
    ("Adam", {"lr": math.inf}, ValueError, "learning rate.*inf"),
    ("Adam", {"lr": "0.1"}, TypeError, "learning rate must be a number, got '0.1'"),
    ("Adam", {"lr": None}, TypeError, "must be a number"),
    ("Adam", {"lr": True}, TypeError, "must be a number"),
    ("Adam", {"lr": A([0.1, 0.2])}, TypeError, "must be a number"),
    ("SGD", {"momentum": -0.1}, ValueError, "momentum must be at least 0 and less than 1"),
    ("SGD", {"momentum": 1.0}, ValueError, "momentum"),
    ("SGD", {"nesterov": True}, ValueError, "needs a momentum"),
    ("SGD", {"weight_decay": -1e-4}, ValueError, "weight decay"),
    ("Adam", {"betas": (1.0, 0.9)}, ValueError, "first of betas.*1.0"),
    ("Adam", {"betas": (0.9, -0.1)}, ValueError, "second of betas.*-0.1"),
    ("AdamW", {"betas": 0.9}, TypeError, "AdamW: betas must be a pair"),
    ("Adam", {"betas": (0.9,)}, TypeError, "pair"),
    ("Adam", {"eps": -1e-8}, ValueError, "eps"),
    ("RMSprop", {"alpha": 1.0}, ValueError, "alpha"),
    ("RMSprop", {"momentum": -1}, ValueError, "RMSprop: the momentum"),
    ("Adagrad", {"lr_decay": -1}, ValueError, "decay of the learning rate"),
    ("Adagrad", {"initial_accumulator_value": -1}, ValueError, "initial_accumulator_value"),
])
def test_settings_that_are_refused(name, options, error, message):
    with pytest.raises(error, match=message):
        getattr(optim, name)([Tensor([1.0])], **options)


def test_step_before_backward_and_wrong_gradients():
    w, v = Tensor([1.0, 2.0]), Tensor([1.0])
    opt = optim.Adam([w, v])
    with pytest.raises(tn.GraphError, match=r"Adam.step\(\) before backward\(\)"):
        opt.step()
    w.grad, v.grad = A([1.0, 1.0]), A([1.0, 1.0])
    with pytest.raises(tn.ShapeError, match=r"parameter 1 has shape \(2,\), the parameter"):
        opt.step()
    assert w.data.tolist() == [1, 2] and opt.state[0]["step"] == 0
    v.grad = None
    w.grad = Tensor([1.0, 1.0])
    with pytest.raises(tn.DetachError):
        opt.step()
    assert w.data.tolist() == [1, 2] and opt.state[0]["step"] == 0


def test_old_graphs_notice_the_step():
    w = Tensor([1.0, 2.0])
    opt = optim.SGD([w], lr=0.1)
    loss = (w * w).sum()
    w.grad = A([1.0, 1.0])
    opt.step()
    with pytest.raises(tn.MutationError):
        loss.backward()


def test_optimisers_are_copied_and_pickled_with_their_parameters():
    for again in (copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))):
        opt = optim.Adam(start(), lr=0.05)
        run(opt, 3)
        other = again(opt)
        for a, b in zip(run(opt, 3), run(other, 3), strict=True):
            assert a is not b
            np.testing.assert_array_equal(a.data, b.data)


# ---------------------------------------------------------------- state

@every_case
@pytest.mark.parametrize("named", [False, True])
def test_training_goes_on_from_a_state_as_if_never_stopped(name, options, named):
    def make():
        parameters = start()
        return getattr(optim, name)(
            [(f"layer.{i}", p) for i, p in enumerate(parameters)] if named else parameters,
            lr=0.05, **options)
    opt, other = make(), make()
    run(opt, 10)
    opt.lr = 0.0125
    state = opt.state_dict()
    assert list(state["state"]) == [f"layer.{i}" if named else i for i in range(4)]
    other.load_state_dict(state)
    assert other.lr == 0.0125 and repr(other) == repr(opt)
    for p, q in zip(other.parameters, opt.parameters, strict=True):
        p.data = q.data.copy()
    for a, b in zip(run(opt, 5, 10), run(other, 5, 10), strict=True):
        np.testing.assert_array_equal(a.data, b.data)
    for arrays in state["state"].values():                  # the copies are nobody else's
        for a in arrays.values():
            a[...] = 99
    for a, b in zip(run(opt, 5, 15), run(other, 5, 15), strict=True):
        np.testing.assert_array_equal(a.data, b.data)


def test_a_state_that_does_not_fit_is_refused_whole():
    parameters = [("a", Tensor([1.0])), ("b", Tensor([1.0, 2.0])), ("c", Tensor([1.0]))]
    opt = optim.Adam(parameters, lr=0.5)
    before = opt.state_dict()
    state = opt.state_dict()
    del state["state"]["a"], state["state"]["b"]["step"], state["settings"]["eps"]
    state["state"]["d"], state["settings"]["lr"] = {}, 0.25
    state["state"]["b"]["exp_avg"] = np.zeros(3)
    state["state"]["c"]["buffer"] = np.zeros(1)
    state["optimizer"] = "AdamW"
    with pytest.raises(tn.ShapeError, match="does not fit Adam") as error:
        opt.load_state_dict(state)
    for part in ("it is of 'AdamW'", "missing settings.eps", "missing state.a",
                 "unexpected state.d", "missing state.b.step", "unexpected state.c.buffer",
                 "state.b.exp_avg has shape (3,), expected (2,)"):
        assert part in str(error.value)
    numbers = before["settings"]
    for bad, kind in (({}, tn.ShapeError), ([], tn.ShapeError),
                      ({**before, "state": None}, tn.ShapeError),
                      ({**before, "settings": {**numbers, "beta2": 2.0}}, ValueError),
                      ({**before, "settings": {**numbers, "eps": "0"}}, TypeError)):
        with pytest.raises(kind):
            opt.load_state_dict(bad)
    assert opt.lr == 0.5
    np.testing.assert_equal(opt.state_dict(), before)


def test_the_state_of_another_optimiser_is_refused():
    state = optim.SGD([Tensor([1.0])], momentum=0.9).state_dict()
    with pytest.raises(tn.ShapeError, match=r"unexpected state\.0\.momentum_buffer"):
        optim.SGD([Tensor([1.0])]).load_state_dict(state)
    with pytest.raises(tn.ShapeError, match=r"missing state\.x; unexpected state\.0"):
        optim.SGD([("x", Tensor([1.0]))]).load_state_dict(state)

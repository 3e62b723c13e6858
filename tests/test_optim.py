"""Optimisers and clipping: against rules written out by hand, against PyTorch, and by property.

The references by hand run always, in plain Python numbers; PyTorch where it is installed.
"""

import copy
import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from measuring import memory

import tinygrad_nn as tn
from tinygrad_nn import Tensor, nn, optim
from tinygrad_nn.optim import _strips

A = np.array
SHAPES = [(3, 4), (5,), (), (2, 1, 3)]


# ---------------------------------------------------------------- the rules by hand

def by_hand_sgd(w, g, s, t, lr, momentum=0.0, weight_decay=0.0, nesterov=False):
    g = g + weight_decay * w
    if momentum == 0:
        return w - lr * g
    s["b"] = momentum * s.get("b", 0.0) + g
    return w - lr * (g + momentum * s["b"] if nesterov else s["b"])


def by_hand_adam(w, g, s, t, lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
    g = g + weight_decay * w
    s["m"] = betas[0] * s.get("m", 0.0) + (1 - betas[0]) * g
    s["v"] = betas[1] * s.get("v", 0.0) + (1 - betas[1]) * g * g
    m, v = s["m"] / (1 - betas[0] ** t), s["v"] / (1 - betas[1] ** t)
    return w - lr * m / (math.sqrt(v) + eps)


def by_hand_adamw(w, g, s, t, lr, weight_decay=0.01, **more):
    return by_hand_adam(w - lr * weight_decay * w, g, s, t, lr, **more)


def by_hand_rmsprop(w, g, s, t, lr, alpha=0.99, eps=1e-8, weight_decay=0.0, momentum=0.0):
    g = g + weight_decay * w
    s["v"] = alpha * s.get("v", 0.0) + (1 - alpha) * g * g
    s["b"] = momentum * s.get("b", 0.0) + g / (math.sqrt(s["v"]) + eps)
    return w - lr * s["b"]


def by_hand_adagrad(w, g, s, t, lr, lr_decay=0.0, weight_decay=0.0,
                    initial_accumulator_value=0.0, eps=1e-10):
    g = g + weight_decay * w
    s["s"] = s.get("s", initial_accumulator_value) + g * g
    return w - lr / (1 + (t - 1) * lr_decay) * g / (math.sqrt(s["s"]) + eps)


CASES = [(name, options) for name, all_options in {
    "SGD": [{}, {"momentum": 0.9}, {"momentum": 0.5, "nesterov": True}, {"weight_decay": 0.1},
            {"momentum": 0.9, "nesterov": True, "weight_decay": 0.03}],
    "Adam": [{}, {"betas": (0.8, 0.9)}, {"eps": 1e-3}, {"weight_decay": 0.1},
             {"betas": (0.0, 0.5), "weight_decay": 0.01}],
    "AdamW": [{}, {"weight_decay": 0.0}, {"betas": (0.8, 0.9), "weight_decay": 0.3}],
    "RMSprop": [{}, {"alpha": 0.8}, {"momentum": 0.9}, {"weight_decay": 0.1, "eps": 1e-4},
                {"momentum": 0.5, "weight_decay": 0.1, "alpha": 0.9}],
    "Adagrad": [{}, {"lr_decay": 0.1}, {"initial_accumulator_value": 0.5},
                {"weight_decay": 0.1, "eps": 1e-3, "lr_decay": 0.01}],
}.items() for options in all_options]
IDS = [f"{name}-{'-'.join(options) or 'defaults'}" for name, options in CASES]
BY_HAND = {"SGD": by_hand_sgd, "Adam": by_hand_adam, "AdamW": by_hand_adamw,
           "RMSprop": by_hand_rmsprop, "Adagrad": by_hand_adagrad}
every_case = pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)


def start(dtype=np.float64):
    rng = np.random.default_rng(3)
    return [Tensor(rng.normal(size=s).astype(dtype)) for s in SHAPES]


def slope(i, step, w):
    """A made-up gradient of parameter i; parameter 1 has none in some steps, at first too."""
    if i == 1 and (step < 5 or step % 4 == 2):
        return None
    noise = np.random.default_rng([i, step]).normal(size=w.shape)
    return np.asarray(np.sin(3 * w) + w + 0.3 * noise).astype(w.dtype)


def run(opt, steps, first=0):
    for step in range(first, first + steps):
        for i, p in enumerate(opt.parameters):
            p.grad = slope(i, step, p.data)
        opt.lr = rate(step)
        opt.step()
        opt.zero_grad()
    return opt.parameters


def rate(step):
    return 0.05 if step < 30 else 0.01


@every_case
def test_fifty_steps_of_every_optimiser_by_hand(name, options):
    found = run(getattr(optim, name)(start(), lr=0.05, **options), 50)
    for i, p in enumerate(start()):
        flat, states, t = [float(v) for v in p.data.ravel()], [{} for _ in range(p.size)], 0
        for step in range(50):
            g = slope(i, step, A(flat).reshape(p.shape))
            if g is None:
                continue
            t += 1
            flat = [BY_HAND[name](w, float(d), s, t, rate(step), **options)
                    for w, d, s in zip(flat, g.ravel(), states, strict=True)]
        np.testing.assert_allclose(found[i].data, A(flat).reshape(p.shape), rtol=1e-11,
                                   atol=1e-12)


@every_case
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_fifty_steps_of_every_optimiser_in_pytorch(name, options, dtype):
    torch = pytest.importorskip("torch")
    found = run(getattr(optim, name)(start(dtype), lr=0.05, **options), 50)
    theirs = [torch.tensor(p.data, requires_grad=True) for p in start(dtype)]
    opt = getattr(torch.optim, name)(theirs, lr=0.05, **options)
    for step in range(50):
        for i, p in enumerate(theirs):
            g = slope(i, step, p.detach().numpy())
            p.grad = None if g is None else torch.tensor(g)
        opt.param_groups[0]["lr"] = rate(step)
        opt.step()
    tolerance = 1e-10 if dtype == np.float64 else 2e-3
    for a, b in zip(found, theirs, strict=True):
        np.testing.assert_allclose(a.data, b.detach().numpy(), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", BY_HAND)
def test_defaults_are_those_of_pytorch(name):
    torch = pytest.importorskip("torch")
    ours = getattr(optim, name)(start())
    group = getattr(torch.optim, name)([torch.zeros(2, requires_grad=True)]).param_groups[0]
    for setting in ("lr", "momentum", "betas", "eps", "weight_decay", "alpha", "lr_decay",
                    "nesterov"):
        assert getattr(ours, setting, None) == group.get(setting), setting


# ---------------------------------------------------------------- what a rule is

@every_case
def test_everything_keeps_its_dtype_and_shape_and_nothing_changes_in_place(name, options):
    opt = getattr(optim, name)(start(np.float32), lr=0.05, **options)
    run(opt, 6)
    before = [p.data for p in opt.parameters]
    copies, kept = copy.deepcopy(before), opt.state_dict()
    again = copy.deepcopy(kept)
    run(opt, 2, first=6)
    for p, old, same in zip(opt.parameters, before, copies, strict=True):
        np.testing.assert_array_equal(old, same)
        assert type(p.data) is np.ndarray and p.dtype == np.float32 and p.shape == same.shape
        assert (p.data != old).all()
    for key, arrays in opt.state_dict()["state"].items():
        assert arrays.pop("step").dtype == np.int64
        assert all(a.dtype == np.float32 and a.shape == before[key].shape
                   for a in arrays.values())
        for n, a in kept["state"][key].items():
            np.testing.assert_array_equal(a, again["state"][key][n])


def order_of(a, layout):
    """The same values laid out in another way."""
    if layout == "F":
        return np.asfortranarray(a)
    if layout == "strided":
        wide = np.zeros((*a.shape[:-1], 2 * a.shape[-1]), a.dtype)
        wide[..., ::2] = a
        return wide[..., ::2]
    if layout == "backwards":
        return np.ascontiguousarray(a[::-1])[::-1]
    return np.ascontiguousarray(a)


@given(case=st.sampled_from(CASES), strip=st.sampled_from([1, 7, 16]),
       shape=st.sampled_from([(41,), (6, 9), (3, 1, 17), (40, 1)]), data=st.data())
@settings(max_examples=60, deadline=None)
def test_large_parameters_go_in_strips_whatever_their_layout(case, strip, shape, data):
    name, options = case
    layouts = st.sampled_from(["C", "F", "strided", "backwards"])
    rng = np.random.default_rng(0)
    w = rng.normal(size=shape)
    whole, parts = Tensor(w), Tensor(order_of(w, data.draw(layouts)))
    opts = [getattr(optim, name)([p], lr=0.1, **options) for p in (whole, parts)]
    usual = _strips.STRIP
    for _ in range(3):
        g = rng.normal(size=shape)
        whole.grad, parts.grad = g, order_of(g, data.draw(layouts))
        opts[0].step()
        try:
            _strips.STRIP, old = strip, parts.data
            same = old.copy()
            opts[1].step()
        finally:
            _strips.STRIP = usual
        np.testing.assert_array_equal(whole.data, parts.data)
        np.testing.assert_array_equal(old, same)
    np.testing.assert_equal(*(o.state_dict()["state"] for o in opts))


@every_case
def test_a_step_of_a_large_parameter_needs_one_more_array(name, options):
    n = 32 * _strips.STRIP
    w = Tensor(np.ones(n, np.float32))
    w.grad = np.full(n, 0.5, np.float32)
    opt = getattr(optim, name)([w], **options)
    size = w.data.nbytes
    with memory() as used:
        opt.step()
        now, peak = used()
    assert now < 1.01 * size                      # the new parameter; the old one is ours
    assert peak < 1.4 * size
    assert (w.data == w.data[0]).all() and w.data[0] < 1


@pytest.mark.parametrize("rule, names", [
    (optim.sgd, ["momentum_buffer"]), (optim.sgd, []), (optim.adam, ["exp_avg", "exp_avg_sq"]),
    (optim.adamw, ["exp_avg", "exp_avg_sq"]), (optim.rmsprop, ["square_avg"]),
    (optim.rmsprop, ["square_avg", "momentum_buffer"]), (optim.adagrad, ["sum"])])
def test_rules_are_differentiable_functions(rule, names):
    target = A([1.0, -2.0, 0.5])
    more = {"momentum": 0.9} if "momentum_buffer" in names else {}

    def final_loss(lr, w):
        """After three steps down the distance to the target, by learning rate and start."""
        state = {name: np.zeros(3) for name in names}
        for t in (1, 2, 3):
            g = 2 * (w - target)
            w, state = rule(w, g, state, t, lr=lr, weight_decay=0.1, **more)
        return np.sum((w - target) ** 2)
    assert tn.gradcheck(final_loss, A(0.05), A([0.3, 0.7, -0.4]))


def test_rules_do_not_promote_and_keep_their_arguments():
    w, g = A([1.0, 2.0], np.float32), A([0.5, -0.5], np.float32)
    state = {"exp_avg": np.ones(2, np.float32), "exp_avg_sq": np.ones(2, np.float32)}
    for lr in (0.1, np.float64(0.1), np.array(0.1)):
        new, after = optim.adamw(w, g, state, np.array(3), lr=lr, beta1=np.array(0.9))
        assert new.dtype == np.float32 and all(a.dtype == np.float32 for a in after.values())
    assert w.tolist() == [1, 2] and g.tolist() == [0.5, -0.5]
    assert all(a.tolist() == [1, 1] for a in state.values())


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


# ---------------------------------------------------------------- clipping

def with_gradients(*gradients):
    parameters = [Tensor(np.zeros_like(g)) for g in gradients]
    for p, g in zip(parameters, gradients, strict=True):
        p.grad = g
    return [*parameters, Tensor([5.0])]                     # and one without


@pytest.mark.parametrize("max_norm", [0.0, 0.5, 3.0, 1e3, math.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_clip_grad_norm(max_norm, dtype):
    rng = np.random.default_rng(0)
    gradients = [rng.normal(size=s).astype(dtype) for s in SHAPES]
    copies = copy.deepcopy(gradients)
    parameters = with_gradients(*gradients)
    norm = optim.clip_grad_norm(iter(parameters), max_norm)
    want = math.sqrt(math.fsum(float(v) ** 2 for g in gradients for v in g.ravel()))
    assert isinstance(norm, float) and norm == pytest.approx(want, rel=1e-12)
    factor = min(1.0, max_norm / (want + 1e-6))
    for p, g, same in zip(parameters, gradients, copies, strict=False):
        assert p.grad.dtype == dtype and p.grad.shape == g.shape
        np.testing.assert_allclose(p.grad, g * factor, rtol=1e-12 if dtype == "f8" else 1e-6)
        np.testing.assert_array_equal(g, same)
    assert parameters[-1].grad is None


@pytest.mark.parametrize("max_norm", [0.5, 3.0, 1e3])
def test_clipping_in_pytorch(max_norm):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    gradients = [rng.normal(size=s) for s in SHAPES]
    theirs = [torch.zeros(s, dtype=torch.float64) for s in SHAPES]
    for by_norm in (True, False):
        for t, g in zip(theirs, gradients, strict=True):
            t.grad = torch.tensor(g)
        ours = with_gradients(*gradients)
        if by_norm:
            norm = torch.nn.utils.clip_grad_norm_(theirs, max_norm).item()
            assert optim.clip_grad_norm(ours, max_norm) == pytest.approx(norm, rel=1e-12)
        else:
            torch.nn.utils.clip_grad_value_(theirs, max_norm)
            optim.clip_grad_value(ours, max_norm)
        for p, t in zip(ours, theirs, strict=False):
            np.testing.assert_allclose(p.grad, t.grad.numpy(), rtol=1e-12)


def test_the_norm_of_float32_gradients_does_not_overflow():
    parameters = with_gradients(np.full(4, 3e38, np.float32), A([4e38 / 4], np.float32))
    assert optim.clip_grad_norm(parameters, 1.0) == pytest.approx(math.hypot(6e38, 1e38))
    assert np.linalg.norm([p.grad[0] for p in parameters[:2]]) == pytest.approx(
        math.hypot(3e38, 1e38) / math.hypot(6e38, 1e38))
    tiny = with_gradients(np.full(4, 1e-30, np.float32))
    assert optim.clip_grad_norm(tiny, 1.0) == pytest.approx(2e-30)


def test_norms_of_large_empty_and_oddly_laid_out_gradients():
    g = np.random.default_rng(0).normal(size=(300, 500))
    for a in (g, g.T, g[::-1, ::2], np.asfortranarray(g), np.zeros((0, 3))):
        p = Tensor(np.zeros(a.shape))
        p.grad = a
        assert optim.clip_grad_norm([p], math.inf) == pytest.approx(
            math.sqrt(np.sum(a * a)), rel=1e-12)


def test_clip_grad_value():
    g = A([[-3.0, 0.2], [0.7, 5.0]], np.float32)
    parameters = with_gradients(g)
    assert optim.clip_grad_value(parameters, 0.5) is None
    assert parameters[0].grad.dtype == np.float32
    np.testing.assert_array_equal(parameters[0].grad, A([[-0.5, 0.2], [0.5, 0.5]], np.float32))
    assert g[0, 0] == -3


@pytest.mark.parametrize("clip", [optim.clip_grad_norm, optim.clip_grad_value])
def test_clipping_refuses(clip):
    w = Tensor([1.0])
    with pytest.raises(tn.GraphError, match=r"\(\) before backward\(\)"):
        clip([w], 1.0)
    w.grad = A([1.0])
    for limit in (-1.0, math.nan):
        with pytest.raises(ValueError, match=r"clip_grad_(norm|value): (max_norm|clip_value)"):
            clip([w], limit)
    for parameters in ([], [np.ones(2)], w, [w, w]):
        with pytest.raises((ValueError, TypeError), match=clip.__name__):
            clip(parameters, 1.0)

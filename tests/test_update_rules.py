"""The rules of the optimisers: by hand, against PyTorch, and by property.

The references by hand run always, in plain Python numbers; PyTorch where it is installed.
"""

import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from measuring import memory
from optimisers import BY_HAND, CASES, every_case, rate, run, slope, start

import tinygrad_nn as tn
from tinygrad_nn import Tensor, optim
from tinygrad_nn.optim import _strips

A = np.array


# ---------------------------------------------------------------- the rules by hand

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

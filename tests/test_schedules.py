"""Learning-rate schedules: against closed formulas, against PyTorch, and their errors."""

import math

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn import Tensor, optim

METRICS = [1 / (1 + 0.1 * i) + 0.3 * math.sin(7 * i) * (i % 3 == 0) for i in range(50)]


def sgd(lr=0.4, **more):
    return optim.SGD([Tensor([1.0])], lr=lr, **more)


def rates(schedule, n=50, *metrics):
    """The learning rate at the start and after each of n steps."""
    found = [schedule.optimizer.lr]
    for i in range(n):
        schedule.step(*(m[i] for m in metrics))
        found.append(schedule.optimizer.lr)
    return np.array(found)


# ---------------------------------------------------------------- closed formulas

@pytest.mark.parametrize("name, options, formula", [
    ("StepLR", {"step_size": 7}, lambda e: 0.4 * 0.1 ** (e // 7)),
    ("StepLR", {"step_size": 1, "gamma": 1.5}, lambda e: 0.4 * 1.5 ** e),
    ("ExponentialLR", {"gamma": 0.9}, lambda e: 0.4 * 0.9 ** e),
    ("LinearLR", {}, lambda e: 0.4 * min(1, 1 / 3 + 2 / 3 * e / 5)),
    ("LinearLR", {"start_factor": 1.0, "end_factor": 0.0, "total_iters": 30},
     lambda e: 0.4 * (1 - min(e, 30) / 30)),
    ("CosineAnnealingLR", {"T_max": 8}, lambda e: 0.2 * (1 + math.cos(math.pi * e / 8))),
    ("CosineAnnealingLR", {"T_max": 50, "eta_min": 0.1},
     lambda e: 0.1 + 0.15 * (1 + math.cos(math.pi * e / 50))),
])
def test_schedules_follow_their_formulas(name, options, formula):
    schedule = getattr(optim, name)(sgd(), **options)
    want = [formula(e) for e in range(51)]
    np.testing.assert_allclose(rates(schedule), want, rtol=1e-12, atol=1e-15)
    assert schedule.last_epoch == 50


def test_a_long_cosine_stays_exact():
    """The ratio of neighbours near the lowest point would lose seven digits as 1 + cos."""
    schedule = optim.CosineAnnealingLR(sgd(), T_max=20_000)
    found = rates(schedule, 40_000)
    e = np.arange(40_001)
    np.testing.assert_allclose(found, 0.4 * np.cos(np.pi * e / 40_000) ** 2, rtol=1e-9,
                               atol=1e-15)


@pytest.mark.parametrize("strategy", ["cos", "linear"])
def test_one_cycle(strategy):
    opt = sgd(momentum=0.5)
    schedule = optim.OneCycleLR(opt, max_lr=1.0, total_steps=50, anneal_strategy=strategy)
    assert opt.momentum == pytest.approx(0.95)
    momenta, found = [0.95], [opt.lr]
    for _ in range(49):
        schedule.step()
        found.append(opt.lr)
        momenta.append(opt.momentum)
    np.testing.assert_allclose([found[0], found[14], found[49]], [0.04, 1.0, 0.04 / 1e4])
    np.testing.assert_allclose([momenta[14], momenta[49]], [0.85, 0.95])
    assert np.argmax(found) == 14 and (np.diff(found[:15]) > 0).all()
    assert (np.diff(found[14:]) < 0).all()
    np.testing.assert_allclose(found[7], 0.52)                       # half-way up, either way
    schedule.step()                                 # after the last batch
    assert (opt.lr, opt.momentum) == (found[-1], momenta[-1])
    with pytest.raises(ValueError, match="all 50 steps are done"):
        schedule.step()
    assert schedule.last_epoch == 50


@pytest.mark.parametrize("pct_start, first", [(0.0, 1.0), (0.1, 1.0), (1.0, 0.04)])
def test_one_cycle_with_a_phase_of_no_length(pct_start, first):
    schedule = optim.OneCycleLR(sgd(), 1.0, total_steps=10, pct_start=pct_start)
    found = rates(schedule, 9)
    assert np.isfinite(found).all() and (found > 0).all() and found.max() <= 1.0 + 1e-12
    if pct_start:
        assert found[0] == pytest.approx(first)


def test_one_cycle_of_betas_and_of_neither():
    opt = optim.Adam([Tensor([1.0])])
    optim.OneCycleLR(opt, 0.1, epochs=3, steps_per_epoch=5)
    assert opt.betas == (pytest.approx(0.95), 0.999)
    opt = optim.Adam([Tensor([1.0])])
    optim.OneCycleLR(opt, 0.1, total_steps=5, cycle_momentum=False)
    assert opt.betas == (0.9, 0.999)
    adagrad = optim.Adagrad([Tensor([1.0])])
    with pytest.raises(ValueError, match=r"Adagrad has neither.*cycle_momentum=False"):
        optim.OneCycleLR(adagrad, 0.1, total_steps=5)


def plateau_by_hand(metrics, lr, *, mode, factor, patience, threshold, threshold_mode, cooldown,
                    min_lr, eps):
    best, bad, wait, found = None, 0, 0, [lr]
    for m in metrics:
        margin = threshold if threshold_mode == "abs" else threshold * (best or 0)
        better = best is None or (m < best - margin if mode == "min" else m > best + margin)
        best, bad = (m, 0) if better else (best, bad + 1)
        if wait:
            wait, bad = wait - 1, 0
        if bad > patience:
            new = max(lr * factor, min_lr)
            lr = new if lr - new > eps else lr
            wait, bad = cooldown, 0
        found.append(lr)
    return found


PLATEAUS = [
    {}, {"patience": 2}, {"patience": 0, "factor": 0.5, "cooldown": 3},
    {"mode": "max", "patience": 3, "threshold_mode": "abs", "threshold": 0.05},
    {"mode": "max", "patience": 1}, {"patience": 1, "threshold_mode": "abs"},
    {"patience": 0, "min_lr": 0.01}, {"patience": 0, "eps": 0.005},
    {"patience": 2, "threshold": 0.2},
]


@pytest.mark.parametrize("options", PLATEAUS, ids=str)
def test_reduce_on_plateau(options):
    everything = {"mode": "min", "factor": 0.1, "patience": 10, "threshold": 1e-4,
                  "threshold_mode": "rel", "cooldown": 0, "min_lr": 0, "eps": 1e-8, **options}
    schedule = optim.ReduceLROnPlateau(sgd(), **options)
    want = plateau_by_hand(METRICS, 0.4, **everything)
    assert want[-1] < 0.4 or everything["patience"] == 10
    np.testing.assert_allclose(rates(schedule, 50, METRICS), want, rtol=1e-12)


def test_a_plateau_of_nan_and_of_a_tensor():
    schedule = optim.ReduceLROnPlateau(sgd(), patience=1)
    np.testing.assert_allclose(rates(schedule, 3, [1.0, math.nan, math.nan]),
                               [0.4, 0.4, 0.4, 0.04])
    loss = (Tensor([1.0]) * 2).sum()
    with pytest.raises(tn.DetachError, match="item"):
        schedule.step(loss)
    assert schedule.last_epoch == 3
    loss.backward()
    schedule.step(loss)                           # used up: a number like any other
    schedule.step(loss.item())


# ---------------------------------------------------------------- PyTorch

SCHEDULES = [
    ("StepLR", {"step_size": 7}), ("StepLR", {"step_size": 3, "gamma": 0.5}),
    ("ExponentialLR", {"gamma": 0.93}), ("LinearLR", {}),
    ("LinearLR", {"start_factor": 0.01, "end_factor": 0.7, "total_iters": 17}),
    ("CosineAnnealingLR", {"T_max": 50}), ("CosineAnnealingLR", {"T_max": 7, "eta_min": 0.05}),
    ("OneCycleLR", {"max_lr": 1.0, "total_steps": 50}),
    ("OneCycleLR", {"max_lr": 0.3, "epochs": 5, "steps_per_epoch": 11, "pct_start": 0.45,
                    "anneal_strategy": "linear", "div_factor": 10, "final_div_factor": 100,
                    "base_momentum": 0.7, "max_momentum": 0.8}),
    ("OneCycleLR", {"max_lr": 1.0, "total_steps": 60, "cycle_momentum": False}),
    *(("ReduceLROnPlateau", options) for options in PLATEAUS),
]


@pytest.mark.parametrize("optimizer", ["SGD", "Adam", "RMSprop"])
@pytest.mark.parametrize(("name", "options"), SCHEDULES, ids=str)
def test_fifty_steps_of_every_schedule_in_pytorch(name, options, optimizer):
    """The weights too, so that momentum and betas are in use as they change."""
    torch = pytest.importorskip("torch")
    w = Tensor(np.array([1.0, -2.0]))
    theirs = torch.tensor([1.0, -2.0], dtype=torch.float64, requires_grad=True)
    opt = getattr(optim, optimizer)([w], lr=0.04)
    other = getattr(torch.optim, optimizer)([theirs], lr=0.04)
    schedule = getattr(optim, name)(opt, **options)
    their_schedule = getattr(torch.optim.lr_scheduler, name)(other, **options)
    for i in range(50):
        noise = 0.3 * math.sin(5 * i)
        w.grad = 0.5 * w.data + noise
        theirs.grad = 0.5 * theirs.detach() + noise
        group, = other.param_groups
        assert opt.lr == pytest.approx(group["lr"], rel=1e-10, abs=1e-15)
        if optimizer == "Adam":
            assert opt.betas == pytest.approx(group["betas"], rel=1e-10)
        else:
            assert opt.momentum == pytest.approx(group["momentum"], rel=1e-10)
        opt.step()
        other.step()
        metric = [METRICS[i]] if name == "ReduceLROnPlateau" else []
        schedule.step(*metric)
        their_schedule.step(*metric)
        np.testing.assert_allclose(w.data, theirs.detach().numpy(), rtol=1e-10, atol=1e-10)


def test_chained_schedules_in_pytorch():
    torch = pytest.importorskip("torch")
    opt = sgd()
    other = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.4)
    theirs = torch.optim.lr_scheduler
    chain = [optim.LinearLR(opt, 0.1, total_iters=4), optim.ExponentialLR(opt, 0.9),
             optim.StepLR(opt, 3, 0.5)]
    chained = [theirs.LinearLR(other, 0.1, total_iters=4), theirs.ExponentialLR(other, 0.9),
               theirs.StepLR(other, 3, 0.5)]
    for _ in range(20):
        other.step()
        for a, b in zip(chain, chained, strict=True):
            a.step()
            b.step()
        assert opt.lr == pytest.approx(other.param_groups[0]["lr"], rel=1e-12)


# ---------------------------------------------------------------- state, errors

def test_chained_schedules_multiply_and_a_value_by_hand_is_respected():
    opt = sgd()
    warm_up, decay = optim.LinearLR(opt, 0.5, total_iters=2), optim.ExponentialLR(opt, 0.5)
    found = [opt.lr]
    for _ in range(3):
        warm_up.step()
        decay.step()
        found.append(opt.lr)
    np.testing.assert_allclose(found, [0.2, 0.15, 0.1, 0.05])
    opt.lr = 8.0
    decay.step()
    assert opt.lr == 4.0


@pytest.mark.parametrize(("name", "options"), SCHEDULES, ids=str)
def test_a_schedule_goes_on_from_its_state(name, options):
    metrics = (METRICS,) if name == "ReduceLROnPlateau" else ()
    make = lambda: getattr(optim, name)(sgd(), **options)
    want = rates(make(), 30, *metrics)
    first, second = make(), make()
    rates(first, 12, *metrics)
    state = first.state_dict()
    assert "optimizer" not in state and state["last_epoch"] == 12
    second.optimizer.load_state_dict(first.optimizer.state_dict())
    second.load_state_dict(state)
    found = rates(second, 18, *(m[12:] for m in metrics))
    np.testing.assert_allclose(found, want[12:], rtol=1e-12)
    assert state["last_epoch"] == 12 and second.last_epoch == 30


def test_a_state_of_another_schedule_is_refused():
    schedule = optim.StepLR(sgd(), 3)
    state = optim.ExponentialLR(sgd(), 0.5).state_dict()
    state["more"] = 1
    before = schedule.state_dict()
    with pytest.raises(tn.ShapeError, match="does not fit StepLR: missing step_size; "
                                            "unexpected more"):
        schedule.load_state_dict(state)
    assert schedule.state_dict() == before


@pytest.mark.parametrize("name, options, error, message", [
    ("StepLR", {"step_size": 0}, ValueError, "StepLR: step_size must be at least 1, got 0"),
    ("StepLR", {"step_size": 2.0}, TypeError, "step_size must be a whole number, got 2.0"),
    ("StepLR", {"step_size": 2, "gamma": -1}, ValueError, "gamma"),
    ("ExponentialLR", {"gamma": math.nan}, ValueError, "ExponentialLR: gamma.*nan"),
    ("LinearLR", {"start_factor": 0}, ValueError, "start_factor must not be 0"),
    ("LinearLR", {"start_factor": 1.1}, ValueError, "start_factor must be in 0..1, got 1.1"),
    ("LinearLR", {"end_factor": -0.1}, ValueError, "end_factor"),
    ("LinearLR", {"total_iters": 0}, ValueError, "total_iters must be at least 1"),
    ("CosineAnnealingLR", {"T_max": 0}, ValueError, "T_max must be at least 1"),
    ("CosineAnnealingLR", {"T_max": 5, "eta_min": -1}, ValueError, "eta_min"),
    ("OneCycleLR", {"max_lr": 1}, TypeError, "epochs, without total_steps, must be a whole"),
    ("OneCycleLR", {"max_lr": 1, "epochs": 2}, TypeError, "steps_per_epoch"),
    ("OneCycleLR", {"max_lr": 1, "total_steps": 0}, ValueError, "total_steps"),
    ("OneCycleLR", {"max_lr": -1, "total_steps": 5}, ValueError, "max_lr"),
    ("OneCycleLR", {"max_lr": 1, "total_steps": 5, "pct_start": 1.5}, ValueError, "pct_start"),
    ("OneCycleLR", {"max_lr": 1, "total_steps": 5, "div_factor": 0}, ValueError, "div_factor"),
    ("OneCycleLR", {"max_lr": 1, "total_steps": 5, "max_momentum": 1}, ValueError,
     "max_momentum"),
    ("OneCycleLR", {"max_lr": 1, "total_steps": 5, "anneal_strategy": "sin"}, ValueError,
     "anneal_strategy must be 'cos' or 'linear', got 'sin'"),
    ("ReduceLROnPlateau", {"mode": "least"}, ValueError, "mode must be one of"),
    ("ReduceLROnPlateau", {"threshold_mode": "x"}, ValueError, "threshold_mode must be one of"),
    ("ReduceLROnPlateau", {"factor": 1.0}, ValueError, "factor.*less than 1, got 1.0"),
    ("ReduceLROnPlateau", {"patience": -1}, ValueError, "patience must be at least 0"),
    ("ReduceLROnPlateau", {"min_lr": -1}, ValueError, "min_lr"),
])
def test_schedules_refuse_and_leave_the_optimiser_alone(name, options, error, message):
    opt = sgd()
    before = opt.state_dict()
    with pytest.raises(error, match=message):
        getattr(optim, name)(opt, **options)
    np.testing.assert_equal(opt.state_dict(), before)


def test_a_schedule_takes_an_optimiser():
    with pytest.raises(TypeError, match="StepLR takes an optimiser, got float"):
        optim.StepLR(0.1, 3)

"""Memory: freed by reference counting alone, no growth over training, what remat saves."""

import contextlib
import gc
import sys
import threading
import weakref
from pathlib import Path

import numpy as np
import pytest
from measuring import leaves_nothing, memory, no_collector

import tinygrad_nn as tn
from tinygrad_nn import Tensor, _modes, _table

A = np.array
ONES = np.ones(3)


# ---------------------------------------------------------------- every kind of use

def fails(f, error=KeyError):
    """``f``, which raises ``error``."""
    def run():
        with pytest.raises(error), np.errstate(all="ignore"):
            f()
    return run


def raising(*args):
    raise KeyError


def mutated():
    w, c = Tensor(ONES), np.ones(3)
    y = tn.remat(np.multiply)(w, c)
    c[:] = 2
    with contextlib.suppress(tn.MutationError):
        y.sum().backward()


def within_a_generator():
    def values():
        with tn.no_grad():
            yield Tensor(1.0) * 2
            yield None
    it = values()
    next(it)
    it.close()
    next(values())                                      # abandoned
    list(values())


def twice():
    y = tn.remat(lambda x: np.sin(x) * x)(Tensor(ONES)).sum()
    y.backward()
    with contextlib.suppress(tn.GraphError):
        y.backward()


def halved(x):
    return x / 2


cube = tn.custom_vjp(lambda x: x ** 3, lambda g, x: 3 * g * x * x)
cube_jvp = tn.custom_jvp(lambda x: x ** 3, lambda xs, ts: 3 * ts[0] * xs[0] * xs[0])
again = tn.remat(lambda x: np.sin(x) * x)
root = lambda x: np.sum(np.sqrt(x))

WORK = {
    "custom_vjp": lambda: cube(Tensor(ONES)).sum().backward(),
    "custom_vjp, dropped": lambda: cube(Tensor(ONES)),
    "custom_vjp, grad": lambda: tn.grad(tn.grad(cube))(1.0),
    "custom_vjp, jvp": lambda: tn.jvp(lambda x: tn.jvp(cube, (x,), (1.0,))[1], (1.0,), (1.0,)),
    "custom_vjp, hessian": lambda: tn.hessian(lambda x: np.sum(cube(x)))(ONES),
    "custom_jvp": lambda: cube_jvp(Tensor(ONES)).sum().backward(),
    "custom_jvp, grad": lambda: tn.grad(tn.grad(cube_jvp))(1.0),
    "custom_jvp, jvp": lambda: tn.jvp(tn.grad(cube_jvp), (1.0,), (1.0,)),
    "custom_jvp, jacobian": lambda: tn.jacobian(cube_jvp)(ONES),
    "custom, made in place": lambda: tn.custom_vjp(halved, lambda g, x: g / 2)(
        Tensor(ONES)).sum().backward(),
    "custom_jvp, made in place": lambda: tn.grad(tn.custom_jvp(
        halved, lambda xs, ts: ts[0] / 2))(1.0),
    "custom, a failing rule": fails(lambda: tn.grad(tn.custom_vjp(halved, raising))(1.0)),
    "custom, a failing function": fails(lambda: tn.custom_vjp(raising, raising)(Tensor(1.0))),
    "custom, a wrong shape": fails(lambda: tn.grad(tn.custom_vjp(
        halved, lambda g, x: ONES))(1.0), tn.ShapeError),
    "remat": lambda: again(Tensor(ONES) * 1).sum().backward(),
    "remat, dropped": lambda: again(Tensor(ONES)),
    "remat, made in place": lambda: tn.remat(halved)(Tensor(ONES)).sum().backward(),
    "remat, nested": lambda: tn.remat(lambda x: again(x) * again(x))(Tensor(1.0)).backward(),
    "remat, a closure": lambda: (
        lambda w: tn.remat(lambda x: x * w)(w).backward())(Tensor(1.0)),
    "remat, grad": lambda: tn.grad(tn.grad(again))(1.0),
    "remat, jvp": lambda: tn.jvp(tn.grad(again), (1.0,), (1.0,)),
    "remat, vjp": lambda: tn.vjp(again, ONES)[1](ONES),
    "remat, vjp, dropped": lambda: tn.vjp(again, ONES),
    "remat, jacobian": lambda: tn.jacobian(again)(ONES),
    "remat, hessian": lambda: tn.hessian(lambda x: np.sum(again(x)))(ONES),
    "remat, a failure": fails(lambda: tn.grad(tn.remat(raising))(1.0)),
    "remat, twice": twice, "remat, mutated": mutated,
    "remat, masks": lambda: tn.grad(lambda x: np.where(x > 0, tn.remat(np.sqrt)(x), x))(1.0),
    "jacobian, columns": lambda: tn.jacobian(lambda x: np.concatenate([x * x, x]))(ONES),
    "jacobian, trees": lambda: tn.jacobian(lambda p: {"a": p["w"] * 2, "b": p["w"][0]})(
        {"w": ONES}),
    "jacobian of jacobian": lambda: tn.jacobian(tn.jacobian(lambda x: x ** 3))(ONES),
    "jacobian, closure": lambda: (lambda w: np.sum(tn.jacobian(lambda x: x * w)(
        ONES)).backward())(Tensor(ONES)),
    "third order": lambda: tn.grad(tn.grad(tn.grad(
        lambda x: np.where(x > 0, x ** 4, x))))(1.0),
    "forward over forward": lambda: tn.jvp(
        lambda x: tn.jvp(np.exp, (x,), (x,))[1], (ONES,), (ONES,)),
    "vjp, several pullbacks": lambda: [tn.vjp(lambda x: x * x, ONES)[1](g)
                                       for g in (ONES, ONES)],
    "value_and_grad, aux": lambda: tn.value_and_grad(
        lambda x: (np.sum(x * x), {"x": x}), has_aux=True)(ONES),
    "grad, a failure": fails(lambda: tn.grad(lambda x: raising(x * x))(ONES)),
    "grad of grad, a failure": fails(lambda: tn.grad(tn.grad(lambda x: raising(x * x)))(1.0)),
    "jvp, a failure": fails(lambda: tn.jvp(lambda x: raising(x * x), (ONES,), (ONES,))),
    "jacobian, a failure": fails(lambda: tn.jacobian(lambda x: raising(x * x))(ONES)),
    "backward in grad": fails(lambda: tn.grad(lambda x: (x * x).backward())(1.0),
                              tn.GraphError),
    "debug_nans": lambda: tn.debug_nans()(lambda: again(Tensor(ONES)).sum().backward())(),
    "debug_nans, forward": fails(tn.debug_nans()(lambda: np.log(Tensor(0.0))),
                                 tn.NonFiniteError),
    "debug_nans, backward": fails(tn.debug_nans()(lambda: root(Tensor(0 * ONES)).backward()),
                                  tn.NonFiniteError),
    "debug_nans, jvp": fails(tn.debug_nans()(lambda: tn.jvp(root, (0 * ONES,), (ONES,))),
                             tn.NonFiniteError),
    "debug_nans, hvp": fails(tn.debug_nans()(lambda: tn.hvp(root, 0 * ONES, ONES)),
                             tn.NonFiniteError),
    "no_grad in a generator": within_a_generator,
    "gradcheck": lambda: tn.gradcheck(cube, 1.0),
    "an optimiser": lambda: (lambda w, opt: (np.sum(w * w).backward(), opt.step(),
                                             opt.zero_grad()))(
        *(lambda w: (w, tn.optim.SGD([w], lr=0.1)))(Tensor(ONES))),
}


@pytest.mark.parametrize("name", WORK)
def test_nothing_is_left_without_the_collector(name):
    leaves_nothing(WORK[name])
    assert _modes.modes() == ()


def test_the_table_does_not_grow_with_functions_made_in_place():
    """Closures over constants are made anew in every step."""
    rules = len(_table.RULES)

    def step(k):
        custom = tn.custom_vjp(lambda x: x * k, lambda g, x: g * k)
        other = tn.custom_jvp(lambda x: x * k, lambda xs, ts: ts[0] * k)
        return tn.grad(lambda x: np.sum(tn.remat(other)(custom(x))))(ONES)
    alive = []
    for k in range(3):
        big = np.ones(1000)
        alive.append(weakref.ref(big))
        custom = tn.custom_vjp(lambda x, big=big: x * big[0], lambda g, x, big=big: g * big[0])
        custom(Tensor(1.0)).backward()
        del big, custom
        step(k)
    gc.collect()
    assert all(ref() is None for ref in alive) and len(_table.RULES) == rules
    before = sys.getallocatedblocks()
    for k in range(100):
        step(float(k))
    gc.collect()
    assert sys.getallocatedblocks() - before < 100


def test_values_die_when_an_exception_is_handled():
    held = []

    def fail(x):
        y = x * 2
        held.append(weakref.ref(y))
        raise KeyError
    with no_collector():
        for f in (tn.grad(fail), tn.grad(tn.grad(fail)), tn.remat(fail), tn.jacobian(fail),
                  lambda x: tn.jvp(fail, (x,), (x,)), lambda x: fail(Tensor(x))):
            with contextlib.suppress(KeyError):
                f(np.ones(1000))
        assert len(held) == 6 and all(ref() is None for ref in held)


def test_pullbacks_hold_what_they_need_and_no_longer():
    with no_collector():
        y, pullback = tn.vjp(lambda x: np.sin(x) * 2, np.ones(1000))
        x = np.ones(1000)
        values = weakref.ref(x)
        y, pullback = tn.vjp(lambda v: np.sin(v) * 2, x)
        del x
        assert values() is not None                     # sin needs it
        np.testing.assert_allclose(pullback(y)[0], 2 * np.cos(1.0) * y)
        del pullback
        assert values() is None


def test_threads_leave_nothing():
    def work():
        for name in ("remat, nested", "custom_jvp, grad", "third order", "debug_nans"):
            WORK[name]()

    def in_threads():
        threads = [threading.Thread(target=work) for _ in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    for _ in range(2):
        in_threads()
    with no_collector() as more:
        for _ in range(10):
            in_threads()
        assert more() < 20


# ---------------------------------------------------------------- growth over training

def network(wrap):
    return tn.nn.Sequential(*(wrap(m) for m in (
        tn.nn.Linear(6, 5, rng=0), tn.nn.ReLU(), tn.nn.Linear(5, 1, rng=1))))


def functional_step():
    x, t = np.ones((8, 6)), np.ones((8, 1))
    p = {"w": np.full((6, 1), 0.1), "b": np.zeros(1)}

    def loss(p):
        return np.mean(tn.softplus(-t * (cube(x @ p["w"]) + again(p["b"]))))

    def step():
        g = tn.grad(loss)(p)
        for k in p:
            p[k] = p[k] - 0.01 * g[k]
    return step


def module_step():
    model = tn.nn.Sequential(tn.nn.Linear(6, 5, rng=0), tn.nn.ReLU(),
                             tn.nn.Linear(5, 1, rng=1))
    opt = tn.optim.SGD(model.parameters(), lr=0.01)
    x, t = np.ones((8, 6), "f4"), np.ones((8, 1), "f4")

    def step():
        tn.nn.binary_cross_entropy(tn.sigmoid(model(x)), t).backward()
        opt.step()
        opt.zero_grad()
    return step


def penalty_step():
    w = Tensor(np.full(6, 0.5))
    opt = tn.optim.SGD([w], lr=0.01)

    def step():
        f = lambda x: np.sum(np.tanh(x * w))
        y = np.sum(tn.grad(f)(np.ones(6)) ** 2) + tn.hvp(f, np.ones(6), np.ones(6)).sum()
        y.backward()
        opt.step()
        opt.zero_grad()
    return step


def tangents():
    """With one that is not finite, and is not selected."""
    tn.jvp(lambda x: np.where(x > 0, np.sqrt(x), 0.0), (A([0.0, 1.0]),), (np.ones(2),))


STEPS = {"a network": (module_step, 400), "functions": (functional_step, 400),
         "a penalty": (penalty_step, 400),
         "a network under debug_nans": (lambda: tn.debug_nans()(module_step()), 400),
         "tangents under one debug_nans": (lambda: tangents, 400)}


@pytest.mark.parametrize("name", STEPS)
def test_growth_over_training_steps(name):
    """In blocks of Python's allocator, which counts at no cost: less than one in two steps.
    (A few hundred come with time, caches of the interpreter, and then no more.)"""
    make, n = STEPS[name]
    step = make()
    with tn.debug_nans() if step is tangents else contextlib.nullcontext():
        for _ in range(100):
            step()
        gc.collect()
        before = sys.getallocatedblocks()
        for _ in range(n):
            step()
        gc.collect()                                    # empties lists of free tuples
        assert sys.getallocatedblocks() - before < n // 2


def resident():
    """Bytes of this process in memory, or a skipped test."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
    except OSError:
        pytest.skip("no /proc on this system")


def test_growth_of_the_process_over_2000_training_steps():
    step, growth = module_step(), []
    for _ in range(500):                                # the allocators' own caches fill first
        step()
    for _ in range(3):                                  # another test's thread may grow it
        gc.collect()
        before = resident()
        for _ in range(2000):
            step()
        growth.append(resident() - before)
        if growth[-1] < 64 * 1024:
            break
    assert min(growth) < 64 * 1024


# ---------------------------------------------------------------- what remat saves

DEPTH, WIDTH = 8, 10_000


def block(x):
    for _ in range(DEPTH):
        x = np.sin(x) * x                               # keeps two arrays
    return x


def peak_of(f, derivative):
    x = np.full(WIDTH, 0.5)
    derivative(f, x)
    with memory() as used:
        derivative(f, x)
        return used()[1] / x.nbytes


def backward(f, x):
    np.sum(f(Tensor(x))).backward()


def gradient(f, x):
    tn.grad(lambda x: np.sum(f(x)))(x)


def chained(wrap):
    """Four blocks, one after the other."""
    def f(x):
        for _ in range(4):
            x = wrap(block)(x)
        return x
    return f


@pytest.mark.parametrize("derivative", [backward, gradient])
def test_remat_of_blocks_lowers_the_peak(derivative):
    plain = peak_of(chained(lambda b: b), derivative)
    saved = peak_of(chained(tn.remat), derivative)
    assert plain > 4 * DEPTH * 1.9
    assert saved < DEPTH * 2.2 + 10                     # one block, and the blocks' arguments
    nested = peak_of(tn.remat(chained(tn.remat)), derivative)
    assert nested < DEPTH * 2.2 + 10


def test_remat_keeps_its_arguments_alone_between_forward_and_backward():
    w = Tensor(np.full(WIDTH, 0.5))
    with memory() as used:
        y = tn.remat(block)(w)
        now, _ = used()
        assert now < 1.2 * w.data.nbytes                # the value of y
        y.sum().backward()
        del y
        gc.collect()
        now, _ = used()
        assert now < 1.2 * w.data.nbytes                # w.grad
    with memory() as used:
        y = block(w)
        assert used()[0] > 1.9 * DEPTH * w.data.nbytes
        del y


def test_an_argument_that_is_not_needed_again_is_held_by_remat_and_freed():
    w = Tensor(np.full(WIDTH, 0.5))
    with no_collector():
        x = w * 1.0
        values = weakref.ref(x._data)
        y = tn.remat(block)(x).sum()
        del x
        assert values() is not None
        y.backward()
        assert values() is None
        y = tn.remat(block)(w * 1.0)
        del y
    np.testing.assert_allclose(w.grad, tn.grad(block)(0.5), rtol=1e-12)

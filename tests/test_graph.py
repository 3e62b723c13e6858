"""The recorded graph: its depth, its width, what it keeps alive and how it is freed."""

import contextlib
import gc
import random
import threading
import time
import tracemalloc
import weakref

import numpy as np
import pytest
from measuring import leaves_nothing, memory, no_collector

import tinygrad_nn as tn
from tinygrad_nn import Tensor

A = np.array


# ---------------------------------------------------------------- depth

def chain(x, n):
    for _ in range(n // 2):
        x = x * 1.000001 + 1e-6
    return x


def test_a_deep_chain_needs_no_recursion_and_no_collector():
    n = 200_000
    w = Tensor(np.ones(2))
    chain(w, 4).sum().backward()                    # plans and caches
    w.grad = None
    with no_collector() as more:
        start = time.perf_counter()
        y = chain(w, n)
        y.sum().backward()
        seconds = time.perf_counter() - start
        del y
        assert more() < 50
    np.testing.assert_allclose(w.grad, 1.000001 ** (n // 2), rtol=1e-9)
    assert seconds < 10


def test_a_deep_chain_is_freed_without_backward_also_in_a_thread_with_a_small_stack():
    def build():
        with no_collector() as more:
            y = chain(Tensor(np.ones(2)), 50_000)
            assert more() > 50_000
            del y
            left.append(more())
    left = []
    build()
    before = threading.stack_size(256 * 1024)
    try:
        thread = threading.Thread(target=build)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(before)
    assert len(left) == 2 and max(left) < 50


def test_a_deep_chain_of_additions_of_itself():
    w = x = Tensor(1.0)
    for _ in range(60):
        x = x + x                                   # 2**60 paths
    x.backward()
    assert w.grad == 2.0 ** 60
    w.grad, x = None, w
    for _ in range(20_000):
        x = (x + x) * 0.5
    x.backward()
    assert w.grad == 1


def test_depth_in_the_other_transforms():
    n = 20_000
    want = 1.000001 ** (n // 2)

    def run(n):
        f = lambda x: chain(x, n)
        second = tn.grad(tn.grad(lambda x: chain(x, n) ** 2))
        return tn.grad(f)(1.0), tn.jvp(f, (1.0,), (1.0,))[1], second(1.0)
    run(2)
    with no_collector() as more:
        got = run(n)
        assert more() < 50
    np.testing.assert_allclose(got, [want, want, 2 * want ** 2])


def test_memory_of_a_deep_chain():
    n = 15_000
    w = Tensor(np.ones(2))
    chain(w, 4).sum().backward()
    with memory() as used:
        y = chain(w, n).sum()
        _, peak = used()
        assert peak < 600 * n
        y.backward()
        _, peak = used()
        assert peak < 600 * n
        del y
        gc.collect()                                # empties Python's lists of free tuples
        now, _ = used()
        assert now < 10_000


# ---------------------------------------------------------------- width

def test_wide_graphs():
    n = 5000
    leaves = [Tensor(A([float(i)])) for i in range(n)]
    start = time.perf_counter()
    np.sum(np.concatenate(leaves) ** 2).backward()
    np.stack(leaves).sum().backward()
    sum(leaves).sum().backward()
    assert time.perf_counter() - start < 10
    assert all(t.grad[0] == 2.0 * i + 2 for i, t in enumerate(leaves))


def test_a_tree_and_its_order_of_summation():
    level = leaves = [Tensor(float(i)) for i in range(1024)]
    while len(level) > 1:
        level = [a * b * 0 + a + b for a, b in zip(level[::2], level[1::2], strict=True)]
    level[0].backward()
    assert all(t.grad == 1 for t in leaves)


OPERATIONS = [lambda a, b: a + b, lambda a, b: np.tanh(a * b), lambda a, b: np.sin(a) - b,
              lambda a, b: np.maximum(a, b * 0.9), lambda a, b: a[::-1] * 0.3]


def test_random_graphs_against_forward_mode():
    rng = random.Random(0)
    for _ in range(10):
        plan = [(rng.randrange(5), rng.random(), rng.random()) for _ in range(60)]

        def f(x, plan=plan):
            values = [x, x * 0.5]
            for kind, i, j in plan:
                a, b = values[int(i * len(values))], values[int(j * len(values))]
                values.append(OPERATIONS[kind](a, b))
            return sum(np.sum(v) for v in values[-10:])
        x = np.random.default_rng(0).normal(size=3)
        g = tn.grad(f)(x)
        for k, unit in enumerate(np.eye(3)):
            np.testing.assert_allclose(tn.jvp(f, (x,), (unit,))[1], g[k], rtol=1e-9)


def test_the_order_of_recording_does_not_matter():
    a, b = Tensor(2.0), Tensor(3.0)
    late = b * 5                                    # older than what it is combined with
    early = a * a
    (early * late + late * a + late).backward()
    assert a.grad == 4 * 15 + 15 and b.grad == 5 * (4 + 2 + 1)


# ---------------------------------------------------------------- what is kept alive

def big():
    return np.ones(20_000)                          # 160 kB


KEEPS = {   # an operation on an intermediate value, and whether its gradient needs that value
    "x * c": (lambda x: x * 3.0, False), "c * x": (lambda x: big() * x, False),
    "x + c": (lambda x: x + 1.0, False), "c - x": (lambda x: 1.0 - x, False),
    "x / c": (lambda x: x / 2.0, False), "-x": (lambda x: -x, False),
    "x @ c": (lambda x: x @ np.ones((20_000, 2)), False), "sum": (np.sum, False),
    "mean": (np.mean, False), "reshape": (lambda x: np.reshape(x, (100, 200)) * 1.0, False),
    "exp": (np.exp, False), "sqrt": (np.sqrt, False), "tanh": (np.tanh, False),
    "relu": (tn.relu, False), "sigmoid": (tn.sigmoid, False), "softmax": (tn.softmax, False),
    "concatenate": (lambda x: np.concatenate([x, x]), False),
    "pad": (lambda x: np.pad(x, 1), False),
    "copying index": (lambda x: x[A([0, 1])], False), "cumsum": (np.cumsum, False),
    "where": (lambda x: np.where(big() > 0, x, 0.0), False),
    "flip": (lambda x: np.flip(x) * 1, False), "repeat": (lambda x: np.repeat(x, 2), False),
    "astype": (lambda x: x.astype(np.float32), False),
    "x * x": (lambda x: x * x, True), "sin": (np.sin, True), "log": (np.log, True),
    "x ** 3": (lambda x: x ** 3, True),
}


@pytest.mark.parametrize("name", KEEPS)
def test_a_node_keeps_what_its_rule_reads_and_no_more(name):
    f, needed = KEEPS[name]
    w = Tensor(big())
    x = w * 2.0
    alive = weakref.ref(x._data)
    y = f(x)
    del x
    assert (alive() is not None) == needed
    y.backward(np.ones(y.shape, y.dtype))
    assert alive() is None                          # and backward() lets go of it
    assert np.isfinite(w.grad).all()


def test_a_chain_of_products_with_constants_keeps_no_values():
    w = Tensor(big())
    with memory() as used:
        x = w
        for _ in range(50):
            x = x * 1.01 + 0.5
        now, peak = used()
        assert now < 2 * w.data.nbytes              # the last value; 100 were computed
        assert peak < 5 * w.data.nbytes
        x.sum().backward()
        _, peak = used()
        assert peak < 6 * w.data.nbytes


def test_backward_frees_as_it_goes():
    w = Tensor(big())
    with memory() as used:
        x = w
        for _ in range(20):
            x = np.sin(x)
        y = x.sum()
        del x
        before, _ = used()
        tracemalloc.reset_peak()
        y.backward()
        after, peak = used()
        assert before > 18 * w.data.nbytes
        assert peak < before + 5 * w.data.nbytes
        assert after < 3 * w.data.nbytes


def test_intermediate_tensors_die_at_once():
    w = Tensor(np.ones(3))
    x = w * 2
    tensor, node = weakref.ref(x), x.node
    y = np.sin(x) + x
    del x
    assert tensor() is None and node is not None
    y.sum().backward()
    np.testing.assert_allclose(w.grad, 2 * np.cos(2.0) + 2)


def test_a_computed_tensor_can_be_used_after_its_value_was_handed_out():
    w = Tensor(np.ones(3))
    y = w * 2
    data = y.data
    del y
    np.testing.assert_array_equal(data, 2)


# ---------------------------------------------------------------- freed without the collector

def training_step():
    model = tn.nn.Sequential(tn.nn.Linear(4, 3, rng=0), tn.nn.ReLU(), tn.nn.Linear(3, 1, rng=0),
                             tn.nn.Sigmoid())
    x, t = np.ones((5, 4), np.float32), np.ones((5, 1), np.float32)
    loss = tn.nn.binary_cross_entropy(model(x), t)
    loss.backward()
    tn.optim.SGD(model.parameters(), lr=0.1).step()


def failing_forward():
    w = Tensor(np.ones(3))
    with contextlib.suppress(ValueError):
        _ = w * 2 + np.ones(2)


def failing_backward():
    w, c = Tensor(np.ones(3)), np.ones(3)
    y = w * c
    c += 1
    with contextlib.suppress(tn.MutationError):
        y.sum().backward()
    y = (w * w).sum()
    y.backward()
    with contextlib.suppress(tn.GraphError):
        y.backward()


WORK = {
    "backward": lambda: (lambda w: (w * w).sum().backward())(Tensor(np.ones(3))),
    "dropped": lambda: (lambda w: np.sin(w * w) @ w)(Tensor(np.ones(3))),
    "methods": lambda: Tensor(np.ones((2, 3))).reshape(3, 2).T.sum(axis=0).max().backward(),
    "grad": lambda: tn.grad(lambda x: np.sum(np.exp(x) * x))(np.ones(3)),
    "grad of grad": lambda: tn.grad(tn.grad(lambda x: np.where(x > 0, np.sin(x), x) ** 2))(0.5),
    "jvp": lambda: tn.jvp(lambda x: np.exp(x) * x, (np.ones(3),), (np.ones(3),)),
    "vjp": lambda: tn.vjp(lambda x: np.exp(x) * x, np.ones(3))[1](np.ones(3)),
    "vjp, dropped": lambda: tn.vjp(lambda x: np.exp(x) * x, np.ones(3)),
    "hvp": lambda: tn.hvp(lambda x: np.sum(x ** 3), np.ones(3), np.ones(3)),
    "jacobian": lambda: tn.jacobian(lambda x: x[:2] * x[1])(np.ones(3)),
    "hessian": lambda: tn.hessian(lambda x: np.sum(np.maximum(x, 0.5) ** 3))(np.ones(3)),
    "masks": lambda: tn.grad(tn.grad(lambda x: np.maximum(np.sqrt(x), np.sin(x)) * x))(0.5),
    "concatenate": lambda: np.concatenate([Tensor(np.ones(2)) * 2] * 3).sum().backward(),
    "einsum": lambda: np.einsum("ij,jk", Tensor(np.eye(2)), np.eye(2)).sum().backward(),
    "penalty": lambda: (lambda w: tn.grad(lambda x: x * x * w)(2.0).backward())(Tensor(3.0)),
    "no_grad": lambda: tn.no_grad()(lambda: Tensor(1.0) * 2)(),
    "a training step": training_step, "a failing operation": failing_forward,
    "a failing backward": failing_backward,
}


@pytest.mark.parametrize("name", WORK)
def test_a_graph_is_freed_without_the_collector(name):
    leaves_nothing(WORK[name])


def test_a_graph_dies_with_its_last_tensor():
    w = Tensor(np.ones(3))
    with no_collector():
        y = np.sin(w * w)
        alive = weakref.ref(y._data)
        z = y.sum()
        del y, z
        assert alive() is None
        y = w * 2
        held = weakref.ref(w)
        del w
        assert held() is not None                   # the graph needs its leaf
        y.sum().backward()
        del y
        assert held() is None


def test_memory_does_not_grow_over_training_steps():
    model = tn.models.CatClassifier((12, 5, 4, 1), rng=0)
    opt = tn.optim.SGD(model.parameters(), lr=0.1)
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(20, 12)).astype("f4"), np.ones((20, 1), "f4")

    def steps(n):
        for _ in range(n):
            tn.nn.binary_cross_entropy(model(x), t).backward()
            opt.step()
            opt.zero_grad()
    steps(20)
    with memory() as used:
        steps(100)
        gc.collect()                                # empties Python's lists of free tuples
        now, _ = used()
    assert now < 10_000


def test_leaves_that_are_not_needed_cost_nothing():
    """A constant has no gradient to compute: the sweep never multiplies by it."""
    w = Tensor(np.ones(2))
    calls = []
    probe = tn.primitive(lambda a, b: a * b)
    from tinygrad_nn import _table
    tn.rules.bilinear(probe, lambda g, b: calls.append("a") or g * b,
                      lambda g, a: calls.append("b") or g * a)
    try:
        probe(w, np.ones(2)).sum().backward()
        assert calls == ["a"]
        probe(np.ones(2), w).sum().backward()
        assert calls == ["a", "b"]
    finally:
        _table.RULES.pop(probe)

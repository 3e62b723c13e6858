"""State is per thread and per task: graphs, no_grad and transforms do not see each other."""

import asyncio
import contextvars
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn import Tensor


def in_threads(n, work):
    """Results of ``work(i, barrier)`` in n threads that run at the same time."""
    barrier = threading.Barrier(n, timeout=10)
    with ThreadPoolExecutor(n) as pool:
        return list(pool.map(lambda i: work(i, barrier), range(n)))


def result(i):
    """Something that uses every part of the engine, of its own data."""
    rng = np.random.default_rng(i)
    x = rng.normal(size=(6, 4))
    model = tn.models.CatClassifier((4, 5, 3, 1), rng=i, dtype=np.float64)
    opt = tn.optim.SGD(model.parameters(), lr=0.5)
    for _ in range(10):
        tn.nn.binary_cross_entropy(model(x), (x[:, :1] > 0) * 1.0).backward()
        opt.step()
        opt.zero_grad()
    f = lambda v: np.sum(np.where(v > 0, np.sin(v), v ** 3) * v)
    return np.concatenate([model(x).data.ravel(), tn.hessian(f)(x[0]).ravel(),
                           tn.hvp(f, x[1], x[2]),
                           tn.grad(lambda v: np.sum(tn.grad(f)(v) ** 2))(x[3])])


def test_eight_threads_give_the_serial_results():
    want = [result(i) for i in range(8)]

    def work(i, barrier):
        barrier.wait()
        return [result(i) for _ in range(3)]
    for i, found in enumerate(in_threads(8, work)):
        for r in found:
            np.testing.assert_array_equal(r, want[i])


def test_threads_while_others_use_no_grad():
    want = [result(i) for i in range(8)]

    def work(i, barrier):
        barrier.wait()
        if i % 2:
            w = Tensor(1.0)
            for _ in range(300):
                with tn.no_grad():
                    assert not isinstance(w * 2, Tensor)
                assert isinstance(w * 2, Tensor)
            return None
        return result(i)
    for i, found in enumerate(in_threads(8, work)):
        if found is not None:
            np.testing.assert_array_equal(found, want[i])


def test_no_grad_is_not_seen_by_another_thread():
    w = Tensor([1.0, 2.0])
    inside, done, seen = threading.Event(), threading.Event(), []

    def other():
        inside.wait(10)
        seen.append(type(w * 2))
        done.set()
    thread = threading.Thread(target=other)
    thread.start()
    with tn.no_grad():
        inside.set()
        done.wait(10)
        assert not isinstance(w * 2, Tensor)
    thread.join()
    assert seen == [Tensor]


def test_a_transform_is_not_seen_by_another_thread():
    w = Tensor(3.0)
    seen = []

    def f(x):
        def other():
            seen.append(tn.grad(lambda y: y * y)(2.0))
            (w * w).backward()
            seen.append(type(w * 2))
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        return x * x
    assert tn.grad(tn.grad(f))(1.0) == 2
    assert seen[0] == 4 and seen[1] is Tensor and w.grad == 6


def test_threads_may_read_one_leaf():
    w = Tensor(np.arange(4.0))
    x = np.random.default_rng(0).normal(size=(8, 4))

    def work(i, barrier):
        barrier.wait()
        return [tn.grad(lambda v: (v * w.data).sum() ** 2)(x[i]) for _ in range(50)]
    for i, found in enumerate(in_threads(8, work)):
        for g in found:
            np.testing.assert_allclose(g, 2 * (x[i] @ w.data) * w.data)


def test_one_no_grad_object_in_several_threads():
    context, w = tn.no_grad(), Tensor(1.0)

    @context
    def decorated():
        return w * 2

    def work(i, barrier):
        for _ in range(20):
            with context:
                barrier.wait()
                assert not isinstance(w * 2, Tensor)
                barrier.wait()
            assert isinstance(w * 2, Tensor)
            assert not isinstance(decorated(), Tensor)
            barrier.wait()
        return True
    assert all(in_threads(4, work))
    assert isinstance(w * 2, Tensor)


# ---------------------------------------------------------------- asyncio

def test_tasks_have_their_own_no_grad():
    w = Tensor([1.0, 2.0])

    async def without(n):
        for _ in range(n):
            with tn.no_grad():
                await asyncio.sleep(0)
                assert not isinstance(w * 2, Tensor)
                await asyncio.sleep(0)
            assert isinstance(w * 2, Tensor)
            await asyncio.sleep(0)

    async def recording(n):
        for _ in range(n):
            await asyncio.sleep(0)
            assert isinstance(w * 2, Tensor)

    async def main():
        await asyncio.gather(*(f(20) for f in (without, recording, without, recording)))
        with tn.no_grad():                          # a task starts with its maker's state
            assert await asyncio.create_task(kind()) is not Tensor
        assert await asyncio.create_task(kind()) is Tensor

    async def kind():
        return type(w * 2)
    asyncio.run(main())
    assert isinstance(w * 2, Tensor)


def test_tasks_with_transforms_and_graphs_of_their_own():
    async def derivative(k):
        x = await first_half(Tensor(float(k)))
        x.backward()
        return tn.grad(tn.grad(lambda v: v ** 3 * k))(2.0)

    async def first_half(w):
        y = w * w
        await asyncio.sleep(0)
        return y * w

    async def main():
        return await asyncio.gather(*(derivative(k) for k in range(10)))
    np.testing.assert_allclose(asyncio.run(main()), 12.0 * np.arange(10))


def test_a_decorated_coroutine_does_not_record():
    w = Tensor(1.0)

    @tn.no_grad()
    async def evaluate():
        first = w * 2
        await asyncio.sleep(0)
        return first, w * 2

    async def main():
        results = await asyncio.gather(evaluate(), evaluate())
        assert isinstance(w * 2, Tensor)
        return results
    for pair in asyncio.run(main()):
        assert not any(isinstance(y, Tensor) for y in pair)


# ---------------------------------------------------------------- generators

def batches(w):
    for k in range(3):
        with tn.no_grad():
            yield type(w * k)
        yield type(w * k)


def test_a_generator_keeps_its_own_state():
    w = Tensor(1.0)
    for k, kind in enumerate(batches(w)):
        assert (kind is Tensor) == bool(k % 2)
        assert isinstance(w * 2, Tensor)
    abandoned = batches(w)
    next(abandoned)
    abandoned.close()
    assert isinstance(w * 2, Tensor)


def test_a_decorated_generator_does_not_record():
    w = Tensor(1.0)

    @tn.no_grad()
    def evaluate():
        for _ in range(2):
            yield type(w * 2)
        return 7
    it = evaluate()
    assert next(it) is not Tensor and isinstance(w * 2, Tensor)
    assert next(it) is not Tensor and isinstance(w * 2, Tensor)
    with pytest.raises(StopIteration):
        next(it)
    assert isinstance(w * 2, Tensor)


def test_two_generators_interleaved():
    w = Tensor(1.0)
    first, second = batches(w), batches(w)
    kinds = [next(g) is Tensor for g in (first, second, first, second, second, first)]
    assert kinds == [False, False, True, True, False, False]
    assert isinstance(w * 2, Tensor)


def test_a_generator_within_no_grad():
    w = Tensor(1.0)

    def values():
        for _ in range(2):
            yield type(w * 2)
    it = values()
    assert next(it) is Tensor
    with tn.no_grad():
        assert next(it) is not Tensor               # the consumer's state, as for a function


# ---------------------------------------------------------------- contexts and exceptions

def test_contexts_of_contextvars():
    w = Tensor(1.0)
    with tn.no_grad():
        inside = contextvars.copy_context()
    assert not isinstance(inside.run(lambda: w * 2), Tensor)
    assert isinstance(w * 2, Tensor)


@pytest.mark.parametrize("transform", [
    tn.grad, tn.jacobian, tn.hessian, lambda f: lambda x: tn.jvp(f, (x,), (1.0,)),
    lambda f: lambda x: tn.vjp(f, x)[1](1.0), lambda f: tn.no_grad()(f)])
def test_an_exception_leaves_no_state(transform):
    def fail(x):
        with tn.no_grad():
            return transform(lambda y: [][0])(x)
    w = Tensor(2.0)
    for k in (1, 2, 3):
        with pytest.raises(IndexError):
            transform(fail)(1.0)
        (w * tn.grad(lambda x: x * x * w)(1.0)).backward()
        assert w.grad == 8 * k

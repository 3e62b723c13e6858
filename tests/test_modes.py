"""`no_grad` and `debug_nans`: for which code they are switched on."""

import asyncio
import contextlib
import contextvars
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn import Tensor, _modes

X = np.array([4.0, 0.0, 1.0])
pytestmark = pytest.mark.usefixtures("silence")


def root_sum(x):
    return np.sum(np.sqrt(x))


def found(f=np.log):
    """Whether debug_nans is on here."""
    try:
        with np.errstate(all="ignore"):
            f(Tensor(0.0))
    except tn.NonFiniteError:
        return True
    return False


def recorded():
    """Whether no_grad is off here."""
    return isinstance(Tensor(1.0) * 2, Tensor)


MODES = {"debug_nans": (tn.debug_nans, found), "no_grad": (tn.no_grad, lambda: not recorded())}
BOTH = pytest.mark.parametrize("mode, on", MODES.values(), ids=MODES)


@BOTH
def test_off_again_after_the_block(mode, on):
    assert not on()
    with mode():
        assert on()
        with mode():
            assert on()
        assert on()
    assert not on()
    with contextlib.suppress(KeyError), mode():
        raise KeyError
    assert not on()
    block = mode()
    for _ in range(2):
        with block, block:
            assert on()
        assert not on()


def test_off_after_its_own_error_at_any_level():
    for f in (lambda: tn.grad(tn.grad(np.log))(0.0), lambda: tn.hessian(root_sum)(X),
              lambda: root_sum(Tensor(X)).backward()):
        with contextlib.suppress(tn.NonFiniteError), tn.debug_nans():
            f()
        assert not found()
        assert np.isinf(tn.grad(root_sum)(X)[1])


def test_both_blocks_together():
    first, second = tn.no_grad(), tn.debug_nans()
    with first, second:
        assert found() and not recorded()
    first.__enter__(), second.__enter__()
    first.__exit__(None, None, None)
    assert found() and recorded()
    second.__exit__(None, None, None)
    assert not found() and recorded()


@BOTH
def test_as_a_decorator(mode, on):
    @mode()
    def function(a, *, b):
        """Text."""
        return on(), a, b

    class Model:
        @mode()
        def method(self):
            return on()
    assert function(1, b=2) == (True, 1, 2) and function.__doc__ == "Text."
    assert Model().method() and not on()
    assert mode()(lambda: on())()


@BOTH
def test_in_generators(mode, on):
    def values():
        yield on()
        with mode():
            yield on()
            yield from (on() for _ in range(2))
        yield on()
    seen = [(inside, on()) for inside in values()]
    assert seen == [(s, False) for s in (False, True, True, True, False)]

    def inner():
        yield on()
        yield on()

    def outer():
        with mode():
            yield from inner()
    assert [(v, on()) for v in outer()] == [(True, False)] * 2
    with mode():
        assert list(inner()) == [True, True]            # the consumer's state
    it = outer()
    next(it)
    with pytest.raises(KeyError):
        it.throw(KeyError("x"))
    assert not on()
    it = outer()
    next(it)
    it.close()
    assert not on()


@BOTH
def test_decorated_generators_take_and_return_values(mode, on):
    @mode()
    def talk():
        got = yield on()
        return got, on()

    def caller():
        return (yield from talk())
    it = caller()
    assert next(it) is True and not on()
    with pytest.raises(StopIteration) as stop:
        it.send("hello")
    assert stop.value.value == ("hello", True)


@BOTH
def test_in_context_managers_of_ones_own(mode, on):
    """A block within @contextmanager is meant for the body of the with statement."""
    @contextlib.contextmanager
    def quiet():
        with mode():
            yield

    @contextlib.contextmanager
    def quieter():
        with quiet():
            yield
    for manager in (quiet, quieter):
        with manager():
            assert on()
        assert not on()
        assert manager()(lambda: on())()
    with contextlib.ExitStack() as stack:
        stack.enter_context(quiet())
        assert on()
    assert not on()
    with pytest.raises(KeyError), quiet():
        raise KeyError
    assert not on()

    @contextlib.asynccontextmanager
    async def later():
        with mode():
            await asyncio.sleep(0)
            yield

    async def main():
        async with later():
            assert on()
            await asyncio.sleep(0)
            assert on()
        return on()
    assert asyncio.run(main()) is False


@pytest.fixture
def a_fixture_that_records_nothing():
    with tn.no_grad():
        yield


def test_in_a_fixture(a_fixture_that_records_nothing):
    assert not recorded()


@BOTH
def test_an_exit_stack_in_a_generator_is_the_generators(mode, on):
    def values():
        with contextlib.ExitStack() as stack:
            stack.enter_context(mode())
            yield on()
            yield on()
    assert [(v, on()) for v in values()] == [(True, False)] * 2


@BOTH
def test_in_asynchronous_code(mode, on):
    async def values():
        with mode():
            yield on()
            await asyncio.sleep(0)
            yield on()
        yield on()

    @mode()
    async def decorated():
        first = on()
        await asyncio.sleep(0)
        return first and on()

    @mode()
    async def decorated_values():
        yield on()
        await asyncio.sleep(0)
        yield on()

    async def off():
        for _ in range(5):
            assert not on()
            await asyncio.sleep(0)

    async def main():
        assert [(v, on()) async for v in values()] == [(True, False), (True, False),
                                                      (False, False)]
        assert await asyncio.gather(decorated(), off(), decorated()) == [True, None, True]
        assert [(v, on()) async for v in decorated_values()] == [(True, False)] * 2
        with mode():
            assert await asyncio.create_task(state())       # a task starts with its maker's
            assert await asyncio.to_thread(on)
        assert not await asyncio.create_task(state())

    async def state():
        return on()
    asyncio.run(main())
    assert not on()


@BOTH
def test_a_generator_that_is_closed_elsewhere(mode, on):
    def values():
        with mode():
            yield

    def closed_by_another_thread():
        it = values()
        next(it)
        in_a_thread(it.close)
        assert not on()
    it = values()
    contextvars.copy_context().run(next, it)
    it.close()                                          # in a context that never saw the block
    contextvars.copy_context().run(closed_by_another_thread)

    async def abandoned():
        async def values():
            with mode():
                yield
        async for _ in values():
            break
    loop_errors = []

    async def main():
        asyncio.get_running_loop().set_exception_handler(lambda _, c: loop_errors.append(c))
        await abandoned()
        await asyncio.sleep(0)
        return on()
    assert asyncio.run(main()) is False and not loop_errors


@BOTH
def test_a_block_that_was_left_elsewhere_is_forgotten(mode, on):
    """Else every later operation would ask for it."""
    def values():
        with mode():
            yield

    def work():
        it = values()
        next(it)
        in_a_thread(it.close)
        assert recorded()
        assert _modes.modes() == ()
    contextvars.copy_context().run(work)


def in_a_thread(f):
    """Run ``f`` in a thread of its own; its exception is raised here."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(f).result()


@BOTH
def test_in_threads(mode, on):
    inside, done, seen = threading.Event(), threading.Event(), []

    def other():
        inside.wait(10)
        seen.append(on())
        with mode():
            seen.append(on())
        done.set()
    thread = threading.Thread(target=other)
    thread.start()
    with mode():
        inside.set()
        done.wait(10)
        assert on()
    thread.join()
    assert seen == [False, True] and not on()


def test_threads_report_their_own():
    barrier, found_in = threading.Barrier(4, timeout=10), {}

    def work(i):
        for _ in range(20):
            barrier.wait()
            try:
                with tn.debug_nans() if i % 2 else contextlib.nullcontext():
                    tn.grad(lambda x: np.sum(np.sqrt(x)))(np.zeros(i + 1))
            except tn.NonFiniteError:
                found_in[i] = found_in.get(i, 0) + 1
    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert found_in == {1: 20, 3: 20}


def test_a_backward_pass_in_another_thread_is_that_threads():
    with tn.debug_nans():
        y = root_sum(Tensor(X))
        thread = threading.Thread(target=y.backward)
        thread.start()
        thread.join()
    y = root_sum(w := Tensor(X))
    thread = threading.Thread(target=y.backward)
    with tn.debug_nans():
        thread.start()
        thread.join()
    assert np.isinf(w.grad[1])


def test_a_block_that_was_not_entered():
    with pytest.raises(TypeError):
        tn.no_grad(lambda: 1)                           # @tn.no_grad without ()

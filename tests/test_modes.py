"""`no_grad` and `debug_nans`: for which code they are switched on, and what is reported."""

import asyncio
import contextlib
import contextvars
import inspect
import re
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn import Tensor, _modes

A = np.array
X = A([4.0, 0.0, 1.0])
ONES = np.ones(3)


def line():
    """The line of the caller."""
    return inspect.currentframe().f_back.f_lineno


@pytest.fixture(autouse=True)
def silence():
    """The users' own warnings are not what is tested here."""
    with np.errstate(all="ignore"):
        yield


@contextlib.contextmanager
def reported(*parts):
    """Within it a NonFiniteError is raised whose message has these parts, each a pattern."""
    with pytest.raises(tn.NonFiniteError) as error, tn.debug_nans():
        yield
    for part in parts:
        assert re.search(part, str(error.value)), f"{part!r} is not in: {error.value}"


# ---------------------------------------------------------------- forward

FORWARD = {     # a computation, and what its report says
    "log": (lambda: np.log(Tensor(X)), r"np\.log .*gave -inf at index \(1,\)", r"from 0\.0"),
    "divide": (lambda: 1.0 / Tensor(X), r"np\.divide .*gave inf at index \(1,\)",
               r"from 1\.0 and 0\.0"),
    "divide, broadcast": (lambda: Tensor(X[:2])[:, None] / A([1.0, 0.0]),
                          r"np\.divide .*gave inf at index \(0, 1\)", r"from 4\.0 and 0\.0"),
    "0 / 0": (lambda: Tensor(0.0) / 0.0, r"np\.divide .*gave nan at index \(\)",
              "0.0 and 0.0"),
    "power": (lambda: Tensor(X) ** -1, r"np\.power .*gave inf at index \(1,\)", "0.0 and -1"),
    "exp": (lambda: np.exp(Tensor(A([1.0, 800.0]))), r"np\.exp .*gave inf at index \(1,\)",
            r"from 800\.0"),
    "exp of float32": (lambda: np.exp(Tensor(A([1.0, 100.0], "f4"))), r"np\.exp .*gave inf",
                       r"from 100\.0"),
    "a subtraction": (lambda: Tensor(A([1e308])) - A([-1e308]), r"np\.subtract .*gave inf",
                      r"1e\+308 and -1e\+308"),
    "matmul": (lambda: Tensor([[1.0, 1.0], [1e300, 1.0]]) @ A([[1e300], [1.0]]),
               r"np\.matmul .*gave inf at index \(1, 0\)", r"\(2, 2\) and .*\(2, 1\)"),
    "a reduction": (lambda: Tensor([1e308, 1e308]).sum(), r"np\.sum .*gave inf at index \(\)",
                    r"\(2,\)"),
    "a method": (lambda: Tensor(X).log(), r"np\.log .*gave -inf"),
    "a conversion": (lambda: Tensor([1e300]).astype(np.float32), "astype .*gave inf",
                     r"from 1e\+300"),
    "arcsin": (lambda: np.arcsin(Tensor([0.5, 2.0])), r"np\.arcsin .*gave nan at index \(1,\)",
               r"from 2\.0"),
    "a composite": (lambda: np.var(Tensor([1.0]), ddof=1), "gave nan"),
    "a list": (lambda: np.log(np.concatenate([Tensor([1.0]), Tensor([0.0])])),
               r"np\.log .*gave -inf at index \(1,\)"),
    "no_grad": (tn.no_grad()(lambda: np.log(Tensor(X))), r"np\.log .*gave -inf"),
    "grad": (lambda: tn.grad(lambda x: np.sum(np.log(x)))(X),
             r"np\.log .*gave -inf at index \(1,\)"),
    "grad of grad": (lambda: tn.grad(tn.grad(lambda x: np.log(x)))(0.0),
                     r"np\.log .*gave -inf"),
    "jvp": (lambda: tn.jvp(np.log, (X,), (ONES,)), r"np\.log .*gave -inf at index \(1,\)"),
    "hvp": (lambda: tn.hvp(lambda x: np.sum(np.log(x)), X, ONES), r"np\.log .*gave -inf"),
    "jacobian": (lambda: tn.jacobian(np.log)(X), r"np\.log .*gave -inf"),
    "remat": (lambda: tn.remat(lambda x: np.log(x) * 2)(Tensor(X)), r"np\.log .*gave -inf"),
    "a module": (lambda: tn.nn.Sequential(lambda x: 1 / x, tn.nn.ReLU())(Tensor(X)),
                 r"np\.divide .*gave inf"),
    "custom_vjp": (lambda: tn.custom_vjp(reciprocal, None)(Tensor(X)),
                   r"reciprocal .*gave inf at index \(1,\)", r"from 0\.0"),
    "custom_jvp": (lambda: tn.custom_jvp(reciprocal, None)(Tensor(X)),
                   "reciprocal .*gave inf"),
    "a primitive": (lambda: inverse(Tensor(X)), r"inverse .*gave inf at index \(1,\)"),
    "a primitive in grad": (lambda: tn.grad(lambda x: np.sum(inverse(x)))(X),
                            "inverse .*gave inf"),
}


def reciprocal(x):
    return 1 / x


@tn.primitive
def inverse(x):
    return 1 / x


tn.rules.elementwise(inverse, lambda y: -y * y)


@pytest.mark.parametrize("name", FORWARD)
def test_the_first_operation_that_is_not_finite(name):
    f, *parts = FORWARD[name]
    with reported(*parts):
        f()
    f() if name not in ("custom_vjp", "custom_jvp") else None       # off again


def test_the_report_names_the_users_file_and_line():
    w = Tensor(X)
    with reported(rf"np\.log .*test_modes\.py, line {line() + 1}\b"):
        np.log(w)
    with reported(rf"np\.divide .*test_modes\.py, line {line() + 1}\b"):
        tn.grad(tn.grad(lambda x: 1.0 / x))(0.0)
    with reported(rf"np\.log .*test_modes\.py, line {line() + 1}\b"):
        tn.jvp(lambda x: np.log(x), (X,), (ONES,))
    with reported(rf"np\.sum .*test_modes\.py, line {line() + 1}\b"):
        Tensor([1e308, 1e308]).sum()


def test_it_stops_there():
    seen = []
    with reported("np.log"):
        y = np.log(Tensor(X))
        seen.append(y)
    assert not seen


def test_a_non_finite_error_is_a_floating_point_error():
    with pytest.raises(FloatingPointError), tn.debug_nans():
        np.log(Tensor(0.0))
    assert issubclass(tn.NonFiniteError, tn.TinygradError)


# ---------------------------------------------------------------- backward

def root_sum(x):
    return np.sum(np.sqrt(x))


BACKWARD = {    # a computation of finite values, and what the report on its gradient says
    "sqrt": (lambda: root_sum(Tensor(X)).backward(),
             r"gradient of np\.sqrt .*is inf at index \(1,\)", r"from 1\.0 and 0\.0"),
    "divide": (lambda: np.sum(A([1e200]) / Tensor([1e-100])).backward(),
               r"gradient of np\.divide .*is -inf at index \(0,\)"),
    "matmul": (lambda: np.sum((Tensor([[0.0]]) @ A([[1e300]])) * 1e300).backward(),
               r"gradient of np\.matmul .*is inf at index \(0, 0\)"),
    "power": (lambda: np.sum(Tensor(X) ** 0.5).backward(), r"gradient of np\.power .*is inf"),
    "a seed": (lambda: np.exp(Tensor([700.0])).backward(A([1e10])),
               r"gradient of np\.exp .*is inf at index \(0,\)", r"10000000000\.0"),
    "a composite": (lambda: (np.dot(Tensor([0.0]), [1e300]) * 1e300).backward(),
                    r"gradient of np\.matmul .*is inf"),
    "grad": (lambda: tn.grad(root_sum)(X), r"gradient of np\.sqrt .*inf at index \(1,\)"),
    "vjp": (lambda: tn.vjp(np.sqrt, X)[1](ONES), r"gradient of np\.sqrt .*\(1,\)"),
    "jacobian, one row": (lambda: tn.jacobian(root_sum)(X), r"gradient of np\.sqrt "),
    "jacobian, many rows": (lambda: tn.jacobian(np.sqrt)(X), r"gradient of np\.sqrt "),
    "hessian": (lambda: tn.hessian(root_sum)(X), r"gradient of np\.sqrt .*index \(1,\)"),
    "hvp": (lambda: tn.hvp(root_sum, X, ONES), r"gradient of np\.sqrt .*index \(1,\)"),
    "grad of grad": (lambda: tn.grad(lambda x: np.sum(tn.grad(root_sum)(x) ** 2))(X),
                     r"gradient of np\.sqrt .*index \(1,\)"),
    "second order alone": (lambda: tn.grad(tn.grad(lambda x: x ** 1.5))(0.0),
                           "gradient of np"),
    "hessian, second order alone": (lambda: tn.hessian(lambda x: np.sum(x ** 1.5))(X),
                                    "gradient of np"),
    "remat": (lambda: tn.remat(lambda x: np.sqrt(x) * 2)(Tensor(0.0)).backward(),
              r"gradient of np\.sqrt .*is inf"),
    "custom_vjp": (lambda: tn.custom_vjp(double, lambda g, x: g / x)(Tensor(X)).backward(ONES),
                   r"gradient of double .*is inf at index \(1,\)"),
    "custom_vjp in grad": (lambda: tn.grad(lambda x: np.sum(tn.custom_vjp(
        double, lambda g, x: g / x)(x)))(X), r"gradient of double .*is inf at index \(1,\)"),
    "a primitive": (lambda: np.sum(steep(Tensor(X))).backward(),
                    r"gradient of steep .*is inf at index \(1,\)", r"0\.0"),
}


def double(x):
    return 2 * x


@tn.primitive
def steep(x):
    return np.sqrt(x)


tn.rules.elementwise(steep, lambda x: 0.5 / np.sqrt(x))


@pytest.mark.parametrize("name", BACKWARD)
def test_the_first_gradient_that_is_not_finite(name):
    f, *parts = BACKWARD[name]
    with reported(*parts):
        f()
    f()                                                         # off again


def test_the_report_on_a_gradient_names_the_line_of_the_operation():
    w = Tensor(X)
    with reported(rf"np\.sqrt.*test_modes\.py, line {line() + 1}\b"):
        y = np.sqrt(w)
        y.sum().backward()
    with reported(rf"np\.power.*test_modes\.py, line {line() + 1}\b"):
        tn.grad(lambda x: np.sum(x ** 0.5))(X)
    with reported(rf"test_modes\.py, line {line() + 1}\b"):
        tn.grad(tn.grad(lambda x: x ** 1.5))(0.0)
    with reported(rf"np\.sqrt.*test_modes\.py, line {line() + 1}\b"):
        tn.hessian(lambda x: np.sum(np.sqrt(x)))(X)
    assert w.grad is None                                       # a failed backward


def test_the_graph_of_the_forward_pass_may_be_older():
    """Without the block nothing was noted, so the line is unknown, but the rest is said."""
    y = np.sqrt(Tensor(X)).sum()
    with reported(r"gradient of np\.sqrt .*is inf at index \(1,\)", "not noted"):
        y.backward()


def test_mutation_errors_of_nested_derivatives_name_the_users_line_too():
    c = np.ones(3)

    def f(x):
        y = tn.grad(lambda v: np.sum(np.sin(v * c)))(x)
        c[:] = 2
        return np.sum(y * y)
    with pytest.raises(tn.MutationError) as error:
        tn.grad(f)(X)
    assert "<string>" not in str(error.value)


# ---------------------------------------------------------------- forward mode

FORWARD_MODE = {
    "jvp": (lambda: tn.jvp(np.sqrt, (X,), (ONES,)), r"np\.sqrt", "inf", r"\(1,\)"),
    "jvp to a scalar": (lambda: tn.jvp(root_sum, (X,), (ONES,)), r"np\.sqrt", r"\(1,\)"),
    "jacobian by columns": (lambda: tn.jacobian(lambda x: np.stack([np.sqrt(x)] * 2))(X),
                            r"np\.sqrt"),
    "jvp of jvp": (lambda: tn.jvp(lambda x: tn.jvp(np.sqrt, (x,), (ONES,))[1], (X,), (ONES,)),
                   r"np\.sqrt", r"\(1,\)"),
    "second order alone": (lambda: tn.jvp(
        lambda x: tn.jvp(lambda x: x ** 1.5, (x,), (1.0,))[1], (0.0,), (1.0,)), "inf"),
    "hvp, second order alone": (lambda: tn.hvp(lambda x: np.sum(x ** 1.5), X, ONES), "inf"),
    "jvp of grad, second order alone": (
        lambda: tn.jvp(tn.grad(lambda x: x ** 1.5), (0.0,), (1.0,)), "inf"),
    "grad of jvp, second order alone": (
        lambda: tn.grad(lambda x: tn.jvp(lambda x: x ** 1.5, (x,), (1.0,))[1])(0.0), "inf"),
    "grad of jvp": (lambda: tn.grad(lambda x: tn.jvp(root_sum, (x,), (ONES,))[1])(X),
                    r"np\.sqrt"),
    "custom_jvp": (lambda: tn.jvp(tn.custom_jvp(double, lambda xs, ts: ts[0] / xs[0]), (X,),
                                  (ONES,)), "double", "inf", r"\(1,\)"),
    "a primitive": (lambda: tn.jvp(steep, (X,), (ONES,)), "steep", "inf", r"\(1,\)"),
}


@pytest.mark.parametrize("name", FORWARD_MODE)
def test_the_first_tangent_that_is_not_finite(name):
    f, *parts = FORWARD_MODE[name]
    with reported(*parts):
        f()
    f()


# ---------------------------------------------------------------- what is not reported

def log_where(x):
    return np.sum(np.where(x > 0, np.log(np.where(x > 0, x, 1.0)), 0.0))


def sqrt_where(x):
    return np.sum(np.where(x > 0, np.sqrt(x), 0.0))


EXACT = {       # functions with structural zeros, finite in every order at X
    "where sqrt": sqrt_where, "where log": log_where,
    "boolean index": lambda x: np.sum(np.sqrt(x)[X > 0]),
    "maximum": lambda x: np.sum(np.maximum(np.sqrt(x), 0.5)),
    "with sum and reshape": lambda x: np.sum(np.where(
        x[None] > 0, np.reshape(np.sqrt(x), (1, 3)) * 2, 0.0), axis=0)[0],
    "select": lambda x: np.sum(np.select([x > 0], [x ** 0.5], 0.0)),
    "custom_jvp": lambda x: np.sum(np.where(x > 0, safe_root(x), 0.0)),
}
safe_root = tn.custom_jvp(np.sqrt, lambda xs, ts: ts[0] * np.where(
    xs[0] > 0, 0.5 / np.sqrt(np.where(xs[0] > 0, xs[0], 1.0)), 0.0))
USES = {
    "backward": lambda f: f(Tensor(X)).backward(), "grad": lambda f: tn.grad(f)(X),
    "vjp": lambda f: tn.vjp(f, X)[1](1.0), "jvp": lambda f: tn.jvp(f, (X,), (ONES,)),
    "jacobian": lambda f: tn.jacobian(f)(X), "hessian": lambda f: tn.hessian(f)(X),
    "columns": lambda f: tn.jacobian(lambda x: np.stack([f(x)] * 5))(X),
    "hvp": lambda f: tn.hvp(f, X, ONES),
    "grad of grad": lambda f: tn.grad(lambda x: np.sum(tn.grad(f)(x) ** 2))(X),
    "grad of jvp": lambda f: tn.grad(lambda x: tn.jvp(f, (x,), (ONES,))[1])(X),
    "jvp of jvp": lambda f: tn.jvp(lambda x: tn.jvp(f, (x,), (ONES,))[1], (X,), (ONES,)),
    "third order": lambda f: tn.grad(lambda x: np.sum(tn.grad(lambda x: np.sum(
        tn.grad(f)(x)))(x)))(X),
}


def leaves(tree):
    return [v for t in tree for v in leaves(t)] if isinstance(tree, (tuple, list)) else [tree]


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("name", EXACT)
def test_structural_zeros_are_not_reported(name, use):
    run = USES[use]
    want = leaves(run(EXACT[name]))
    assert all(v is None or np.isfinite(v).all() for v in want)
    with tn.debug_nans():
        got = leaves(run(EXACT[name]))
    for a, b in zip(got, want, strict=True):
        np.testing.assert_array_equal(a, b)


NOT_FINITE = A([np.inf, 1.0, np.nan])
GIVEN = {       # nothing that these make was not there before
    "forward": lambda: np.log(Tensor(NOT_FINITE)) * 2,
    "a constant": lambda: Tensor(ONES) * NOT_FINITE,
    "another element": lambda: np.log(Tensor(A([np.inf, 0.0]))),
    "backward": lambda: np.sum(np.square(Tensor(NOT_FINITE))).backward(),
    "backward of exp": lambda: np.sum(np.exp(Tensor(NOT_FINITE))).backward(),
    "backward of a constant": lambda: np.sum(Tensor(ONES) * NOT_FINITE).backward(),
    "backward of a matmul": lambda: np.sum(Tensor(np.eye(3)) @ NOT_FINITE[:, None]).backward(),
    "a seed": lambda: (Tensor(ONES) * 2).backward(NOT_FINITE),
    "grad": lambda: tn.grad(lambda x: np.sum(x * x))(NOT_FINITE),
    "jvp": lambda: tn.jvp(lambda x: x * x, (NOT_FINITE,), (ONES,)),
    "a tangent": lambda: tn.jvp(lambda x: x * 2, (ONES,), (NOT_FINITE,)),
    "jacobian": lambda: tn.jacobian(lambda x: x * x)(NOT_FINITE),
    "hvp": lambda: tn.hvp(lambda x: np.sum(x ** 3), NOT_FINITE, ONES),
    "a part that is finite": lambda: np.sum(Tensor(NOT_FINITE)[1:2] * 2).backward(),
    "a comparison": lambda: Tensor(NOT_FINITE) > 0,
    "nansum": lambda: np.where(np.isnan(NOT_FINITE), 0.0, Tensor(NOT_FINITE)).sum(),
    "plain arrays": lambda: np.log(np.zeros(2)) + tn.sigmoid(A([-np.inf, np.nan])),
}


@pytest.mark.parametrize("name", GIVEN)
def test_what_was_not_finite_before_is_not_reported(name):
    with tn.debug_nans():
        GIVEN[name]()


def test_gradients_at_kinks_and_large_values_are_fine():
    with tn.debug_nans():
        for f in (np.linalg.norm, np.abs, np.prod, np.cumprod, np.sort, np.max,
                  lambda x: np.arctan2(x, x), lambda x: x ** 0, lambda x: np.hypot(x, x)):
            for use in USES.values():
                use(lambda x, f=f: np.sum(f(x * 0.0)))
        w = Tensor([1e-320])
        (w * 2).sum().backward()


def test_a_training_step_is_the_same_with_and_without():
    def step():
        model = tn.models.CatClassifier((4, 5, 3, 1), rng=0)
        x = np.random.default_rng(0).normal(size=(6, 4)).astype("f4")
        tn.nn.binary_cross_entropy(model(x), (x[:, :1] > 0).astype("f4")).backward()
        return [p.grad for p in model.parameters()]
    want = step()
    with tn.debug_nans():
        got = step()
    for a, b in zip(got, want, strict=True):
        np.testing.assert_array_equal(a, b)


# ---------------------------------------------------------------- remedies

def test_the_remedy_for_a_length_is_the_norm():
    v = np.zeros(3)
    for f in (lambda x: np.sqrt(np.sum(x ** 2)), lambda x: np.sum(x * x) ** 0.5,
              lambda x: np.sqrt(x @ x)):
        with np.errstate(all="ignore"):
            assert np.isnan(tn.grad(f)(v)).all()                # NumPy's arithmetic, unchanged
    for use in (tn.grad, tn.jacobian, tn.hessian, lambda f: lambda x: tn.hvp(f, x, ONES),
                lambda f: lambda x: f(Tensor(x)).backward()):
        with reported(r"np\.sqrt", r"np\.linalg\.norm"):
            use(lambda x: np.sqrt(np.sum(x ** 2)))(v)
        with tn.debug_nans():                                   # and that is true
            use(np.linalg.norm)(v)
    with reported(r"np\.linalg\.norm"):
        np.sum(np.sqrt(np.sum(Tensor(np.zeros((2, 3))) ** 2, axis=1))).backward()


@pytest.mark.parametrize("f, remedy", [
    (np.log, r"np\.where.*log_softmax"), (lambda x: 1 / x, r"np\.where"),
    (lambda x: np.exp(x + 1e3), r"softmax.*sigmoid")])
def test_other_remedies(f, remedy):
    with reported(remedy):
        f(Tensor(X))


def test_remedies_are_accepted_within_the_block():
    with tn.debug_nans():
        log_where(Tensor(X)).backward()
        np.sum(1 / np.where(X != 0, Tensor(X), 1.0)).backward()
        for f in (tn.softmax, tn.logsumexp, tn.sigmoid):
            np.sum(f(Tensor(X + 1e3))).backward()


# ---------------------------------------------------------------- for which code

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


# ---------------------------------------------------------------- large and small magnitudes
# Against the formulas in a wider format; e = exp(-|x|) keeps all digits at either end.

def wide(x):
    x = np.asarray(x, np.longdouble)
    return x, np.exp(-np.abs(x))


def sigmoid_of(x, e):
    return np.where(x >= 0, 1, e) / (1 + e)


def bump(x, e):
    return e / (1 + e) ** 2


def softplus_of(x, e):
    return np.maximum(x, 0) + np.log1p(e)


def pair(f, k=None):
    """``f`` of the vector [x, 0], or one of its elements."""
    def of(x):
        y = f(np.concatenate([np.reshape(x, 1), np.zeros(1, x.dtype)]))
        return y if k is None else y[k]
    return of


SIGMOID = (sigmoid_of, bump, lambda x, e: bump(x, e) * (1 - 2 * sigmoid_of(x, e)))
SOFTPLUS = (softplus_of, sigmoid_of, bump)
STABLE = {      # a function of a number with its derivatives, and the same at -inf and inf
    "sigmoid": (tn.sigmoid, SIGMOID, (0, 0, 0), (1, 0, 0)),
    "softplus": (tn.softplus, SOFTPLUS, (0, 0, 0), (np.inf, 1, 0)),
    "logaddexp": (lambda x: np.logaddexp(x, np.zeros((), x.dtype)), SOFTPLUS, (0, 0, 0),
                  (np.inf, 1, 0)),
    "logsumexp": (pair(tn.logsumexp), SOFTPLUS, (0, 0, 0), (np.inf, 1, 0)),
    "softmax": (pair(tn.softmax, 0), SIGMOID, (0, 0, 0), None),         # inf / inf
    "log_softmax": (pair(tn.log_softmax, 0), (
        lambda x, e: -softplus_of(-x, e), lambda x, e: sigmoid_of(-x, e),
        lambda x, e: -bump(x, e)), (-np.inf, 1, 0), None),
    "log1p": (np.log1p, (lambda x, e: np.log1p(x), lambda x, e: 1 / (1 + x),
                         lambda x, e: -1 / (1 + x) ** 2), None, (np.inf, 0, 0)),
    "expm1": (np.expm1, (lambda x, e: np.expm1(x), lambda x, e: np.exp(x),
                         lambda x, e: np.exp(x)), (-1, 0, 0), (np.inf, np.inf, np.inf)),
}
SECOND = (lambda f, x: tn.grad(tn.grad(f))(x), lambda f, x: tn.hvp(f, x, np.ones_like(x)),
          lambda f, x: tn.hessian(f)(x), lambda f, x: tn.grad(
              lambda x: tn.jvp(f, (x,), (np.ones_like(x),))[1])(x))


def orders(f, x):
    """Value, first derivatives and second derivatives, each in several ways."""
    w = Tensor(x)
    f(w).backward()
    first = [w.grad, tn.grad(f)(x), tn.jvp(f, (x,), (np.ones_like(x),))[1], tn.jacobian(f)(x)]
    return [f(x)], first, [second(f, x) for second in SECOND]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", STABLE)
def test_large_and_small_magnitudes(name, dtype):
    f, formulas, below, above = STABLE[name]
    limits = np.finfo(dtype)
    points = [s * v for s in (1, -1) for v in (1e4, 700.0, 30.0, 1e-4, 1e-30, 0.0, limits.tiny,
                                               limits.smallest_subnormal)]
    for x in np.array(points, dtype):
        with np.errstate(all="ignore"):
            want = [np.asarray(formula(*wide(x))).astype(dtype) for formula in formulas]
        if not np.isfinite(want).all():
            continue                                    # log1p(-1e4), expm1(1e4)
        with tn.debug_nans():
            found = orders(f, x)
        for each, exact in zip(found, want, strict=True):
            for got in each:
                assert got.dtype == dtype
                np.testing.assert_allclose(got, exact, rtol=64 * limits.eps, atol=limits.eps)
    for x, want in ((-np.inf, below), (np.inf, above)):
        for each, exact in zip(orders(f, dtype(x)), want or (), strict=bool(want)):
            for got in each:
                np.testing.assert_array_equal(got, exact)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_distant_elements_of_softmax_and_logsumexp(dtype):
    x = np.array([1e4, -1e4, 1e4, 0.0], dtype)
    with tn.debug_nans():
        np.testing.assert_array_equal(tn.grad(tn.logsumexp)(x), [0.5, 0, 0.5, 0])
        np.testing.assert_allclose(tn.hessian(tn.logsumexp)(x)[::2, ::2],
                                   [[0.25, -0.25], [-0.25, 0.25]])
        jac = tn.jacobian(tn.log_softmax)(x)
        np.testing.assert_array_equal(jac, np.eye(4) - [0.5, 0, 0.5, 0])
        np.testing.assert_array_equal(tn.grad(lambda x: tn.log_softmax(x)[1])(x),
                                      [-0.5, 1, -0.5, 0])
        np.testing.assert_allclose(tn.jacobian(tn.softmax)(x)[0], [0.25, 0, -0.25, 0])

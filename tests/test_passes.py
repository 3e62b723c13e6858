"""Passes one by one: what each leaves of small programs, as text, and that the bits stay."""

import collections

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tracing import drawn, keeps_bits, program, table, text

import tinygrad_nn as tn
from tinygrad_nn import Tensor, nn, optim, testing
from tinygrad_nn._program import substituted
from tinygrad_nn.passes import (
    PASSES,
    algebra,
    common_subexpressions,
    constants,
    dead_code,
    expand,
    optimised,
    postpone,
)

X = np.arange(6.0).reshape(2, 3)


# ---------------------------------------------------------------- dead code, twice, constants

def test_dead_code():
    def f(x, unused, rng):
        np.sin(x)
        rng.random(2)
        y = x * 2
        return y + 1
    p = dead_code(program(f, x=X, unused=X, rng=np.random.default_rng(0)))
    assert text(p) == ["v1 f8[2] = Generator.random(rng, 2)", "v2 f8[2, 3] = np.multiply(x, 2)",
                       "v3 f8[2, 3] = np.add(v2, 1)", "return 0 = v3"]
    assert list(p.inputs.values()) == ["x", "rng"]


def test_the_gradient_of_the_first_layers_input_is_dead():
    def f(x, w):
        x, w = Tensor(x), Tensor(w)
        np.sum((x @ w) * (x @ w)).backward()
        return w.grad
    p = program(f, x=X, w=np.ones((3, 2)))
    products = [[e for e in q.equations if e.fn is np.matmul] for q in (p, dead_code(p))]
    assert list(map(len, products)) == [6, 4]           # two forward, two for w, two for x


def test_common_subexpressions():
    def f(x):
        a, b = np.exp(x * 2.0), np.exp(x * 2.0)
        c = np.exp(x * np.float64(2))                   # another constant: it could promote
        d = x[0] * x[0] + np.sum(x[0] * x[0]) + np.array([1.0, 2.0, 3.0])
        return a + b + c, d, x * 0.0, x * -0.0
    p = keeps_bits(f, common_subexpressions, x=X)
    assert text(p)[:4] == ["v1 f8[2, 3] = np.multiply(x, 2.0)", "v2 f8[2, 3] = np.exp(v1)",
                           "v3 f8[2, 3] = np.multiply(x, 2.0 f8)", "v4 f8[2, 3] = np.exp(v3)"]
    assert any(line.endswith("np.add(v2, v2)") for line in text(p))
    assert sum("getitem" in line for line in text(p)) == 1
    assert sum("np.multiply(x, " in line for line in text(p)) == 4


def test_draws_checks_and_what_remat_repeats_are_not_merged():
    def f(x, rng):
        again = lambda v: tn.remat(lambda u: np.sum(np.sin(np.sin(u))))(v)
        return rng.random(2) + rng.random(2), tn.grad(again)(x)
    p = common_subexpressions(program(f, x=X, rng=np.random.default_rng(0)))
    assert str(p).count("random(rng, 2)") == 2 and str(p).count("np.sin(x)") == 2


def test_constants():
    def f(x):
        zeros = np.multiply(np.zeros_like(x), 1.0)
        return x + zeros
    p = program(f, x=X)
    known = next(iter(p.inputs))            # an input that is known: all is constant
    p = constants(substituted(p.with_(inputs={}), {known: X}))
    assert text(p) == ["return 0 = constant f8[2, 3]"]
    p = program(lambda x: x + 1, x=np.ones(2 ** 18))
    p = constants(substituted(p, {next(iter(p.inputs)): np.ones(2 ** 18)}))
    assert len(p) == 1                                  # not worth the memory


# ---------------------------------------------------------------- algebra

@pytest.mark.parametrize(("f", "left"), [
    (lambda x: x * 1.0, []), (lambda x: 1 * x, []), (lambda x: x / 1, []),
    (lambda x: x - 0.0, []), (lambda x: x + 0.0, ["np.add(x, 0.0)"]),       # -0.0 + 0.0 is 0.0
    (lambda x: x - -0.0, ["np.subtract(x, -0.0)"]),
    (lambda x: 0.0 - x, ["np.subtract(0.0, x)"]),
    (lambda x: x * 0.0, ["np.multiply(x, 0.0)"]), (lambda x: -1.0 * x, ["np.negative(x)"]),
    (lambda x: np.negative(-x), []), (lambda x: x + -x, ["np.subtract(x, x)"]),
    (lambda x: x - -x, ["np.add(x, x)"]), (lambda x: -x + x, ["np.subtract(x, x)"]),
    (lambda x: x / 8.0, ["np.multiply(x, 0.125)"]), (lambda x: x / 3, ["np.divide(x, 3)"]),
    (lambda x: x * np.ones(3), []), (lambda x: x / np.full(3, 3.0), ["np.divide(x, 3.0 f8)"]),
    (lambda x: x / -0.25, ["np.multiply(x, -4.0)"]), (lambda x: +x, []),
    (lambda x: x * np.float32(1), []), (lambda x: x.astype(float), []),
    (lambda x: x.T.T, []), (lambda x: np.swapaxes(x, 0, 1).T, []),
    (lambda x: x.T, ["np.transpose(x)"]), (lambda x: x.reshape(2, 3), []),
    (lambda x: np.broadcast_to(x, (2, 3)), []), (lambda x: np.where(True, x, 0.0), []),
    (lambda x: np.where(x > 0, x, x), []), (lambda x: np.copy(x), ["np.copy(x)"]),
    (lambda x: tn.stop_gradient(x), []),
    (lambda x: np.not_equal(x > 0, 0), ["np.greater(x, 0)"]),
    (lambda x: (x * 1)[0], ["getitem(x, index=0)"]),
    (lambda x: np.clip(np.clip(x, -1.0, 1.0), -1.0, 1.0), ["np.clip(x, -1.0, 1.0)"]),
    (lambda x: np.clip(np.clip(x, -1.0, 1.0), -1.0, 2.0),
     ["np.clip(x, -1.0, 1.0)", "np.clip(v1, -1.0, 2.0)"]),
])
def test_algebra(f, left):
    special = np.array([[0.0, -0.0, np.inf], [-np.inf, 1e-310, -3.5]])
    for x in (special, np.asfortranarray(special)):
        p = keeps_bits(f, algebra, dead_code, x=x)
        assert [line.partition(" = ")[2] for line in text(p)[:-1]] == left


def test_algebra_keeps_dtypes_and_layouts():
    x = X.astype(np.float32)
    for f in (lambda x: x * np.float64(1), lambda x: x.astype(np.float64),
              lambda x: (x > 0) * 1, lambda x: np.reshape(x.T, (3, 2)) * 2,
              lambda x: (x * np.ones((2, 1, 1)))[0], lambda x: x * np.ones((2, 3)).T[:1].T):
        keeps_bits(f, *PASSES, x=x)


# ---------------------------------------------------------------- expansion

def test_expansion():
    p = keeps_bits(lambda x: tn.sigmoid(x), expand, x=X)
    assert text(p) == [
        "v1 f8[2, 3] = np.absolute(x)", "v2 f8[2, 3] = np.negative(v1)",
        "v3 f8[2, 3] = np.exp(v2)", "v4 b1[2, 3] = np.greater_equal(x, 0)",
        "v5 f8[2, 3] = np.where(v4, 1, v3)", "v6 f8[2, 3] = np.add(1, v3)",
        "v7 f8[2, 3] = np.divide(v5, v6)", "return 0 = v7"]
    p = keeps_bits(lambda x: np.mean(tn.softmax(x), axis=0), expand, x=X)
    assert text(p) == [
        "v1 f8[2, 1] = np.maximum.reduce(x, axis=-1, keepdims=True, initial=-inf)",
        "v2 f8[2, 3] = minus_top(x, v1)", "v3 f8[2, 3] = np.exp(v2)",
        "v4 f8[2, 1] = np.add.reduce(v3, axis=-1, keepdims=True)",
        "v5 f8[2, 3] = np.divide(v3, v4)",
        "v6 f8[3] = np.add.reduce(v5, axis=0, keepdims=False)", "v7 f8[3] = share(v6, 2 i8)",
        "return 0 = v7"]


ARRAYS = [np.zeros((0, 3)), np.ones(()), np.linspace(-4, 4, 24).reshape(2, 3, 4),
          np.linspace(-4, 4, 12).reshape(3, 4).T, np.linspace(-4, 4, 6).reshape(1, 6),
          np.array([np.nan, np.inf, -np.inf, -0.0]), np.broadcast_to(np.ones((2, 1)), (2, 3))]


@pytest.mark.parametrize("f", [
    tn.relu, tn.sigmoid, tn.softplus, tn.leaky_relu, tn.elu, tn.silu, tn.gelu, tn.erf,
    lambda x: tn.gelu(x, approximate="tanh"), tn.softmax, lambda x: tn.log_softmax(x, axis=0),
    tn.logsumexp, lambda x: np.mean(x), lambda x: np.sum(x, axis=-1), np.max,
    lambda x: np.mean(x, axis=0, keepdims=True), lambda x: np.where(x > 0, x, 0.0),
    lambda x: tn.rules.standardize(x, axes=(0,), eps=1e-5), lambda x: tn.rules.dense(x, X.T),
], ids=lambda f: getattr(f, "__name__", "f"))
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
def test_all_passes_keep_the_bits_of_every_expansion(f, dtype):
    for x in ARRAYS:
        x = x.astype(dtype)
        try:
            keeps_bits(f, *PASSES, x=x)
        except (ValueError, IndexError) as error:       # no maximum of nothing, no axis of 0-d
            assert x.ndim == 0 or x.size == 0 or "dense" in str(error)


# ---------------------------------------------------------------- products that wait

def test_products_larger_than_their_factors_wait_for_their_readers():
    def f(x, y, w):
        g = x.T @ y
        small = x @ y.T
        s = np.sum(small)
        return w - g * 2, s, y.T @ x
    x, y = table((8, 300)), table((8, 300), seed=1)
    p = keeps_bits(f, postpone, x=x, y=y, w=table((300, 300), seed=2))
    assert text(p) == [
        "v1 f8[300, 8] = np.transpose(x)",
        "v2 f8[300, 8] = np.transpose(y)",
        "v3 f8[8, 8] = np.matmul(x, v2)",
        "v4 f8[] = np.sum(v3)",
        "v5 f8[300, 300] = np.matmul(v1, y)",
        "v6 f8[300, 300] = np.multiply(v5, 2)",
        "v7 f8[300, 300] = np.subtract(w, v6)",
        "v8 f8[300, 8] = np.transpose(y)",
        "v9 f8[300, 300] = np.matmul(v8, x)",
        "return 0 = v7", "return 1 = v4", "return 2 = v9"]


def test_gradients_of_large_weights_take_turns():
    model = nn.Sequential(*(nn.Linear(300, 300, rng=k) for k in range(4)), nn.Linear(300, 1))
    opt = optim.Adam(model.parameters())
    x = table((8, 300), np.float32)

    @tn.compile
    def step(x):
        np.sum(np.square(model(x))).backward()
        opt.step()
        opt.zero_grad()
    for _ in range(3):
        step(x)
    found = step.program.plan
    large_blocks = sum(size >= model[0].weight.data.nbytes for size in found.sizes)
    assert large_blocks <= 2                            # of four; strips take some together
    assert all(t.inplace for t in found.targets.values())


# ---------------------------------------------------------------- the whole

OPERATIONS = [
    lambda x, y: x + y, lambda x, y: x * y, lambda x, y: x - y * 0.5,
    lambda x, y: np.exp(-x * x),
    lambda x, y: tn.sigmoid(x), lambda x, y: tn.relu(x - y), lambda x, y: np.where(x > y, x, y),
    lambda x, y: x @ y.T @ y, lambda x, y: tn.softmax(x + y), lambda x, y: x.T[::-1].T,
    lambda x, y: np.sum(x, axis=0) * y, lambda x, y: np.mean(x) - y, lambda x, y: x[:, ::-1],
    lambda x, y: np.maximum(x, y) / 4, lambda x, y: np.max(x, axis=1, keepdims=True) * y,
    lambda x, y: np.concatenate([x, y], axis=0)[1:len(x) + 1], lambda x, y: -y,
    lambda x, y: x.reshape(-1).reshape(x.shape), lambda x, y: np.sqrt(np.abs(x)) * 1.0,
    lambda x, y: np.where(x > 0, np.log(x), y),
    lambda x, y: x.astype(np.float32).astype(x.dtype)]


@settings(max_examples=60, deadline=None)
@given(drawn(OPERATIONS, 1, 12), st.sampled_from([np.float32, np.float64]))
def test_drawn_programs_and_their_gradients_keep_their_bits(f, dtype):
    both = lambda a, b: tn.value_and_grad(f, (0, 1))(a, b)
    a, b = (np.random.default_rng(s).normal(size=(3, 4)).astype(dtype) for s in (0, 1))
    compiled = tn.compile(both)
    with np.errstate(all="ignore"):
        want = both(a, b)
        for _ in range(4):
            value, grads = compiled(a, b)
            for got, right in zip((value, *grads), (want[0], *want[1]), strict=True):
                assert got.dtype == right.dtype and got.shape == right.shape
                np.testing.assert_array_equal(got, right)


def test_programs_of_the_testing_kit():
    refused = collections.Counter()

    @settings(max_examples=60, deadline=None)
    @given(testing.programs())
    def check(p):
        def f(*xs):
            parts = p(*xs)
            parts = parts if isinstance(parts, tuple) else [parts]
            return sum(np.sum(np.sin(v)) for v in parts)
        gradient = tn.value_and_grad(f, tuple(range(len(p.inputs))))
        compiled = tn.compile(gradient)
        refused["of"] += 1
        with np.errstate(all="ignore"):
            want = gradient(*p.inputs)
            try:
                for _ in range(3):
                    got = compiled(*p.inputs)
            except tn.DetachError:                      # its values decide what it does
                refused["yes"] += 1
                return
        for a, b in zip((got[0], *got[1]), (want[0], *want[1]), strict=True):
            np.testing.assert_array_equal(a, b)
    check()
    assert refused["yes"] < refused["of"] / 3, refused


def test_print_shows_every_pass():
    w = Tensor(np.ones(3))

    @tn.compile
    def step(x):
        loss = np.sum(np.square(w * x))
        loss.backward()
        w.data, w.grad = w.data - 0.5 * w.grad, None
        return loss
    step(np.ones(3))
    assert str(step.program).startswith("== recorded: ")
    step(np.ones(3))
    parts = str(step.program).split("\n\n")
    assert [part.split(":")[0] for part in parts] == [
        "== recorded", "== dead code", "== expand", "== algebra", "== constants",
        "== common subexpressions", "== dead code again", "== postpone", "== products",
        "== chains", "== fuse", "== memory"]
    assert parts[0] == """\
== recorded: 8 equations
inputs
    w f8[3]
    x f8[3]
equations
    v1 f8[3] = np.multiply(w, x)
    v2 f8[3] = np.square(v1)
    v3 f8[] = np.sum(v2)
    v4 f8[3] = np.multiply(2, v1)
    v5 f8[3] = np.multiply([1.0, 1.0, 1.0] f8, v4)
    v6 f8[3] = np.multiply(v5, x)
    v7 f8[3] = np.multiply(0.5, v6)
    v8 f8[3] = np.subtract(w, v7)
outputs
    return 0 = v3
    w = v8"""
    assert parts[-2:] == ["""\
== fuse: 7 -> 7 equations
inputs
    w f8[3]
    x f8[3]
equations
    v1 f8[3] = np.multiply(w, x)
    v2 f8[3] = np.square(v1)
    v3 f8[] = np.add.reduce(v2, axis=None)
    v4 f8[3] = np.multiply(2, v1)
    v5 f8[3] = np.multiply(v4, x)
    v6 f8[3] = np.multiply(0.5, v5)
    v7 f8[3] = np.subtract(w, v6)
outputs
    return 0 = v3
    w = v7""", "== memory: 5 values in 2 blocks, 48 bytes; 1 of 1 updates in place"]
    assert len(optimised(step.program["recorded"])) == 1 + len(PASSES)

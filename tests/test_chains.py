"""Generated kernels for chains of equations: their functions number by number, their sums and
shapes against the equations themselves, memory, threads, the cache, and whole training runs."""


import numpy as np
import pytest
from chaining import EPS, close, fused, groups
from guarding import guarded
from hypothesis import given, settings
from hypothesis import strategies as st
from tracing import drawn, evaluate, program, run, table

import tinygrad_nn as tn
from tinygrad_nn import Tensor
from tinygrad_nn._symbol import Var
from tinygrad_nn.passes import _chains as chains_pass
from tinygrad_nn.passes import chains, optimised
from tinygrad_nn.passes._expand import share
from tinygrad_nn.rules import erf, erfc

pytest.importorskip("numba")

from tinygrad_nn.kernels import _chains as chain_kernels
from tinygrad_nn.kernels import _llvm
from tinygrad_nn.kernels import _threads as threads

# ---------------------------------------------------------------- function by function

def specials(dtype):
    """Numbers of every sort."""
    info, rng = np.finfo(dtype), np.random.default_rng(0)
    odd = [0.0, -0.0, np.inf, -np.inf, np.nan, 1, -1, 0.5, -0.5, info.tiny, -info.tiny,
           info.smallest_subnormal, -info.smallest_subnormal, info.tiny / 8, info.max,
           -info.max, info.eps, -info.eps, 1 - info.eps, 1 + info.eps, 2.5, -2.5, 88.5,
           -104, 709.5, -745]
    with np.errstate(over="ignore"):
        return np.concatenate([np.array(odd).astype(dtype), *(
            rng.uniform(-s, s, 200).astype(dtype) for s in (1e-3, 1, 10, 120, 800)),
            *(np.exp(rng.uniform(-s, s, 100)).astype(dtype) for s in (10, 80, 700))])


EXACT = {  # the very bits of NumPy's
    np.add: 2, np.subtract: 2, np.multiply: 2, np.divide: 2, np.negative: 1, np.square: 1,
    np.reciprocal: 1, np.absolute: 1, np.fabs: 1, np.sqrt: 1, np.copysign: 2, np.floor: 1,
    np.ceil: 1, np.trunc: 1, np.rint: 1, np.greater: 2, np.greater_equal: 2, np.less: 2,
    np.less_equal: 2, np.equal: 2, np.not_equal: 2, np.isnan: 1, np.isfinite: 1, np.isinf: 1}
NEAR = {np.exp: 1, np.expm1: 2, np.tanh: 3, np.log: 1, np.log1p: 2}         # units, last place


def pairs(dtype):
    x = specials(dtype)
    return np.concatenate([x, np.repeat(x[:26], 26)]), np.concatenate([
        np.random.default_rng(1).permutation(x), np.tile(x[:26], 26)])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("f", EXACT, ids=lambda f: f.__name__)
def test_functions_that_give_the_same_bits(f, dtype):
    got, want = fused(f, *pairs(dtype)[:EXACT[f]])
    np.testing.assert_array_equal(got[0], want[0])
    assert got[0].dtype == want[0].dtype
    if want[0].dtype == dtype:
        same = ~np.isnan(want[0])
        np.testing.assert_array_equal(np.signbit(got[0])[same], np.signbit(want[0])[same])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("f", NEAR, ids=lambda f: f.__name__)
def test_functions_to_the_last_places(f, dtype):
    x = specials(dtype)
    got, _ = fused(f, x)
    with np.errstate(all="ignore"):
        exact = f(x.astype(np.longdouble))
        want = exact.astype(dtype)
        units = np.abs(got[0].astype(np.longdouble) - exact) / np.spacing(np.abs(want))
    finite = np.isfinite(want)
    np.testing.assert_array_equal(np.isnan(got[0]), np.isnan(want))
    np.testing.assert_array_equal(got[0][~finite & ~np.isnan(want)],
                                  want[~finite & ~np.isnan(want)])
    assert units[finite].max() <= NEAR[f] + 0.01
    zero = want == 0
    np.testing.assert_array_equal(np.signbit(got[0][zero]), np.signbit(want[zero]))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("f", [
    lambda x, y: np.logaddexp(x, y), lambda x, y: np.maximum(x, y),
    lambda x, y: np.minimum(x, y), lambda x, y: np.maximum(x, 0.0), lambda x, y: erf(x),
    lambda x, y: erfc(x), lambda x, y: tn.gelu(x), lambda x, y: tn.gelu(x, approximate="tanh"),
    lambda x, y: tn.sigmoid(x), lambda x, y: tn.softplus(x), lambda x, y: tn.silu(x),
    lambda x, y: tn.elu(x), lambda x, y: tn.leaky_relu(x, 0.1), lambda x, y: tn.relu(x) * y,
    lambda x, y: np.clip(x, -1.0, 2), lambda x, y: np.clip(x, None, 2.0),
    lambda x, y: np.where((x > 0) & ~(y > x), x, -1.0),
    lambda x, y: x ** 2 + y ** 0.5 + x ** -1,
    lambda x, y: np.where(np.logical_xor(x > y, y > 0) | (x == 1), x * 2, y / 3),
    lambda x, y: (x > y) * x, lambda x, y: np.where(x > y, 1, x),
    lambda x, y: np.copy(x) + np.positive(y), lambda x, y: x + np.float64(0.1),
    lambda x, y: x.astype(np.float32) * y.astype(np.float64), lambda x, y: x * 1e300 * 0.5,
    lambda x, y: np.bitwise_or(x > 0, np.invert(y > 0)), lambda x, y: 3 - x / np.float32(7),
])
def test_formulas(f, dtype):
    """Number by number; an exp of 100 makes 100 units of one in its argument."""
    got, want = fused(f, *pairs(dtype), one=False)
    for a, b in zip(got, want, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(np.isnan(a), np.isnan(b))
        if b.dtype == bool:
            np.testing.assert_array_equal(a, b)
        else:
            with np.errstate(all="ignore"):
                np.testing.assert_allclose(a, b, 1e-5 if a.dtype == np.float32 else 1e-13,
                                           8 * np.finfo(a.dtype).tiny)


@pytest.mark.parametrize("n", [2, 3, 7, 8, 15, 16, 17, 31, 64, 1000, 4097])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_any_length(n, dtype):
    x, y = (np.random.default_rng(k).normal(size=n).astype(dtype) for k in (0, 1))
    got, want = fused(lambda x, y: (x * y + 1, x > y, np.sqrt(np.abs(x)) / y), x, y)
    close(got, want, EPS[dtype])


# ---------------------------------------------------------------- rows, columns, sums

def layer_norm_and_back(x, w, b, g):
    """GELU, layer norm, residual; all gradients."""
    x, w, b = Tensor(x), Tensor(w), Tensor(b)
    y, _, _ = tn.rules.standardize(tn.gelu(x, approximate="tanh"), axes=(1,), eps=1e-5)
    out = y * w + b + x
    out.backward(g)
    return out.data, x.grad, w.grad, b.grad


SHAPES = [(2, 2), (3, 5), (7, 16), (5, 17), (33, 31), (64, 64), (9, 1024), (3, 1025), (4, 2500),
          (257, 3)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", SHAPES)
def test_rows_columns_and_sums(shape, dtype):
    x, g = table(shape, dtype), table(shape, dtype, 1)
    w, b = table(shape[1:], dtype, 2), table(shape[1:], dtype, 3)
    got, want = fused(layer_norm_and_back, x, w, b, g)
    close(got, want, 10 * EPS[dtype])


@pytest.mark.parametrize("width", [16, 32, 64])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_any_width_of_vectors(dtype, width, monkeypatch):
    monkeypatch.setattr(_llvm, "width", lambda: width)
    arrays = [table(s, dtype, k) for k, s in enumerate([(9, 53), (53,), (53,), (9, 53)])]
    got, want = fused(layer_norm_and_back, *arrays)
    close(got, want, 10 * EPS[dtype])
    got, want = fused(lambda x: np.log1p(np.square(np.tanh(x))), arrays[0])
    close(got, want, EPS[dtype])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("f", [
    tn.softmax, tn.log_softmax, lambda x: x - np.max(x, axis=1, keepdims=True),
    lambda x: np.minimum.reduce(x * 2, axis=1), lambda x: np.sum(x * x, axis=1) * 1,
    lambda x: np.sum(np.exp(x), axis=0), lambda x: np.sum(x * x, axis=0, keepdims=True) + 1.0,
    lambda x: x / np.sqrt(np.sum(x * x, axis=1, keepdims=True)),
    lambda x: np.mean(x * 2, axis=-1, keepdims=True) + np.sum(x, axis=0),
    lambda x: np.sum(x * np.sum(x, axis=1, keepdims=True) + 1, axis=0),
    lambda x: np.max(tn.softmax(x) * x, axis=1, keepdims=True) * x,
    lambda x: (x * x) * (np.sum(x, axis=1, keepdims=True) > 0),
    lambda x: tn.grad(lambda v: np.sum(tn.softmax(v) ** 2))(x),
])
def test_formulas_with_sums(f, dtype):
    for shape in SHAPES:
        got, want = fused(f, table(shape, dtype), one=False)
        close(got, want, 10 * EPS[dtype])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(7, 33), (3, 4, 5), (2, 16), (40, 3), (1, 50), (50,)])
@pytest.mark.parametrize("reduction", [np.sum, np.mean, np.max, np.min])
def test_all_elements(reduction, shape, dtype):
    """In the kernel row by row, where rows are long enough; its rows are then added up."""
    def f(x):
        y = np.exp(x)
        return reduction(y), y * 2, np.sum(y, axis=tuple(range(len(shape))), keepdims=True)
    got, want = fused(f, table(shape, dtype), one=False)
    close(got, want, 10 * EPS[dtype])
    p = optimised(program(f, table(shape, dtype)))["chains"]
    whole = [e for e in p.equations if e.outs[0].shape == () and e.fn not in (np.divide, share)]
    if shape[0] > 1 and np.prod(shape[1:]) >= 16:
        assert [e.args[0].shape for e in whole] == [shape[:1]] and len(groups(p)) == 1
    else:
        assert [e.args[0].shape for e in whole] == [shape]


@pytest.mark.parametrize("where", [np.nan, np.inf, -np.inf])
def test_sums_and_tops_of_numbers_that_are_not_finite(where):
    x = table((6, 20), np.float64)
    x[0, 3] = x[2, 19] = x[3, :] = where
    for f in (tn.softmax, tn.log_softmax, lambda x: np.max(x * 1.5, axis=1),
              lambda x: np.min(x * 1.5, axis=1), lambda x: np.sum(x * 2, axis=1),
              lambda x: np.sum(x * 2, axis=0), lambda x: np.sum(x * 2),
              lambda x: np.max(x * 2)):
        got, want = fused(f, x, one=False)
        close(got, want, 1e-14)


def test_long_sums_of_float32_are_as_near_as_numpys():
    x = np.random.default_rng(0).random((3, 300_001)).astype(np.float32)
    got, want = fused(lambda x: np.sum(x * 0.5, axis=1, keepdims=True), x)
    exact = np.sum(x * 0.5, axis=1, keepdims=True, dtype=np.float64)
    ours, numpys = (np.abs(a[0] - exact).max() for a in (got, want))
    assert ours <= 2 * numpys + 1e-7 * exact.max()


@pytest.mark.parametrize("shape", [(4, 3, 5, 6), (4, 3, 30), (2, 7, 17)])
def test_more_axes(shape):
    x, w = table(shape, np.float64), table(shape[2:], np.float64, 1)
    columns = tuple(range(2, len(shape)))
    got, want = fused(lambda x, w: (
        x * w + np.sum(x, axis=columns, keepdims=True), np.sum(x * 2, axis=(0, 1))), x, w)
    close(got, want, 1e-14)
    got, want = fused(lambda x, w: np.exp(x) + 1, x, w)
    close(got, want, 1e-14)


def batch_norm_and_back(x, w, b, g):
    x, w, b = Tensor(x), Tensor(w), Tensor(b)
    y, mean, _ = tn.rules.standardize(x * 1.5, axes=(0, 2, 3), eps=1e-5)
    out = tn.relu(y * np.reshape(w, (-1, 1, 1)) + np.reshape(b, (1, -1, 1, 1)))
    out.backward(g)
    return out.data, mean.data, x.grad, w.grad, b.grad


@pytest.mark.parametrize("threaded", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(4, 3, 5, 6), (2, 7, 9, 1), (1, 3, 4, 4), (5, 1, 3, 3),
                                   (20, 4, 17, 16)])
def test_channels(shape, dtype, threaded, monkeypatch):
    monkeypatch.setattr(chain_kernels, "PARALLEL", 0 if threaded else 1 << 40)
    x, g = table(shape, dtype), table(shape, dtype, 1)
    w, b = (table(shape[1:2], dtype, k) for k in (2, 3))
    got, want = fused(batch_norm_and_back, x, w, b, g, one=False)
    close(got, want, 10 * EPS[dtype])
    p = optimised(program(batch_norm_and_back, x, w, b, g))["chains"]
    forms = {v.form for f in groups(p) for v in f.chain.values}
    assert "cycle" in forms


def test_what_does_not_fit_stays_as_it_is():
    x, y = table((6, 4), np.float64), table((4, 6), np.float64)
    for f, left in ((lambda x, y: np.sin(x), ["sin"]), (lambda x, y: x @ y, ["matmul"]),
                    (lambda x, y: x + y.T, ["transpose", "add"]),
                    (lambda x, y: np.add.reduce(x, axis=None), ["reduce"]),
                    (lambda x, y: x[::2] * 2, ["getitem", "multiply"]),
                    (lambda x, y: x.astype(np.float16) * 2, ["astype", "multiply"])):
        p = chains(program(f, x, y))
        assert [e.fn.__name__ for e in p.equations] == left


def test_an_equation_between_two_groups_is_neither_before_nor_after_one():
    def f(x):
        y = np.exp(x) * 2
        s = np.sort(y, axis=1)                          # cannot be in the group
        return y + s * np.sum(y, axis=0)                # so this is another one
    got, want = fused(f, table((6, 4), np.float64), one=False)
    close(got, want, 1e-14)


def test_draws_keep_their_order():
    def f(x, rng):
        a = rng.random(x.shape)
        b = rng.random(x.shape)
        c = rng.random(x.shape)
        return np.exp(x) * c, a * 2, x * b + a
    p = chains(program(f, table((6, 4), np.float64), np.random.default_rng(3)))
    got = run(p, table((6, 4), np.float64), np.random.default_rng(3))
    rng = np.random.default_rng(3)
    f(table((6, 4), np.float64), rng)
    close(got, f(table((6, 4), np.float64), rng), 1e-14)


# ---------------------------------------------------------------- drawn programs

OPERATIONS = [
    lambda x, y: x + y, lambda x, y: x * y, lambda x, y: x - y * 0.5,
    lambda x, y: np.exp(-x * x),
    lambda x, y: tn.sigmoid(x), lambda x, y: tn.relu(x - y), lambda x, y: np.where(x > y, x, y),
    lambda x, y: tn.softmax(x + y), lambda x, y: np.sum(x, axis=0) * y, lambda x, y: -y,
    lambda x, y: np.mean(x) - y, lambda x, y: np.maximum(x, y) / 4, lambda x, y: np.tanh(x * y),
    lambda x, y: np.max(x, axis=1, keepdims=True) * y, lambda x, y: np.sort(x, axis=0),
    lambda x, y: np.sqrt(np.abs(x)) * 1.0, lambda x, y: np.mean(x, axis=1, keepdims=True) + x,
    lambda x, y: x / (1 + np.sum(y * y, axis=1, keepdims=True)), lambda x, y: x[::-1],
    lambda x, y: tn.rules.standardize(x, axes=(1,), eps=1e-3)[0], lambda x, y: np.log1p(x * x)]


@settings(max_examples=60, deadline=None)
@given(drawn(OPERATIONS, 2, 14), st.sampled_from([(2, 3), (5, 17), (16, 16), (3, 40)]),
       st.booleans(), st.sampled_from([4, 15, 1000]))
def test_drawn_programs_and_their_gradients(f, shape, threaded, segment):
    def both(a, b):
        value, grads = tn.value_and_grad(f, (0, 1))(a, b)
        return value, *grads
    a, b = table(shape, np.float64), table(shape, np.float64, 1)
    with pytest.MonkeyPatch.context() as m:
        m.setattr(chains_pass, "SEGMENT", segment)
        m.setattr(chain_kernels, "PARALLEL", 0 if threaded else chain_kernels.PARALLEL)
        p = optimised(program(both, a, b))
        known = dict(zip(p["recorded"].inputs, (a, b), strict=True))
        with np.errstate(all="ignore"):
            want = evaluate(p["recorded"], (a, b))
        got = run(p["fuse"], *(known[v] for v in p["fuse"].inputs))
    for x, y in zip(got, want, strict=True):
        scale = max(1.0, np.abs(y).max())
        np.testing.assert_allclose(x / scale, y / scale, 0, 1e-11)


# ---------------------------------------------------------------- memory

@pytest.mark.parametrize("behind", [True, False])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nothing_beside_an_array_is_touched(dtype, behind):
    for shape in SHAPES:
        p = optimised(program(layer_norm_and_back, table(shape, dtype), table(shape[1:], dtype),
                              table(shape[1:], dtype), table(shape, dtype)))["chains"]
        (e,) = p.equations
        arrays = [guarded(v.shape, v.dtype, behind) for v in (*e.args, *e.outs)]
        e.fn.bound(None)(*arrays)


def test_results_lie_where_inputs_died_if_no_later_stage_reads_these():
    def f(x, y):
        a = np.sort(x, axis=0)                          # not in the group: a block of its own
        b = np.sort(y, axis=0)
        c = a * 2 + b
        return np.sort(c - np.sum(c, axis=1, keepdims=True) * b, axis=0)
    arrays = table((6, 40), np.float64), table((6, 40), np.float64, 1)
    got, want = fused(f, *arrays, one=False)
    close(got, want, 1e-14)
    (group,) = groups(optimised(program(f, *arrays))["chains"])
    (ins, (out,)), = group.tables
    names = [v for v in ins if isinstance(v, Var)]
    assert [group.overwrites(v, out) for v in names] == [True, True]
    first = program(lambda x, y: (np.exp(x), np.sum(np.exp(x), 1, keepdims=True) * x), *arrays)
    (group,) = groups(optimised(first)["chains"])
    (ins, outs), = group.tables
    assert [group.overwrites(ins[0], out) for out in outs] == [False, True]


# ---------------------------------------------------------------- threads

def test_any_number_of_threads_gives_the_same_bits(monkeypatch):
    monkeypatch.setattr(chain_kernels, "PARALLEL", 0)
    x, g = table((100, 70), np.float32), table((100, 70), np.float32, 1)
    w, b = table((70,), np.float32, 2), table((70,), np.float32, 3)
    p = optimised(program(layer_norm_and_back, x, w, b, g))["fuse"]
    values = [dict(zip(("x0", "x1", "x2", "x3"), (x, w, b, g), strict=True))[n]
              for n in p.inputs.values()]
    results = []
    for n in (1, 2, 3):
        monkeypatch.setattr(threads, "count", lambda n=n: n)
        threads._team.cache_clear()
        results.append([a.tobytes() for a in run(p, *values)])
    threads._team.cache_clear()
    assert results[0] == results[1] == results[2]
    close([np.frombuffer(results[0][0], np.float32).reshape(x.shape)],
          evaluate(p, values)[:1], 1e-5)

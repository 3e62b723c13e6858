"""Products of matrices by tiles: values, borders of memory, bits."""

import sys

import numpy as np
import pytest
from compiling import agree, training
from hypothesis import given, settings
from hypothesis import strategies as st
from multiplying import Problem, close

import tinygrad_nn as tn
from tinygrad_nn import Tensor, kernels, nn, optim
from tinygrad_nn._compile import Compiled
from tinygrad_nn.kernels import _blas as blas
from tinygrad_nn.kernels import _threads as threads
from tinygrad_nn.rules._products import product

try:
    import numba  # noqa: F401
    from guarding import guarded

    from tinygrad_nn.kernels import _products as fast
except ImportError:
    fast = None
compiled = pytest.mark.skipif(fast is None, reason="numba is not installed")


@st.composite
def problems(draw):
    """Odd sizes in every direction: `product` of ours takes all but two layouts."""
    sizes = st.one_of(st.integers(1, 40), st.integers(1, 150))
    m, k, n = draw(sizes), draw(sizes), draw(sizes)
    which = draw(st.sampled_from("mkn-"))
    long = draw(st.integers(1000, 5000))
    m, k, n = (long if which == w else size for w, size in zip("mkn", (m, k, n), strict=True))
    transposed = draw(st.sampled_from([(False, True), (False, False), (True, False)]))
    apart = draw(st.sampled_from([(0, 0), (3, 0), (0, 5), (1, 16)]))
    return Problem(draw(st.sampled_from([np.float32, np.float64])), m, k, n, transposed, apart,
                   draw(st.integers(0, 2**16)))


@pytest.fixture
def all_threads(monkeypatch):
    """Nothing is too small for a second thread; ``set(n)`` chooses how many there are."""
    def choose(n):
        monkeypatch.setattr(threads, "count", lambda: n)
        monkeypatch.setattr(fast or blas, "allowed", lambda: n)
        threads._team.cache_clear()
    if fast:
        monkeypatch.setattr(fast, "ALONE", 0)
    yield choose
    monkeypatch.undo()
    threads._team.cache_clear()


# ---------------------------------------------------------------- tiles

@compiled
@settings(max_examples=150, deadline=None)
@given(problems())
def test_tiles_give_the_product(problem):
    a, b = problem.matrices()
    close(fast.product(None, a, b), a, b)


@compiled
@pytest.mark.skipif(sys.platform != "linux", reason="mprotect by ctypes")
@settings(max_examples=100, deadline=None)
@given(problems(), st.booleans())
def test_nothing_beyond_a_matrix_is_touched(problem, behind):
    a, b = problem.matrices(lambda size, dtype: guarded(size, dtype, behind))
    out = guarded((problem.m, problem.n), problem.dtype, behind)
    out.fill(np.nan)

    def scratch(size, dtype, use=""):
        memory = guarded(size, dtype, behind)
        memory.fill(np.nan)
        return memory
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threads, "scratch", scratch)
        assert fast.product(None, a, b, out) is out
    close(out, a, b)


@compiled
@settings(max_examples=60, deadline=None)
@given(problems(), st.sampled_from([np.nan, np.inf, -np.inf]), st.integers(0, 2**16))
def test_numbers_that_are_none_spread_as_in_the_definition(problem, value, at):
    a, b = problem.matrices()
    for x in (a, b):
        x[np.unravel_index(at % x.size, x.shape)] = value
        with np.errstate(invalid="ignore"):
            got, want = fast.product(None, a, b), np.einsum("ij,jk", a, b)
        np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
        np.testing.assert_array_equal(np.isposinf(got), np.isposinf(want))
        np.testing.assert_array_equal(np.isneginf(got), np.isneginf(want))


@compiled
def test_what_must_not_be_written_to_is_read():
    a, b = Problem(np.float32, 20, 300, 1000, (False, False), (0, 0), 0).matrices()
    want = fast.product(None, a, b)
    for x in (a, b):
        x.flags.writeable = False
    np.testing.assert_array_equal(fast.product(None, a, b), want)


@compiled
@pytest.mark.parametrize("problem", [
    Problem(np.float32, 33, 20_001, 20, (False, True), (0, 0), 0),
    Problem(np.float32, 20, 600, 5001, (False, True), (0, 0), 0),
    Problem(np.float64, 20, 100, 10_001, (True, False), (0, 0), 0)])
def test_neither_threads_nor_the_place_in_memory_change_a_bit(problem, all_threads):
    a, b = problem.matrices()
    found = []
    for n in (1, 2, 3):
        all_threads(n)
        found.append(fast.product(None, a, b))
    moved = [np.concatenate([np.zeros(3, a.dtype), x.ravel("K")])[3:].reshape(
        x.shape, order="F" if t else "C") for x, t in zip((a, b), problem.transposed,
                                                          strict=True)]
    found.append(fast.product(None, *moved))
    for other in found[1:]:
        np.testing.assert_array_equal(found[0], other)


# ---------------------------------------------------------------- which form runs

W1 = (209, 12288), (12288, 20)


@pytest.mark.parametrize("shapes, order, dtype, tiles", [
    (W1, "CF", "f4", True), (W1, "CF", "f8", True), (W1, "CC", "f4", False),
    (((20, 209), (209, 12288)), "FC", "f4", True), (((32, 128), (128, 3000)), "CC", "f4", True),
    (((500, 4096), (4096, 500)), "CF", "f4", False), (W1, "CF", "f2", False),
    (W1, "CF", ">f4", False), (((1, 12288), (12288, 200)), "CF", "f4", False),
    (((10, 100), (100, 10)), "CF", "f4", False), (((200, 300), (300, 400)), "CC", "f4", False),
    (((128, 784), (784, 128)), "CF", "f4", True), (((256, 784), (784, 256)), "CF", "f4", False),
    (((128, 128), (128, 784)), "FC", "f4", True),
    (((256, 128), (128, 784)), "FC", "f4", False)])
def test_tiles_are_for_products_with_few_rows(shapes, order, dtype, tiles, monkeypatch):
    monkeypatch.setattr(kernels, "available", lambda: True)
    assert product.pays(*(np.zeros(s, dtype, o) for s, o in zip(shapes, order, strict=True))
                        ) == tiles


def test_a_matrix_whose_numbers_are_nowhere_side_by_side_stays_with_blas():
    a = np.zeros((209, 2 * 12288), np.float32)[:, ::2]
    assert not product.pays(a, np.zeros((12288, 20), np.float32, "F"))
    assert not product.pays(np.zeros((20, 209), np.float32), a)
    assert not product.pays(a[::-1], a.T)


# ---------------------------------------------------------------- linear layers

def steps(dtype, wide=2000):
    """A step of a network with products by tiles, by BLAS on our threads and as they are."""
    rng = np.random.default_rng(0)
    x, t = rng.standard_normal((30, wide)).astype(dtype), rng.integers(0, 5, 30)
    model = nn.Sequential(nn.Linear(wide, 600, rng=0, dtype=dtype), nn.ReLU(),
                          nn.Linear(600, 5, rng=1, dtype=dtype))
    opt = optim.SGD(model.parameters(), lr=0.1)
    return model, training(model, opt), x, t


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_compiled_steps_are_bit_for_bit_the_same(dtype):
    found = []
    for wrap in (lambda f: Compiled(f, exact=True), lambda f: f):       # chains round less
        model, step, *batch = steps(dtype)
        step = wrap(step)
        found.append([[step(*batch).item() for _ in range(5)],
                      *(p.data.copy() for p in model.parameters())])
    assert found[0][0] == found[1][0]
    for a, b in zip(found[0][1:], found[1][1:], strict=True):
        np.testing.assert_array_equal(a, b)


def test_products_of_every_kind_compile():
    rng = np.random.default_rng(0)
    for x, w in (((30, 2000), (600, 2000)), ((5, 6, 2000), (600, 2000)), ((2000,), (600, 2000)),
                 ((300, 600), (500, 600)), ((3, 4), (2, 4)), ((4096, 40), (1, 40))):
        def f(x, w):
            x, w = Tensor(x), Tensor(w)
            y = tn.rules.dense(x, w)
            np.sum(y * y).backward()
            return y, x.grad, w.grad
        agree(f, (rng.standard_normal(x), rng.standard_normal(w)))


@compiled
def test_a_program_shows_what_runs_where():
    def program(wide):
        _, step, *batch = steps(np.float32, wide)
        step = tn.compile(step)
        for _ in range(3):
            step(*batch)
        return str(step.program["fuse"])
    assert program(2000).count("= dense(") == 2        # the gradient of the batch is dead
    assert program(20).count("= dense(") == 0


@compiled
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_products_written_as_such_run_as_those_of_layers(dtype):
    """By tiles, by BLAS on our threads, as they are; and as they are where each bit counts."""
    rng = np.random.default_rng(0)
    for rows, wide, how in ((30, 2000, "product("), (300, 2000, "product("),
                            (30, 20, "np.matmul(")):
        w = Tensor(rng.standard_normal((wide, 300)).astype(dtype))

        def f(x, w=w):
            y = x @ w
            np.sum(y * y).backward()
            g, w.grad = w.grad, None
            return y, g
        x = rng.standard_normal((rows, wide)).astype(dtype)
        exact, quick = Compiled(f, exact=True), tn.compile(f)
        for _ in range(3):
            want, got = exact(x), quick(x)
        close(got[0].data, x, w.data)
        close(got[1], x.T, 2 * want[0].data)
        assert str(quick.program["fuse"]).count(how) == 2
        assert str(exact.program["fuse"]).count("np.matmul(") == 2


def test_a_network_is_pytorchs():
    torch = pytest.importorskip("torch")
    model, step, x, t = steps(np.float64)
    theirs = torch.nn.Sequential(torch.nn.Linear(2000, 600), torch.nn.ReLU(),
                                 torch.nn.Linear(600, 5)).double()
    for p, q in zip(model.parameters(), theirs.parameters(), strict=True):
        q.data = torch.tensor(p.data)
    opt = torch.optim.SGD(theirs.parameters(), lr=0.1)
    for _ in range(3):
        step(x, t)
        opt.zero_grad()
        torch.nn.functional.cross_entropy(theirs(torch.tensor(x)), torch.tensor(t)).backward()
        opt.step()
    for p, q in zip(model.parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(p.data, q.detach().numpy(), rtol=0, atol=1e-10)

"""`jacobian` and `hessian` sweep many rows at once: against one pullback at a time and against
forward mode, column by column."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_nn as tn
from tinygrad_nn import Tensor, _transforms

A = np.array
rng = np.random.default_rng(0)
W = {n: rng.normal(size=(n, n)) / n for n in range(1, 13)}
C = {n: rng.uniform(0.5, 1.5, n) for n in range(1, 13)}


# ---------------------------------------------------------------- programs

def log_of_some(v):
    """The logarithm of the elements that have one, in a column of at least one."""
    v = np.concatenate([v, np.ones((1, v.shape[1]))])
    return np.log(v * v)[v != 0, None] * 0.1


OPERATIONS = {      # of a matrix v, to a matrix of any shape
    "sin": lambda v: np.sin(v),
    "times a constant": lambda v: v * C[v.shape[1]],
    "constant over it": lambda v: C[v.shape[1]] / (2.0 + v * v),
    "plus its first row": lambda v: v + v[:1],
    "times a column of itself": lambda v: v * v[:, -1:],
    "where of itself": lambda v: np.where(v > 0, v, -0.5 * v),
    "where log": lambda v: np.where(v != 0, np.log(np.abs(v)), 0.0) * 0.1,
    "where log of a square": lambda v: np.where(v != 0, np.log(v * v), 0.0) * 0.1,
    "where sqrt": lambda v: np.where(v > 0, np.sqrt(v), 0.0),
    "where quotient": lambda v: np.where(v != 0, np.sin(v) / v, 1.0),
    "where power": lambda v: np.where(v > 0, v ** 0.7, v),
    "root of a selection": lambda v: np.sqrt(np.where(v > 0, v, 0.0)),
    "root of relu": lambda v: np.sqrt(tn.relu(v)),
    "root of a pad": lambda v: np.sqrt(np.pad(v * v + 0.1, ((0, 0), (1, 0)))),
    "root of a join": lambda v: np.sqrt(np.concatenate([0 * W[v.shape[1]][:1], v * v + 1])),
    "where never log": lambda v: np.where(np.ones(v.shape, bool), v, np.log(0.0 * v)),
    "indexed log": log_of_some,
    "maximum": lambda v: np.maximum(v, 0.25),
    "minimum of two": lambda v: np.minimum(v, v[::-1]),
    "relu": lambda v: tn.relu(v) + 0.1 * v,
    "clip": lambda v: np.clip(v, -1.0, 1.0),
    "select": lambda v: np.select([v > 0.5, v < -0.5], [v * v, -v], 0.3),
    "abs": lambda v: np.abs(v),
    "matmul": lambda v: v @ W[v.shape[1]],
    "matmul from the left": lambda v: W[v.shape[0]] @ v,
    "matmul of itself": lambda v: np.tanh(v.T @ v),
    "matmul of a batch": lambda v: np.matmul(v[None], np.stack([W[v.shape[1]]] * 2))[1],
    "matrix times vector": lambda v: (v @ v[0])[:, None],
    "vector times matrix": lambda v: (v[:, 0] @ v)[None],
    "einsum": lambda v: np.einsum("ij,kj->ik", np.tanh(v), v),
    "outer": lambda v: np.outer(v[0], v[-1]),
    "sum": lambda v: v - 0.1 * np.sum(v, axis=0, keepdims=True),
    "mean": lambda v: v * np.mean(v, axis=1, keepdims=True),
    "max": lambda v: v - np.max(v, axis=1, keepdims=True),
    "min of all": lambda v: v * np.min(v),
    "var": lambda v: v + np.var(v, axis=0),
    "norm": lambda v: v + np.linalg.norm(v, axis=1, keepdims=True),
    "softmax": lambda v: tn.softmax(v),
    "logsumexp": lambda v: v + tn.logsumexp(v, axis=0),
    "cumsum": lambda v: np.cumsum(v, axis=1),
    "transpose": lambda v: v.T,
    "reshape": lambda v: v.reshape(-1, 1),
    "repeated rows": lambda v: v[[0, -1, 0]],
    "half": lambda v: v[np.arange(len(v)) % 2 == 0],
    "pairs of indices": lambda v: v[[0, -1], [-1, 0]][None],
    "reversed": lambda v: v[::-1, ::-1],
    "sorted": lambda v: np.sort(v, axis=0),
    "concatenate": lambda v: np.concatenate([v, 2 * v[:, :1], W[1] + v[:, :1] * 0], axis=1),
    "stack": lambda v: np.stack([v, v * v])[:, 0],
    "pad": lambda v: np.pad(v, ((0, 0), (1, 0)), constant_values=0.5),
    "roll": lambda v: np.roll(v, 1, axis=0) * v,
    "stop_gradient": lambda v: v * tn.stop_gradient(v),
    "remat": lambda v: tn.remat(lambda v: np.sin(v) * v)(v),
    "custom_vjp": lambda v: with_vjp(v), "custom_jvp": lambda v: with_jvp(v),
}
with_vjp = tn.custom_vjp(lambda v: np.sin(v), lambda g, v: g * np.cos(v))
with_jvp = tn.custom_jvp(lambda v: np.sin(v), lambda vs, ts: ts[0] * np.cos(vs[0]))


def program(names):
    """A function of a matrix, a row and a number to two arrays; small sizes stay small."""
    def f(v, row, number):
        first = v = (v + row) * number
        with np.errstate(all="ignore"):
            for name in names:
                v = OPERATIONS[name](v)
                v = v[:4, :4] * 0.7
        return {"matrix": v, "sums": np.sum(v, axis=0) * number + np.sum(first)}
    return f


def unit(shape, i, dtype):
    e = np.zeros(shape, dtype)
    e.flat[i] = 1
    return e


def by_pullback(f, xs):
    """{output: [a block for each x]}, one pullback for each row."""
    y, pullback = tn.vjp(f, *xs)
    found = {}
    for k, v in y.items():
        zeros = {m: np.zeros_like(o) for m, o in y.items()}
        rows = [pullback({**zeros, k: unit(v.shape, i, v.dtype)}) for i in range(v.size)]
        found[k] = [np.reshape(np.array([r[a] for r in rows], x.dtype), v.shape + x.shape)
                    for a, x in enumerate(xs)]
    return found


def by_tangent(f, xs):
    """The same, one forward pass for each column."""
    y, found = f(*xs), {}
    for a, x in enumerate(xs):
        for i in range(x.size):
            ts = tuple(unit(v.shape, i, v.dtype) if b == a else np.zeros_like(v)
                       for b, v in enumerate(xs))
            for k, t in tn.jvp(f, xs, ts)[1].items():
                found.setdefault((k, a), []).append(t)
    return {k: [np.reshape(np.stack(found[k, a], -1), v.shape + x.shape).astype(x.dtype)
                for a, x in enumerate(xs)] for k, v in y.items()}


def agree(got, want, rtol=1e-8, atol=1e-10):
    assert got.keys() == want.keys()
    for k in want:
        for g, w in zip(got[k], want[k], strict=True):
            assert type(g) is np.ndarray and g.shape == w.shape
            np.testing.assert_allclose(g, w, rtol=rtol, atol=atol)


def by_rows(f, xs):
    """`jacobian`, made to go row by row: a variable that is larger than all outputs."""
    found = tn.jacobian(lambda *xs: f(*xs[:-1]), range(len(xs) + 1))(*xs, np.zeros(99))
    for blocks in found.values():
        assert not blocks[-1].any()
    return {k: blocks[:-1] for k, blocks in found.items()}


def by_columns(f, xs):
    """`jacobian`, made to go column by column: an output that is larger than all variables."""
    found = tn.jacobian(lambda *xs: {**f(*xs), "more": np.zeros(99)}, range(len(xs)))(*xs)
    for block in found.pop("more"):
        assert not block.any()
    return found


VALUES = [-1.25, -0.6, 0.0, 0.3, 0.75, 1.4]


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_operation_in_rows_and_columns(name):
    rng = np.random.default_rng(1)
    xs = (rng.choice(VALUES, (3, 2)), A([0.1, 0.2]), A(1.1))
    f = program([name])
    want = by_pullback(f, xs)
    agree(by_tangent(f, xs), want)
    agree(by_columns(f, xs), want)
    agree(by_rows(f, xs), want)
    assert all(np.isfinite(block).all() for blocks in want.values() for block in blocks)


@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_programs_in_rows_and_columns(data):
    names = data.draw(st.lists(st.sampled_from(sorted(OPERATIONS)), min_size=2, max_size=5))
    shape = data.draw(st.sampled_from([(3, 2), (1, 3), (4, 1), (1, 1)]))
    dtype = data.draw(st.sampled_from([np.float64, np.float32]))
    draw = np.random.default_rng(data.draw(st.integers(0, 2 ** 16)))
    xs = (draw.choice(VALUES, shape).astype(dtype),
          draw.choice([0.0, 0.2], shape[1:]).astype(dtype), A(draw.choice([1.0, -1.5]), dtype))
    f = program(names)
    want = by_pullback(f, xs)
    near = (1e-8, 1e-10) if dtype is np.float64 else (2e-3, 2e-4)
    agree(by_tangent(f, xs), want, *near)
    agree(by_columns(f, xs), want, *near)
    rows = _transforms.ROWS
    try:                                    # and where one chunk of rows ends, another begins
        _transforms.ROWS = data.draw(st.sampled_from([1, 2, 3, 256]))
        agree(by_rows(f, xs), want, *near)
    finally:
        _transforms.ROWS = rows


HARD = ["where log", "where sqrt", "maximum", "indexed log", "matmul", "norm", "softmax",
        "max", "cumsum", "remat", "custom_vjp", "custom_jvp", "concatenate", "where quotient"]


@pytest.mark.parametrize("name", HARD)
def test_hessians_are_columns_of_hvp(name):
    rng = np.random.default_rng(2)
    x = rng.choice(VALUES[:2] + VALUES[3:], (3, 2))
    f = lambda x: np.sum(np.sin(program([name])(x, C[2], 0.9)["matrix"]) * C[4][:1])
    h = tn.hessian(f)(x)
    columns = [tn.hvp(f, x, unit(x.shape, i, x.dtype)) for i in range(x.size)]
    np.testing.assert_allclose(h, np.reshape(np.stack(columns, -1), (3, 2, 3, 2)), rtol=1e-8,
                               atol=1e-10)
    rows = [tn.grad(lambda x, i=i: np.ravel(tn.grad(f)(x))[i])(x) for i in range(x.size)]
    np.testing.assert_allclose(h, np.reshape(rows, (3, 2, 3, 2)), rtol=1e-8, atol=1e-10)


# ---------------------------------------------------------------- structural zeros

ZEROS = {   # a function of a vector, exact at [0, 2, 0, 3], with the Jacobian's diagonal there
    "log": (lambda x: np.where(x > 0, np.log(x), 0.0), [0, 1 / 2, 0, 1 / 3]),
    "sqrt": (lambda x: np.where(x > 0, np.sqrt(x), x), [1, 0.5 / 2 ** 0.5, 1, 0.5 / 3 ** 0.5]),
    "x * log(x)": (lambda x: np.where(x > 0, x * np.log(x), 0.0),
                   [0, 1 + np.log(2), 0, 1 + np.log(3)]),
    "x ** 1.5": (lambda x: np.where(x > 0, x ** -1.5, 0.0), [0, -1.5 * 2 ** -2.5, 0,
                                                            -1.5 * 3 ** -2.5]),
    "maximum": (lambda x: np.maximum(1.0, np.log(x)), [0, 0, 0, 1 / 3]),
    "two uses": (lambda x: (lambda b: np.where(x > 0, b, 0.0) + np.where(x > 1, b * b, x))(
        np.log(x)), [1, 1 / 2 + np.log(2), 1, 1 / 3 + 2 * np.log(3) / 3]),
    "matmul after": (lambda x: np.eye(4) @ np.where(x > 0, np.log(x), 0.0)[:, None],
                     [0, 1 / 2, 0, 1 / 3]),
    "rows": (lambda x: np.where(x > 0, np.log(x), 0.0)[None] * np.ones((1, 1)),
             [0, 1 / 2, 0, 1 / 3]),
}


@pytest.mark.parametrize("path", [by_rows, by_columns])
@pytest.mark.parametrize("name", ZEROS)
def test_structural_zeros(name, path):
    f, diagonal = ZEROS[name]
    with np.errstate(all="ignore"):
        (block,), = path(lambda x: {"y": f(x)}, (A([0.0, 2.0, 0.0, 3.0]),)).values()
    np.testing.assert_allclose(np.reshape(block, (4, 4)), np.diag(diagonal), rtol=1e-14)


@pytest.mark.parametrize("rows", [1, 3, 256])
def test_structural_zeros_in_hessians(rows, monkeypatch):
    monkeypatch.setattr(_transforms, "ROWS", rows)
    x = A([0.0, 2.0, 0.0, 3.0])
    with np.errstate(all="ignore"):
        for f, second in [(lambda x: np.where(x > 0, np.log(x), 0.0), lambda x: -1 / x ** 2),
                          (lambda x: np.where(x > 0, x ** 1.5, x * x),
                           lambda x: 0.75 * x ** -0.5),
                          (lambda x: np.where(x > 0, np.sqrt(x), 0.0),
                           lambda x: -0.25 * x ** -1.5)]:
            want = np.where(x > 0, second(x), 2.0 if f(A(0.5)) == 0.5 ** 1.5 else 0.0)
            np.testing.assert_allclose(tn.hessian(lambda x, f=f: np.sum(f(x)))(x),
                                       np.diag(want), rtol=1e-13)


PLACED = {      # roots of values of which some do not depend on x = [1, 4]
    "concatenate": lambda x: np.concatenate([np.zeros(1), x]),
    "stack": lambda x: np.stack([x, np.zeros(2)]), "pad": lambda x: np.pad(x, 1),
    "diag": lambda x: np.diag(x), "tril": lambda x: np.tril(np.ones((2, 2)) * x),
    "block": lambda x: np.block([[x, np.zeros(1)]]),
    "where": lambda x: np.where(x > 2, x, 0.0), "relu": lambda x: tn.relu(x - 2),
    "maximum": lambda x: np.maximum(x - 2, 0.0), "clip": lambda x: np.clip(x - 2, 0.0, 9.0),
    "select": lambda x: np.select([x > 2], [x], 0.0),
    "two selections": lambda x: np.where(x > 2, x, 0.0) + np.maximum(0.0, x - 2),
    "a selection moved": lambda x: np.where(x > 2, x, 0.0)[::-1].reshape(2, 1) * 2,
    "a selection of a smooth function": lambda x: np.where(x > 2, np.sin(x) ** 2, 0.0),
}


@pytest.mark.parametrize("name", PLACED)
def test_what_does_not_depend_on_x_has_tangent_zero(name):
    """The root has an infinite derivative at these zeros; they are constants."""
    x, v = A([1.0, 4.0]), A([0.7, -1.3])
    f = lambda x: np.sqrt(PLACED[name](x))
    total = lambda x: np.sum(f(x) ** 3) + np.sum(f(x))
    along = lambda f: lambda x: tn.jvp(f, (x,), (v,))[1]
    g = tn.grad(total)(x)
    assert np.isfinite(g).all() and g.any()
    np.testing.assert_allclose(along(total)(x), g @ v, rtol=1e-13)
    (rows,), (columns,) = (path(lambda x: {"y": f(x)}, (x,))["y"] for path in
                           (by_rows, by_columns))
    np.testing.assert_allclose(rows, columns, rtol=1e-13)
    np.testing.assert_allclose(np.tensordot(rows, v, 1), along(f)(x), rtol=1e-13)
    h = tn.hessian(total)(x)
    assert np.isfinite(h).all()
    np.testing.assert_allclose(h @ v, tn.hvp(total, x, v), rtol=1e-13)
    np.testing.assert_allclose(h @ v, tn.grad(along(total))(x), rtol=1e-13)
    np.testing.assert_allclose(v @ h @ v, along(along(total))(x), rtol=1e-13)


@pytest.mark.parametrize("f", [
    lambda x: np.sqrt(np.concatenate([x * x, np.zeros(1)])),
    lambda x: np.sqrt(np.where(x >= 0, x * x, 0.0)),
    lambda x: np.sqrt(np.maximum(0.0 * x, -1.0)),
    lambda x: np.sqrt(np.where(x > 0, x, 0.0) + x), lambda x: np.sqrt(x + tn.relu(x)),
    lambda x: np.sqrt(np.where(x > 0, x, 0.0) + np.where(x > -1, x, 0.0)),
    lambda x: np.sqrt(np.pad(x, 1) + np.concatenate([np.zeros(1), x, np.zeros(1)]))[1:],
    lambda x: np.sqrt(np.where(x > 0, x, 0.0) * (x + 1) + x),
    lambda x: np.sqrt(np.sum(np.stack([np.where(x > 0, x, 0.0), x]), axis=0))])
def test_a_tangent_that_is_numerically_zero_is_not_dropped(f):
    """What depends on x has NumPy's arithmetic at 0, in forward mode too: inf or nan."""
    x = A([0.0])
    with np.errstate(all="ignore"):
        assert not np.isfinite(tn.grad(lambda x: f(x)[0])(x)).any()
        assert not np.isfinite(tn.jvp(f, (x,), (np.ones(1),))[1][0])
        for path in (by_rows, by_columns):
            (block,) = path(lambda x: {"y": f(x)}, (x,))["y"]
            assert not np.isfinite(block[0, 0])


def test_a_numeric_zero_is_no_structural_zero():
    assert tn.hessian(lambda x: np.sum((np.exp(x) - 1) ** 2))(A([0.0]))[0, 0] == 2


# ---------------------------------------------------------------- many rows

@pytest.mark.parametrize("n", [255, 256, 257, 600])
def test_more_rows_than_are_swept_at_once(n):
    x = np.random.default_rng(0).normal(size=n)
    x[::7] = 0
    with np.errstate(all="ignore"):
        jac = tn.jacobian(lambda x: np.where(x != 0, np.log(x * x), 0.0) + 2 * x)(x)
        want = np.where(x != 0, 2 / x, 0.0) + 2
    np.testing.assert_allclose(jac, np.diag(want), rtol=1e-13)
    w = np.random.default_rng(1).normal(size=(n, 2))
    hes = tn.hessian(lambda x: np.sum((x @ w) ** 2))(x)
    np.testing.assert_allclose(hes, 2 * w @ w.T, rtol=1e-12, atol=1e-12)


@pytest.fixture
def counted():
    """An elementwise operation and the number of times that its rule was asked."""
    calls = []

    @tn.primitive
    def cube(x):
        return x ** 3

    def slope(x):
        calls.append(1)
        return 3 * x * x
    tn.rules.elementwise(cube, slope)
    return cube, calls


@pytest.mark.parametrize("n, sweeps", [(1, 1), (100, 1), (256, 1), (257, 2), (600, 3)])
def test_a_rule_runs_once_for_many_rows(counted, n, sweeps):
    cube, calls = counted
    x = np.linspace(-1, 1, n)
    jac = tn.jacobian(lambda x: np.where(x > 0, cube(x), x) * 2.0)(x)
    np.testing.assert_allclose(jac, np.diag(np.where(x > 0, 6 * x * x, 2.0)))
    assert len(calls) == sweeps


def test_a_rule_of_a_hessian_runs_once_for_many_rows(counted):
    cube, calls = counted
    x = np.linspace(-1, 1, 200)
    hes = tn.hessian(lambda x: np.sum(cube(x)))(x)
    np.testing.assert_allclose(hes, np.diag(6 * x))
    assert len(calls) <= 3                              # one for the gradient's own sweep


def test_the_function_runs_once_for_all_rows():
    calls = []
    tn.jacobian(lambda x: (calls.append(1), np.sin(x))[1])(np.ones(300))
    assert calls == [1]


# ---------------------------------------------------------------- kinds of function

@pytest.mark.parametrize("path", [by_rows, by_columns])
@pytest.mark.parametrize("x_dtype, c_dtype", [("f4", "f4"), ("f4", "f8"), ("f8", "f4")])
def test_blocks_have_the_dtype_of_their_variable(path, x_dtype, c_dtype):
    x, c = np.ones(3, x_dtype), np.full(3, 2, c_dtype)
    (block,), = path(lambda x: {"y": x * c}, (x,)).values()
    assert block.dtype == x.dtype
    np.testing.assert_array_equal(block, 2 * np.eye(3))


@pytest.fixture
def halves():
    """An operation that gives two arrays."""
    @tn.primitive
    def halves(x):
        return 2 * x, x * x
    tn.rules.rule(halves, several=True, vjp=lambda g, x: 2 * g[0] + 2 * x * g[1],
                  jvp=lambda t, x: (2 * t, 2 * x * t))
    return halves


@pytest.mark.parametrize("path", [by_rows, by_columns])
@pytest.mark.parametrize("use, diagonal", [
    (lambda a, b: a * b, lambda x: 6 * x * x), (lambda a, b: a, lambda x: 2 + 0 * x),
    (lambda a, b: np.sin(b), lambda x: 2 * x * np.cos(x * x)),
    (lambda a, b: np.where(a > 0, np.log(b), a), lambda x: np.where(x > 0, 2 / x, 2))])
def test_operations_that_give_several_arrays(halves, path, use, diagonal):
    x = A([1.0, -2.0, 0.5])
    (block,), = path(lambda x: {"y": use(*halves(x))}, (x,)).values()
    np.testing.assert_allclose(block, np.diag(diagonal(x)), rtol=1e-14)


def test_hessians_of_operations_that_give_several_arrays(halves):
    x = A([1.0, -2.0, 0.5])
    hes = tn.hessian(lambda x: np.sum(np.multiply(*halves(x))))(x)
    np.testing.assert_allclose(hes, np.diag(12 * x), rtol=1e-14)


def test_outputs_that_are_variables_constants_and_integers():
    x = A([1.0, 2.0])
    jac = tn.jacobian(lambda x, y: (x, y[0], A([5.0]), x > 1, np.argmax(x), 2.5), (0, 1))
    got = jac(x, A([3.0]))
    want = [(np.eye(2), np.zeros((2, 1))), (np.zeros(2), np.ones(1)),
            *[(np.zeros((*s, 2)), np.zeros((*s, 1))) for s in [(1,), (2,), (), ()]]]
    for pair, (a, b) in zip(got, want, strict=True):
        np.testing.assert_array_equal(pair[0], a)
        np.testing.assert_array_equal(pair[1], b)


def test_one_output_and_a_variable_used_as_they_are():
    x = np.arange(3.0)
    np.testing.assert_array_equal(tn.jacobian(lambda x: x)(x), np.eye(3))
    twice = tn.jacobian(lambda x: (x, x * 1))(x)
    assert not np.shares_memory(*twice)
    np.testing.assert_array_equal(twice[1], np.eye(3))


@pytest.mark.parametrize("n", [1, 3])
def test_products_of_matrices_with_one_row_or_column(n):
    """The batched product must not mistake a single row for an axis that was broadcast."""
    x, w = np.arange(float(n))[:, None] + 1, np.full((1, n), 2.0)
    for f in (lambda x: x @ w, lambda x: w @ x, lambda x: (w @ x) * x, lambda x: x.T @ x):
        want = by_pullback(lambda x, f=f: {"y": f(x)}, (x,))
        for path in (by_rows, by_columns):
            agree(path(lambda x, f=f: {"y": f(x)}, (x,)), want)


def test_of_a_function_that_closes_over_tensors():
    w = Tensor(A([2.0, 3.0]))
    jac = tn.jacobian(lambda x: np.where(x > 0, w * x * x, x))(A([1.0, -1.0]))
    assert isinstance(jac, Tensor)
    np.testing.assert_array_equal(jac.data, [[4, 0], [0, 1]])
    np.sum(jac ** 2).backward()
    np.testing.assert_array_equal(w.grad, [16, 0])


def test_within_other_transforms():
    f = lambda x: np.stack([x[0] * x[1], np.sin(x[0])])
    total = lambda x: np.sum(tn.jacobian(f)(x) ** 2)
    x = A([0.5, 2.0])
    want = [2 * x[0] - 2 * np.cos(x[0]) * np.sin(x[0]), 2 * x[1]]
    np.testing.assert_allclose(tn.grad(total)(x), want)
    np.testing.assert_allclose(tn.jvp(total, (x,), (A([1.0, 0.0]),))[1], want[0])
    third = tn.jacobian(tn.hessian(lambda x: x[0] ** 3 * x[1]))(x)
    np.testing.assert_allclose(third, tn.jacobian(tn.jacobian(tn.grad(
        lambda x: x[0] ** 3 * x[1])))(x))
    assert third[0, 0, 0] == 6 * x[1] and third[0, 0, 1] == 6 * x[0] == third[1, 0, 0]


def test_a_change_within_the_function_is_seen():
    def f(x):
        c = np.ones(2)
        y = x * c
        c[:] = 5
        return y
    with pytest.raises(tn.MutationError, match=r"np.multiply needs .*test_jacobian.py, line"):
        tn.jacobian(f)(np.ones(2))


def test_no_warnings_but_the_users_own():
    with np.errstate(all="raise"):
        tn.jacobian(lambda x: np.where(x > 0, np.sqrt(x), 0.0))(A([0.0, 4.0]))
        with pytest.raises(FloatingPointError):
            tn.jacobian(np.log)(A([0.0]))

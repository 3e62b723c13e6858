"""`jacobian` and `hessian` of programs: against one pullback at a time and against forward
mode, column by column."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jacobians import agree, by_columns, by_pullback, by_rows, by_tangent, unit

import tinygrad_nn as tn
from tinygrad_nn import _transforms
from tinygrad_nn.testing import programs

A = np.array
rng = np.random.default_rng(0)
W = {n: rng.normal(size=(n, n)) / n for n in range(1, 13)}
C = {n: rng.uniform(0.5, 1.5, n) for n in range(1, 13)}


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


@settings(deadline=None, max_examples=30)
@given(programs(max_operations=5))
def test_drawn_programs_in_rows_and_columns(program):
    def f(*xs):
        y = program(*xs)
        return {str(k): v for k, v in enumerate(y if isinstance(y, tuple) else (y,))}
    with np.errstate(all="ignore"):
        want = by_pullback(f, program.inputs)
        agree(by_tangent(f, program.inputs), want)
        agree(by_columns(f, program.inputs), want)
        agree(by_rows(f, program.inputs), want)


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

"""Groups of equations without generated kernels: strips, on threads, in place."""

import copy

import numpy as np
import pytest
from tracing import keeps_bits, program, table, text

import tinygrad_nn as tn
from tinygrad_nn import Tensor, kernels, optim
from tinygrad_nn.passes import PASSES, _strips, expand, fuse

SHAPE = ROWS, COLUMNS = 600, 300                        # above the size that is fused


def test_groups():
    def f(x, b):
        y = np.exp(x) * b + 1
        z = y - np.sum(y, axis=1, keepdims=True)        # along the rows: in the group
        n = np.sum(z, axis=0)                           # across them: after it
        return np.tanh(z) * 2, n
    p = keeps_bits(f, expand, fuse, x=table(SHAPE), b=table((COLUMNS,), seed=1))
    assert text(p) == [
        "v1 f8[600, 300], v2 f8[600, 300] = fused(x, b)",
        "v3 f8[300] = np.add.reduce(v1, axis=0)", "return 0 = v2", "return 1 = v3"]
    small = program(f, x=np.arange(6.0).reshape(2, 3), b=np.ones(3))
    assert str(fuse(small)) == str(small)


@pytest.fixture
def without_numba(monkeypatch):
    """Groups run in strips, not in generated kernels."""
    monkeypatch.setattr(kernels, "available", lambda: False)


@pytest.mark.usefixtures("without_numba")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(ROWS, COLUMNS), (170_000,), (1, 170_000), (40, 80, 60),
                                   (4100, 300)])
def test_strips_keep_the_bits(shape, dtype):
    """Also where the rows do not divide into strips, and on several threads."""
    def f(x, y):
        a = np.where(x > y, x * 2, np.sin(y)) + np.linspace(0, 1, shape[0]).reshape(
            (-1,) + (1,) * (len(shape) - 1)).astype(dtype)
        b = tn.relu(a) / (1 + np.exp(-np.abs(a)))
        c = tn.softmax(b)
        return c * 3, np.max(b, axis=-1, keepdims=True) + a, np.sum(a)
    keeps_bits(f, *PASSES, x=table(shape, dtype), y=table(shape, dtype, 1))


@pytest.mark.usefixtures("without_numba")
@pytest.mark.parametrize("n", [1, 3])
def test_strips_run_on_as_many_threads_as_the_user_lets_them(monkeypatch, n):
    monkeypatch.setattr(_strips, "count", lambda: n)
    seen, part = set(), _strips.Strips._part

    def noted(self, *args):
        seen.add(args[0])
        part(self, *args)
    monkeypatch.setattr(_strips.Strips, "_part", noted)
    step = tn.compile(lambda x: np.exp(x) * 2)
    for _ in range(3):
        step(table((2048, 600)))
    assert len(seen) == n


@pytest.mark.usefixtures("without_numba")
def test_large_updates_are_one_group_each_in_place():
    w = Tensor(table(SHAPE))
    opt = optim.Adam([w], lr=0.01, weight_decay=0.1)
    other = copy.deepcopy(w)
    opt2 = optim.Adam([other], lr=0.01, weight_decay=0.1)

    def update(w, opt):
        def step(x):
            np.sum(np.square(w) * x).backward()
            opt.step()
            opt.zero_grad()
        return step
    step, eager = tn.compile(update(w, opt)), update(other, opt2)
    for k in range(6):
        step(table(SHAPE, seed=k))
        eager(table(SHAPE, seed=k))
        assert w.data.tobytes() == other.data.tobytes()
    p = step.program["fuse"]
    assert str(p).count("fused(") == 1 and all(t.inplace
                                               for t in step.program.plan.targets.values())

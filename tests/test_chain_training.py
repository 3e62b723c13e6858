"""Chains in compiled training steps: updates, promised nearness, the cache."""

import functools
import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from chaining import close, groups
from compiling import training
from tracing import program, table

import tinygrad_nn as tn
from tinygrad_nn import Tensor, nn, optim
from tinygrad_nn.passes import _chains as chains_pass
from tinygrad_nn.passes import chains, optimised

pytest.importorskip("numba")

from tinygrad_nn.kernels import _chains as chain_kernels
from tinygrad_nn.kernels import _llvm

# ---------------------------------------------------------------- updates

@pytest.mark.parametrize("make", [
    functools.partial(optim.SGD, lr=0.1), functools.partial(optim.SGD, lr=0.1, momentum=0.9),
    functools.partial(optim.SGD, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    functools.partial(optim.Adam, lr=0.01), functools.partial(optim.AdamW, lr=0.01),
    functools.partial(optim.RMSprop, lr=0.01, momentum=0.5),
    functools.partial(optim.Adagrad, lr=0.1)])
@pytest.mark.parametrize("threaded", [False, True])
def test_updates_of_all_parameters_are_one_group(make, threaded, monkeypatch):
    monkeypatch.setattr(chain_kernels, "PARALLEL", 0 if threaded else 1 << 40)
    shapes = [(5, 7), (3,), (2, 3, 4), (130, 3), (1, 1, 2)]

    def trained(wrap):
        ws = [Tensor(table(s, np.float64, k)) for k, s in enumerate(shapes)]
        opt = make(ws)

        def step(xs):
            for w, x in zip(ws, xs, strict=True):
                w.grad = x + 0.0
            opt.step()
            opt.zero_grad()
        step = wrap(step)
        for k in range(8):
            step([table(s, np.float64, 100 * k + i) for i, s in enumerate(shapes)])
        return [w.data for w in ws], step
    want, _ = trained(lambda f: f)
    got, step = trained(tn.compile)
    close(got, want, 1e-13)
    found = groups(step.program["chains"])
    assert len(found) == 1 and len(found[0].counts) == len(shapes)
    assert all(t.inplace for t in step.program.plan.targets.values())


# ---------------------------------------------------------------- training

def network(dtype):
    return nn.Sequential(
        nn.Linear(12, 40, bias=False, rng=0, dtype=dtype), nn.BatchNorm1d(40, dtype=dtype),
        nn.GELU(), nn.Dropout(0.3, rng=1), nn.Linear(40, 32, rng=2, dtype=dtype),
        nn.LayerNorm(32, dtype=dtype), nn.GELU("tanh"), nn.Linear(32, 20, rng=4, dtype=dtype),
        nn.SiLU(), nn.Linear(20, 5, rng=3, dtype=dtype))


def trained(dtype, wrap, steps):
    model = network(dtype)
    opt = optim.Adam(model.parameters(), lr=1e-3)
    schedule = optim.CosineAnnealingLR(opt, 120)
    step, rng = wrap(training(model, opt)), np.random.default_rng(0)
    for _ in range(steps):
        step(rng.normal(size=(24, 12)).astype(dtype), rng.integers(0, 5, 24))
        schedule.step()
    return list(model.state_dict().values())


def distance(a, b):
    return max(np.abs(x - y).max() / np.abs(y).max() for x, y in zip(a, b, strict=True)
               if y.dtype.kind == "f")


@pytest.mark.parametrize(("steps", "bound"), [(3, 1e-12), (102, 1e-9)])
def test_training_is_as_near_as_promised(steps, bound):
    exact = trained(np.float64, lambda f: f, steps)
    assert distance(trained(np.float64, tn.compile, steps), exact) <= bound
    eager = distance(trained(np.float32, lambda f: f, steps), exact)
    assert distance(trained(np.float32, tn.compile, steps), exact) <= 2 * eager


def test_a_group_is_printed_as_one_equation_and_can_be_looked_into(monkeypatch):
    monkeypatch.setattr(chains_pass, "HEAVY", 50)
    x = table((8, 16), np.float32)
    p = optimised(program(lambda x: np.exp(x) * 2 + np.sum(x, axis=0), x))["chains"]
    assert str(p).splitlines()[-4:-1] == [
        "    v1 f4[8, 16], v2 f4[16] = chain(x0)", "    v3 f4[8, 16] = np.add(v1, v2)",
        "outputs"]
    (group,) = groups(p)
    assert "np.exp(a0)" in str(group.program) and "define void @\"run\"" in group.source


# ---------------------------------------------------------------- the cache

SCRIPT = textwrap.dedent("""
    import numpy as np, sys
    import tinygrad_nn as tn
    from tinygrad_nn import kernels
    from tinygrad_nn.passes import _chains
    _chains.LEAST = 0
    assert kernels.generates()
    from tinygrad_nn.kernels import _llvm
    made, usual = [], _llvm._compiled
    _llvm._compiled = lambda text: made.append(text) or usual(text)
    f = tn.compile(lambda x: np.exp(x) * 2 + 1)
    x = np.linspace(-1, 1, 100)
    for _ in range(3):
        np.testing.assert_allclose(f(x), np.exp(x) * 2 + 1, 1e-14)
    print(len(made))
""")


def in_a_process(folder):
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True,
                          check=True, env={**os.environ, "NUMBA_CACHE_DIR": str(folder)})
    return int(done.stdout)


def test_a_second_process_does_not_compile(tmp_path):
    assert in_a_process(tmp_path) == 1
    assert in_a_process(tmp_path) == 0
    (file,) = tmp_path.rglob("*.o")
    file.write_bytes(file.read_bytes()[:-100])          # not whole: made again
    assert in_a_process(tmp_path) == 1
    assert in_a_process(tmp_path) == 0
    file.unlink()
    assert in_a_process(tmp_path) == 1


def test_a_folder_that_cannot_be_written_to(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    assert in_a_process(file / "folder") == 1


def test_the_folder_of_the_user(monkeypatch, tmp_path):
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    assert _llvm.folder().parent.name == "__pycache__"
    monkeypatch.setattr(_llvm.os, "access", lambda *args: False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert _llvm.folder() == tmp_path / ".cache" / "tinygrad_nn-chains"


@pytest.mark.parametrize("resume", [False, True])
def test_a_run_that_can_go_on_keeps_every_bit(tmp_path, resume):
    def trained(compile):
        model = nn.Sequential(nn.Linear(40, 64, rng=0), nn.LayerNorm(64), nn.GELU(),
                              nn.Linear(64, 3, rng=1))
        x = np.random.default_rng(0).standard_normal((256, 40), dtype=np.float32)
        tn.train.fit(model, (x, np.arange(256) % 3), nn.cross_entropy,
                     optim.Adam(model.parameters(), lr=0.01), 4, batch_size=64,
                     progress=False, compile=compile,
                     callbacks=[tn.train.Checkpoint(tmp_path / f"{compile}", resume=resume)])
        return b"".join(p.data.tobytes() for p in model.parameters())
    assert (trained(True) == trained(False)) == resume


def test_where_objects_have_another_form_there_are_no_kernels(monkeypatch):
    monkeypatch.setattr(chains_pass.kernels, "generates", lambda: False)
    p = program(lambda x: np.exp(x) * 2, table((6, 4), np.float64))
    assert chains(p) is p

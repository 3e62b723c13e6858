"""The benchmarks run, and their arithmetic is right. What they measure is never asserted."""

import dataclasses
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import (
    _machine,
    _report,
    _results,
    _rounds,
    _statistics,
    _workers,
    worker,
    workloads,
)
from benchmarks.__main__ import ALL, arguments
from benchmarks._contestants import BLOCK, PEERS
from benchmarks._machine import environment
from benchmarks._rows import LOSS, ROWS
from benchmarks.frameworks import ours, plain

ROOT = Path(__file__).parents[1]
FRAMEWORKS = ROOT / "benchmarks" / "frameworks"


def losses(step, n=8):
    return [float(step()[0]) for _ in range(n)]


@pytest.fixture(scope="module")
def w1():
    return workloads.mlp(**ROWS["W1"].settings)


@pytest.fixture(scope="module")
def expected(w1):
    return losses(plain.mlp_course(w1))


def test_the_command_prints_a_table_and_writes_json(tmp_path):
    file = tmp_path / "results.json"
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--rows", "M1", "--peers", "none", "--quick",
         "--json", str(file)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line for line in done.stdout.splitlines() if line.startswith("|")]
    assert [row.split("|")[1].strip() for row in rows] == [
        "µs an operation", "---", "tinygrad_nn", "numpy", "row", "---", "M1"]
    assert len({row.count("|") for row in rows[:4]}) == 1
    found = json.loads(file.read_text(encoding="utf-8"))
    assert found["machine"]["threads"] == 2 and found["quick"] and not found["left_out"]
    results = found["rows"]["M1"]
    assert set(results) == {"tinygrad_nn", "numpy"}
    for result in results.values():
        assert len(result["rounds"]) == 3 and all(t > 0 for t in result["rounds"])
        assert result["peak"] > 1e6 and result["version"] and result["blas"]
        assert set(result["ours_over_it"]) == {"value", "low", "high"}
    assert results["tinygrad_nn"]["ours_over_it"] == {"value": 1, "low": 1, "high": 1}


@pytest.mark.parametrize("arrays", [False, True])
@pytest.mark.parametrize("make", [ours.chain, plain.chain])
def test_chains_agree_with_their_closed_form(make, arrays):
    problem = workloads.chain(1000, 10, arrays)
    for found, expected in zip(make(problem)(), problem.expected, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_all_variants_of_the_network_compute_the_same(w1, expected):
    for make in (plain.mlp_tuned, ours.mlp, ours.mlp_compiled):
        assert _statistics.disagreement(losses(make(w1)), expected, LOSS) is None
    step = ours.mlp_closed_form(w1._replace(iterations=2500))
    assert _statistics.disagreement(losses(step), expected, LOSS) is None


def test_hinge_losses_agree_with_those_by_hand():
    p = workloads.mlp(**ROWS["M3"].settings)
    expected = losses(plain.mlp_tuned(p))
    assert expected[-1] < expected[0]
    for make in (ours.mlp, ours.mlp_compiled):
        assert _statistics.disagreement(losses(make(p)), expected, LOSS) is None


@pytest.mark.parametrize("make", [ours.block, ours.block_compiled])
def test_blocks_agree_with_those_by_hand_and_another_gelu_is_caught(make, monkeypatch):
    p = workloads.block(rows=64, features=32, seed=0)
    expected = worker.flat([plain.block(p)()])
    step = make(p)
    for _ in range(4):                                  # compiled from the third on
        assert _statistics.disagreement(worker.flat([step()]), expected, 1e-5) is None
    gelu = ours.tn.gelu
    monkeypatch.setattr(ours.tn, "gelu", lambda x, approximate: gelu(x))
    assert _statistics.disagreement(worker.flat([make(p)()]), expected, 1e-5)


@pytest.mark.parametrize("module, function", [
    ("torch", "pytorch.block"), ("jax", "jax_.block"), ("tensorflow", "tensorflow_.block")])
def test_blocks_of_other_frameworks_agree(module, function):
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not installed")
    contestants = {module: function, "numpy": BLOCK["numpy"]}
    row = dataclasses.replace(ROWS["M4"], contestants=contestants)
    results = {label: {} for label in row.contestants}
    for label in results:
        contestant = _workers.started(row, label, row.settings_for(label, quick=True))
        try:
            results[label] = contestant.ask("prepare")
        finally:
            contestant.close()
    _results.compare(results, row.tolerance)
    assert "error" not in results[module]


def _another_rate(p):
    return plain.mlp_tuned(p._replace(rate=1.01 * p.rate))


def _a_bias_that_stays(p):
    """A network with gradient descent on everything but the bias of its second layer."""
    model = ours.tn.models.CatClassifier((p.x.shape[1], *map(len, p.biases)))
    for parameter, a in zip(model.parameters()[::2], p.weights, strict=True):
        parameter.data = a
    moving = [q for i, q in enumerate(model.parameters()) if i != 3]
    optimiser = ours.tn.optim.SGD(moving, lr=p.rate)

    def step():
        loss = ours.tn.nn.binary_cross_entropy(model(p.x), p.y)
        model.zero_grad()
        loss.backward()
        optimiser.step()
        return (loss.data,)
    return step


@pytest.mark.parametrize("wrong", [_another_rate, _a_bias_that_stays])
def test_a_framework_that_computes_something_else_is_caught(w1, expected, wrong):
    message = _statistics.disagreement(losses(wrong(w1)), expected, LOSS)
    assert message and "expected" in message


@pytest.mark.parametrize("name", ["W3", "W4b", "W5"])
def test_networks_agree_with_those_by_hand_and_a_forgotten_bias_is_caught(name, monkeypatch):
    p = workloads.network(**ROWS[name].settings)
    expected = losses(plain.network(p))
    for make in (ours.network, ours.network_compiled):
        assert _statistics.disagreement(losses(make(p)), expected, LOSS) is None
    assert expected[-1] < expected[0]
    adam = ours.tn.optim.Adam
    for k in range(1, 2 * len(p.biases), 2):
        monkeypatch.setattr(ours.tn.optim, "Adam", lambda parameters, lr, k=k: adam(
            [q for i, q in enumerate(parameters) if i != k], lr=lr))
        assert _statistics.disagreement(losses(ours.network(p)), expected, LOSS)


@pytest.mark.parametrize("module, names", [
    ("torch", ("pytorch.network", "pytorch.network_tuned")), ("jax", ("jax_.network",)),
    ("tensorflow", ("tensorflow_.network",))])
def test_networks_of_other_frameworks_agree(module, names):
    """In processes of their own: they set threads, and load slowly."""
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not installed")
    for function in names:
        for row in ("W3", "W5"):
            contestant = _workers.started(
                dataclasses.replace(ROWS[row], contestants={module: function}), module,
                ROWS[row].settings)
            try:
                found = contestant.ask("prepare")
            finally:
                contestant.close()
            expected = losses(plain.network(workloads.network(**ROWS[row].settings)))
            assert _statistics.disagreement(found["values"], expected, LOSS) is None
            assert found["growth"]["in_all"] >= found["growth"]["steps"] > 0


def test_channels_last_is_the_same_network():
    p = workloads.network(image=[2, 6, 6], convolutions=[3], layers=[], samples=2, classes=2,
                          seed=0, rate=0.1)
    last = p.channels_last()
    np.testing.assert_array_equal(last.x.transpose(0, 3, 1, 2), p.x)
    np.testing.assert_array_equal(last.weights[0].transpose(3, 2, 0, 1), p.weights[0])
    pooled = np.random.default_rng(0).random((2, 3, 2, 2))
    np.testing.assert_allclose(
        pooled.transpose(0, 2, 3, 1).reshape(2, -1) @ last.weights[1].T,
        pooled.reshape(2, -1) @ p.weights[1].T)


def test_disagreement_sees_signs_nan_and_missing_values():
    same = _statistics.disagreement
    assert same([1.0, -2.0], [1.0, -2.0 * (1 + 1e-7)], 1e-6) is None
    assert "value 1 of 2 is 2" in same([1.0, 2.0], [1.0, -2.0], 1e-6)
    assert "nan" in same([float("nan")], [1.0], 1e-6)
    assert "1 values" in same([1.0], [1.0, 2.0], 1e-6)


def test_a_wrong_result_or_a_broken_worker_becomes_an_error_in_its_row():
    contestants = {"numpy": "plain.chain", "numpy (again)": "plain.chain",
                   "tinygrad_nn": "plain.no_such_function"}
    row = dataclasses.replace(ROWS["M1"], contestants=contestants, tolerance=1e-10)
    results = _rounds.measure(row, {"numpy", "tinygrad_nn"}, quick=True)
    assert "no_such_function" in results["tinygrad_nn"]["error"]
    assert results["numpy"]["median"] > 0 and "ours_over_it" not in results["numpy"]
    assert "- tinygrad_nn: AttributeError" in _report.table(results)
    wrong = {"numpy": {"values": [1.0]}, "torch": {"values": [1.1]}}
    _results.compare(wrong, 1e-6)
    assert "error" not in wrong["numpy"] and "wrong result" in wrong["torch"]["error"]


def test_a_worker_that_dies_is_reported_with_its_last_words():
    dead = _workers.Worker({"cpus": "not a set of numbers"})
    try:
        dead.process.wait(timeout=60)
        with pytest.raises(_workers.WorkerError, match=r"ended with code 1: .*Error"):
            dead.ask("prepare")
    finally:
        dead.close()


def test_ratios_of_made_up_rounds():
    ours_, theirs = [1.0, 2.0, 3.0, 4.0, 5.0], [2.0, 4.0, 3.0, 16.0, 5.0]
    r = _statistics.ratio(ours_, theirs)
    assert r == {"value": 3 / 4, "low": 0.5, "high": 1.0}       # rounds: .5 .5 1 .25 1
    assert _statistics.quartiles([7.0]) == (7.0, 7.0, 7.0)
    assert _statistics.quartiles([4.0, 1.0, 2.0, 3.0, 5.0]) == (2.0, 3.0, 4.0)


KEEPING = """
from benchmarks import _memory
kept, size = [], 50_000_000             # beyond what an allocator would have left over
leak = _memory.cost_of(lambda: kept.append([b"x" * size]))
assert leak["objects"] == 2 and leak["again"] > 0.9 * size and leak["peak"] > 0.9 * size, leak
kept.clear()
free = _memory.cost_of(lambda: [b"x" * size])
assert free["objects"] == 0 and abs(free["again"]) < 0.1 * size < free["peak"], free
"""


def test_what_a_step_keeps_is_seen():
    """In a process of its own: of a large one the system may take pages away meanwhile."""
    done = subprocess.run([sys.executable, "-c", KEEPING], cwd=ROOT, capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stderr


def test_every_contestant_has_its_function():
    for row in filter(None, ALL.values()):
        for label, function in row.contestants.items():
            file, name = function.split(".")
            assert f"\ndef {name}(p):\n" in (FRAMEWORKS / f"{file}.py").read_text("utf-8")
            assert _results.package(label) in {"tinygrad_nn", "numpy", *PEERS}


def test_tuning_by_the_environment_does_not_reach_workers(monkeypatch):
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "7")
    found = environment()
    assert "OPENBLAS_CORETYPE" not in found and found["OPENBLAS_NUM_THREADS"] == "2"


def test_without_a_compiler_torch_compile_is_left_out_with_a_sentence(monkeypatch):
    monkeypatch.setattr(_machine.importlib.util, "find_spec", lambda name: name)
    monkeypatch.setattr(_machine.shutil, "which", lambda name: None)
    assert _machine.missing("torch") is None
    assert "needs a C++ compiler" in _machine.missing("torch.compile")
    monkeypatch.setattr(_machine.importlib.util, "find_spec", lambda name: None)
    assert "torch is not installed" in _machine.missing("torch.compile")


def test_arguments_in_any_case_and_unknown_ones(capsys):
    found = arguments(["--rows", "m1,DEEP", "--peers", "none"])
    assert found.rows == ["M1", "deep"] and found.peers == []
    assert arguments([]).rows == list(ROWS) and arguments([]).peers == list(PEERS)
    assert arguments(["--rows", "first,scaling-threads,first-m4"]).rows == [
        "first-W5", "first-M4", *(k for k in ALL if k.startswith("scaling-threads-"))]
    with pytest.raises(SystemExit):
        arguments(["--rows", "M9"])
    assert "unknown m9; there are M1" in capsys.readouterr().err

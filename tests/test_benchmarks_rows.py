"""The rows of the benchmarks that are not steps in turn, and what is made of the numbers."""

import dataclasses
import json
import sys
import tempfile

import numpy as np
import pytest

from benchmarks import (
    __main__,
    _costs,
    _fresh,
    _limits,
    _results,
    _rounds,
    _scaling,
    _summary,
    workloads,
)
from benchmarks.__main__ import main
from benchmarks._rows import LOSS, ROWS
from benchmarks.frameworks import ours_fit, plain_fit

OURS_AND_NUMPY = {"tinygrad_nn", "numpy"}


def test_a_whole_training_is_compared_and_timed_from_its_first_call():
    row = dataclasses.replace(ROWS["W1-2500"], small={"quick": {"iterations": 9}})
    results = _fresh.measure(row, OURS_AND_NUMPY, quick=True)
    assert set(results) == {"tinygrad_nn (compiled)", "tinygrad_nn (closed form)",
                            "numpy (tuned)"}
    for result in results.values():
        assert "error" not in result and len(result["values"]) == 8
        assert result["median"] >= 1e3 * result["first_s"] > 0 and result["peak"] > 1e6


def test_first_steps_are_timed_in_a_first_and_a_second_process():
    row = dataclasses.replace(ROWS["first-M4"], settings={"rows": 8, "features": 16, "seed": 0},
                              contestants={"tinygrad_nn": "ours.block", "numpy": "plain.block"})
    results = _fresh.measure(row, OURS_AND_NUMPY, quick=True)
    assert list(results) == ["tinygrad_nn", "tinygrad_nn; second process",
                             "numpy", "numpy; second process"]
    for label, result in results.items():
        assert "error" not in result and result["ours_over_it"]["value"] > 0
        assert ("over_plain" in result) == ("second" in label)
    assert results["tinygrad_nn; second process"]["ours_over_it"]["value"] == 1


def test_beside_a_busy_process_everything_is_timed_twice():
    row = dataclasses.replace(ROWS["W3"], way="busy", growth=False,
                              contestants={"tinygrad_nn": "ours.network",
                                           "numpy": "plain.network"})
    results = _rounds.measure(row, OURS_AND_NUMPY, quick=True)
    for label in ("tinygrad_nn", "numpy"):
        plain, shared = results[label], results[label + _rounds.SHARED]
        assert len(plain["rounds"]) == len(shared["rounds"]) == 3
        assert shared["over_plain"]["value"] == pytest.approx(shared["median"]
                                                              / plain["median"])


def test_a_busy_process_ends_with_its_block():
    with _rounds.busy_loop() as process:
        assert process.poll() is None
    assert process.poll() is not None


def test_epochs_of_fit_are_those_by_hand():
    p = workloads.network(**ROWS["fit-arrays"].settings_for("", quick=True))
    head = p.head(8)
    assert len(head.x) == 256 and not head.shuffle
    expected = plain_fit.arrays(head)(2)[1]
    for make in (ours_fit.arrays, ours_fit.arrays_compiled):
        seconds, losses = make(head)(2)
        np.testing.assert_allclose(losses, expected, rtol=LOSS)
        assert len(seconds) == 2 and min(seconds) > 0


def test_a_folder_of_pictures_has_an_epoch_by_hand_and_one_by_fit(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    settings = {**ROWS["fit-pictures"].settings, "count": 2, "copies": 8, "side": 64,
                "batch": 8}
    p = workloads.pictures(**settings)
    assert len(p.files) == 32 and p.batches == 4
    assert [label for _, label in p.files] == [0] * 16 + [1] * 16
    head = p.head(2)
    expected = plain_fit.pictures(head)(1)[1]
    for make in (ours_fit.pictures, ours_fit.pictures_cached):
        np.testing.assert_allclose(make(head)(1)[1], expected, rtol=0.05)
    assert len(ours_fit.pictures(p)(2)[1]) == 2                       # shuffled, two epochs


def test_costs_of_networks_as_counted_by_hand():
    operations, moved = _costs.cost("mlp", {"layers": [5, 3, 1], "samples": 2, "seed": 0})
    assert operations == 2 * 2 * (2 * 5 * 3 + 3 * 3 * 1)
    assert moved == 4 * (2 * 2 * 5 + 3 * 15 + 4 * 3 + 4 * 2 * (3 + 1))
    settings = {"image": [2, 6, 6], "convolutions": [4], "layers": [], "samples": 3,
                "classes": 5, "seed": 0, "rate": 0.1}
    operations, moved = _costs.cost("network", settings)
    assert operations == 2 * 3 * (2 * 16 * 9 * 2 * 4 + 3 * 4 * 2 * 2 * 5)
    weights, outputs = (72, 80), (3 * 4 * 4, 3 * 5)
    assert moved == 4 * (2 * 3 * 72 + 10 * sum(weights) - 72 + 4 * sum(outputs))
    assert _costs.cost("network", {**settings, "samples": 12, "batch": 3}) == (
        4 * operations, 4 * moved)
    assert _costs.cost("block", {"rows": 2, "features": 3, "seed": 0}) == (0, 5 * 6 * 4)
    assert _costs.cost("chain", {"n": 1000, "size": 10}) is None


def test_the_limits_of_the_machine_are_numbers_and_reached_in_part():
    limits = _limits.measured(quick=True)
    assert set(limits) == {"flops", "copy", "triad"} and min(limits.values()) > 1e7
    results = {"numpy": {"settings": ROWS["W1"].settings, "rounds": [2.0], "median": 2.0},
               "torch": {"settings": ROWS["W1"].settings, "error": "…"}}
    _limits.reach(results, ROWS["W1"], {"flops": 1e12, "copy": 1e10, "triad": 2e10})
    operations, moved = _costs.cost("mlp", ROWS["W1"].settings)
    assert results["numpy"]["of_blas"] == pytest.approx(operations / 2e-3 / 1e12)
    assert results["numpy"]["of_bandwidth"] == pytest.approx(moved / 2e-3 / 2e10)
    assert "of_blas" not in results["torch"]


def test_a_summary_compares_with_the_fastest_peer_and_never_with_numpy(tmp_path, capsys):
    def results(**ms):
        found = {label: {"settings": {}, "rounds_s": [m / 1e3] * 3} for label, m in ms.items()}
        _results.summarise(found, ROWS["W3"])
        return found
    rows = {"W3": results(**{"tinygrad_nn": 4.0, "tinygrad_nn (without numba)": 6.0,
                             "tinygrad_nn (compiled)": 1.0, "numpy": 0.5, "torch": 3.0,
                             "torch (channels last, fused)": 2.0,
                             "jax (jit)": 8.0,
                             "tinygrad_nn (compiled); CPU shared": 6.0,
                             "torch; CPU shared": 3.0}),
            "M1": results(**{"tinygrad_nn": 1.0, "torch": 2.0, "jax (jit)": 0.01}),
            "import": results(tinygrad_nn=3.0, numpy=2.0)}
    first, second = tmp_path / "1.json", tmp_path / "2.json"
    first.write_text(json.dumps({"rows": {**rows, "W3": {}}}))
    second.write_text(json.dumps({"rows": {"W3": rows["W3"]}}))
    assert main(["--read", str(first), str(second)]) == 0
    lines = [[c.strip() for c in line.split("|")[1:-1]]
             for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    by_row = {line[0]: line[1:] for line in lines}
    assert by_row["W3"][:6] == ["compiled", "1 ms", "torch (channels last, fused)", "**0.5**",
                                "0.5–0.5", "0.5"]
    assert by_row["W3"][7] == "0.125" and by_row["W3"][9] == "2"
    assert by_row["W3; CPU shared"][:4] == ["compiled", "6 ms", "torch", "**2**"]
    assert by_row["M1"][:4] == ["eager", "1 ms", "torch", "**0.5**"]    # jax is no rival there
    assert by_row["import"][2:4] == ["numpy", "**1.5**"]


def test_scaling_rows_make_a_table_by_points(tmp_path, capsys):
    code = main(["--rows", "scaling-depth-1000,scaling-depth-10000", "--quick", "--peers",
                 "none", "--json", str(tmp_path / "s.json")])
    assert code == 0
    rows = json.loads((tmp_path / "s.json").read_text(encoding="utf-8"))["rows"]
    lines = _scaling.table(rows, "scaling-depth").splitlines()
    assert lines[0] == "| depth, µs an operation | tinygrad_nn | numpy |"
    assert [line.split("|")[1].strip() for line in lines[2:]] == ["1000", "10000"]
    assert lines[2] in capsys.readouterr().out
    assert _summary.read([tmp_path / "s.json"]).keys() == rows.keys()


def test_a_picture_of_a_summary(tmp_path):
    pytest.importorskip("matplotlib")
    file, rows = tmp_path / "s.json", {}
    for row, by in (("W3", 1.0), ("scaling-batch-8", 1.0), ("scaling-batch-32", 3.0)):
        rows[row] = {label: {"settings": {}, "rounds_s": [by * m / 1e3] * 3}
                     for label, m in (("tinygrad_nn", 2.0), ("torch", 3.0), ("numpy", 5.0))}
        _results.summarise(rows[row], ROWS["W3"])
    file.write_text(json.dumps({"rows": rows}))
    for name in ("p.svg", "p.png"):
        assert main(["--read", str(file), "--plot", str(tmp_path / name)]) == 0
        assert (tmp_path / name).stat().st_size > 5_000
    assert "Our time over theirs" in (tmp_path / "p.svg").read_text(encoding="utf-8")


def test_a_picture_that_cannot_be_drawn_is_refused_before_anything_is_measured(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setattr(__main__, "measured", lambda options: pytest.fail("measured"))
    with pytest.raises(SystemExit, match="pip install matplotlib"):
        main(["--rows", "M1", "--plot", "p.png"])

"""The Fashion-MNIST example: a few steps on files made here, the command line and its errors;
the tutorial's accuracy where the real files are."""

import csv
import gzip
import os

import common
import fashion_mnist
import numpy as np
import pytest
from PIL import Image

import tinygrad_nn as tn
from tinygrad_nn import data


def write_idx(path, a):
    """``a`` (uint8) as a gzipped IDX file."""
    head = bytes([0, 0, 8, a.ndim]) + np.array(a.shape, ">u4").tobytes()
    with gzip.open(path, "wb", compresslevel=1) as f:
        f.write(head + a.tobytes())


def garments(n, seed):
    """Pictures that tell their class by the place of a bright bar, and their labels."""
    rng = np.random.default_rng(seed)
    y = np.arange(n, dtype=np.uint8) % 10
    x = rng.integers(0, 60, size=(n, 28, 28), dtype=np.uint8)
    for i, k in enumerate(y):
        x[i, 2 * k + 3:2 * k + 6] = 220
    return x, y


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder of four files: 200 pictures to learn from, 50 to be tested on."""
    made = tmp_path_factory.mktemp("idx")
    for part, n, seed in (("train", 200, 0), ("t10k", 50, 1)):
        x, y = garments(n, seed)
        write_idx(made / f"{part}-images-idx3-ubyte.gz", x)
        write_idx(made / f"{part}-labels-idx1-ubyte.gz", y)
    return made


def run(folder, out, *argv):
    return fashion_mnist.main(["--data", str(folder), "--out", str(out), *argv])


def test_the_tutorials_network(folder, tmp_path, capsys):
    assert run(folder, tmp_path, "--epochs", "3") == 0
    text = capsys.readouterr().out
    assert "200 pictures to learn from, 50 to be tested on: T-shirt/top, Trouser" in text
    assert "Linear(784, 128)" in text and "parameters 101,770 (0 frozen)" in text
    assert "epoch 3 of 3: loss " in text and "Accuracy on the 50 test pictures: " in text
    assert text.count("% of 5") == 10
    with open(tmp_path / "history.csv", encoding="utf-8") as f:
        assert [row["epoch"] for row in csv.DictReader(f)] == ["1", "2", "3"]
    with Image.open(tmp_path / "mistakes.png") as image:
        assert image.size[0] > 300
    model, classes, preprocessing = tn.load_model(tmp_path / "model.safetensors")
    assert classes[9] == "Ankle boot" and preprocessing["size"] == 28
    x, y = garments(50, 1)
    right = np.mean(common.probabilities(model, data.ArrayDataset(x, y)).argmax(1) == y)
    assert f"test pictures: {right:.2%}" in text and right > 0.5


def test_the_convolutional_network(folder, tmp_path, capsys):
    assert run(folder, tmp_path, "--cnn", "--epochs", "2") == 0
    text = capsys.readouterr().out
    assert text.count("Conv2d(") == 2 and "epoch 2 of 2: loss " in text
    model = tn.load_model(tmp_path / "model.safetensors").model
    p = common.probabilities(model, data.ArrayDataset(*garments(50, 1)), mirrored=True)
    assert f"test pictures: {np.mean(p.argmax(1) == garments(50, 1)[1]):.2%}" in text
    np.testing.assert_allclose(p.sum(1), 1, rtol=1e-5)
    rate = [float(row.split(",")[-1]) for row in
            (tmp_path / "history.csv").read_text().splitlines()[1:]]
    assert rate[1] < 1e-4 < 4e-3                        # the cycle has come to its end


def test_a_stopped_run_goes_on(folder, tmp_path, capsys, monkeypatch):
    assert run(folder, tmp_path / "whole", "--cnn", "--epochs", "2") == 0
    with monkeypatch.context() as m:
        def stop(self, run):
            self.line.renew("stopping", keep=True)
            raise KeyboardInterrupt
        m.setattr(tn.train._progress.EpochLines, "on_epoch", stop)
        m.setattr(tn.train.Checkpoint, "on_step",
                  lambda self, run: self.save(run) if run.steps == 4 else None)
        assert run(folder, tmp_path / "stopped", "--cnn", "--epochs", "2") == 130
    assert "--resume goes on" in capsys.readouterr().err
    assert run(folder, tmp_path / "stopped", "--cnn", "--epochs", "2", "--resume") == 0
    assert "Going on after epoch 0, step 4 of" in capsys.readouterr().out
    a, b = ((tmp_path / name / "model.safetensors").read_bytes() for name in
            ("whole", "stopped"))
    assert a == b


def test_failures_are_one_sentence_and_code_1(tmp_path, folder, capsys):
    assert run(tmp_path / "nowhere", tmp_path) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ") and "dataset-fashion-mnist" in error
    assert run(folder, tmp_path, "--epochs", "1") == 0
    assert run(folder, tmp_path, "--epochs", "2", "--seed", "3", "--resume") == 1
    error = capsys.readouterr().err
    assert "this run cannot go on from there" in error and "seed=3" in error


@pytest.mark.parametrize("argv", [["--epochs", "0"], ["--batch-size", "x"], ["--data"]])
def test_wrong_usage_is_code_2(argv, capsys):
    with pytest.raises(SystemExit) as stop:
        fashion_mnist.main(argv)
    assert stop.value.code == 2


def test_without_a_folder_it_looks_where_debian_puts_the_files(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(data._idx, "DEBIAN", tmp_path / "none")
    assert fashion_mnist.main(["--out", str(tmp_path)]) == 1
    assert "apt-get install dataset-fashion-mnist" in capsys.readouterr().err.replace("\n", " ")


def test_a_hundred_steps_on_the_real_files(real_data, capsys, tmp_path):
    """3,200 pictures are enough for three quarters; TINYGRAD_NN_EPOCHS=5 asks for it all."""
    epochs = os.environ.get("TINYGRAD_NN_EPOCHS")
    if not (real_data / "fashion-mnist").is_dir():
        pytest.skip("the Fashion-MNIST files are not there")
    train_x, train_y, test_x, test_y, classes = data.fashion_mnist(real_data / "fashion-mnist")
    assert train_x.shape == (60000, 28, 28) and len(classes) == 10
    part = slice(None) if epochs else slice(3200)
    options = fashion_mnist.arguments(["--out", str(tmp_path), "--epochs", epochs or "1"])
    model = fashion_mnist.learn(options, data.ArrayDataset(train_x[part], train_y[part]))
    p = common.probabilities(model, data.ArrayDataset(test_x, test_y))
    right = np.mean(p.argmax(1) == test_y)
    assert right > (0.86 if epochs else 0.6)

"""The cats-and-dogs example: a few steps on drawn pictures, its command line and its errors."""

import csv
import shutil

import cats_vs_dogs
import common
import numpy as np
import pytest
from painting import paint
from PIL import Image

import tinygrad_nn as tn
from tinygrad_nn import data


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Class folders of drawings, 15 of each."""
    return data.write_drawings(tmp_path_factory.mktemp("pets") / "all", count=15, size=16)


@pytest.fixture(scope="module")
def parted(drawn):
    """The same with 12 of each in ``training_set`` and 3 in ``test_set``."""
    root = drawn.parent / "parted"
    for name in ("cats", "other"):
        for k, path in enumerate(sorted((drawn / name).iterdir())):
            into = root / ("training_set" if k < 12 else "test_set") / name
            into.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, into)
    return root


def run(folder, out, *argv):
    return cats_vs_dogs.main([str(folder), "--out", str(out), "--size", "32", "--batch-size",
                              "8", *argv])


def test_our_network_from_photos_to_predictions(parted, tmp_path, capsys):
    assert run(parted, tmp_path, "--epochs", "3") == 0
    text = capsys.readouterr().out
    assert "To learn from: ImageFolder(0: 12 other, 1: 12 cats; 32 × 32)" in text
    assert "To be tested on: ImageFolder(0: 3 other, 1: 3 cats; 32 × 32)" in text
    assert "Class indices: {'other': 0, 'cats': 1}" in text and text.count("BatchNorm2d(") == 5
    assert "epoch 3 of 3: loss " in text and "Accuracy on the 6 test pictures: " in text
    with open(tmp_path / "history.csv", encoding="utf-8") as f:
        rows = list(csv.DictReader(f))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert float(rows[-1]["lr"]) < 1e-6                 # the cycle has come to its end
    with Image.open(tmp_path / "mistakes.png") as image:
        assert image.size[0] > 300
    file = tmp_path / "model.safetensors"
    model, classes, preprocessing = common.load_model(file)
    assert classes == ("other", "cats") and preprocessing["size"] == 32
    tested = data.ImageFolder(parted / "test_set", 32)
    p = common.probabilities(model, tested, preprocessing["mirrored"])
    assert f"test pictures: {np.mean(p.argmax(1) == tested.y):.2%} (" in text
    assert cats_vs_dogs.main(["predict", *map(str, tested.paths), "--model", str(file)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"{path}: {classes[q.argmax()]} ({q.max():.1%})" for path, q in
                     zip(tested.paths, p, strict=True)]


def test_the_tutorials_network(parted, tmp_path, capsys):
    assert run(parted, tmp_path, "--tutorial", "--epochs", "2") == 0
    text = capsys.readouterr().out
    for line in ("Conv2d(3, 32, kernel_size=(3, 3))", f"Linear({32 * 15 ** 2}, 128)",
                 "Linear(128, 1)", "epoch 2 of 2: loss "):
        assert line in text
    assert "BatchNorm2d" not in text
    assert common.load_model(tmp_path / "model.safetensors").preprocessing["mirrored"] is False
    with open(tmp_path / "history.csv", encoding="utf-8") as f:
        assert {float(row["lr"]) for row in csv.DictReader(f)} == {1e-3}


def test_class_folders_are_split(drawn, tmp_path, capsys):
    assert run(drawn, tmp_path, "--epochs", "1", "--positive", "other") == 0
    text = capsys.readouterr().out
    assert "To learn from: ImageFolder(0: 12 cats, 1: 12 other; 32 × 32)" in text
    assert "To be tested on: ImageFolder(0: 3 cats, 1: 3 other; 32 × 32)" in text


def test_cross_validation_leaves_the_test_photos_unseen(parted, tmp_path, capsys, monkeypatch):
    decoded = []
    decode = data._image_folder.decode
    monkeypatch.setattr(data._image_folder, "decode",
                        lambda path, *rest: decoded.append(path) or decode(path, *rest))
    monkeypatch.setattr(data, "ImageFolder", lambda *args, on_unreadable, **more:
                        data._image_folder.ImageFolder(*args, **more))
    assert run(parted, tmp_path, "--epochs", "1", "--cross-validate", "3") == 0
    assert "Fold 3 of 3: " in (text := capsys.readouterr().out)
    assert "Cross-validated accuracy: " in text and "of 24 pictures" in text
    assert decoded and not any("test_set" in str(path) for path in decoded)
    assert not list(tmp_path.iterdir())


def test_a_stopped_run_goes_on_to_the_same_bytes(parted, tmp_path, capsys, monkeypatch):
    assert run(parted, tmp_path / "whole", "--epochs", "2") == 0
    with monkeypatch.context() as m:
        def stop(self, run):
            if run.steps == 4: raise KeyboardInterrupt
        m.setattr(tn.train.StopOnNan, "on_step", stop)
        m.setattr(tn.train.Checkpoint, "on_step",
                  lambda self, run: self.save(run) if run.steps == 3 else None)
        assert run(parted, tmp_path / "stopped", "--epochs", "2") == 130
    assert "--resume goes on" in capsys.readouterr().err
    assert run(parted, tmp_path / "stopped", "--epochs", "2", "--resume") == 0
    assert "Going on after epoch " in capsys.readouterr().out
    a, b = ((tmp_path / name / "model.safetensors").read_bytes() for name in
            ("whole", "stopped"))
    assert a == b


@pytest.mark.parametrize(("names", "learnt", "tested"), [
    (("train", "test"), "train", "test"),
    (("Training_Set", "TEST_SET"), "Training_Set", "TEST_SET"),
    (("train", "validation"), "train", "validation"),
    (("test", "train", "val"), "train", "test"),
    (("cats", "dogs"), None, None),
    (("trains", "tests"), None, None),
])
def test_the_parts_of_a_data_set_are_found_by_name(tmp_path, names, learnt, tested):
    for name in names: (tmp_path / name).mkdir()
    (tmp_path / "train.txt").write_text("no folder")
    found = [cats_vs_dogs.part(tmp_path, names) for names in (cats_vs_dogs.LEARNT,
                                                              cats_vs_dogs.TESTED)]
    assert [path and path.name for path in found] == [learnt, tested]
    assert cats_vs_dogs.part(tmp_path / "nowhere", cats_vs_dogs.LEARNT) is None


# ---------------------------------------------------------------- what is refused


def refused(capsys, *argv):
    """What the command says on its way to exit code 1."""
    assert cats_vs_dogs.main([str(a) for a in argv]) == 1
    error = capsys.readouterr().err
    assert "Traceback" not in error and "error: " in error
    return error


def test_other_classes_in_test_than_in_train(parted, tmp_path, capsys):
    shutil.copytree(parted, tmp_path / "p")
    (tmp_path / "p" / "test_set" / "other").rename(tmp_path / "p" / "test_set" / "dogs")
    error = refused(capsys, tmp_path / "p", "--size", "32")
    assert "has the classes cats, dogs; expected other, cats" in error


def test_three_classes(drawn, tmp_path, capsys):
    shutil.copytree(drawn, tmp_path / "p")
    paint(tmp_path / "p" / "fish" / "1.png")
    assert "holds 3 classes (cats, fish, other)" in refused(capsys, tmp_path / "p")


def test_missing_empty_flat_and_lonely_folders(drawn, tmp_path, capsys):
    assert "does not exist" in refused(capsys, tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    assert "has no class folders" in refused(capsys, tmp_path / "empty")
    paint(tmp_path / "flat" / "1.png")
    assert "holds pictures directly but no class folders" in refused(capsys, tmp_path / "flat")
    paint(tmp_path / "one" / "cats" / "1.png")
    assert "has only one class folder, 'cats'" in refused(capsys, tmp_path / "one")
    paint(tmp_path / "one" / "dogs" / "1.png")
    paint(tmp_path / "one" / "dogs" / "2.png", (1, 2, 3))
    assert "class 'cats' has only one picture" in refused(capsys, tmp_path / "one")
    assert "needs at least two of each class" in refused(capsys, tmp_path / "one")
    paint(tmp_path / "p" / "train" / "cats" / "1.png")
    assert "holds the parts of a data set (train)" in refused(capsys, tmp_path / "p")


def test_too_few_for_the_folds(parted, tmp_path, capsys):
    error = refused(capsys, parted, "--cross-validate", "13", "--size", "32")
    assert "class 'other' has too few different pictures for 13 folds, 12" in error


def test_unreadable_photos_are_named_and_left_out(parted, tmp_path, capsys):
    shutil.copytree(parted, tmp_path / "p")
    broken = tmp_path / "p" / "training_set" / "cats" / "broken.jpg"
    broken.write_bytes(b"no picture")
    assert run(tmp_path / "p", tmp_path / "out", "--epochs", "1") == 0
    said = capsys.readouterr()
    assert "12 cats; 32 × 32, 1 skipped)" in said.out
    assert "skipped: " in said.err and str(broken) in said.err


def test_predictions_that_cannot_be_made(parted, tmp_path, capsys):
    assert "nowhere" in refused(capsys, "predict", "x.png", "--model", tmp_path / "nowhere")
    assert run(parted, tmp_path, "--tutorial", "--epochs", "1") == 0
    capsys.readouterr()
    model = "--model", tmp_path / "model.safetensors"
    assert "x.png" in refused(capsys, "predict", "x.png", *model)
    tn.save_weights(tmp_path / "model.safetensors", tn.nn.Linear(2, 1))
    assert "holds weights and no architecture" in refused(capsys, "predict", "x.png", *model)


def test_a_resumed_run_of_another_network_is_refused(parted, tmp_path, capsys):
    assert run(parted, tmp_path, "--epochs", "1") == 0
    assert run(parted, tmp_path, "--tutorial", "--epochs", "1", "--resume") == 1
    assert "this run cannot go on from there" in capsys.readouterr().err


@pytest.mark.parametrize("argv", [[], ["predict"], ["f", "--size", "0"], ["f", "--size", "31"],
                                  ["f", "--epochs", "x"], ["f", "--cross-validate", "1"],
                                  ["f", "--seed", "-1"], ["f", "--learning-rate", "0"]])
def test_wrong_usage_is_code_2(argv):
    with pytest.raises(SystemExit) as stop:
        cats_vs_dogs.main(argv)
    assert stop.value.code == 2


def test_the_real_photos(real_data, tmp_path, capsys):
    """All of them are read; twenty steps on some."""
    folder = real_data / "cats-vs-dogs"
    if not folder.is_dir():
        pytest.skip("the photos are not there")
    options = cats_vs_dogs.arguments([str(folder), "--size", "32", "--epochs", "1", "--out",
                                      str(tmp_path)])
    learnt, tested = cats_vs_dogs.photos(options)
    assert (len(learnt), len(tested), learnt.classes) == (2000, 800, ("dogs", "cats"))
    assert not learnt.skipped and not tested.skipped
    model = cats_vs_dogs.learn(options, learnt.subset(range(0, 2000, 3)), 0)
    assert "epoch 1 of 1: loss 0." in capsys.readouterr().out
    p = common.probabilities(model, tested.subset(range(0, 800, 20)))
    assert p.shape == (40, 2) and np.ptp(p[:, 1]) > 0

"""The example end to end: drawings, photos of one's own, the command line and its errors."""

import cat_classifier
import numpy as np
import pytest
from PIL import Image

import tinygrad_nn as tn
from tinygrad_nn import data


@pytest.fixture
def few_drawings(monkeypatch):
    write = data.write_drawings
    monkeypatch.setattr(data, "write_drawings",
                        lambda folder, **kw: write(folder, count=12, **kw))


def test_drawings_take_the_path_of_photos(tmp_path, capsys, few_drawings):
    code = cat_classifier.main(["--size", "16", "--iterations", "12", "--out", str(tmp_path)])
    text = capsys.readouterr().out
    assert code == 0
    assert "these are drawings" in text and "--data FOLDER" in text
    assert "24 pictures at 16x16: 12 cats, 12 other" in text
    assert "iteration 0: cost 0.69" in text and "commoner class: 50.0%" in text
    for name in ("cost.png", "mislabelled.png"):
        with Image.open(tmp_path / name) as image:
            assert image.size[0] > 300
    weights = tn.load_weights(tmp_path / "model.safetensors")
    assert weights["layers.0.weight"].shape == (20, 16 * 16 * 3)
    model = tn.models.CatClassifier((768, 20, 7, 5, 1))
    model.load_state_dict(weights)


def test_layers_start_scale_and_prediction(tmp_path, capsys, few_drawings):
    folder = data.write_drawings(tmp_path / "mine", size=16)
    picture = str(folder / "cats" / "0000.png")
    code = cat_classifier.main(["--data", str(folder), "--size", "8", "--layers", "7",
                                "--init-scale", "0.01", "--iterations", "3", "--out",
                                str(tmp_path), "--predict", picture])
    text = capsys.readouterr().out
    assert code == 0 and "Network [192, 7, 1]" in text and "drawings" not in text
    assert "Class indices: {'other': 0, 'cats': 1}" in text
    verdict = next(line for line in text.splitlines() if line.startswith(f"{picture}: "))
    file = str(tmp_path / "model.safetensors")
    assert cat_classifier.main(["--model", file, "--predict", picture, picture]) == 0
    assert capsys.readouterr().out.splitlines() == [verdict, verdict]


def test_class_one_can_be_named_and_is_saved(tmp_path, capsys, few_drawings):
    folder = data.write_drawings(tmp_path / "mine", size=16)
    code = cat_classifier.main(["--data", str(folder), "--positive", "other", "--size", "8",
                                "--iterations", "2", "--out", str(tmp_path)])
    assert code == 0 and "Class indices: {'cats': 0, 'other': 1}" in capsys.readouterr().out
    assert tn.load_model(tmp_path / "model.safetensors").classes == ("cats", "other")
    assert cat_classifier.main(["--data", str(folder), "--positive", "dogs"]) == 1
    assert "positive='dogs' must name one of two class folders" in capsys.readouterr().err


def test_a_model_file_must_say_what_a_prediction_needs(tmp_path, capsys):
    file = tmp_path / "m.safetensors"
    for classes, preprocessing in ((None, None), (["a", "b"], None), (["a"], {"size": 8})):
        tn.save_model(file, tn.nn.Linear(192, 1), classes, preprocessing)
        assert cat_classifier.main(["--model", str(file), "--predict", "x.png"]) == 1
        assert "is no model of this example" in capsys.readouterr().err


def test_it_learns(tmp_path, few_drawings):
    images = data.read_folder(data.write_drawings(tmp_path / "d", size=16), 16)
    x, y = cat_classifier.flat(images.x), images.y[:, None].astype(np.float32)
    model = tn.models.CatClassifier((x.shape[1], 20, 7, 5, 1), rng=0)
    costs = cat_classifier.train(model, x, y, 400, 0.05, lambda i, cost: None)
    assert costs[-1] < 0.5 * costs[0]


def write_course(folder, side=8):
    """The course's two files with pictures made here: 24 to learn from, 7 to be tested on, of
    which one is the fourth of the training set again."""
    h5py = pytest.importorskip("h5py")
    rng, folder = np.random.default_rng(0), folder / "course"
    folder.mkdir()
    x = {"train": rng.integers(0, 256, (24, side, side, 3), dtype=np.uint8),
         "test": rng.integers(0, 256, (7, side, side, 3), dtype=np.uint8)}
    x["test"][2] = x["train"][3]
    for part, images in x.items():
        with h5py.File(folder / f"{part}_catvnoncat.h5", "w") as file:
            file[f"{part}_set_x"], file[f"{part}_set_y"] = images, np.arange(len(images)) % 2
            file["list_classes"] = np.array([b"non-cat", b"cat"])
    return folder


def test_convolutions_on_the_courses_files(tmp_path, capsys, monkeypatch):
    folder, out = write_course(tmp_path, side=16), tmp_path / "out"
    judged = []
    report = cat_classifier.common.report
    monkeypatch.setattr(cat_classifier.common, "report",
                        lambda p, y, *rest: judged.append((p, y)) or report(p, y, *rest))
    argv = ["--cnn", "--course", str(folder), "--epochs", "2", "--out", str(out)]
    assert cat_classifier.main(argv) == 0
    text = capsys.readouterr().out
    assert text.count("Conv2d(") == 4 and "epoch 2 of 2: loss " in text
    assert "Accuracy on the 7 test pictures: " in text
    (p, y), = judged
    right = np.delete(p.argmax(1) == y, 2)
    assert ("Without the 1 of them that is in the training set too: "
            f"{right.mean():.2%}") in text
    for name in ("history.csv", "mistakes.png", "model.safetensors", "checkpoint.safetensors"):
        assert (out / name).is_file()
    Image.new("RGB", (20, 20), (90, 0, 200)).save(tmp_path / "a.png")
    predict = ["--model", str(out / "model.safetensors"), "--predict", str(tmp_path / "a.png")]
    assert cat_classifier.main(predict) == 0
    assert capsys.readouterr().out.startswith(f"{tmp_path / 'a.png'}: ")
    assert cat_classifier.main([*argv, "--resume"]) == 0
    assert "Going on after epoch 2" in capsys.readouterr().out


def test_convolutions_on_photos_of_ones_own(tmp_path, capsys, few_drawings):
    folder = data.write_drawings(tmp_path / "mine", size=16)
    picture = str(folder / "cats" / "0000.png")
    argv = ["--cnn", "--data", str(folder), "--size", "16", "--epochs", "1", "--out",
            str(tmp_path / "out")]
    assert cat_classifier.main([*argv, "--predict", picture]) == 0
    text = capsys.readouterr().out
    assert "Accuracy on the 4 test pictures: " in text and f"\n{picture}: " in text
    assert tn.load_model(tmp_path / "out" / "model.safetensors").classes == ("other", "cats")
    assert cat_classifier.main([*argv, "--cross-validate", "2"]) == 0
    assert "of 20 pictures" in capsys.readouterr().out


@pytest.mark.parametrize(("argv", "sentence"), [
    (["--data", "nowhere"], "nowhere"),
    (["--course", "nowhere"], "nowhere"),
    (["--model", "nowhere", "--predict", "x.png"], "nowhere"),
])
def test_failures_are_one_sentence_and_code_1(argv, sentence, tmp_path, capsys):
    assert cat_classifier.main([*argv, "--out", str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ") and sentence in error and "Traceback" not in error


def test_three_classes_are_refused(tmp_path, capsys):
    for name in ("cat", "dog", "fish"):
        (tmp_path / name).mkdir()
        for k in range(2):
            Image.new("RGB", (4, 4), (60 * k, 0, 0)).save(tmp_path / name / f"{k}.png")
    assert cat_classifier.main(["--data", str(tmp_path), "--out", str(tmp_path / "o")]) == 1
    assert "holds 3 classes (cat, dog, fish)" in capsys.readouterr().err


@pytest.mark.parametrize("argv", [["--size", "0"], ["--layers", "7,x"], ["--data"],
                                  ["--data", "a", "--course", "b"], ["--iterations", "-3"],
                                  ["--resume"], ["--cross-validate", "3"],
                                  ["--cnn", "--cross-validate", "1"],
                                  ["--cnn", "--size", "15"], ["--model", "m"],
                                  ["--model", "m", "--data", "a"]])
def test_wrong_usage_is_code_2(argv, capsys):
    with pytest.raises(SystemExit) as stop:
        cat_classifier.main(argv)
    assert stop.value.code == 2

"""What the examples share: reports, galleries, cross-validation, saved models, their errors."""

from types import SimpleNamespace

import common
import numpy as np
import pytest
from painting import paint

import tinygrad_nn as tn
from tinygrad_nn import data, nn, optim
from tinygrad_nn.models import conv_net


def bars(n, seed=0, side=8):
    """Pictures whose class is the half that is bright: uint8 (n, side, side, 3), labels."""
    rng, y = np.random.default_rng(seed), np.arange(n) % 2
    x = rng.integers(0, 60, size=(n, side, side, 3), dtype=np.uint8)
    for i, k in enumerate(y): x[i, side // 2 * k:side // 2 * (k + 1)] += 150
    return x, y


def settings(**more):
    return SimpleNamespace(**{"size": 8, "epochs": 4, "batch_size": 8, "learning_rate": 0.01,
                              "seed": 0, "cross_validate": 4, **more})


# ---------------------------------------------------------------- judging


def test_probabilities_of_one_logit_and_of_several():
    x = np.zeros((4, 3, 2, 2), np.float32)
    dataset = data.ArrayDataset(x, np.zeros(4, int))
    one, three = (nn.Sequential(nn.Flatten(), nn.Linear(12, k, rng=0)) for k in (1, 3))
    one[1].bias.data = np.array([np.log(3)], np.float32)
    np.testing.assert_allclose(common.probabilities(one, dataset), [[0.25, 0.75]] * 4,
                               rtol=1e-6)
    b = three[1].bias.data
    np.testing.assert_allclose(common.probabilities(three, dataset),
                               [np.exp(b) / np.exp(b).sum()] * 4, rtol=1e-6)


def test_mirrored_is_the_mean_of_both_and_keeps_the_order():
    x = np.random.default_rng(0).random((300, 3, 4, 4), dtype=np.float32)
    model = nn.Sequential(nn.Flatten(), nn.Linear(48, 1, rng=0))
    p = common.probabilities(model, data.ArrayDataset(x, np.zeros(300, int)), mirrored=True)
    z = np.array([[model(a[None]).item(), model(a[None, :, :, ::-1]).item()] for a in x])
    np.testing.assert_allclose(p[:, 1], (1 / (1 + np.exp(-z))).mean(1), rtol=1e-5)
    np.testing.assert_allclose(p.sum(1), 1, rtol=1e-6)


def test_one_logit_loss_and_accuracy():
    z, t = np.array([[2.0], [-1.0], [0.5]]), np.array([1, 1, 0])
    expected = np.mean(np.log1p(np.exp(np.where(t == 1, -z[:, 0], z[:, 0]))))
    np.testing.assert_allclose(common.one_logit_loss(tn.Tensor(z), t).item(), expected)
    assert common.one_logit_accuracy(z, t).tolist() == [True, False, False]


def test_a_class_report(capsys):
    p = np.eye(3)[[0, 0, 1, 1, 1]]
    common.report(p, np.array([0, 0, 1, 0, 0]), ["a", "b", "c"])
    lines = capsys.readouterr().out.strip().splitlines()
    assert lines[0] == ("Accuracy on the 5 test pictures: 60.00% (always saying the commonest "
                        "class: 80.00%)")
    assert lines[1].split() == ["a", "50.0%", "of", "4,", "taken", "for", "b", "2", "times"]
    assert lines[2].split() == ["b", "100.0%", "of", "1"] and len(lines) == 3


@pytest.mark.parametrize("channels", [1, 3])
def test_the_gallery_shows_the_surest_mistakes_first(tmp_path, monkeypatch, channels):
    seen = {}
    monkeypatch.setattr(common.pictures, "gallery",
                        lambda images, captions, path, title: seen.update(vars()))
    rng = np.random.default_rng(0)
    dataset = data.ArrayDataset(rng.integers(0, 256, (20, 5, 5, channels), dtype=np.uint8),
                                np.arange(20) % 10)
    p = np.full((20, 10), 0.01)
    p[np.arange(20), dataset.y] = 0.9
    p[7], p[12] = 0.01, 0.01
    p[7, 1], p[12, 3] = 0.6, 0.8
    common.save_mistakes(dataset, p, [f"c{k}" for k in range(10)], tmp_path / "g.png")
    assert seen["captions"] == ["c2\nsaid c3\n80.00% sure", "c7\nsaid c1\n60.00% sure"]
    assert [image.shape for image in seen["images"]] == [(5, 5, 3)] * 2
    np.testing.assert_array_equal(seen["images"][0], np.broadcast_to(
        dataset[12][0].transpose(1, 2, 0), (5, 5, 3)))
    assert seen["title"] == "The 2 surest of 2 mistakes on 20 test pictures"


# ---------------------------------------------------------------- cross-validation


def test_each_picture_is_judged_by_a_network_that_has_not_seen_it(capsys):
    dataset = data.ArrayDataset(*bars(22))
    asked = []

    def learn(part, seed):
        asked.append((part, seed))
        return nn.Sequential(nn.Flatten(), nn.Linear(192, 1, rng=0))
    share = common.cross_validate(dataset, settings(seed=5), learn)
    seen = [{row.tobytes() for row in part.x} for part, _ in asked]
    unseen = [{row.tobytes() for row in dataset.x} - part for part in seen]
    assert sorted(map(len, unseen)) == [5, 5, 6, 6] and len(set.union(*unseen)) == 22
    assert [seed for _, seed in asked] == [6, 7, 8, 9]
    text = capsys.readouterr().out
    assert text.count(" held out\n") == 4
    assert f"Cross-validated accuracy: {share:.2%} of 22 pictures" in text


def test_the_small_network_learns_and_is_cross_validated(capsys):
    dataset = data.ArrayDataset(*bars(40))
    share = common.cross_validate(dataset, settings(), lambda part, seed: common.learn(
        settings(), part, {"channels": (3, 8)}, data.augment.RandomHorizontalFlip(), seed,
        keep=False), mirrored=True)
    assert share > 0.9 and capsys.readouterr().out.count("Trained in ") == 4


# ---------------------------------------------------------------- the saved model


def test_a_prediction_is_that_of_the_model_on_the_same_pixels(tmp_path, capsys):
    file = tmp_path / "m.safetensors"
    paint(tmp_path / "a.png", (200, 10, 30))
    for channels in (1, 3):
        model = conv_net((channels, 4), 8, 1, rng=0)
        common.save_model(file, model, ["dog", "cat"], 8, channels, mirrored=True)
        common.predict(file, [tmp_path / "a.png"] * 2)
        x = data.read_image(tmp_path / "a.png", 8, grey=channels == 1).transpose(2, 0, 1)[None]
        with tn.no_grad():
            z = model.eval()(x)[0, 0]
        said, p = ("cat", tn.sigmoid(z)) if z > 0 else ("dog", tn.sigmoid(-z))
        line = f"{tmp_path / 'a.png'}: {said} ({p:.1%})"
        assert capsys.readouterr().out.splitlines() == [line] * 2


@pytest.mark.parametrize(("model", "classes", "preprocessing", "said"), [
    (nn.Linear(4, 1, rng=0), None, None, "lacks the names of the classes"),
    (nn.Linear(4, 1, rng=0), ["a", "b"], {"size": 8}, "lacks channels"),
    (tn.models.CatClassifier((192, 3, 1), rng=0), ["a", "b"], "right",
     "does not take pictures of shape (3, 8, 8)"),
    (conv_net((3, 4), 8, 1, rng=0), ["a", "b"],
     {"size": 8, "channels": "three", "mirrored": False}, "does not take pictures of shape"),
    (conv_net((1, 4), 8, 1, rng=0), ["a", "b"], "right", "does not take pictures of shape"),
    (conv_net((3, 4), 8, 1, rng=0), ["a", "b", "c"], "right",
     "names 3 classes, and the network gives an array of shape (1, 1)"),
    (conv_net((3, 4), 8, 10, rng=0), ["a", "b"], "right",
     "names 2 classes, and the network gives an array of shape (1, 10)"),
    (nn.Conv2d(3, 2, 3, rng=0), ["a", "b"], "right", "array of shape (1, 2, 6, 6)"),
])
def test_model_files_of_another_kind_are_refused(model, classes, preprocessing, said, tmp_path):
    file = tmp_path / "m.safetensors"
    if preprocessing == "right": preprocessing = {"size": 8, "channels": 3, "mirrored": False}
    tn.save_model(file, model, classes, preprocessing)
    with pytest.raises(tn.DataError) as error:
        common.load_model(file)
    assert f"{file} is no model of this example" in str(error.value)
    assert said in str(error.value) and error.value.path == str(file)


# ---------------------------------------------------------------- training


def test_a_network_of_one_logit_is_trained_on_one_and_of_more_on_all(tmp_path, capsys):
    x, y = bars(32)
    for outputs in (1, 2):
        model = conv_net((3, 8), 8, outputs, rng=0)
        common.fit(model, data.ArrayDataset(x, y), settings(epochs=8, out=tmp_path,
                                                            resume=False),
                   optim.Adam(model.parameters(), lr=0.01))
        assert "epoch 8 of 8: loss " in capsys.readouterr().out
        p = common.probabilities(model, data.ArrayDataset(*bars(20, seed=1)))
        assert p.shape == (20, 2) and np.mean(p.argmax(1) == np.arange(20) % 2) > 0.9

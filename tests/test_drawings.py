"""The drawn data set: the same for everybody, fair to both classes, and whole or absent."""

import json
import os

import numpy as np
import pytest
from PIL import Image

from tinygrad_nn._errors import DataError
from tinygrad_nn.data import _drawings, read_folder
from tinygrad_nn.data._drawings import draw_cat, draw_other, write_drawings


def pixels(draw, seed, size=64):
    return np.asarray(draw(np.random.default_rng(seed), size))


def contents(folder):
    """Every file below a folder with its bytes."""
    return {str(path.relative_to(folder)): path.read_bytes()
            for path in sorted(folder.rglob("*")) if path.is_file()}


# ---------------------------------------------------------------- the pictures

@pytest.mark.parametrize("draw", [draw_cat, draw_other])
@pytest.mark.parametrize("size", [1, 16, 64, 100])
def test_size_and_mode(draw, size):
    picture = draw(np.random.default_rng(0), size)
    assert picture.size == (size, size) and picture.mode == "RGB"


@pytest.mark.parametrize("draw", [draw_cat, draw_other])
def test_the_generator_alone_decides(draw):
    first = pixels(draw, 5)
    assert np.array_equal(first, pixels(draw, 5))
    assert not np.array_equal(first, pixels(draw, 6))
    assert first.std() > 10


@pytest.mark.parametrize(("table", "draw", "least"),
                         [("_CATS", draw_cat, 5), ("_OTHERS", draw_other, 8)])
def test_every_kind_appears(monkeypatch, table, draw, least):
    drawn = []

    class Spy(dict):
        def __getitem__(self, name):
            drawn.append(str(name))
            return super().__getitem__(name)
    kinds = getattr(_drawings, table)
    monkeypatch.setattr(_drawings, table, Spy(kinds))
    for seed in range(50):
        draw(np.random.default_rng(seed), 8)
    assert set(drawn) == set(kinds) and len(kinds) >= least


@pytest.mark.parametrize("kind", sorted(_drawings._OTHERS) + sorted(_drawings._CATS))
def test_every_kind_stays_inside_and_is_all_there(kind):
    strokes = {**_drawings._CATS, **_drawings._OTHERS}[kind]
    for seed in range(4):
        roles = _drawings._subject(np.random.default_rng(seed), strokes, 192)
        assert not roles[[0, -1]].any() and not roles[:, [0, -1]].any()
        assert 0.22 < np.count_nonzero(roles) / roles.size < 0.36
        assert {"line", "coat"} <= {_drawings._ROLES[k] for k in np.unique(roles)}


# ---------------------------------------------------------------- fair to both classes

def colour_features(images):
    """(N, 20): what colours say of pictures (N, 64, 64, 3) when places are forgotten, and the
    border."""
    grey = images.mean(axis=3).reshape(len(images), -1)
    shares = [np.mean(np.abs(grey - level) <= 16, axis=1) for level in range(16, 256, 32)]
    border = np.concatenate([images[:, :3].reshape(len(images), -1, 3),
                             images[:, :, :3].reshape(len(images), -1, 3)], axis=1)
    return np.column_stack([images.mean(axis=(1, 2)), images.std(axis=(1, 2)), *shares,
                            border.mean(axis=1), border.std(axis=1)])


def gap(a, b):
    """The largest difference of two samples' mean features, in standard errors."""
    a, b = colour_features(a), colour_features(b)
    error = np.sqrt(a.var(axis=0, ddof=1) / len(a) + b.var(axis=0, ddof=1) / len(b))
    return np.max(np.abs(a.mean(axis=0) - b.mean(axis=0)) / error)


def recognised(a, b):
    """The share of unseen pictures that the nearest mean of standardised colours gets right."""
    n = len(a) // 2
    x = np.concatenate([colour_features(a), colour_features(b)])
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    a, b = x[:len(a)], x[len(a):]
    way = a[:n].mean(axis=0) - b[:n].mean(axis=0)
    middle = (a[:n].mean(axis=0) + b[:n].mean(axis=0)) / 2
    return (np.mean((a[n:] - middle) @ way > 0) + np.mean((b[n:] - middle) @ way < 0)) / 2


@pytest.fixture(scope="module")
def samples():
    """110 cats and 110 other things, float64 (110, 64, 64, 3) in 0..255."""
    return [np.array([pixels(draw, [k, 110]) for k in range(110)], dtype=float)
            for draw in (draw_cat, draw_other)]


def test_colours_do_not_tell_the_classes_apart(samples):
    cats, others = samples
    assert gap(cats, others) < 3.5
    assert recognised(cats, others) < 0.62


@pytest.mark.parametrize("unfair", [
    lambda x: x * 1.1,                                   # a tenth brighter
    lambda x: np.where(x > 200, 255, x),                 # whiter whites
    lambda x: x * [1.15, 1, 1],                          # a little redder
    lambda x: np.where(x < 60, x * 0.5, x),              # blacker blacks
])
def test_that_check_can_fail(samples, unfair):
    cats, others = samples
    assert gap(np.clip(unfair(cats), 0, 255), others) > 3.5


def test_shares_of_the_picture_come_out_as_drawn():
    for seed in range(6):
        rng = np.random.default_rng(seed)
        strokes = list(_drawings._OTHERS.values())[seed]
        roles = _drawings._subject(rng, strokes, 192)
        share = lambda role: np.mean(roles == _drawings._ROLES.index(role))      # noqa: B023
        _drawings._add_rim(roles, 0.13)
        assert share("white") == pytest.approx(0.13, abs=0.005)
        accent = _drawings._ROLES.index("accent")
        _drawings._add_dots(rng, roles, accent, 0.03)
        assert share("accent") == pytest.approx(0.03, abs=0.006)


# ---------------------------------------------------------------- the folder

def test_a_picture_depends_on_seed_class_and_index_only(tmp_path):
    few = write_drawings(tmp_path / "few", count=2, size=16, seed=3)
    more = contents(write_drawings(tmp_path / "more", count=3, size=16, seed=3))
    assert few == tmp_path / "few"
    assert sorted(more) == ["cats/0000.png", "cats/0001.png", "cats/0002.png", "drawings.json",
                            "other/0000.png", "other/0001.png", "other/0002.png"]
    for name, data in contents(few).items():
        assert name == "drawings.json" or data == more[name]
    assert len(set(more.values())) == 7
    with Image.open(few / "other" / "0001.png") as image:
        assert np.array_equal(np.asarray(image), pixels(draw_other, [3, 1, 1], 16))
    other_seed = write_drawings(tmp_path / "other", count=1, size=16, seed=4)
    assert contents(other_seed)["cats/0000.png"] != more["cats/0000.png"]


def test_an_image_folder_is_what_comes_out(tmp_path):
    images = read_folder(write_drawings(tmp_path / "new" / "d", count=2, size=24), 24)
    assert images.classes == ("other", "cats") and images.x.shape == (4, 24, 24, 3)
    assert not images.skipped


def test_a_complete_folder_is_used_as_it_is(tmp_path, monkeypatch):
    folder = write_drawings(tmp_path / "d", count=2, size=8)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    monkeypatch.setattr(_drawings, "_picture", None)             # drawing would fail
    assert write_drawings(str(folder), count=np.int64(2), size=8) == folder
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "d").mkdir()
    assert len(contents(write_drawings(tmp_path / "d", count=1, size=8))) == 3


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_interrupted_run_leaves_nothing(tmp_path, monkeypatch, error):
    draw, calls = _drawings._picture, []

    def falters(*args):
        calls.append(args)
        if len(calls) == 4: raise error
        return draw(*args)
    monkeypatch.setattr(_drawings, "_picture", falters)
    with pytest.raises(error):
        write_drawings(tmp_path / "d", count=3, size=8)
    assert len(calls) == 4 and not os.listdir(tmp_path)


def test_a_place_that_cannot_be_written_to(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"cannot write drawings to .*file") as caught:
        write_drawings(tmp_path / "file" / "d", count=1, size=8)
    assert caught.value.path == str(tmp_path / "file" / "d")


def foreign_file(folder):
    (folder / "drawings.json").unlink(); (folder / "holiday.jpg").write_text("photo")


def spoilt_record(folder):
    (folder / "drawings.json").write_text("{")


def older_version(folder):
    record = json.loads((folder / "drawings.json").read_text())
    (folder / "drawings.json").write_text(json.dumps({**record, "version": 0}))


def lost_picture(folder):
    (folder / "cats" / "0001.png").unlink()


def empty_picture(folder):
    (folder / "other" / "0000.png").write_bytes(b"")


@pytest.mark.parametrize(("change", "sentence"), [
    (foreign_file, "holds something else"), (spoilt_record, "holds something else"),
    (older_version, "holds drawings of {'version': 0"),
    (lost_picture, "lacks 1 of the pictures"), (empty_picture, "lacks 1 of the pictures"),
])
def test_a_folder_of_anything_else_is_refused_and_kept(tmp_path, change, sentence):
    folder = write_drawings(tmp_path / "d", count=2, size=8)
    change(folder)
    before = contents(tmp_path)
    with pytest.raises(DataError) as caught:
        write_drawings(folder, count=2, size=8)
    assert sentence in str(caught.value) and "delete this one" in str(caught.value)
    assert caught.value.path == str(folder) and contents(tmp_path) == before


@pytest.mark.parametrize("order", [{"count": 1}, {"size": 9}, {"seed": 1}])
def test_other_drawings_are_not_taken_for_these(tmp_path, order):
    folder = write_drawings(tmp_path / "d", count=2, size=8)
    with pytest.raises(DataError, match=r"holds drawings of .*'size': 8, 'seed': 0"):
        write_drawings(folder, **{"count": 2, "size": 8, **order})


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "d").write_text("mine")
    with pytest.raises(DataError, match="holds something else"):
        write_drawings(tmp_path / "d", count=1, size=8)
    assert (tmp_path / "d").read_text() == "mine"


@pytest.mark.parametrize(("argument", "value", "least"), [
    ("count", 0, 1), ("count", 2.5, 1), ("size", -1, 1), ("size", "64", 1), ("seed", -1, 0),
    ("seed", None, 0),
])
def test_arguments_are_whole_numbers(tmp_path, argument, value, least):
    with pytest.raises(ValueError, match=f"{argument} must be a whole number from {least} up; "
                                         f"got {value!r}"):
        write_drawings(tmp_path / "d", **{argument: value})
    assert not os.listdir(tmp_path)

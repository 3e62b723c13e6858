"""The cost curve and the gallery that the examples save: PNG files that show something."""

import importlib.util
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

FILE = Path(__file__).parents[1] / "examples" / "pictures.py"
spec = importlib.util.spec_from_file_location("examples_pictures", FILE)
pictures = importlib.util.module_from_spec(spec)
spec.loader.exec_module(pictures)


def opened(path):
    with Image.open(path) as image:
        assert image.format == "PNG" and image.mode == "RGB"
        return np.asarray(image)


def ink(pixels):
    """How many pixels are not the white of the paper."""
    return np.count_nonzero((pixels < 250).any(axis=-1))


def blue(pixels):
    """Where the curve's own colour is: (rows, columns)."""
    r, b = pixels[..., 0].astype(int), pixels[..., 2].astype(int)
    return np.nonzero(b - r > 100)


def test_a_cost_curve_falls_from_left_to_right(tmp_path):
    path = tmp_path / "cost.png"
    pictures.cost_curve(np.linspace(0.7, 0.1, 26), path, every=100, title="Cost")
    pixels = opened(path)
    assert 300 <= pixels.shape[0] <= 1000 and 500 <= pixels.shape[1] <= 1600
    rows, columns = blue(pixels)
    assert np.ptp(columns) > 0.8 * pixels.shape[1] and np.ptp(rows) > 0.5 * pixels.shape[0]
    assert np.corrcoef(rows, columns)[0, 1] > 0.99


def test_title_and_spacing_are_drawn(tmp_path):
    made = []
    for title, every in (("Cost", 1), ("Another title", 1), ("Cost", 100)):
        pictures.cost_curve([0.7, 0.5, 0.4], tmp_path / "cost.png", every=every, title=title)
        made.append(opened(tmp_path / "cost.png"))
    assert (made[0][:50] != made[1][:50]).any() and (made[0][50:] == made[1][50:]).all()
    assert (made[0][:50] == made[2][:50]).all() and (made[0][50:] != made[2][50:]).any()


@pytest.mark.parametrize("costs", [
    [0.7], [0.0], [0.5, 0.5], [-3.0, -3.5], [1, 10, 1e5, 2e6], [1e-12, 5e-13, 0], [1e300, 1],
    [0.7, np.nan, 0.6, np.inf, 0.5, 0.4], [1, 1 + 1e-15], np.float32([[0.7], [0.6]]),
])
def test_odd_costs_are_drawn(tmp_path, costs):
    pictures.cost_curve(costs, tmp_path / "cost.png")
    assert len(blue(opened(tmp_path / "cost.png"))[0]) > 10


@pytest.mark.parametrize("costs", [[], [np.nan, np.inf]])
def test_without_a_finite_cost_the_file_says_so(tmp_path, costs):
    pictures.cost_curve(costs, tmp_path / "cost.png")
    pixels = opened(tmp_path / "cost.png")
    assert ink(pixels) > 300 and len(blue(pixels)[0]) == 0


def test_ticks_are_round_and_cover_the_data():
    assert pictures._ticks(0, 2499, 8, least=1) == [0, 500, 1000, 1500, 2000, 2500]
    assert pictures._ticks(0, 0.77, 6) == [0, 0.2, 0.4, 0.6, 0.8]
    assert pictures._ticks(0, 1, 8, least=1) == [0, 1]
    assert pictures._labels([0, 0.05, 0.1]) == ["0.00", "0.05", "0.10"]
    assert pictures._labels([0, 500, 1000]) == ["0", "500", "1,000"]
    rng = np.random.default_rng(0)
    for _ in range(200):
        low = rng.normal() * 10.0 ** rng.integers(-8, 8)
        high = low + max(10.0 ** rng.uniform(-6, 8), 1e-6 * abs(low))
        ticks = pictures._ticks(low, high, 6)
        step = (ticks[-1] - ticks[0]) / (len(ticks) - 1)
        assert 2 <= len(ticks) <= 9
        assert ticks[0] <= low + step * 1e-3 and ticks[-1] >= high - step * 1e-3


def test_a_gallery_shows_every_picture_with_its_caption(tmp_path):
    x = np.zeros((7, 16, 16, 3), np.float32)
    x[..., 0] = 1
    pictures.gallery(x, ["cat, said 12 % cat\nc.png"] * 7, tmp_path / "g.png", "Mislabelled")
    pixels = opened(tmp_path / "g.png")
    red = (pixels == [255, 0, 0]).all(axis=-1)
    assert red.sum() == 7 * (pictures.TILE - 2) ** 2  # each enlarged, in a frame of 1 pixel
    plain = tmp_path / "plain.png"
    pictures.gallery(x, [""] * 7, plain, "Mislabelled")
    assert ink(pixels) > ink(opened(plain)) + 7 * 100


def test_columns_can_be_chosen(tmp_path):
    x = np.full((6, 8, 8, 3), 0.5)
    shapes = []
    for columns in (3, 6, 99):
        pictures.gallery(x, ["a"] * 6, tmp_path / "g.png", columns=columns)
        shapes.append(opened(tmp_path / "g.png").shape)
    assert shapes[0][0] > shapes[1][0] and shapes[0][1] < shapes[1][1]
    assert shapes[1] == shapes[2]


def test_a_gallery_has_a_limit_and_says_so(tmp_path):
    x = np.full((pictures.MOST + 5, 4, 4, 3), 0.5)
    pictures.gallery(x, ["a"] * len(x), tmp_path / "g.png", "Wrong")
    pictures.gallery(x[:-5], ["a"] * pictures.MOST, tmp_path / "h.png", "Wrong")
    many, most = opened(tmp_path / "g.png"), opened(tmp_path / "h.png")
    assert many.shape == most.shape and many.shape[0] < 1500 and many.shape[1] < 1500
    assert ink(many[:55]) > ink(most[:55]) and (many[55:] == most[55:]).all()


def test_an_empty_gallery_says_that_nothing_went_wrong(tmp_path):
    pictures.gallery(np.zeros((0, 8, 8, 3)), [], tmp_path / "g.png", "Mislabelled")
    pixels = opened(tmp_path / "g.png")
    assert pixels.shape[1] > 300 and ink(pixels[60:]) > 300


def test_values_beyond_0_to_1_do_not_wrap_around(tmp_path):
    x = np.stack([np.full((4, 4, 3), value) for value in (-0.5, 1.5, np.nan)])
    long = "a very long caption that does not fit under its picture"
    pictures.gallery(x, [long] * 3, tmp_path / "g.png")
    pixels = opened(tmp_path / "g.png")
    row = pixels[pictures.HEAD + 64, pictures.EDGE + 64::pictures.TILE + pictures.GAP][:3, 0]
    assert row.tolist() == [0, 255, 0]


def test_each_picture_needs_a_caption(tmp_path):
    with pytest.raises(ValueError, match="got 1 captions for 2 pictures"):
        pictures.gallery(np.zeros((2, 4, 4, 3)), ["one"], tmp_path / "g.png")
    assert not list(tmp_path.iterdir())


def test_files_are_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "cost.png"
    pictures.cost_curve([2, 1], path)
    assert os.listdir(tmp_path) == ["cost.png"]
    before = path.read_bytes()

    def broken(self, file, **options):
        file.write(b"half a fi")
        raise OSError("no space left on device")
    monkeypatch.setattr(Image.Image, "save", broken)
    with pytest.raises(OSError, match="no space left"): pictures.cost_curve([3, 1], path)
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["cost.png"]

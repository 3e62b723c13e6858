"""Augmentation against naive references: one pixel, one number at a time."""

import math

import numpy as np
import pytest
from painting import refusal
from PIL import Image

from tinygrad_nn._errors import DataError
from tinygrad_nn.data.augment import (
    ColorJitter,
    Compose,
    RandomAffine,
    RandomHorizontalFlip,
    RandomResizedCrop,
    RandomVerticalFlip,
)


class Most:
    """A generator that always draws the greatest number."""

    uniform = staticmethod(lambda low, high: high)


def picture(channels=3, height=9, width=12, dtype=np.float64, seed=0):
    x = np.random.default_rng(seed).random((channels, height, width)).astype(dtype)
    x.flags.writeable = False                          # nothing may write to it
    return x


ALL = [RandomHorizontalFlip(), RandomVerticalFlip(), RandomResizedCrop(7),
       RandomAffine(30, (0.3, 0.2), (0.5, 2), 10), RandomAffine(30, fill=0.5),
       ColorJitter(0.5, 0.5, 0.5, 0.2)]
ALL.append(Compose(ALL))


# ---- what all of them promise


@pytest.mark.parametrize("change", ALL, ids=lambda change: type(change).__name__)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_function_of_picture_and_generator_alone(change, dtype, channels):
    x = picture(channels, dtype=dtype)
    got = [change(x, np.random.default_rng(seed)) for seed in (*range(20), *range(20))]
    for a, b in zip(got[:20], got[20:], strict=True): np.testing.assert_array_equal(a, b)
    for a in got:
        assert a.dtype == dtype and len(a) == channels and a.min() >= 0 and a.max() <= 1 + 1e-6
    assert len({a.tobytes() for a in got}) > 1


@pytest.mark.parametrize("change", ALL[:-1], ids=lambda change: type(change).__name__)
@pytest.mark.parametrize("x", [np.zeros((3, 4, 4), np.uint8), np.zeros((4, 4)),
                               Image.new("RGB", (4, 4)), None])
def test_what_is_no_picture_of_floats_is_refused(change, x):
    with pytest.raises(DataError) as error: change(x, np.random.default_rng(0))
    refusal(error, f"{type(change).__name__} takes a picture as an array of floats of shape "
            "(C, H, W)", "got ")


def test_settings_are_shown_so_that_they_can_be_typed_again():
    for change in ALL:
        again = eval(repr(change))
        assert repr(again) == repr(change) and type(again) is type(change)


def test_changes_are_made_in_order():
    x = picture()
    double, less = lambda x, rng: 2 * x, lambda x, rng: x - 1
    np.testing.assert_array_equal(Compose([double, less])(x, None), 2 * x - 1)
    assert Compose([])(x, None) is x


# ---- flips


@pytest.mark.parametrize(("flip", "axis"), [(RandomHorizontalFlip, 2), (RandomVerticalFlip, 1)])
def test_flips(flip, axis):
    x, rng = picture(), np.random.default_rng(0)
    np.testing.assert_array_equal(flip(1.0)(x, rng), np.flip(x, axis))
    np.testing.assert_array_equal(flip(0.0)(x, rng), x)
    flipped = sum(bool((flip(0.25)(x, rng) != x).any()) for _ in range(4000))
    assert abs(flipped - 1000) < 6 * math.sqrt(4000 * 0.25 * 0.75)
    for p in (-0.1, 1.1, math.nan, "half"):
        with pytest.raises(ValueError, match=r"p must lie within 0\.\.1"): flip(p)


# ---- rotation, shear, zoom and shift


def naive(x, degrees=0, shift=(0, 0), zoom=(1, 1), shear=0, fill="nearest"):
    """Every pixel by itself, with 3 × 3 matrices, in pixel coordinates that point down."""
    channels, height, width = x.shape
    t, s = math.radians(degrees), math.tan(math.radians(shear))
    centre = np.array([[1, 0, (width - 1) / 2], [0, 1, (height - 1) / 2], [0, 0, 1]])
    move = np.array([[1, 0, shift[0] * width], [0, 1, shift[1] * height], [0, 0, 1]])
    turn = np.array([[math.cos(t), math.sin(t), 0], [-math.sin(t), math.cos(t), 0], [0, 0, 1]])
    lean = np.array([[1, -s, 0], [0, 1, 0], [0, 0, 1]])
    forth = move @ centre @ turn @ lean @ np.diag([*zoom, 1]) @ np.linalg.inv(centre)
    out = np.empty(x.shape)
    for row in range(height):
        for column in range(width):
            u, v, _ = np.linalg.solve(forth, [column, row, 1])
            outside = not (-0.5 <= u <= width - 0.5 and -0.5 <= v <= height - 0.5)
            u, v = min(max(u, 0), width - 1), min(max(v, 0), height - 1)
            total = np.zeros(channels)
            for i in {math.floor(u), math.ceil(u)}:
                for j in {math.floor(v), math.ceil(v)}:
                    total += (1 - abs(u - i)) * (1 - abs(v - j)) * x[:, j, i]
            out[:, row, column] = fill if outside and fill != "nearest" else total
    return out


@pytest.mark.parametrize("settings", [
    {"degrees": 33}, {"shift": (0.21, 0.13)}, {"zoom": (1.7, 1.7)}, {"zoom": (0.6, 1.3)},
    {"shear": 25}, {"degrees": 15, "shift": (0.1, 0.2), "zoom": (0.7, 1.1), "shear": 8},
])
@pytest.mark.parametrize("fill", ["nearest", 0.25])
@pytest.mark.parametrize("shape", [(3, 9, 12), (1, 13, 5), (2, 1, 6)])
def test_affine_maps_against_the_naive_reference(settings, fill, shape):
    x = picture(*shape)
    change = RandomAffine(
        settings.get("degrees", 0), settings.get("shift", (0, 0)),
        tuple((0.5, z) if z > 0.5 else (z, z) for z in settings.get("zoom", (1, 1))),
        settings.get("shear", 0), fill)
    np.testing.assert_allclose(change(x, Most), naive(x, fill=fill, **settings), atol=1e-10)


def test_a_picture_of_several_strips_against_the_naive_reference():
    x = picture(1, 70, 90)
    np.testing.assert_allclose(RandomAffine(20, (0.1, 0), fill=0)(x, Most),
                               naive(x, 20, (0.1, 0), fill=0), atol=1e-10)
    wide = picture(1, 2, 5000)
    np.testing.assert_allclose(RandomAffine(translate=(0.1, 0))(wide, Most)[:, :, 500:],
                               wide[:, :, :4500], atol=1e-9)


@pytest.mark.parametrize("quarters", [-1, 1, 2])
def test_quarter_turns_are_exact_and_counter_clockwise(quarters):
    x = picture(3, 8, 8)
    change = RandomAffine(degrees=(90 * quarters, 90 * quarters))
    np.testing.assert_allclose(change(x, np.random.default_rng(0)),
                               np.rot90(x, quarters, axes=(1, 2)), atol=1e-12)


def test_a_shift_continues_the_edge_or_shows_the_fill():
    x = picture(3, 4, 10)
    right = RandomAffine(translate=(0.3, 0))(x, Most)
    np.testing.assert_allclose(right[:, :, 3:], x[:, :, :7], atol=1e-12)
    np.testing.assert_allclose(right[:, :, :3], np.repeat(x[:, :, :1], 3, axis=2), atol=1e-12)
    black = RandomAffine(translate=(0, 0.5), fill=0)(x, Most)
    np.testing.assert_allclose(black[:, 2:], x[:, :2], atol=1e-12)
    assert not black[:, :2].any()
    gone = RandomAffine(translate=(1, 1), fill=0.5)(x, Most)
    np.testing.assert_allclose(gone, 0.5)


def test_what_does_nothing_changes_nothing():
    for x in (picture(), picture(dtype=np.float32)):
        np.testing.assert_array_equal(RandomAffine()(x, np.random.default_rng(0)), x)


def test_upright_lines_lean_to_the_right_and_zoom_enlarges():
    x = np.zeros((1, 9, 9))
    x[0, :, 4] = 1
    top = RandomAffine(shear=(45, 45))(x, Most)[0, 0]
    assert top.argmax() == 8                           # four rows above the middle
    assert RandomAffine(scale=(3, 3))(x, Most)[0, 4].sum() > 2.9


def test_the_axes_zoom_together_or_apart():
    x, rng = picture(1, 40, 40), np.random.default_rng(0)
    x = np.pad(np.ones((1, 20, 20)), [(0, 0), (10, 10), (10, 10)])
    spans = {}
    for name, scale in (("together", (0.5, 1.5)), ("apart", ((0.5, 1.5), (0.5, 1.5)))):
        got = [RandomAffine(scale=scale)(x, rng)[0] > 0.5 for _ in range(50)]
        spans[name] = np.array([(a.any(axis=0).sum(), a.any(axis=1).sum()) for a in got])
    assert (spans["together"][:, 0] == spans["together"][:, 1]).all()
    assert abs(np.corrcoef(spans["apart"].T)[0, 1]) < 0.4
    for span in spans.values(): assert span.min() < 13 and span.max() > 27


@pytest.mark.parametrize("settings", [
    {"degrees": -1}, {"degrees": 361}, {"degrees": (3, 2)}, {"shear": 90}, {"scale": (0, 1)},
    {"scale": (2, 1)}, {"scale": (1, math.inf)}, {"scale": 1}, {"translate": 0.1},
    {"translate": (2, 0)}, {"fill": "black"}, {"fill": 2}, {"degrees": (1, 2, 3)},
    {"degrees": math.nan}, {"scale": ((1, 2), (0, 1))},
])
def test_affine_settings_are_checked(settings):
    with pytest.raises(ValueError, match=next(iter(settings)) + " must "):
        RandomAffine(**settings)


# ---- crops


def triangle(n, low, high, size):
    """The (size, n) matrix that resizes low..high of n pixels by Pillow's bilinear filter."""
    step = (high - low) / size
    reach = max(step, 1)
    place = low + (np.arange(size) + 0.5) * step
    weights = np.maximum(0, 1 - abs(np.arange(n) + 0.5 - place[:, None]) / reach)
    return weights / weights.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("size", [3, 8, 30])
def test_a_crop_against_the_naive_reference(size):
    x, change = picture(3, 20, 16), RandomResizedCrop(size, (0.2, 0.8))
    for seed in range(10):
        left, top, right, bottom = change._box(20, 16, np.random.default_rng(seed))
        rows, columns = triangle(20, top, bottom, size), triangle(16, left, right, size)
        np.testing.assert_allclose(change(x, np.random.default_rng(seed)),
                                   rows @ x @ columns.T, atol=1e-5)


def test_crops_have_the_areas_and_ratios_that_were_asked_for():
    change, rng = RandomResizedCrop(4, (0.3, 0.6), (0.5, 2)), np.random.default_rng(0)
    boxes = np.array([change._box(30, 40, rng) for _ in range(2000)])
    w, h = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    assert boxes.min() >= 0 and (boxes[:, 2] <= 40).all() and (boxes[:, 3] <= 30).all()
    area, ratio = w * h / 1200, w / h
    assert 0.3 - 1e-9 <= area.min() < 0.32 and 0.58 < area.max() <= 0.6 + 1e-9
    assert 0.5 - 1e-9 <= ratio.min() < 0.55 and 1.9 < ratio.max() <= 2 + 1e-9
    left, top = boxes[:, 0] / (40 - w), boxes[:, 1] / (30 - h)
    for place in (left, top): assert abs(place.mean() - 0.5) < 0.03
    change = RandomResizedCrop(4, (0.1, 0.3), (0.5, 2))            # any of these fits a square
    boxes = np.array([change._box(30, 30, rng) for _ in range(2000)])
    w, h = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    assert abs(np.log(w / h).mean()) < 0.05


def test_a_crop_of_everything_is_the_picture_and_one_that_never_fits_too():
    x = picture(3, 8, 8, np.float32)
    for change in (RandomResizedCrop(8, (1, 1), (1, 1)), RandomResizedCrop(8, (1, 1), (2, 2))):
        np.testing.assert_array_equal(change(x, np.random.default_rng(0)), x)


@pytest.mark.parametrize("settings", [
    {"size": 0}, {"size": 2.5}, {"size": (3, 3)}, {"scale": (0, 1)}, {"scale": (0.5, 1.1)},
    {"scale": 0.5}, {"ratio": (2, 1)}, {"ratio": (0, 1)},
])
def test_crop_settings_are_checked(settings):
    with pytest.raises(ValueError, match=next(iter(settings)) + " must "):
        RandomResizedCrop(**{"size": 4, **settings})


# ---- colours


def test_brightness_contrast_and_saturation_against_their_definitions():
    x = 0.3 + 0.2 * picture()                          # nothing gets clipped
    grey = lambda x: 0.299 * x[0] + 0.587 * x[1] + 0.114 * x[2]
    for b, c, s in ((1.2, 1, 1), (1, 1.4, 1), (1, 1, 0.3), (1, 1, 0), (0.8, 1.3, 1.5)):
        y = b * x
        y = c * y + (1 - c) * grey(y).mean()
        y = s * y + (1 - s) * grey(y)
        got = ColorJitter((b, b), (c, c), (s, s))(x, np.random.default_rng(0))
        np.testing.assert_allclose(got, y, atol=1e-12)


def test_a_hue_is_turned_about_grey():
    x, rng = 0.4 + 0.1 * picture(), np.random.default_rng(0)
    grey = lambda x: np.tensordot([0.299, 0.587, 0.114], x, 1)
    half, third = (ColorJitter(hue=(turn, turn)) for turn in (0.5, 1 / 3))
    np.testing.assert_allclose(grey(half(x, rng)), grey(x), atol=1e-12)
    np.testing.assert_allclose(half(half(x, rng), rng), x, atol=1e-12)
    np.testing.assert_allclose(third(third(third(x, rng), rng), rng), x, atol=1e-12)
    np.testing.assert_allclose(half(x, rng) + x, 2 * grey(x) + 0 * x, atol=1e-12)  # opposite
    flat = np.full((3, 2, 2), 0.6)
    np.testing.assert_allclose(third(flat, rng), flat, atol=1e-12)


def test_colours_are_clipped_and_grey_pictures_stay_grey():
    rng = np.random.default_rng(0)
    x = ColorJitter(brightness=(3, 3))(picture(), rng)
    np.testing.assert_allclose(x, np.minimum(3 * picture(), 1), atol=1e-12)
    grey = 0.4 + 0.1 * picture(1)
    got = ColorJitter((1.1, 1.1), (2, 2), (0, 0), (0.3, 0.3))(grey, rng)
    np.testing.assert_allclose(got, 1.1 * (2 * grey - grey.mean()), atol=1e-12)
    with pytest.raises(DataError, match=r"1 or 3 channels; got \(2, 9, 12\)"):
        ColorJitter()(picture(2), rng)


def test_factors_are_drawn_within_their_range():
    x, rng = np.full((3, 1, 1), 0.4), np.random.default_rng(0)
    got = np.array([ColorJitter(brightness=0.5)(x, rng)[0, 0, 0] / 0.4 for _ in range(1000)])
    assert 0.5 <= got.min() < 0.51 and 1.49 < got.max() <= 1.5 and abs(got.mean() - 1) < 0.05
    assert ColorJitter(contrast=2).contrast == (0, 3)


@pytest.mark.parametrize("settings", [
    {"brightness": -1}, {"contrast": (2, 1)}, {"saturation": (-1, 1)}, {"hue": 0.6},
    {"hue": (-0.7, 0)}, {"brightness": math.inf}, {"contrast": math.nan}, {"hue": -0.1},
])
def test_colour_settings_are_checked(settings):
    with pytest.raises(ValueError, match=next(iter(settings)) + " must "):
        ColorJitter(**settings)

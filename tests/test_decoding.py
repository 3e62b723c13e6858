"""Odd pictures: how deep, how large, how grey, and what threads must not disturb.

The ordinary modes, orientations and damaged files are in `test_image`.
"""

import struct
import threading
import warnings
import zlib

import numpy as np
import pytest
from painting import BLUE, RED, paint, refusal
from PIL import Image

from tinygrad_nn._errors import DataError
from tinygrad_nn.data import _images, read_image


def png(path, width, height, depth, kind, rows=b""):
    """Write a PNG by hand: also what Pillow does not write, and sizes that are not there."""
    chunk = lambda name, body: (struct.pack(">I", len(body)) + name + body
                                + struct.pack(">I", zlib.crc32(name + body)))
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
                     + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
    return path


# ---- depth


def test_sixteen_bits_are_divided_by_65535(tmp_path):
    values = np.array([[0, 1], [32768, 65535]], np.uint16)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    grey = read_image(png(tmp_path / "grey.png", 2, 2, 16, 0, rows), 2)
    np.testing.assert_allclose(grey[:, :, 1], values / 65535, atol=1e-7)
    rows = b"".join(b"\0" + np.repeat(row, 3).astype(">u2").tobytes() for row in values)
    colour = read_image(png(tmp_path / "colour.png", 2, 2, 16, 2, rows), 2)
    np.testing.assert_allclose(colour[:, :, 1], values / 65535, atol=1 / 255)
    for mode in ("I;16", "I"):
        Image.fromarray(values.astype(np.int32 if mode == "I" else np.uint16)).save(
            tmp_path / "a.tif")
        got = read_image(tmp_path / "a.tif", 2)[:, :, 0]
        np.testing.assert_allclose(got, values / 65535, atol=1e-7)


def test_integers_beyond_sixteen_bits_and_below_zero_are_stretched(tmp_path):
    for values in ([[0, 70000], [35000, 7000]], [[-100, 100], [0, 50]]):
        a = np.array(values, np.int32)
        Image.fromarray(a).save(tmp_path / "a.tif")
        want = (a - a.min()) / (a.max() - a.min())
        np.testing.assert_allclose(read_image(tmp_path / "a.tif", 2)[:, :, 0], want, atol=1e-6)


def test_floats_within_their_range_are_not_saturated(tmp_path):
    values = np.array([[0.0, 0.25], [0.5, 1.0]], np.float32)
    Image.fromarray(values).save(tmp_path / "a.tif")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif", 2)[:, :, 2], values)
    Image.fromarray(values * 255).save(tmp_path / "b.tif")
    np.testing.assert_allclose(read_image(tmp_path / "b.tif", 2)[:, :, 2], values, atol=1e-6)
    Image.fromarray(np.full((2, 2), np.nan, np.float32)).save(tmp_path / "nan.tif")
    with pytest.raises(DataError) as error: read_image(tmp_path / "nan.tif", 2)
    refusal(error, "not finite", path=tmp_path / "nan.tif")


def test_eight_bits_stay_bytes_until_they_are_asked_for(tmp_path):
    x = _images.decode(paint(tmp_path / "a.png"), 3)
    assert x.dtype == np.uint8 and x.shape == (3, 3, 3)
    deep = _images.decode(paint(tmp_path / "b.tif", 0.25, mode="F"), 3)
    assert deep.dtype == np.float32 and deep.shape == (3, 3, 3)
    np.testing.assert_array_equal(_images.as_floats(x), read_image(tmp_path / "a.png", 3))


# ---- colour and grey


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_few_bits_and_palettes(tmp_path, bits):
    image = Image.new("P", (8, 8), 1)
    image.putpalette([*BLUE, *RED])
    image.save(tmp_path / "a.png", bits=bits)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png", 4)[3, 3], [1, 0, 0])


def test_cmyk_without_and_with_adobes_inversion(tmp_path):
    for suffix in ("jpg", "tif"):                      # Pillow writes the JPEG inverted
        path = paint(tmp_path / f"a.{suffix}", (255, 255, 0, 0), (16, 16), "CMYK")
        np.testing.assert_allclose(read_image(path, 4)[2, 2], [0, 0, 1], atol=0.02)


@pytest.mark.parametrize("alpha", [0, 51, 255])
def test_transparency_is_seen_on_white_in_colour_and_in_grey(tmp_path, alpha):
    colour = paint(tmp_path / "a.png", (*RED, alpha), mode="RGBA")
    share = alpha / 255
    np.testing.assert_allclose(read_image(colour, 4)[1, 1], [1, 1 - share, 1 - share],
                               atol=0.005)
    grey = paint(tmp_path / "b.png", (0, alpha), mode="LA")
    for x in (read_image(grey, 4), read_image(grey, 4, grey=True)):
        np.testing.assert_allclose(x[1, 1], 1 - share, atol=0.005)


@pytest.mark.parametrize(("mode", "colour", "suffix", "expected"), [
    ("L", 51, "png", 0.2), ("1", 1, "png", 1), ("I;16", 13107, "png", 0.2),
    ("F", 0.2, "tif", 0.2), ("RGB", (0, 255, 0), "png", 0.587), ("P", 0, "gif", 0),
    ("CMYK", (0, 0, 0, 255), "jpg", 0),
])
def test_grey_has_one_channel(tmp_path, mode, colour, suffix, expected):
    x = read_image(paint(tmp_path / f"a.{suffix}", colour, (20, 10), mode), 4, grey=True)
    assert x.shape == (4, 4, 1) and x.dtype == np.float32
    np.testing.assert_allclose(x[2, 1], expected, atol=0.012)


def test_an_animation_with_its_own_palettes_gives_its_first_frame(tmp_path):
    frames = [Image.new("P", (6, 6), 0) for _ in range(3)]
    for frame, colour in zip(frames, (RED, BLUE, (0, 255, 0)), strict=True):
        frame.putpalette(colour)
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], duration=20)
    np.testing.assert_array_equal(read_image(tmp_path / "a.gif", 3)[1, 1], [1, 0, 0])


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (3, 2)])
def test_tiny_and_thin_pictures_are_squashed_too(tmp_path, size):
    for suffix in ("jpg", "png"):
        x = read_image(paint(tmp_path / f"a.{suffix}", size=size), 8)
        np.testing.assert_allclose(x, np.broadcast_to([1, 0, 0], (8, 8, 3)), atol=0.02)


# ---- how many pixels


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(tmp_path):
    path = png(tmp_path / "a.png", 8193, 8192, 8, 2)   # 67 million pixels, none in the file
    with pytest.raises(DataError) as error: read_image(path, 4)
    refusal(error, "it has 8193 × 8192 pixels, and no more than 67108864 are decoded",
            "make it smaller", path=path)
    path = png(tmp_path / "b.png", 65000, 65000, 8, 2)
    with pytest.raises(DataError) as error: read_image(path, 4)
    refusal(error, "decompression bomb", path=path)


def test_what_counts_is_the_pixels_that_are_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr(_images, "MAX_PIXELS", 30 * 30)
    assert read_image(paint(tmp_path / "a.jpg", size=(200, 200)), 8).shape == (8, 8, 3)
    with pytest.raises(DataError, match="200 × 200 pixels"):
        read_image(paint(tmp_path / "a.png", size=(200, 200)), 8)
    with pytest.raises(DataError, match="200 × 200 pixels"):        # not drafted at this size
        read_image(tmp_path / "a.jpg", 100)


# ---- the warnings filters belong to everybody


def test_reading_in_a_thread_leaves_the_filters_of_others_alone(tmp_path, monkeypatch):
    path, reading, go_on = paint(tmp_path / "a.png"), threading.Event(), threading.Event()
    pixels = _images._pixels

    def slow(*arguments):
        reading.set()
        assert go_on.wait(10)
        return pixels(*arguments)
    monkeypatch.setattr(_images, "_pixels", slow)
    thread = threading.Thread(target=read_image, args=(path, 4))
    thread.start()
    assert reading.wait(10)
    with warnings.catch_warnings(record=True) as seen:       # begins while a picture is read
        warnings.simplefilter("always")
        go_on.set()
        thread.join()                                        # which ends within it
        warnings.warn("ours", stacklevel=1)
    assert [str(w.message) for w in seen] == ["ours"]


def test_pillows_warnings_are_hidden_and_no_others(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_image(paint(tmp_path / "a.jpg", exif=b"Exif\0\0II*\0\x08\0\0\0\x05\0\x12"), 4)
        with pytest.raises(UserWarning, match="ours"): warnings.warn("ours", stacklevel=1)

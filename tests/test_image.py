"""One picture of any format and mode: what is read, and what is refused."""

import io
import threading
import warnings

import numpy as np
import pytest
from painting import BLUE, RED, paint, refusal
from PIL import Image

from tinygrad_nn._errors import DataError
from tinygrad_nn.data import read_image


def test_a_picture_becomes_a_square_of_floats(tmp_path):
    x = read_image(paint(tmp_path / "a.png"), 4)
    assert x.shape == (4, 4, 3) and x.dtype == np.float32
    assert x.flags.c_contiguous and x.flags.writeable
    np.testing.assert_array_equal(x, np.broadcast_to(np.float32([1, 0, 0]), (4, 4, 3)))


def test_a_picture_of_the_wanted_size_keeps_its_pixels(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(str(tmp_path / "a.png"), np.int64(5)),
                                  pixels / np.float32(255))


def test_the_whole_picture_is_squashed_and_averaged(tmp_path):
    stripes = np.zeros((30, 90, 3), np.uint8)
    stripes[:, :45] = 200
    stripes[::2] += 20                                # vanishes when all pixels count
    Image.fromarray(stripes).save(tmp_path / "a.png")
    x = read_image(tmp_path / "a.png", 2)
    np.testing.assert_allclose(x[:, 0], 210 / 255, atol=0.08)
    np.testing.assert_allclose(x[:, 1], 10 / 255, atol=0.08)
    assert abs(x[0] - x[1]).max() < 0.01


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
def test_exif_orientation_is_applied(tmp_path, orientation, suffix):
    upright = np.zeros((32, 16, 3), np.uint8)
    upright[:16, :8], upright[:16, 8:], upright[16:, :8] = RED, BLUE, (0, 255, 0)
    undo = {2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
            4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE,
            6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
            8: Image.Transpose.ROTATE_270}.get(orientation)
    image, exif = Image.fromarray(upright), Image.Exif()
    exif[0x0112] = orientation
    if undo is not None: image = image.transpose(undo)
    image.save(tmp_path / f"a.{suffix}", exif=exif, quality=100)
    x = read_image(tmp_path / f"a.{suffix}", 32)
    corners = x[8, 8], x[8, 24], x[24, 8], x[24, 24]
    np.testing.assert_allclose(corners, [[1, 0, 0], [0, 0, 1], [0, 1, 0], [0, 0, 0]], atol=0.1)


def test_a_large_jpeg_is_read_as_the_full_decode_would(tmp_path):
    ramp = np.linspace(0, 255, 901).astype(np.uint8)  # 901 is no multiple of a JPEG block
    pixels = np.stack(np.broadcast_arrays(ramp[:, None], ramp[None], np.uint8(90)), axis=-1)
    Image.fromarray(pixels).save(tmp_path / "a.jpg", quality=95)
    full = Image.open(tmp_path / "a.jpg").resize((16, 16), Image.Resampling.LANCZOS)
    assert abs(read_image(tmp_path / "a.jpg", 16) * 255 - np.asarray(full, float)).max() <= 2


@pytest.mark.parametrize(("mode", "colour", "suffix", "expected"), [
    ("L", 51, "png", (0.2, 0.2, 0.2)),
    ("1", 1, "png", (1, 1, 1)),
    ("P", 0, "gif", (0, 0, 0)),
    ("RGBA", (255, 0, 0, 255), "png", (1, 0, 0)),
    ("RGBA", (255, 0, 0, 51), "png", (1, 0.8, 0.8)),
    ("RGBA", (255, 0, 0, 0), "webp", (1, 1, 1)),
    ("LA", (0, 0), "png", (1, 1, 1)),
    ("CMYK", (0, 255, 255, 0), "tif", (1, 0, 0)),
    ("CMYK", (0, 255, 255, 0), "jpg", (1, 0, 0)),
    ("I;16", 13107, "png", (0.2, 0.2, 0.2)),
    ("I", 13107, "tif", (0.2, 0.2, 0.2)),
    ("F", 0.2, "tif", (0.2, 0.2, 0.2)),
    ("YCbCr", (76, 85, 255), "jpg", (1, 0, 0)),
    ("RGB", RED, "bmp", (1, 0, 0)),
    ("RGB", RED, "PPM", (1, 0, 0)),
])
def test_every_mode_becomes_rgb(tmp_path, mode, colour, suffix, expected):
    x = read_image(paint(tmp_path / f"a.{suffix}", colour, (20, 10), mode), 4)
    assert x.shape == (4, 4, 3) and x.dtype == np.float32
    np.testing.assert_allclose(x[2, 1], expected, atol=0.012)


def test_palettes_keep_their_colours_and_their_transparency(tmp_path):
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, *RED])
    image.save(tmp_path / "opaque.png")
    image.save(tmp_path / "clear.png", transparency=1)
    image.save(tmp_path / "bytes.png", transparency=bytes([255, 0]))
    np.testing.assert_array_equal(read_image(tmp_path / "opaque.png", 2)[0, 0], [1, 0, 0])
    assert read_image(tmp_path / "clear.png", 2).min() == 1
    assert read_image(tmp_path / "bytes.png", 2).min() == 1


def test_floats_beyond_their_range_are_stretched(tmp_path):
    grey = np.linspace(-5, 15, 16, dtype=np.float32).reshape(4, 4)
    Image.fromarray(grey).save(tmp_path / "a.tif")
    x = read_image(tmp_path / "a.tif", 4)[:, :, 1]
    np.testing.assert_allclose(x, (grey + 5) / 20, atol=1e-6)
    Image.fromarray(np.full((4, 4), 7.0, np.float32)).save(tmp_path / "flat.tif")
    assert not read_image(tmp_path / "flat.tif", 4).any()
    Image.fromarray(np.where(grey > 0, np.inf, grey)).save(tmp_path / "inf.tif")
    with pytest.raises(DataError, match="not finite"): read_image(tmp_path / "inf.tif", 4)


@pytest.mark.parametrize("suffix", ["gif", "png", "webp", "tif"])
def test_of_an_animation_the_first_frame_is_read(tmp_path, suffix):
    frames = [Image.new("RGB", (6, 6), colour) for colour in (RED, BLUE, BLUE)]
    path = tmp_path / f"a.{suffix}"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    np.testing.assert_allclose(read_image(path, 3)[1, 1], [1, 0, 0], atol=0.02)


def test_damaged_metadata_does_not_spoil_a_picture(tmp_path):
    for k, exif in enumerate([b"Exif\0\0garbage", b"Exif\0\0II*\0\x08\0\0\0\x05\0\x12\x01"]):
        path = paint(tmp_path / f"{k}.jpg", exif=exif)
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            assert read_image(path, 4).shape == (4, 4, 3)
        assert not seen


def test_threads_may_read_at_once(tmp_path):
    path, seen = paint(tmp_path / "a.jpg"), []
    work = lambda: seen.extend(read_image(path, 4).sum() for _ in range(20))
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    assert len(seen) == 80 and len(set(seen)) == 1


def test_missing_pictures_and_folders_are_refused(tmp_path):
    path = tmp_path / "none.png"
    with pytest.raises(DataError) as error: read_image(path, 4)
    assert refusal(error, path=path) == f"cannot read the picture {path}: there is no such file"
    with pytest.raises(DataError) as error: read_image(tmp_path, 4)
    refusal(error, "it is a folder", path=tmp_path)


@pytest.mark.parametrize(("content", "reason"), [
    (b"", "the file is empty"),
    (b"hello, I am a text", "it is not in a format that Pillow knows"),
    (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n", "PostScript"),
])
def test_files_that_are_no_pictures_are_refused(tmp_path, content, reason):
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    with pytest.raises(DataError) as error: read_image(path, 4)
    refusal(error, f"cannot read the picture {path}: ", reason, path=path)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM"])
def test_truncated_pictures_are_refused(tmp_path, form):
    whole = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    Image.fromarray(noise).save(whole, form)
    path = tmp_path / "a.picture"
    for part in (1, 12, 40, len(whole.getvalue()) // 2):
        path.write_bytes(whole.getvalue()[:part])
        with pytest.raises(DataError) as error: read_image(path, 4)
        refusal(error, f"cannot read the picture {path}: ", path=path)


def test_decompression_bombs_are_refused_and_merely_large_ones_read(tmp_path, monkeypatch):
    path = paint(tmp_path / "a.png", size=(30, 30))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(DataError) as error: read_image(path, 4)
    refusal(error, "too many pixels", "900", "bomb", path=path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 800)      # Pillow only warns of this
    assert read_image(path, 4).shape == (4, 4, 3)

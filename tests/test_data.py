"""Pictures, folders of pictures and the course's files: what is read, and what is refused.

Real data is looked for in ``TINYGRAD_NN_DATA``; the tests that need it skip without it.
"""

import io
import os
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tinygrad_nn import data
from tinygrad_nn._errors import DataError, MissingExtraError
from tinygrad_nn.data import ImageSet, read_course, read_folder, read_image, split

RED, BLUE = (255, 0, 0), (0, 0, 255)


def paint(path, colour=RED, size=(8, 6), mode="RGB", **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path, **options)
    return path


@pytest.fixture
def pets(tmp_path):
    """Two classes of three and two pictures, with the clutter that folders collect."""
    root = tmp_path / "pets"
    for k in range(3): paint(root / "Cats" / f"c{k}.png", RED)
    for k in range(2): paint(root / "dogs" / f"d{k}.jpg", BLUE)
    for name in ("Thumbs.db", ".hidden.png", "notes.txt", ".DS_Store"):
        (root / "dogs" / name).write_text("not a picture")
    (root / "dogs" / "folder.png").mkdir()
    (root / ".git").mkdir()
    (root / "__MACOSX").mkdir()
    (root / "README.txt").write_text("two classes")
    return root


def refusal(error, *parts, path=None):
    """The message of a pytest.raises context, once its parts and path have been checked."""
    text = str(error.value)
    for part in parts: assert str(part) in text
    if path is not None: assert error.value.path == str(path)
    return text


# ---- the package


def test_names_are_sorted_and_exist():
    assert data.__all__ == sorted(data.__all__)
    assert all(hasattr(data, name) for name in data.__all__)


def test_h5py_is_not_imported_before_it_is_needed():
    code = "import sys, tinygrad_nn.data; sys.exit('h5py' in sys.modules)"
    here = dict(os.environ, PYTHONPATH=str(Path(data.__file__).parents[2]))
    assert subprocess.run([sys.executable, "-c", code], env=here).returncode == 0


# ---- one picture


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


@pytest.mark.parametrize(("size", "kind"), [(0, ValueError), (-3, ValueError),
                                            (2.5, TypeError), ("64", TypeError)])
def test_size_is_a_positive_integer(pets, size, kind):
    for read in (lambda: read_image(pets / "Cats" / "c0.png", size),
                 lambda: read_folder(pets, size)):
        with pytest.raises(kind, match="size must be") as error: read()
        assert not isinstance(error.value, DataError) and repr(size) in str(error.value)


# ---- a folder


def test_a_folder_is_read_in_order(pets):
    got = read_folder(pets, 4)
    assert isinstance(got, ImageSet) and len(got) == 5
    assert got.classes == ("dogs", "Cats")            # cats are class 1, in any case
    assert got.x.shape == (5, 4, 4, 3) and got.x.dtype == np.float32
    assert got.y.tolist() == [0, 0, 1, 1, 1] and got.y.dtype == np.int64
    names = [path.name for path in got.paths]
    assert names == ["d0.jpg", "d1.jpg", "c0.png", "c1.png", "c2.png"]
    assert got.skipped == []
    for x, path in zip(got.x, got.paths, strict=True):
        np.testing.assert_array_equal(x, read_image(path, 4))
    assert repr(got) == "ImageSet(0: 2 dogs, 1: 3 Cats; x (5, 4, 4, 3), 0 skipped)"
    again = read_folder(str(pets), 4)
    np.testing.assert_array_equal(again.x, got.x)
    assert again.paths == got.paths


@pytest.mark.parametrize(("names", "positive", "expected"), [
    (("cat", "dog"), None, ("dog", "cat")),
    (("CATS", "aaa"), None, ("aaa", "CATS")),
    (("apple", "pear"), None, ("apple", "pear")),
    (("cat", "cats"), None, ("cat", "cats")),
    (("cat", "dog"), "dog", ("cat", "dog")),
    (("apple", "pear"), "apple", ("pear", "apple")),
    (("cat", "ant", "bee"), None, ("ant", "bee", "cat")),
])
def test_class_one_is_the_cat_or_the_last(tmp_path, names, positive, expected):
    for name in names: paint(tmp_path / name / "a.png")
    got = read_folder(tmp_path, 2, positive=positive)
    assert got.classes == expected and got.y.tolist() == list(range(len(names)))


def test_an_unreadable_picture_is_counted_and_the_run_goes_on(pets):
    bad, phone = pets / "Cats" / "c1.png", pets / "dogs" / "phone.HEIC"
    bad.write_bytes(bad.read_bytes()[:50])
    phone.write_bytes(b"....ftypheic")
    got = read_folder(pets, 4)
    assert [path.name for path in got.paths] == ["d0.jpg", "d1.jpg", "c0.png", "c2.png"]
    assert got.x.shape == (4, 4, 4, 3) and got.y.tolist() == [0, 0, 1, 1]
    assert [error.path for error in got.skipped] == [str(phone), str(bad)]
    for error in got.skipped:
        assert isinstance(error, DataError) and error.path in str(error)
        assert error.__traceback__ is error.__cause__ is None      # they would hold pixels
    assert "a format that Pillow knows" in str(got.skipped[0])
    assert "2 skipped" in repr(got)
    with pytest.raises(DataError, match="phone"): read_folder(pets, 4, on_unreadable="error")
    with pytest.raises(ValueError, match='"skip" or "error"; got 3'):
        read_folder(pets, 4, on_unreadable=3)


def test_a_missing_folder_is_refused(tmp_path):
    path = tmp_path / "none"
    with pytest.raises(DataError) as error: read_folder(path, 4)
    refusal(error, f"the folder {path} does not exist", f"such as {path}/cats", path=path)


def test_a_file_in_place_of_a_folder_is_refused(tmp_path):
    path = paint(tmp_path / "a.png")
    with pytest.raises(DataError) as error: read_folder(path, 4)
    refusal(error, f"{path} is a file, not a folder", "give the folder", path=path)


def test_a_folder_without_class_folders_is_refused(tmp_path):
    with pytest.raises(DataError) as error: read_folder(tmp_path, 4)
    refusal(error, f"{tmp_path} has no class folders",
            "one sub-folder of pictures for each class", path=tmp_path)
    paint(tmp_path / "a.png")
    with pytest.raises(DataError) as error: read_folder(tmp_path, 4)
    refusal(error, "holds pictures directly but no class folders", f"{tmp_path}/cats")


def test_a_single_class_is_refused(tmp_path):
    paint(tmp_path / "cats" / "a.png")
    with pytest.raises(DataError) as error: read_folder(tmp_path, 4)
    refusal(error, "only one class folder, 'cats'", "add a folder", path=tmp_path)


def test_a_class_without_readable_pictures_is_refused(pets):
    birds = pets / "birds"
    birds.mkdir()
    with pytest.raises(DataError) as error: read_folder(pets, 4)
    refusal(error, f"the class folder {birds} holds no pictures", "put pictures into it",
            path=birds)
    (birds / "a.png").write_bytes(b"no")
    with pytest.raises(DataError) as error: read_folder(pets, 4)
    refusal(error, birds, "has no picture that can be read", "1 failed", "Pillow knows",
            path=birds)


def test_a_folder_of_train_and_test_is_told_which_one_to_give(tmp_path):
    for part in ("train", "test"):
        for name in ("cats", "dogs"): paint(tmp_path / part / name / "a.png")
    with pytest.raises(DataError) as error: read_folder(tmp_path, 4)
    refusal(error, "holds only folders (cats, dogs)", f"give {tmp_path / 'test'} if you meant")
    assert len(read_folder(tmp_path / "train", 4)) == 2


def test_positive_must_name_one_of_two_classes(pets):
    with pytest.raises(DataError) as error: read_folder(pets, 4, positive="horse")
    refusal(error, "positive='horse' must name one of two class folders", "Cats, dogs",
            path=pets)
    paint(pets / "birds" / "a.png")
    with pytest.raises(DataError, match="one of two class folders"):
        read_folder(pets, 4, positive="dogs")


def test_a_folder_that_may_not_be_looked_into_is_refused(pets, monkeypatch):
    def denied(path): raise PermissionError(13, "Permission denied")
    monkeypatch.setattr(os, "listdir", denied)
    with pytest.raises(DataError) as error: read_folder(pets, 4)
    refusal(error, f"cannot look into {pets}: Permission denied", path=pets)


# ---- the split


def test_a_split_is_stratified_seeded_and_complete():
    y = np.repeat([0, 1, 2], [50, 30, 7])
    train, test = split(y, seed=3)
    assert train.dtype == test.dtype == np.int64
    assert sorted([*train, *test]) == list(range(87))
    assert np.bincount(y[test]).tolist() == [10, 6, 1]
    assert (np.diff(train) > 0).all() and (np.diff(test) > 0).all()
    same = split(list(y), 0.2, np.random.default_rng(3))
    assert [part.tolist() for part in same] == [train.tolist(), test.tolist()]
    assert split(y, seed=4)[1].tolist() != test.tolist()


@pytest.mark.parametrize("fraction", [0.001, 0.2, 0.5, 0.999])
@pytest.mark.parametrize("count", [2, 3, 10])
def test_every_class_is_on_both_sides(fraction, count):
    y = np.tile([1, 0], count)
    for part in split(y, fraction): assert set(y[part]) == {0, 1}


def test_an_image_set_can_be_split(pets):
    got = read_folder(pets, 2)
    train, test = split(got)
    assert len(train) == 3 and len(test) == 2 and set(got.y[test]) == {0, 1}


def test_what_cannot_be_split_is_refused(tmp_path):
    paint(tmp_path / "cat" / "a.png")
    for k in range(3): paint(tmp_path / "dog" / f"{k}.png")
    with pytest.raises(DataError, match=r"class 'cat' has only one picture.*add pictures"):
        split(read_folder(tmp_path, 2))
    with pytest.raises(DataError, match="class '7' has only one picture"): split([7, 8, 8])
    with pytest.raises(DataError, match="nothing to split"): split([])
    with pytest.raises(DataError, match=r"one-dimensional; got shape \(2, 2\)"):
        split(np.eye(2))
    for fraction in (0, 1, -1, 1.5, float("nan")):
        with pytest.raises(ValueError, match="fraction must lie between 0 and 1"):
            split([0, 0, 1, 1], fraction)


# ---- the course's files


@pytest.fixture
def course(tmp_path):
    """Files like the course's, made up: 6 and 3 pictures of 4 × 4."""
    h5py = pytest.importorskip("h5py")
    rng = np.random.default_rng(0)
    for part, n in (("train", 6), ("test", 3)):
        with h5py.File(tmp_path / f"{part}_catvnoncat.h5", "w") as file:
            file[f"{part}_set_x"] = rng.integers(0, 256, (n, 4, 4, 3), dtype=np.uint8)
            file[f"{part}_set_y"] = np.arange(n) % 2
            file["list_classes"] = np.array([b"non-cat", b"cat"])
    return tmp_path


def test_the_course_files_are_read(course):
    train_x, train_y, test_x, test_y, classes = read_course(course)
    assert train_x.shape == (6, 4, 4, 3) and test_x.shape == (3, 4, 4, 3)
    assert train_x.dtype == test_x.dtype == np.uint8
    assert train_y.tolist() == [0, 1, 0, 1, 0, 1] and test_y.tolist() == [0, 1, 0]
    assert train_y.dtype == test_y.dtype == np.int64
    assert classes == ("non-cat", "cat") and all(type(name) is str for name in classes)
    read_course(str(course))


def test_missing_course_files_are_refused(course):
    path = course / "test_catvnoncat.h5"
    path.unlink()
    with pytest.raises(DataError) as error: read_course(course)
    refusal(error, f"{path} does not exist", "train_catvnoncat.h5 and test_catvnoncat.h5",
            path=path)
    with pytest.raises(DataError, match="does not exist"): read_course(course / "none")


def test_course_files_that_are_not_hdf5_are_refused(course):
    path = course / "train_catvnoncat.h5"
    whole = path.read_bytes()
    for content in (b"<html>not found</html>", b"", whole[:len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(DataError) as error: read_course(course)
        refusal(error, f"{path} cannot be read as HDF5", path=path)


@pytest.mark.parametrize(("part", "key"), [
    ("train", "train_set_x"), ("train", "train_set_y"),
    ("test", "test_set_x"), ("test", "test_set_y"), ("test", "list_classes"),
])
def test_a_missing_key_is_named_beside_those_found(course, part, key):
    import h5py
    path = course / f"{part}_catvnoncat.h5"
    with h5py.File(path, "a") as file:
        del file[key]
        file.create_group(key + "_else")
    with pytest.raises(DataError) as error: read_course(course)
    other = f"{part}_set_y" if key.endswith("x") else f"{part}_set_x"
    refusal(error, f"it lacks the key {key} and has", other, key + "_else", path=path)


def test_course_files_of_another_shape_are_refused(course):
    import h5py
    path = course / "train_catvnoncat.h5"
    for key, value in (("train_set_y", np.zeros(5)), ("train_set_x", np.zeros((6, 48)))):
        with h5py.File(path, "a") as file:
            del file[key]
            file[key] = value
        with pytest.raises(DataError) as error: read_course(course)
        refusal(error, "should hold uint8 pictures of shape (n, s, s, 3)", "5 labels",
                path=path)


def test_without_h5py_the_line_to_type_is_given(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingExtraError) as error: read_course(tmp_path)
    assert refusal(error, "pip install 'tinygrad_nn[data]'").count("\n") == 0
    assert isinstance(error.value, ImportError)


# ---- real data


@pytest.fixture
def real():
    folder = os.environ.get("TINYGRAD_NN_DATA")
    if not folder: pytest.skip("TINYGRAD_NN_DATA is not set")
    return Path(folder)


def test_the_real_course_files(real):
    pytest.importorskip("h5py")
    train_x, train_y, test_x, test_y, classes = read_course(real / "catvnoncat")
    assert train_x.shape == (209, 64, 64, 3) and test_x.shape == (50, 64, 64, 3)
    assert train_x.dtype == np.uint8 and train_y.dtype == np.int64 and train_y.shape == (209,)
    assert train_y.sum() == 72 and test_y.sum() == 33 and classes == ("non-cat", "cat")
    np.testing.assert_array_equal(test_x[17], train_x[146])


def test_real_photos(real, tmp_path):
    for name in ("cats", "dogs"):
        (tmp_path / name).mkdir()
        for path in sorted((real / "cats-vs-dogs" / "train" / name).iterdir())[:8]:
            os.symlink(path.resolve(), tmp_path / name / path.name)
    got = read_folder(tmp_path, 32)
    assert got.classes == ("dogs", "cats") and got.x.shape == (16, 32, 32, 3)
    assert got.skipped == [] and 0 <= got.x.min() < 0.1 and 0.9 < got.x.max() <= 1
    assert 0.2 < got.x.mean() < 0.8 and got.x.std(axis=(1, 2, 3)).min() > 0.05

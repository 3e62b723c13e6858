"""Folders of pictures, their split, and the course's files: what is read, what is refused.

Real data is looked for in ``TINYGRAD_NN_DATA``; the tests that need it skip without it.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from painting import paint, refusal

from tinygrad_nn import data
from tinygrad_nn._errors import DataError, MissingExtraError
from tinygrad_nn.data import ImageSet, read_course, read_folder, read_image, split


@pytest.fixture
def pets(tmp_path):
    """Two classes of three and two pictures, with the clutter that folders collect."""
    root = tmp_path / "pets"
    for k in range(3): paint(root / "Cats" / f"c{k}.png", (255 - k, 0, 0))
    for k in range(2): paint(root / "dogs" / f"d{k}.jpg", (0, 0, 255 - 20 * k))
    for name in ("Thumbs.db", ".hidden.png", "notes.txt", ".DS_Store"):
        (root / "dogs" / name).write_text("not a picture")
    (root / "dogs" / "folder.png").mkdir()
    (root / ".git").mkdir()
    (root / "__MACOSX").mkdir()
    (root / "README.txt").write_text("two classes")
    return root


# ---- the package


def test_names_are_sorted_and_exist():
    assert data.__all__ == sorted(data.__all__)
    assert all(hasattr(data, name) for name in data.__all__)


def test_h5py_is_not_imported_before_it_is_needed():
    code = "import sys, tinygrad_nn.data; sys.exit('h5py' in sys.modules)"
    here = dict(os.environ, PYTHONPATH=str(Path(data.__file__).parents[2]))
    assert subprocess.run([sys.executable, "-c", code], env=here).returncode == 0


# ---- a folder


def test_a_folder_is_read_in_order(pets):
    got = read_folder(pets, 4)
    assert isinstance(got, ImageSet) and len(got) == 5
    assert got.classes == ("dogs", "Cats")            # cats are class 1, in any case
    assert got.class_indices == {"dogs": 0, "Cats": 1}
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
    refusal(error, f"{tmp_path} holds the parts of a data set (test, train)",
            f"give {tmp_path / 'train'}, which", path=tmp_path)
    assert len(read_folder(tmp_path / "train", 4)) == 2
    (tmp_path / "test").rename(tmp_path / "more")
    with pytest.raises(DataError) as error: read_folder(tmp_path, 4)
    refusal(error, "holds only folders (cats, dogs)", f"give {tmp_path / 'more'} if you meant")


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


@pytest.mark.parametrize(("size", "kind"), [(0, ValueError), (-3, ValueError),
                                            (2.5, TypeError), ("64", TypeError)])
def test_size_is_a_positive_integer(pets, size, kind):
    for read in (lambda: read_image(pets / "Cats" / "c0.png", size),
                 lambda: read_folder(pets, size)):
        with pytest.raises(kind, match="size must be") as error: read()
        assert not isinstance(error.value, DataError) and repr(size) in str(error.value)


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
    for k in range(3): paint(tmp_path / "dog" / f"{k}.png", (k, 0, 0))
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


def test_the_real_course_files(real_data):
    pytest.importorskip("h5py")
    train_x, train_y, test_x, test_y, classes = read_course(real_data / "catvnoncat")
    assert train_x.shape == (209, 64, 64, 3) and test_x.shape == (50, 64, 64, 3)
    assert train_x.dtype == np.uint8 and train_y.dtype == np.int64 and train_y.shape == (209,)
    assert train_y.sum() == 72 and test_y.sum() == 33 and classes == ("non-cat", "cat")
    np.testing.assert_array_equal(test_x[17], train_x[146])


def test_real_photos(real_data, tmp_path):
    for name in ("cats", "dogs"):
        (tmp_path / name).mkdir()
        for path in sorted((real_data / "cats-vs-dogs" / "train" / name).iterdir())[:8]:
            os.symlink(path.resolve(), tmp_path / name / path.name)
    got = read_folder(tmp_path, 32)
    assert got.classes == ("dogs", "cats") and got.x.shape == (16, 32, 32, 3)
    assert got.skipped == [] and 0 <= got.x.min() < 0.1 and 0.9 < got.x.max() <= 1
    assert 0.2 < got.x.mean() < 0.8 and got.x.std(axis=(1, 2, 3)).min() > 0.05

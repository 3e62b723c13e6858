"""Folders decoded picture by picture: joined, lazy, bounded; what is refused; their splits."""

import os
import shutil
import threading

import numpy as np
import pytest
from painting import paint, refusal

from tinygrad_nn._errors import DataError
from tinygrad_nn.data import (
    DataLoader,
    ImageFolder,
    _image_folder,
    read_folder,
    read_image,
    split,
)


@pytest.fixture
def pets(tmp_path):
    """Four cats and six dogs, no two alike, and the clutter that folders collect."""
    root = tmp_path / "pets"
    for k in range(4): paint(root / "cats" / f"c{k}.png", (255 - k, 0, 0))
    for k in range(6): paint(root / "dogs" / f"d{k}.png", (0, 0, 255 - k))
    for name in ("Thumbs.db", ".hidden.png", "notes.txt"):
        (root / "dogs" / name).write_text("not a picture")
    (root / ".git").mkdir()
    return root


@pytest.fixture
def decoded(monkeypatch):
    """The paths that were decoded, in order."""
    paths, decode = [], _image_folder.decode
    monkeypatch.setattr(_image_folder, "decode", lambda path, *rest: (
        paths.append(path) or decode(path, *rest)))
    return paths


# ---- what there is, joined and in order


def test_labels_paths_and_pictures_are_joined_and_in_order(pets):
    got = ImageFolder(str(pets), 4)
    assert len(got) == 10 and got.classes == ("dogs", "cats")
    assert got.class_indices == {"dogs": 0, "cats": 1}
    assert got.y.tolist() == [0] * 6 + [1] * 4 and got.y.dtype == np.int64
    assert [path.name for path in got.paths] == [*(f"d{k}.png" for k in range(6)),
                                                 *(f"c{k}.png" for k in range(4))]
    for i, path in enumerate(got.paths):
        x, label = got[i]
        np.testing.assert_array_equal(x, read_image(path, 4).transpose(2, 0, 1))
        assert x.dtype == np.float32 and x.flags.c_contiguous and x.flags.writeable
        assert type(label) is int and got.classes[label] == path.parent.name
    assert repr(got) == "ImageFolder(0: 6 dogs, 1: 4 cats; 4 × 4)"


def test_it_agrees_with_read_folder(pets):
    lazy, eager = ImageFolder(pets, 5), read_folder(pets, 5)
    assert lazy.paths == eager.paths and lazy.classes == eager.classes
    x = np.stack([x for x, _ in lazy])
    np.testing.assert_array_equal(x, eager.x.transpose(0, 3, 1, 2))


@pytest.mark.parametrize(("names", "positive", "expected"), [
    (("cat", "dog"), None, ("dog", "cat")), (("apple", "pear"), None, ("apple", "pear")),
    (("cat", "dog"), "dog", ("cat", "dog")),
    (("ant", "bee", "cat"), None, ("ant", "bee", "cat")),
])
def test_class_one_is_the_cat_or_the_last(tmp_path, names, positive, expected):
    for name in names: paint(tmp_path / name / "a.png")
    assert ImageFolder(tmp_path, 2, positive=positive).classes == expected


def test_grey_pictures_have_one_channel(pets):
    x, _ = ImageFolder(pets, 4, grey=True)[9]
    assert x.shape == (1, 4, 4)
    want = read_image(pets / "cats" / "c3.png", 4, grey=True)
    np.testing.assert_array_equal(x, want.transpose(2, 0, 1))


def test_indices_are_pythons(pets):
    got = ImageFolder(pets, 2)
    np.testing.assert_array_equal(got[-1][0], got[np.int64(9)][0])
    with pytest.raises(IndexError): got[10]
    with pytest.raises(TypeError): got[1.0]


# ---- lazy, and kept within a budget


def test_nothing_is_decoded_before_it_is_asked_for_and_nothing_twice(pets, decoded):
    got = ImageFolder(pets, 4)
    assert decoded == []
    first, again = got[7][0], got[7][0]
    assert decoded == [got.paths[7]]
    first[:] = 0                                       # what is given away is the caller's own
    np.testing.assert_array_equal(got[7][0], again)


def test_what_is_kept_stays_within_the_budget(pets, decoded):
    each = 4 * 4 * 3 + _image_folder.OVERHEAD
    got = ImageFolder(pets, 4, cache_bytes=3 * each + 5)
    for _ in range(2):
        for i in range(10): got[i]
    assert decoded == [*got.paths, *got.paths[3:]]     # the first three are never thrown out
    none = ImageFolder(pets, 4, cache_bytes=0)
    assert none[0][0].any() and not none._kept.pictures


def test_threads_count_a_picture_once(pets):
    got = ImageFolder(pets, 4)
    threads = [threading.Thread(target=lambda: [got[i] for i in range(10)]) for _ in range(4)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    assert got._kept.left == 2 ** 28 - 10 * (4 * 4 * 3 + _image_folder.OVERHEAD)


def test_a_subset_is_joined_too_and_shares_what_is_kept(pets, decoded):
    got = ImageFolder(pets, 4)
    part = got.subset(np.array([8, 1]))
    assert [path.name for path in part.paths] == ["c2.png", "d1.png"]
    assert part.y.tolist() == [1, 0] and len(part) == 2 and part.classes == got.classes
    np.testing.assert_array_equal(part[0][0], got[8][0])
    assert decoded == [got.paths[8]] and len(got) == 10
    assert repr(part) == "ImageFolder(0: 1 dogs, 1: 1 cats; 4 × 4)"


@pytest.mark.parametrize("make", [np.asarray, np.ndarray.tolist])
def test_a_subset_by_a_mask_is_joined(pets, make):
    got = ImageFolder(pets, 4)
    part = got.subset(make(got.y == 1))
    assert part.paths == got.paths[6:] and part.y.tolist() == [1] * 4
    assert got.subset(make(got.y > 1)).paths == [] and got.subset([-1]).paths == got.paths[-1:]


def test_odd_names_and_links(pets):
    for name in ("Größe 猫.png", "two words, $HOME; #1.png", os.fsdecode(b"caf\xe9.png")):
        paint(pets / "cats" / name)
    (pets / "cats" / "album.jpg").mkdir()
    os.symlink(pets / "cats" / "c0.png", pets / "cats" / "link.png")
    os.symlink("loop.png", pets / "cats" / "loop.png")
    os.symlink("nowhere.png", pets / "cats" / "lost.png")
    os.symlink("loop", pets / "loop")                  # no folder, and so no class
    got = ImageFolder(pets, 4, on_unreadable="skip")
    assert np.bincount(got.y).tolist() == [6, 8]
    loop, lost = got.skipped
    assert str(lost).endswith("lost.png: there is no such file")
    assert "loop.png: " in str(loop) and str(loop).endswith("symbolic links")
    assert sum(len(x) for x, _ in DataLoader(got, 4)) == 14
    assert sum(map(len, split(got))) == 14


# ---- pictures that cannot be read


def test_an_unreadable_picture_raises_when_it_is_asked_for(pets):
    bad = pets / "cats" / "c1.png"
    bad.write_bytes(b"")
    got = ImageFolder(pets, 4)
    assert len(got) == 10 and got[6][1] == 1
    with pytest.raises(DataError) as error: got[7]
    refusal(error, "cannot read the picture", "the file is empty", 'on_unreadable="skip"',
            path=bad)


def test_unreadable_pictures_are_left_out_and_counted(pets, decoded):
    bad, phone = pets / "cats" / "c1.png", pets / "dogs" / "phone.HEIC"
    bad.write_bytes(bad.read_bytes()[:50])
    phone.write_bytes(b"....ftypheic")
    got = ImageFolder(pets, 4, on_unreadable="skip")
    assert [error.path for error in got.skipped] == [str(phone), str(bad)]
    assert all(isinstance(error, DataError) and error.__traceback__ is None
               for error in got.skipped)
    assert len(got) == len(got.y) == len(got.paths) == 9 and bad not in got.paths
    assert repr(got) == "ImageFolder(0: 6 dogs, 1: 3 cats; 4 × 4, 2 skipped)"
    assert sorted(decoded) == sorted([*got.paths, bad, phone])
    y = np.concatenate([y for _, y in DataLoader(got, 4)])
    assert y.tolist() == got.y.tolist() and len(decoded) == 11      # from what was kept
    got._kept.pictures.clear()
    got.paths[0].unlink()                              # lost later: an error all the same
    with pytest.raises(DataError, match=r"there is no such file$"): got[0]


def test_the_policy_is_one_of_two(pets):
    with pytest.raises(ValueError, match='"skip" or "error"; got None'):
        ImageFolder(pets, 4, on_unreadable=None)


# ---- folders that are of no use


def test_missing_empty_and_flat_folders_are_refused(tmp_path):
    with pytest.raises(DataError) as error: ImageFolder(tmp_path / "none", 4)
    refusal(error, "does not exist", "one sub-folder of pictures for each class",
            path=tmp_path / "none")
    with pytest.raises(DataError) as error: ImageFolder(tmp_path, 4)
    refusal(error, f"{tmp_path} has no class folders", path=tmp_path)
    picture = paint(tmp_path / "a.png")
    with pytest.raises(DataError) as error: ImageFolder(tmp_path, 4)
    refusal(error, "holds pictures directly but no class folders", f"{tmp_path}/cats")
    with pytest.raises(DataError, match="is a file, not a folder"): ImageFolder(picture, 4)


def test_one_class_is_refused(tmp_path):
    paint(tmp_path / "cats" / "a.png")
    with pytest.raises(DataError) as error: ImageFolder(tmp_path, 4)
    refusal(error, "only one class folder, 'cats'", "add a folder", path=tmp_path)


def test_a_class_without_pictures_is_refused(pets):
    (pets / "birds").mkdir()
    with pytest.raises(DataError) as error: ImageFolder(pets, 4)
    refusal(error, f"the class folder {pets / 'birds'} holds no pictures", path=pets / "birds")
    (pets / "birds" / "a.png").write_bytes(b"no")
    assert len(ImageFolder(pets, 4)) == 11
    with pytest.raises(DataError) as error: ImageFolder(pets, 4, on_unreadable="skip")
    refusal(error, "has no picture that can be read (1 failed", path=pets / "birds")


@pytest.mark.parametrize(("names", "right"), [
    (("train", "test"), "train"), (("Test", "Validation", "Training"), "Training"),
    (("training_set", "test_set"), "training_set"), (("train",), "train"), (("test",), "test"),
])
@pytest.mark.parametrize("flat", [False, True])
def test_the_parts_of_a_data_set_are_not_classes(tmp_path, names, right, flat):
    for part in names:
        for name in ("cats", "dogs"):
            paint(tmp_path / part / (f"{name}.1.png" if flat else f"{name}/1.png"))
    with pytest.raises(DataError) as error: ImageFolder(tmp_path, 4)
    refusal(error, f"{tmp_path} holds the parts of a data set",
            f"give {tmp_path / right}, which should hold one sub-folder", path=tmp_path)
    if not flat: assert len(ImageFolder(tmp_path / right, 4)) == 2


def test_a_train_beside_a_plane_is_a_class(tmp_path):
    for name in ("train", "plane"): paint(tmp_path / name / "a.png")
    assert ImageFolder(tmp_path, 4).classes == ("plane", "train")


def test_training_and_validation_must_have_the_same_classes(pets, tmp_path):
    train, other = ImageFolder(pets, 4, positive="dogs"), tmp_path / "other"
    for name in ("cats", "dogs"): paint(other / name / "a.png")
    assert ImageFolder(other, 4).classes == ("dogs", "cats")
    assert ImageFolder(other, 4, classes=train.classes).classes == ("cats", "dogs")
    paint(other / "birds" / "a.png")
    with pytest.raises(DataError) as error: ImageFolder(other, 4, classes=train.classes)
    refusal(error, f"{other} has the classes birds, cats, dogs; expected cats, dogs",
            path=other)
    shutil.rmtree(other / "cats")
    with pytest.raises(DataError, match="birds, dogs; expected cats, dogs"):
        ImageFolder(other, 4, classes=train.classes)
    with pytest.raises(ValueError, match="leave positive= out"):
        ImageFolder(pets, 4, positive="cats", classes=train.classes)


def test_positive_must_name_one_of_two_classes(pets):
    with pytest.raises(DataError, match="positive='horse' must name one of two"):
        ImageFolder(pets, 4, positive="horse")


# ---- splits


def test_a_split_of_a_folder_is_stratified_seeded_and_joined(pets):
    got = ImageFolder(pets, 4)
    train, test = split(got, fraction=0.5, seed=2)
    assert [np.bincount(got.y[side]).tolist() for side in (train, test)] == [[3, 2], [3, 2]]
    again = split(ImageFolder(pets, 8), fraction=0.5, seed=2)
    assert [a.tolist() for a in again] == [train.tolist(), test.tolist()]
    parts = got.subset(train), got.subset(test)
    assert sorted(parts[0].paths + parts[1].paths) == sorted(got.paths)
    for part in parts:
        assert [part.classes[label] for label in part.y] == [p.parent.name for p in part.paths]


@pytest.mark.parametrize("seed", range(20))
def test_copies_of_a_file_stay_on_one_side(pets, seed):
    for k in range(3): shutil.copy(pets / "cats/c0.png", pets / f"cats/copy{k}.png")
    shutil.copy(pets / "cats/c0.png", pets / "dogs/mislabelled.png")
    os.link(pets / "dogs/d1.png", pets / "dogs/link.png")
    for name in ("fresh", "other"):                    # of equal length, and not a copy
        (pets / f"dogs/{name}.png").write_bytes((pets / "dogs/d2.png").read_bytes()
                                                + name.encode())
    got = ImageFolder(pets, 4)
    for fraction in (0.2, 0.5, 0.8):
        sides = split(got, fraction, seed)
        assert sorted(np.concatenate(sides)) == list(range(len(got)))
        content = [{got.paths[i].read_bytes() for i in side} for side in sides]
        assert not content[0] & content[1]
        for side in sides: assert set(got.y[side]) == {0, 1}
        assert [split(read_folder(pets, 4), fraction, seed)[k].tolist() for k in (0, 1)] == [
            side.tolist() for side in sides]


def test_without_copies_each_class_gives_its_fraction(pets):
    for name in ("fresh", "other"):                    # of equal length, and no copies
        (pets / f"dogs/{name}.png").write_bytes((pets / "dogs/d2.png").read_bytes()
                                                + name.encode())
    got = ImageFolder(pets, 4)
    assert np.bincount(got.y[split(got, 0.25)[1]]).tolist() == [2, 1]
    assert split(got, 0.25)[1].tolist() == split(got.y, 0.25)[1].tolist()


def test_more_copies_than_the_fraction_still_leave_something_to_test_with(pets):
    for k in range(1, 4): shutil.copy(pets / "cats/c0.png", pets / f"cats/c{k}.png")
    paint(pets / "cats" / "z.png", (9, 9, 9))
    got = ImageFolder(pets, 4)                         # a cat four times, and another one
    for seed in range(10):
        train, test = split(got, 0.2, seed)
        assert [got.paths[i].name for i in test if got.y[i]] == ["z.png"]
        assert np.count_nonzero(got.y[train]) == 4


@pytest.mark.parametrize("seed", range(10))
def test_copies_do_not_change_how_many_are_tested_with(tmp_path, seed):
    for blue, name in enumerate(("cats", "dogs")):     # five pictures each, all of them twice
        for k in range(10): paint(tmp_path / name / f"{k}.png", (k // 2, 0, blue))
    got = ImageFolder(tmp_path, 4)
    assert np.bincount(got.y[split(got, 0.4, seed)[1]]).tolist() == [4, 4]
    shutil.copy(tmp_path / "dogs/0.png", tmp_path / "cats/mislabelled.png")
    got = ImageFolder(tmp_path, 4)
    dogs, cats = np.bincount(got.y[split(got, 0.4, seed)[1]])
    assert dogs == 4 and cats in (3, 4, 5)


def test_where_no_copies_fit_the_smallest_lot_is_tested_with(pets):
    for k in range(2): shutil.copy(pets / f"cats/c{k}.png", pets / f"cats/c{k + 2}.png")
    got = ImageFolder(pets, 4)                         # two cats, both of them twice
    names = {tuple(got.paths[i].name for i in split(got, 0.1, seed)[1] if got.y[i])
             for seed in range(20)}
    assert names == {("c0.png", "c2.png"), ("c1.png", "c3.png")}


def test_a_class_with_one_image_cannot_be_split(pets):
    for k in range(1, 4): (pets / f"cats/c{k}.png").unlink()
    with pytest.raises(DataError) as error: split(ImageFolder(pets, 4))
    refusal(error, "class 'cats' has only one picture", "at least two of each class",
            "add pictures")
    shutil.copy(pets / "cats/c0.png", pets / "cats/again.png")
    with pytest.raises(DataError) as error: split(ImageFolder(pets, 4))
    refusal(error, "class 'cats' has 2 copies of one picture and no other", "add pictures")


def test_copies_across_classes_that_forbid_a_split_are_named(tmp_path):
    for name in ("a", "b"):
        for k in range(2): paint(tmp_path / name / f"{k}.png", (k, 0, 0))
    got = ImageFolder(tmp_path, 4)
    train, test = split(got)
    assert len(train) == len(test) == 2                # both classes have one of each
    for k in range(2): paint(tmp_path / "c" / f"{k}.png", (k + 1, 0, 0))
    paint(tmp_path / "b" / "1.png", (2, 0, 0))         # a: 0 1, b: 0 2, c: 1 2: no way
    with pytest.raises(DataError, match="cannot be on both sides of the split"):
        split(ImageFolder(tmp_path, 4))


def test_a_file_that_is_gone_is_named(pets):
    got = ImageFolder(pets, 4)
    got.paths[3].unlink()
    with pytest.raises(DataError) as error: split(got)
    refusal(error, f"cannot read {got.paths[3]}", path=got.paths[3])


def test_real_photos_are_split_and_loaded(real_data):
    photos = ImageFolder(real_data / "cats-vs-dogs" / "test", 32, on_unreadable="skip")
    assert photos.class_indices == {"dogs": 0, "cats": 1} and photos.skipped == []
    train, test = (photos.subset(part) for part in split(photos, 0.25, seed=1))
    assert np.bincount(train.y).tolist() == [300, 300] and len(test) == 200
    x, y = next(iter(DataLoader(train, None, shuffle=True)))
    assert x.shape == (600, 3, 32, 32) and y.sum() == 300
    assert x.min() >= 0 and x.max() <= 1 and 0.2 < x.mean() < 0.8 and x.std() > 0.1
    with pytest.raises(DataError) as error: ImageFolder(real_data / "cats-vs-dogs", 32)
    refusal(error, f"give {real_data / 'cats-vs-dogs' / 'train'}")


# ---- a folder that is larger than memory


@pytest.fixture(scope="module")
def crowd(tmp_path_factory):
    """20,000 pictures in two classes: hard links to twenty."""
    root = tmp_path_factory.mktemp("crowd")
    for name in ("cats", "dogs"):
        for k in range(10):
            paint(root / name / f"{k}.png", (k, 0, 0))
            for n in range(999): os.link(root / name / f"{k}.png", root / name / f"{k}-{n}.png")
    return root


def resident():
    """The memory of this process in bytes, as the system counts it."""
    with open("/proc/self/statm") as file: return int(file.read().split()[1]) * 4096


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs Linux's /proc")
def test_twenty_thousand_pictures_stream_with_flat_memory_and_leave_nothing(crowd):
    everything = ImageFolder(crowd, 48, cache_bytes=2 ** 20)
    assert len(everything) == 20_000
    handles, threads = len(os.listdir("/proc/self/fd")), threading.active_count()
    seen, most, start = 0, 0, None
    for x, y in DataLoader(everything, 50, shuffle=True, num_workers=2):
        assert x.shape == (50, 3, 48, 48) and y.shape == (50,)
        seen += len(x)
        if seen == 2_000: start = resident()
        if seen % 2_000 == 0: most = max(most, resident())
        assert threading.active_count() <= threads + 2
    assert seen == 20_000
    assert most - start < 20e6                         # 138 MB as bytes, four times as floats
    assert threading.active_count() == threads
    assert len(os.listdir("/proc/self/fd")) == handles

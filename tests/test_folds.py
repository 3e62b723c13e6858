"""Cross-validation's folds: every sample once, stratified, seeded, copies on one side; and the
copies among the rows of arrays."""

import numpy as np
import pytest
from painting import paint

from tinygrad_nn._errors import DataError
from tinygrad_nn.data import ArrayDataset, ImageFolder, folds, split


@pytest.mark.parametrize("k", [2, 3, 5])
@pytest.mark.parametrize("seed", range(3))
def test_each_sample_is_held_out_once_and_classes_are_even(k, seed):
    y = np.random.default_rng(seed).permutation([0] * 13 + [1] * 21 + [2] * 5)
    parts = folds(y, k, seed)
    assert len(parts) == k
    np.testing.assert_array_equal(np.sort(np.concatenate([b for _, b in parts])), range(39))
    for a, b in parts:
        np.testing.assert_array_equal(np.sort(np.concatenate([a, b])), range(39))
        assert a.dtype == b.dtype == np.int64 and (np.diff(a) > 0).all()
    sizes = np.array([np.bincount(y[b], minlength=3) for _, b in parts])
    assert (np.ptp(sizes, axis=0) <= 1).all() and np.ptp(sizes.sum(axis=1)) <= 1


def test_the_seed_decides():
    y = np.arange(40) % 2
    same = [np.array_equal(a[1], b[1]) for a, b in zip(folds(y, 4, 1), folds(y, 4, 1),
                                                       strict=True)]
    other = [np.array_equal(a[1], b[1]) for a, b in zip(folds(y, 4, 1), folds(y, 4, 2),
                                                        strict=True)]
    assert all(same) and not any(other)


@pytest.mark.parametrize("seed", range(4))
def test_copies_of_a_file_are_held_out_together(tmp_path, seed):
    for k in range(6): paint(tmp_path / "a" / f"{k}.png", (k // 2, 0, 0))
    for k in range(9): paint(tmp_path / "b" / f"{k}.png", (0, 1 + k // 3, 0))
    photos = ImageFolder(tmp_path, 4)
    for a, b in folds(photos, 3, seed):
        assert np.bincount(photos.y[b]).tolist() == [2, 3]
        look = lambda part: {photos.paths[i].read_bytes() for i in part}
        assert not look(a) & look(b)


def test_equal_rows_stay_together():
    x = np.random.default_rng(0).integers(0, 256, (20, 2, 2, 3), dtype=np.uint8)
    x[10:] = x[:10]
    dataset = ArrayDataset(x, np.arange(20) % 10 % 2)
    for seed in range(5):
        for a, b in [*folds(dataset, 5, seed), split(dataset, 0.4, seed)]:
            assert {row.tobytes() for row in x[a]}.isdisjoint({row.tobytes() for row in x[b]})
            assert set(dataset.y[b]) == {0, 1}


def test_what_cannot_be_folded_is_refused(tmp_path):
    for k in (1, 0, -2):
        with pytest.raises(ValueError, match="k must be at least 2"):
            folds([0, 0, 1, 1], k)
    with pytest.raises(TypeError):
        folds([0, 0, 1, 1], 2.5)
    with pytest.raises(DataError, match=r"class '1' has too few different .* for 3 folds, 2"):
        folds([0, 0, 0, 1, 1], 3)
    with pytest.raises(DataError, match="nothing to split"):
        folds([], 2)
    with pytest.raises(DataError, match="one-dimensional"):
        folds(np.zeros((3, 2)), 2)
    for k in range(4): paint(tmp_path / "cats" / f"{k}.png", (0, 0, 7))
    for k in range(4): paint(tmp_path / "dogs" / f"{k}.png", (k, 0, 0))
    with pytest.raises(DataError, match=r"class 'cats' has too few .* for 2 folds, 1"):
        folds(ImageFolder(tmp_path, 4), 2)


def test_a_class_whose_pictures_all_lie_in_another_one_may_be_refused(tmp_path):
    """Each of the two lots of b lies beside pictures of a, which are placed first."""
    for name in ("0", "1"):
        for k in range(3): paint(tmp_path / "a" / f"{name}{k}.png", (int(name), 0, 0))
        paint(tmp_path / "b" / f"{name}.png", (int(name), 0, 0))
    for _, b in folds(ImageFolder(tmp_path, 4), 2):
        assert len(b) == 4
    for k in range(6): paint(tmp_path / "a" / f"more{k}.png", (9, 9, 9))
    with pytest.raises(DataError, match="class 'b' cannot be on both sides of the split"):
        folds(ImageFolder(tmp_path, 4), 2)

"""Arrays as a data set: which layouts are pictures, what comes out of them, what is refused."""

import threading

import numpy as np
import pytest
from painting import refusal

from tinygrad_nn._errors import DataError
from tinygrad_nn.data import ArrayDataset, DataLoader


@pytest.mark.parametrize(("shape", "row"), [
    ((5, 6, 7), (1, 6, 7)), ((5, 6, 7, 3), (3, 6, 7)), ((5, 6, 7, 1), (1, 6, 7)),
    ((5, 3, 6, 7), (3, 6, 7)), ((5, 1, 6, 7), (1, 6, 7)), ((5, 42), (42,)),
    ((5, 6, 3), (1, 6, 3)), ((5, 3, 1, 3), (3, 3, 1)),
])
def test_bytes_are_pixels_with_the_channels_first(shape, row):
    x = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    data = ArrayDataset(x, np.arange(5, dtype=np.uint8))
    assert data.x.dtype == np.uint8 and len(data) == 5
    last = len(shape) == 4 and shape[-1] in (1, 3)
    want = (x.transpose(0, 3, 1, 2) if last else x).reshape(5, *row)
    got, y = data.rows(np.array([3, 1]))
    np.testing.assert_array_equal(got, want[[3, 1]] / np.float32(255))
    assert got.dtype == np.float32 and y.dtype == np.int64 and y.tolist() == [3, 1]
    assert got.flags.c_contiguous                      # the channels lay last in memory
    one, label = data[3]
    np.testing.assert_array_equal(one, got[0])
    assert label == 3 and one.flags.c_contiguous
    part = data.subset(np.array([4, 3, 1])).subset([1, 2])
    np.testing.assert_array_equal(part.rows(np.arange(2))[0], got)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_other_arrays_come_as_they_are(dtype):
    x, y = np.arange(12).reshape(4, 3).astype(dtype), np.array([0.5, 1, 2, 3], np.float32)
    got, t = next(iter(DataLoader(ArrayDataset(x, y), 4)))
    assert got.dtype == dtype and t.dtype == np.float32
    np.testing.assert_array_equal(got, x)
    np.testing.assert_array_equal(t, y)
    assert ArrayDataset(x, y > 1)[3][1] == 1 and ArrayDataset(x, y > 1).y.dtype == np.int64


def test_a_subset_of_arrays():
    data = ArrayDataset(np.arange(10)[:, None], np.arange(10) % 2)
    part = data.subset(np.array([7, 2]))
    assert part.x.ravel().tolist() == [7, 2] and part.y.tolist() == [1, 0]
    assert repr(part) == "ArrayDataset(x int64 (2, 1), y int64 (2,))"


def test_arrays_that_do_not_fit_are_refused():
    for x, y, said in [(np.zeros((3, 2)), np.zeros(4), "x has 3 rows and y has 4"),
                       (np.zeros(()), np.zeros(1), "one row for each sample"),
                       (np.array(["a"]), np.zeros(1), "x must be an array of numbers"),
                       (np.zeros(1), np.array([None]), "y must be an array of numbers"),
                       (np.zeros((2, 8, 8, 4), np.uint8), np.zeros(2), "1 or 3 channels"),
                       (np.zeros(2, np.uint8), np.zeros(2), "uint8 pictures must be")]:
        with pytest.raises(DataError) as error: ArrayDataset(x, y)
        refusal(error, said)


def test_arrays_are_batched_without_threads():
    x = np.arange(20, dtype=np.uint8)[:, None]
    batches = DataLoader(ArrayDataset(x, np.arange(20)), 6, shuffle=True, seed=1).batches(0)
    before = threading.active_count()
    got = [next(batches)]
    assert threading.active_count() == before
    got += batches
    for x, y in got: np.testing.assert_array_equal(x[:, 0] * 255, y)
    assert [len(y) for _, y in got] == [6, 6, 6, 2]
    assert sorted(np.concatenate([y for _, y in got])) == list(range(20))

"""IDX files, plain and gzipped, and the two data sets that come in four of them."""

import gzip
import struct

import numpy as np
import pytest
from painting import refusal

from tinygrad_nn._errors import DataError
from tinygrad_nn.data import _idx, fashion_mnist, mnist, read_idx


def idx(a, code):
    """The bytes of an IDX file, written by hand."""
    head = bytes([0, 0, code, a.ndim]) + struct.pack(f">{a.ndim}I", *a.shape)
    return head + a.astype(a.dtype.newbyteorder(">")).tobytes()


CODES = [("u1", 0x08), ("i1", 0x09), ("i2", 0x0B), ("i4", 0x0C), ("f4", 0x0D), ("f8", 0x0E)]


@pytest.fixture
def four(tmp_path):
    """The four files of a data set of 5 and 3 pictures of 4 × 6; what is in them."""
    rng = np.random.default_rng(0)
    parts = []
    for part, n in (("train", 5), ("t10k", 3)):
        x, y = rng.integers(0, 256, (n, 4, 6), np.uint8), rng.integers(0, 10, n, np.uint8)
        (tmp_path / f"{part}-images-idx3-ubyte").write_bytes(idx(x, 8))
        (tmp_path / f"{part}-labels-idx1-ubyte").write_bytes(idx(y, 8))
        parts += [x, y]
    return tmp_path, parts


# ---- one file


@pytest.mark.parametrize(("kind", "code"), CODES)
@pytest.mark.parametrize("zipped", [False, True])
def test_every_type_is_read_as_it_was_written(tmp_path, kind, code, zipped):
    a = np.arange(-12, 12).reshape(2, 3, 4).astype(kind)
    path = tmp_path / "a"                              # gzip is told by content, not by name
    path.write_bytes(gzip.compress(idx(a, code)) if zipped else idx(a, code))
    got = read_idx(path)
    assert got.dtype == np.dtype(kind) and got.dtype.isnative and got.flags.writeable
    np.testing.assert_array_equal(got, a)
    np.testing.assert_array_equal(read_idx(str(path)), a)


@pytest.mark.parametrize("shape", [(0,), (7,), (0, 28, 28), (1, 1, 1, 1, 2)])
def test_any_number_of_axes(tmp_path, shape):
    a = np.zeros(shape, np.uint8)
    (tmp_path / "a").write_bytes(idx(a, 8))
    assert read_idx(tmp_path / "a").shape == shape


def test_a_missing_file_is_refused(tmp_path):
    path = tmp_path / "none"
    with pytest.raises(DataError) as error: read_idx(path)
    assert refusal(error, path=path) == f"the IDX file {path} does not exist"
    with pytest.raises(DataError, match="cannot be read"): read_idx(tmp_path)


@pytest.mark.parametrize("content", [b"", b"\0\0\x08", b"<html>not found</html>", b"\0\0\x07\1",
                                     b"\0\0\x08\0", b"\1\0\x08\1\0\0\0\0"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_other_files_are_refused(tmp_path, content, pack):
    path = tmp_path / "a"
    path.write_bytes(pack(content))
    with pytest.raises(DataError) as error: read_idx(path)
    refusal(error, f"{path} is not an IDX file: it begins with", path=path)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_too_few_and_too_many_values_are_refused(tmp_path, pack):
    path, whole = tmp_path / "a", idx(np.arange(60, dtype=np.int16).reshape(3, 20), 0x0B)
    for content, got in ((whole[:-1], "fewer"), (whole[:12], "fewer"), (whole + b"\0", "more")):
        path.write_bytes(pack(content))
        with pytest.raises(DataError) as error: read_idx(path)
        refusal(error, "120 bytes of values, int16 of shape (3, 20)", f"holds {got}", path=path)
    path.write_bytes(pack(whole[:9]))
    with pytest.raises(DataError, match="ends within its header"): read_idx(path)


def test_a_header_that_lies_takes_no_memory(tmp_path):
    path = tmp_path / "a"
    for pack in (bytes, gzip.compress):                # 2 ** 64 bytes, says the header
        path.write_bytes(pack(b"\0\0\x08\2" + b"\xff" * 8 + bytes(50)))
        with pytest.raises(DataError, match="holds fewer"): read_idx(path)


def test_a_damaged_gzip_file_is_refused(tmp_path):
    path, whole = tmp_path / "a.gz", gzip.compress(idx(np.arange(99, dtype=np.uint8), 8))
    flipped = bytearray(whole)
    flipped[-6] ^= 1                                   # the checksum
    for content in (whole[:-9], whole[:20], bytes(flipped), whole[:2]):
        path.write_bytes(content)
        with pytest.raises(DataError) as error: read_idx(path)
        refusal(error, f"the IDX file {path} cannot be read", path=path)


# ---- a data set of four


@pytest.mark.parametrize(("read", "classes"), [(mnist, _idx.DIGITS),
                                               (fashion_mnist, _idx.GARMENTS)])
@pytest.mark.parametrize("form", ["as they are", "gzip", "dots"])
def test_the_four_files_become_arrays(four, read, classes, form):
    folder, parts = four
    for path in list(folder.iterdir()):
        if form == "gzip":
            path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
            path.unlink()
        if form == "dots": path.rename(folder / path.name.replace("-idx", ".idx"))
    *got, names = read(str(folder))
    assert names == classes and len(names) == 10
    for a, b in zip(got, parts, strict=True): np.testing.assert_array_equal(a, b)
    assert [a.dtype.name for a in got] == ["uint8", "int64", "uint8", "int64"]


@pytest.mark.parametrize("name", ["train-images-idx3-ubyte", "train-labels-idx1-ubyte",
                                  "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"])
def test_a_missing_one_of_the_four_is_named(four, name):
    folder, _ = four
    (folder / name).unlink()
    with pytest.raises(DataError) as error: mnist(folder)
    refusal(error, f"{folder / name} does not exist", "train-images-idx3-ubyte",
            "apt-get install dataset-fashion-mnist", path=folder / name)


def test_without_the_package_the_line_to_type_is_given(tmp_path, monkeypatch, four):
    monkeypatch.setattr(_idx, "DEBIAN", tmp_path / "none")
    with pytest.raises(DataError) as error: fashion_mnist()
    refusal(error, f"not in {tmp_path / 'none'}", "apt-get install dataset-fashion-mnist",
            "name a folder", path=tmp_path / "none")
    monkeypatch.setattr(_idx, "DEBIAN", four[0])       # where the package is installed
    np.testing.assert_array_equal(fashion_mnist()[0], four[1][0])


@pytest.mark.parametrize(("name", "a", "said"), [
    ("train-images-idx3-ubyte", np.zeros((5, 24), np.uint8), "should hold uint8 pictures"),
    ("train-labels-idx1-ubyte", np.zeros(4, np.uint8), "5 labels below 10"),
    ("t10k-labels-idx1-ubyte", np.zeros((3, 1), np.uint8), "got uint8 (3, 1)"),
    ("t10k-labels-idx1-ubyte", np.full(3, 10, np.uint8), "the largest 10"),
])
def test_files_that_do_not_belong_together_are_refused(four, name, a, said):
    folder, _ = four
    (folder / name).write_bytes(idx(a, 8))
    with pytest.raises(DataError) as error: mnist(folder)
    refusal(error, said, path=folder / name)


def test_the_real_fashion_mnist(real_data):
    train_x, train_y, test_x, test_y, classes = fashion_mnist(real_data / "fashion-mnist")
    assert train_x.shape == (60000, 28, 28) and test_x.shape == (10000, 28, 28)
    assert np.bincount(train_y).tolist() == [6000] * 10
    assert np.bincount(test_y).tolist() == [1000] * 10
    assert classes[train_y[0]] == "Ankle boot" and classes[test_y[1]] == "Pullover"
    assert abs(train_x.mean() / 255 - 0.2860) < 1e-4 and train_x.max() == 255

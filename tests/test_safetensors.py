"""Weights in files: round trips, the safetensors package both ways, what is refused, damage."""

import json
import os
import stat

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from measuring import memory

import tinygrad_nn as tn
from tinygrad_nn import nn
from tinygrad_nn._files import replacing

A = np.array
KINDS = ["f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "b1", "c8"]


def same(found, expected):
    """The same names in the same order, and the same bits."""
    assert list(found) == list(expected)
    for name, a in expected.items():
        a, b = np.asarray(a), found[name]
        assert type(b) is np.ndarray and b.dtype == a.dtype.newbyteorder("=")
        assert b.shape == a.shape and b.flags.writeable and b.flags.c_contiguous
        assert b.tobytes() == a.astype(b.dtype, copy=False).tobytes()


def some_of_everything():
    rng = np.random.default_rng(0)
    arrays = {f"{kind}.{i}": np.asarray(100 * rng.normal(size=shape)).astype(kind)
              for kind in KINDS for i, shape in enumerate([(3, 5), (), (0, 2), (1,)])
              if kind[0] != "u"}
    arrays |= {f"{kind}.0": rng.integers(0, 100, (3, 5)).astype(kind)
               for kind in KINDS if kind[0] == "u"}
    return arrays | {"Größe.重み.😀": A([1.0, np.nan, np.inf, -0.0]), "": A(1.0),
                     'a"b\\': A([2])}


def raw(header, data=b"", pad=True):
    """A file as bytes, of a header as text or as what JSON can hold."""
    text = header if isinstance(header, bytes) else (
        header if isinstance(header, str) else json.dumps(header)).encode()
    if pad:
        text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data


def info(dtype, shape, *offsets):
    return {"dtype": dtype, "shape": shape, "data_offsets": list(offsets)}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "w.safetensors"


# ---------------------------------------------------------------- round trips

def test_what_is_written_is_read_again(path):
    arrays, metadata = some_of_everything(), {"epoch": "3", "ключ": "значение\n\"", "": ""}
    tn.save_weights(path, arrays, metadata)
    same(tn.load_weights(path), arrays)
    assert tn.load_metadata(path) == metadata
    content = path.read_bytes()
    n = int.from_bytes(content[:8], "little")
    assert n % 8 == 0 and content[8:9] == b"{"
    header = json.loads(content[8:8 + n])
    for name, a in arrays.items():                  # every array is aligned to its elements
        assert header[name]["data_offsets"][0] % a.dtype.alignment == 0
    tn.save_weights(str(path), arrays, metadata)
    assert path.read_bytes() == content             # the same every time


def test_nothing_at_all(path):
    tn.save_weights(path, {})
    assert tn.load_weights(path) == {} and tn.load_metadata(path) == {}


@given(arrays=st.dictionaries(
    st.text(max_size=8).filter(lambda s: s != "__metadata__"),
    hnp.arrays(st.sampled_from(KINDS + [">" + k for k in KINDS if k[1] != "1"]),
               hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)),
    max_size=5), data=st.data())
@settings(deadline=None, max_examples=60)
def test_round_trips(arrays, data, tmp_path_factory):
    views = st.sampled_from([lambda a: a, lambda a: a.T, lambda a: a[::-1] if a.ndim else a,
                             lambda a: a[..., ::2] if a.ndim else a, np.asfortranarray])
    arrays = {name: data.draw(views)(a) for name, a in arrays.items()}
    metadata = data.draw(st.dictionaries(st.text(max_size=5), st.text(max_size=9), max_size=3))
    path = tmp_path_factory.mktemp("round") / "w"
    tn.save_weights(path, arrays, metadata)
    same(tn.load_weights(path), arrays)
    assert tn.load_metadata(path) == metadata


def test_a_module_a_tensor_and_a_list_are_written(path):
    model = nn.Sequential(nn.Linear(3, 4, rng=0), nn.ReLU(), nn.Linear(4, 2, rng=1))
    tn.save_weights(path, model)
    other = nn.Sequential(nn.Linear(3, 4, rng=5), nn.ReLU(), nn.Linear(4, 2, rng=6))
    other.load_state_dict(tn.load_weights(path))
    same(other.state_dict(), model.state_dict())
    w = tn.Tensor([1.0, 2.0])
    tn.save_weights(path, {"leaf": w, "computed": w * 2, "list": [1, 2], "number": 0.5})
    same(tn.load_weights(path), {"leaf": A([1.0, 2.0]), "computed": A([2.0, 4.0]),
                                 "list": A([1, 2]), "number": A(0.5)})


def test_reading_takes_the_memory_of_the_arrays(path):
    tn.save_weights(path, {f"{i}": np.ones(1 << 18) for i in range(4)})
    with memory() as used:
        arrays = tn.load_weights(path)
        _, peak = used()
    assert peak < 1.05 * sum(a.nbytes for a in arrays.values())
    with memory() as used:
        tn.save_weights(path, arrays)
        _, peak = used()
    assert peak < 0.1 * sum(a.nbytes for a in arrays.values())


# ---------------------------------------------------------------- the safetensors package

def test_the_package_reads_ours_and_we_read_its(path):
    package = pytest.importorskip("safetensors.numpy")
    arrays = some_of_everything()
    metadata = {"format": "np", "ключ": "значение"}
    tn.save_weights(path, arrays, metadata)
    found = package.load_file(path)
    assert set(found) == set(arrays)
    for name, a in arrays.items():
        assert found[name].dtype == a.dtype and found[name].shape == a.shape
        assert found[name].tobytes() == a.tobytes()
    from safetensors import safe_open
    with safe_open(path, framework="np") as f:
        theirs = f.metadata()
    assert metadata.items() <= theirs.items()
    package.save_file(arrays, path, metadata=metadata)
    same(dict(sorted(tn.load_weights(path).items())), dict(sorted(arrays.items())))
    assert tn.load_metadata(path) == metadata
    package.save_file(arrays, path)
    assert tn.load_metadata(path) == {}


@pytest.mark.parametrize("content", [
    raw('{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},'
        '"a":{"dtype":"I8","shape":[1],"data_offsets":[0,1]}}', b"1"),
    raw(b"  " + json.dumps({"a": info("U8", [1], 0, 1)}).encode(), b"1")],
    ids=["a duplicate name", "leading blanks"])
def test_what_the_package_lets_pass_is_refused_here(path, content):
    package = pytest.importorskip("safetensors.numpy")
    path.write_bytes(content)
    assert package.load_file(path)["a"].tolist() == [49]
    with pytest.raises(tn.DataError):
        tn.load_weights(path)


def test_bfloat16_comes_as_float32(path):
    values = A([1.0, -2.5, 3e38, 0.0, np.inf, np.nan], np.float32)
    halves = (values.view(np.uint32) >> 16).astype("<u2")
    path.write_bytes(raw({"w": info("BF16", [6], 0, 12), "s": info("BF16", [], 12, 14)},
                         halves.tobytes() + halves[1:2].tobytes()))
    found = tn.load_weights(path)
    assert found["w"].dtype == np.float32 and type(found["s"]) is np.ndarray
    np.testing.assert_allclose(found["w"], values, rtol=2 ** -8)
    assert found["s"].shape == () and found["s"] == -2.5


def test_bfloat16_of_pytorch(path):
    torch = pytest.importorskip("torch")
    package = pytest.importorskip("safetensors.torch")
    w = torch.randn(3, 4).to(torch.bfloat16)
    package.save_file({"w": w, "b": torch.ones(2)}, path, metadata={"format": "pt"})
    found = tn.load_weights(path)
    np.testing.assert_array_equal(found["w"], w.float().numpy())
    np.testing.assert_array_equal(found["b"], np.ones(2, np.float32))


def test_weights_change_hands_with_pytorch(path):
    """A network of theirs, through a file of theirs, into ours unrenamed; and back."""
    torch = pytest.importorskip("torch")
    package = pytest.importorskip("safetensors.torch")

    def network(library, **dtype):
        return library.Sequential(
            library.Conv2d(3, 4, 3, padding=1, **dtype), library.BatchNorm2d(4, **dtype),
            library.ReLU(), library.MaxPool2d(2), library.Flatten(),
            library.Linear(16, 5, **dtype), library.LayerNorm(5, **dtype))
    theirs, ours = network(torch.nn, dtype=torch.float64), network(nn, dtype=np.float64)
    x = np.random.default_rng(0).normal(size=(6, 3, 4, 4))
    theirs(torch.tensor(x))                                 # running statistics
    package.save_file(theirs.state_dict(), path)
    ours.load_state_dict(tn.load_weights(path))
    with tn.no_grad(), torch.no_grad():
        y = ours.eval()(x)
        np.testing.assert_allclose(y, theirs.eval()(torch.tensor(x)).numpy(), atol=1e-10)
        tn.save_weights(path, ours)
        again = network(torch.nn, dtype=torch.float64).eval()
        again.load_state_dict(package.load_file(path))
        np.testing.assert_allclose(y, again(torch.tensor(x)).numpy(), atol=1e-10)


# ---------------------------------------------------------------- what is refused

TWO = {"a": info("F32", [2], 0, 8), "b": info("U8", [3], 8, 11)}
DATA = bytes(11)


@pytest.mark.parametrize("content, message", [
    (b"", "0 bytes"), (b"\x08\0\0\0\0\0\0", "no safetensors file, or a truncated one"),
    (b"PK\x03\x04" + bytes(60), "no safetensors file"),
    (raw(TWO, DATA)[:40], "truncated"),
    ((10 ** 8 + 1).to_bytes(8, "little") + b"{}", "100000001 of them in its header"),
    ((2 ** 64 - 1).to_bytes(8, "little") + b"{}", "header"),
    (raw(TWO, DATA[:-1]), r"arrays take 11 bytes, the file has 10 for them \(truncated"),
    (raw(TWO, DATA + b"\0"), "arrays take 11 bytes, the file has 12"),
    (raw(b" " + json.dumps(TWO).encode(), DATA), "begin with '{', got b' '"),
    (raw(b"\xef\xbb\xbf{}"), "begin with '{'"),
    (raw(b"[]"), "begin with '{'"), (raw(b""), "begin with '{'"),
    (raw('{"a": 1'), "header is not that of a safetensors file"),
    (raw("{} x"), "Extra data"), (raw("{}\0", pad=False), "Extra data"),
    (raw(b'{"\xff": 1}'), "codec can't decode"),
    (raw('{"\\ud800": 1}'), "not Unicode"),
    (raw(b'{"\xed\xa0\x80": 1}'), "codec can't decode"),
    (raw('{"a":' * 100_000), "header is not that"),
    (raw("{" + '"a": [' * 100_000), "header is not that"),
    (raw('{"a": ' + json.dumps(TWO["a"]) + ', "a": ' + json.dumps(TWO["a"]) + "}", bytes(8)),
     "the name 'a' comes twice"),
    (raw('{"a": {"dtype": "U8", "dtype": "U8", "shape": [], "data_offsets": [0, 1]}}', b"1"),
     "the name 'dtype' comes twice"),
    (raw('{"__metadata__": {"k": "1", "k": "2"}}'), "the name 'k' comes twice"),
    (raw('{"__metadata__": {}, "__metadata__": {}}'), "comes twice"),
    (raw({"__metadata__": {"k": 1}}), "must map strings to strings"),
    (raw({"__metadata__": {"k": {}}}), "must map strings to strings"),
    (raw({"__metadata__": ["k"]}), "must map strings to strings"),
    (raw('{"__metadata__": null}'), "must map strings to strings"),
    (raw('{"__metadata__": {"k": "\\udc00"}}'), "must map strings to strings"),
    (raw('{"__metadata__": {"k": NaN}}'), "NaN is not a whole number"),
    (raw('{"a": {"dtype": "U8", "shape": [Infinity], "data_offsets": [0, 1]}}', b"1"),
     "Infinity is not a whole number"),
    (raw('{"a": {"dtype": "U8", "shape": [-1], "data_offsets": [0, 1]}}', b"1"), "-1 is not"),
    (raw('{"a": {"dtype": "U8", "shape": [-0], "data_offsets": [0, 0]}}'), "-0 is not"),
    (raw('{"a": {"dtype": "U8", "shape": [1.0], "data_offsets": [0, 1]}}', b"1"), "1.0 is not"),
    (raw('{"a": {"dtype": "U8", "shape": [1e0], "data_offsets": [0, 1]}}', b"1"), "1e0 is not"),
    (raw({"a": info("U8", [True], 0, 1)}, b"1"), "place of whole numbers"),
    (raw({"a": info("U8", ["1"], 0, 1)}, b"1"), "place of whole numbers"),
    (raw({"a": info("U8", [None], 0, 1)}, b"1"), "place of whole numbers"),
    (raw({"a": info("U8", {}, 0, 1)}, b"1"), "place of whole numbers"),
    (raw({"a": info("U8", 1, 0, 1)}, b"1"), "place of whole numbers"),
    (raw({"a": info("U8", [1], 0, 1, 1)}, b"1"), r"lies at \[0, 1, 1\]"),
    (raw({"a": info("U8", [1], 1)}, b"1"), r"lies at \[1\]"),
    (raw({"a": {**info("U8", [1]), "data_offsets": None}}, b"1"), "place of whole numbers"),
    (raw({"a": info("F8_E4M3", [1], 0, 1)}, b"1"), "'a' has the dtype 'F8_E4M3', known are"),
    (raw({"a": info("f32", [1], 0, 4)}, b"1234"), "has the dtype 'f32'"),
    (raw({"a": info(None, [1], 0, 1)}, b"1"), "has the dtype None"),
    (raw({"a": info([], [1], 0, 1)}, b"1"), "has the dtype"),
    (raw({"a": {"dtype": "U8", "shape": [1]}}, b"1"), "has not dtype, shape, data_offsets"),
    (raw({"a": {**info("U8", [1], 0, 1), "more": 1}}, b"1"), "has not dtype, shape, data_offs"),
    (raw({"a": 3}), "has not dtype"), (raw({"a": None}), "has not dtype"),
    (raw({"a": info("F32", [2], 0, 4)}, bytes(4)), r"shape \[2\] of F32 needs 8 bytes"),
    (raw({"a": info("F32", [2], 0, 12)}, bytes(12)), "needs 8 bytes"),
    (raw({"a": info("F32", [2], 8, 0)}, bytes(8)), "needs 8 bytes"),
    (raw({"a": info("F32", [2 ** 62, 4], 0, 0)}), "NumPy holds no such array"),
    (raw({"a": info("F32", [0, 2 ** 62, 2 ** 62], 0, 0)}), "NumPy holds no such array"),
    (raw({"a": info("U8", [1] * 65, 0, 1)}, b"1"), "NumPy holds no such array"),
    (raw('{"a": {"dtype": "U8", "shape": [' + "9" * 5000 + '], "data_offsets": [0, 1]}}', b"1"),
     "header is not that"),
    (raw({"a": info("U8", [2], 0, 2), "b": info("U8", [2], 1, 3)}, bytes(3)),
     "'b' lies at 1 to 3 and overlaps the array before, up to 2"),
    (raw({"a": info("U8", [2], 0, 2), "b": info("U8", [2], 0, 2)}, bytes(2)), "overlaps"),
    (raw({"a": info("U8", [2], 0, 2), "b": info("U8", [2], 3, 5)}, bytes(5)),
     "'b' lies at 3 to 5 and leaves a hole before, up to 2"),
    (raw({"a": info("U8", [2], 1, 3)}, bytes(3)), "leaves a hole before, up to 0"),
    (raw({"a": info("U8", [0], 7, 7)}, bytes(3)), "leaves a hole"),
    (raw({}, b"x"), "the arrays take 0 bytes, the file has 1"),
    (raw({"a": info("BOOL", [2], 0, 2)}, b"\x01\x02"), "bytes other than 0 and 1"),
    (raw({"__metadata__": {"tinygrad_nn": "1"}}), "checksums are of version '1'"),
    (raw({"__metadata__": {"tinygrad_nn.crc32": "{}"}}), "checksums are of version None"),
    (raw({"__metadata__": {"tinygrad_nn": "2", "tinygrad_nn.crc32": "{}"}}), "version '2'"),
    (raw({"__metadata__": {"tinygrad_nn": "1", "tinygrad_nn.crc32": "{"}}), "header is not"),
    (raw({"__metadata__": {"tinygrad_nn": "1", "tinygrad_nn.crc32": "[" * 10 ** 5}}), "header"),
    (raw({"__metadata__": {"tinygrad_nn": "1", "tinygrad_nn.crc32": "[]"}}),
     "not what the checksums say"),
])
def test_files_that_are_refused(path, content, message):
    path.write_bytes(content)
    with pytest.raises(tn.DataError, match=message) as error:
        tn.load_weights(path)
    assert error.value.path == str(path) and str(error.value).startswith(f"{path}: ")
    assert len(str(error.value)) < 600


def test_files_that_are_odd_and_allowed(path):
    path.write_bytes(raw({"b": info("U8", [3], 8, 11), "a": info("F32", [2], 0, 8)}, bytes(11)))
    assert list(tn.load_weights(path)) == ["b", "a"]            # in any order
    path.write_bytes(raw({"e": info("F32", [0, 3], 2, 2), "a": info("U8", [2], 0, 2),
                          "f": info("U8", [0], 0, 0)}, b"12"))
    same(tn.load_weights(path), {"e": np.zeros((0, 3), "f4"), "a": A([49, 50], "u1"),
                                 "f": np.zeros(0, "u1")})
    path.write_bytes(raw('{\n"a" :{"shape":[ 1 ],"data_offsets":[0,1],"dtype":"U8"}}\t\r\n ',
                         b"5", pad=False))                      # not aligned, blanks behind
    same(tn.load_weights(path), {"a": A([53], "u1")})
    path.write_bytes(raw({"__metadata__": {"format": "pt"}, "x": info("I16", [], 0, 2)},
                         b"\1\0"))
    same(tn.load_weights(path), {"x": A(1, "i2")})
    assert tn.load_metadata(path) == {"format": "pt"}


def test_a_file_that_is_not_there_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        tn.load_weights(tmp_path / "none")
    with pytest.raises(OSError):                    # a folder
        tn.load_weights(tmp_path)


@pytest.mark.parametrize("weights, metadata, error, message", [
    ([A(1)], None, TypeError, "takes a module or a dict of arrays by name, got list"),
    ({1: A(1)}, None, TypeError, "name of an array must be a Unicode string.*got 1"),
    ({"__metadata__": A(1)}, None, TypeError, "other than '__metadata__'"),
    ({"\ud800": A(1)}, None, TypeError, "Unicode"),
    ({"a": A(["x"])}, None, TypeError, "cannot hold 'a', which has dtype <U1"),
    ({"a": A(1j)}, None, TypeError, "dtype complex128"),
    ({"a": None}, None, TypeError, "dtype object"),
    ({"a": np.zeros(2, "M8[s]")}, None, TypeError, "datetime64"),
    ({"a": np.zeros(2, [("x", "f4")])}, None, TypeError, "cannot hold 'a'"),
    ({}, {"k": 1}, TypeError, "maps strings to strings, got 'k': 1; json.dumps"),
    ({}, {1: "v"}, TypeError, "maps strings to strings"),
    ({}, {"k": "\udfff"}, TypeError, "maps strings to strings"),
    ({}, {"tinygrad_nn.crc32": ""}, ValueError, "begin with 'tinygrad_nn' are taken"),
])
def test_weights_that_are_refused(path, weights, metadata, error, message):
    with pytest.raises(error, match=message):
        tn.save_weights(path, weights, metadata)
    assert not path.exists()


def test_a_header_that_is_too_large_is_not_written(path, monkeypatch):
    from tinygrad_nn import _safetensors
    monkeypatch.setattr(_safetensors, "LARGEST_HEADER", 200)
    with pytest.raises(tn.DataError, match="the format allows 200"):
        tn.save_weights(path, {"a" * 100: A(1.0)})
    assert not path.exists()


# ---------------------------------------------------------------- damage

def read(path):
    return {n: (a.dtype, a.shape, a.tobytes()) for n, a in tn.load_weights(path).items()}, (
        tn.load_metadata(path))


@pytest.fixture(scope="module")
def intact(tmp_path_factory):
    path = tmp_path_factory.mktemp("damage") / "w"
    tn.save_weights(path, {"layer.weight": np.arange(6.0).reshape(2, 3), "layer.bias":
                           A([1, 2], "f4"), "on": A([True, False]), "n": A(7), "e": np.ones(0)},
                    {"classes": '["cat", "other"]', "epoch": "3"})
    return path.read_bytes(), read(path)


def check(path, damaged, intact):
    """A damaged file is refused by name, or holds what it held (a blank changed its kind)."""
    path.write_bytes(damaged)
    try:
        found = read(path)
    except tn.DataError as error:
        assert error.path == str(path)
        return "refused"
    assert found == intact[1]
    return "the same"


def test_any_flipped_byte_is_noticed(path, intact):
    content = intact[0]
    for flip in (0x01, 0x20, 0x80, 0xFF):
        results = [check(path, content[:i] + bytes([b ^ flip]) + content[i + 1:], intact)
                   for i, b in enumerate(content)]
        assert results.count("the same") < 8                # in the padding of the header


def test_any_deleted_or_doubled_byte_is_noticed(path, intact):
    content = intact[0]
    for i in range(len(content)):
        assert check(path, content[:i] + content[i + 1:], intact) == "refused"
        assert check(path, content[:i] + content[i:i + 1] + content[i:], intact) == "refused"
        assert check(path, content[:i], intact) == "refused"        # truncated


@given(st.data())
@settings(deadline=None, max_examples=150)
def test_any_damage_is_noticed(intact, tmp_path_factory, data):
    content = bytearray(intact[0])
    for _ in range(data.draw(st.integers(1, 4))):
        i, j, k = sorted(data.draw(st.integers(0, len(content))) for _ in range(3))
        match data.draw(st.sampled_from(["flip", "cut", "double", "swap", "zero", "insert"])):
            case "flip" if i < len(content): content[i] ^= data.draw(st.integers(1, 255))
            case "cut": del content[i:j]
            case "double": content[j:j] = content[i:j]
            case "swap": content[i:k] = content[j:k] + content[i:j]
            case "zero": content[i:j] = bytes(j - i)
            case "insert": content[i:i] = data.draw(st.binary(max_size=9))
    check(tmp_path_factory.getbasetemp() / "damaged", bytes(content), intact)


@given(st.data())
@settings(deadline=None, max_examples=150)
def test_headers_of_any_json_are_read_or_refused(tmp_path_factory, data):
    """Whatever another writer put there: a dict of arrays or a DataError."""
    numbers = st.integers(-2, 9) | st.floats() | st.booleans() | st.none()
    value = st.recursive(numbers | st.text(max_size=3), lambda v: st.lists(v, max_size=3)
                         | st.dictionaries(st.text(max_size=3), v, max_size=3), max_leaves=6)
    entry = st.fixed_dictionaries({
        "dtype": st.sampled_from(["U8", "F32", "BF16", "BOOL"]) | value,
        "shape": st.lists(st.integers(0, 2), max_size=3) | value,
        "data_offsets": st.tuples(st.integers(0, 4), st.integers(0, 8)) | value})
    header = data.draw(st.dictionaries(st.sampled_from(["a", "b", "__metadata__"]),
                                       entry | value, max_size=3))
    path = tmp_path_factory.getbasetemp() / "any"
    path.write_bytes(raw(header, data.draw(st.binary(max_size=8))))
    try:
        assert all(type(a) is np.ndarray for a in tn.load_weights(path).values())
    except tn.DataError as error:
        assert error.path == str(path)


# ---------------------------------------------------------------- replacing a file

def test_a_failure_half_way_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = tmp_path / "w"
    tn.save_weights(path, {"a": A(1.0)})
    before = path.read_bytes()

    def full(*args):
        raise OSError(28, "No space left on device")
    with monkeypatch.context() as m, pytest.raises(OSError, match="No space"):
        m.setattr(os, "fsync", full)
        tn.save_weights(path, {"a": A(2.0)})
    with pytest.raises(KeyboardInterrupt), replacing(path) as f:
        f.write(b"half")
        raise KeyboardInterrupt
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["w"]
    tn.save_weights(path, {"a": A(2.0)})
    assert tn.load_weights(path)["a"] == 2 and os.listdir(tmp_path) == ["w"]


def test_the_file_is_on_the_disk_before_it_takes_the_name(tmp_path, monkeypatch):
    done, fsync, replace = [], os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (done.append("fsync"), fsync(fd)))
    monkeypatch.setattr(os, "replace", lambda a, b: (done.append("replace"), replace(a, b)))
    tn.save_weights(tmp_path / "w", {"a": np.ones(10 ** 5)})
    assert done == ["fsync", "replace"]


@pytest.mark.skipif(os.name == "nt", reason="links and modes of POSIX")
def test_links_stay_links_and_files_have_the_usual_mode(tmp_path):
    (tmp_path / "there").mkdir()
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "there" / "w")
    tn.save_weights(link, {"a": A(1.0)})
    assert link.is_symlink() and tn.load_weights(tmp_path / "there" / "w")["a"] == 1
    plain = tmp_path / "plain"
    plain.write_bytes(b"")
    assert stat.S_IMODE(link.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)

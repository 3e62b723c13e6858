"""Weights in files: the safetensors format, read and written.

A file is 8 bytes (N, little-endian), N bytes of JSON (for each array its dtype, its shape and
where its bytes begin and end; strings in ``__metadata__``), then those bytes, with nothing in
between or behind. Written by the description at github.com/huggingface/safetensors; its package
lets duplicate names and blanks before the ``{`` pass, this file does not. Nothing is unpickled.

The format has no checksums; ours are CRC-32 sums in the metadata, over name, dtype, shape and
bytes of each array and over the rest of the metadata, compared when read. A file of another
writer has none, and is taken as it is. Sums in the same file guard against accidents alone (who
changes the data on purpose changes the sum as well), and for those CRC-32 is as good as a
cryptographic sum: it finds every burst of up to 32 bits and misses others once in 4 billion.
"""

import json
import math
import os
import zlib
from reprlib import repr as brief
from typing import NamedTuple

import numpy as np

from ._core import Box
from ._errors import DataError
from ._files import replacing

CODES = {"F64": "f8", "F32": "f4", "F16": "f2", "I64": "i8", "I32": "i4", "I16": "i2",
         "I8": "i1", "U64": "u8", "U32": "u4", "U16": "u2", "U8": "u1", "BOOL": "b1",
         "C64": "c8", "BF16": "u2"}
NAMES = {code: name for name, code in CODES.items() if name != "BF16"}
LARGEST_HEADER = 100_000_000
OURS, SUMS, VERSION = "tinygrad_nn", "tinygrad_nn.crc32", "1"       # both keys, or neither


def save_weights(path, weights, metadata=None):
    """Write arrays to a safetensors file; an old file is replaced as a whole or not at all.

    ``weights``: a module or a dict {name: array} of booleans, integers, floats up to 64 bits or
    complex64, of any shape and memory layout; ``metadata``: a dict of strings to go with them.

    >>> import tempfile, numpy as np, tinygrad_nn as tn
    >>> path = tempfile.mkdtemp() + "/weights.safetensors"
    >>> tn.save_weights(path, {"layer.bias": np.array([1.5, 2.0])}, {"epoch": "3"})
    >>> tn.load_weights(path), tn.load_metadata(path)
    ({'layer.bias': array([1.5, 2. ])}, {'epoch': '3'})
    """
    state = weights.state_dict() if hasattr(weights, "state_dict") else weights
    if not hasattr(state, "items"):
        raise TypeError("save_weights takes a module or a dict of arrays by name, got "
                        f"{type(weights).__name__}")
    arrays = {name: _writable(name, value) for name, value in state.items()}
    metadata = _checked_metadata(dict(metadata or {}))
    header = {"__metadata__": metadata, **dict.fromkeys(arrays)}
    end, sums = 0, {"metadata": _sum_of_metadata(metadata), "tensors": {}}
    in_file = sorted(arrays, key=lambda name: -arrays[name].itemsize)       # so all are aligned
    for name in in_file:
        a = arrays[name]
        begin, end = end, end + a.nbytes
        dtype = NAMES[a.dtype.str[1:]]
        header[name] = {"dtype": dtype, "shape": a.shape, "data_offsets": (begin, end)}
        sums["tensors"][name] = _sum_of(name, dtype, a.shape, _bytes(a))
    metadata.update({OURS: VERSION, SUMS: json.dumps(sums)})
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > LARGEST_HEADER:
        raise DataError(f"{path}: the header of these weights would have {len(text):,} bytes, "
                        f"the format allows {LARGEST_HEADER:,}", path)
    with replacing(path) as f:
        f.write(len(text).to_bytes(8, "little"))
        f.write(text)
        for name in in_file:
            f.write(_bytes(arrays[name]))


def load_weights(path):
    """The arrays of a safetensors file, {name: array}, in the order of its header; BF16, which
    NumPy lacks, comes as float32. `DataError`, with the path, for a file that is truncated or
    damaged or that the format forbids; `OSError` for one that cannot be opened."""
    return read(path)[0]


def load_metadata(path):
    """The strings that go with the weights of a file, a dict; errors as of `load_weights`."""
    with open(path, "rb") as f:
        return _read_header(f, path)[1]


# ---------------------------------------------------------------- writing

def _writable(name, value):
    if not isinstance(name, str) or not _is_unicode(name) or name == "__metadata__":
        raise TypeError("the name of an array must be a Unicode string other than "
                        f"'__metadata__', got {name!r}")
    a = np.asarray(value.data if isinstance(value, Box) else value)
    if a.dtype.str[1:] not in NAMES:
        raise TypeError(f"safetensors files cannot hold {name!r}, which has dtype {a.dtype}")
    return a


def _checked_metadata(metadata):
    for key, value in metadata.items():
        if not all(isinstance(text, str) and _is_unicode(text) for text in (key, value)):
            raise TypeError(f"metadata maps strings to strings, got {key!r}: {value!r}; "
                            "json.dumps makes a string of other values")
        if key.startswith(OURS):
            raise ValueError(f"metadata keys that begin with {OURS!r} are taken, got {key!r}")
    return metadata


def _bytes(a):
    """The elements in C order and little-endian, as a flat array of bytes."""
    return np.ascontiguousarray(a, a.dtype.newbyteorder("<")).reshape(-1).view(np.uint8)


def _sum_of(name, dtype, shape, data):
    """The checksum of one array, 8 hexadecimal digits."""
    return f"{zlib.crc32(data, zlib.crc32(json.dumps([name, dtype, shape]).encode())):08x}"


def _sum_of_metadata(metadata):
    return f"{zlib.crc32(json.dumps(metadata, sort_keys=True).encode()):08x}"


def _is_unicode(text):
    """Whether UTF-8 can hold it: there are no halves of surrogate pairs."""
    return text == text.encode(errors="replace").decode()


# ---------------------------------------------------------------- reading

def read(path):
    """(arrays by name, metadata) of a file."""
    with open(path, "rb") as f:
        entries, metadata, sums = _read_header(f, path)
        arrays = dict.fromkeys(e.name for e in entries)
        for e in sorted(entries, key=lambda e: e.offsets):
            arrays[e.name] = _read_array(f, e, sums, path)
    return arrays, metadata


class Entry(NamedTuple):        # of the header; offsets count from its end
    name: str
    dtype: str
    shape: tuple
    offsets: tuple


def _read_header(f, path):
    """(entries, metadata, {name: checksum}), checked, of a file that is then at its arrays."""
    size = os.fstat(f.fileno()).st_size
    n = int.from_bytes(f.read(8), "little")
    if size < 8 or n > size - 8 or n > LARGEST_HEADER:
        raise DataError(f"{path}: this is no safetensors file, or a truncated one: it has "
                        f"{size} bytes, {n} of them in its header", path)
    text = f.read(n)
    try:
        if text[:1] != b"{":
            raise ValueError(f"it must begin with '{{', got {text[:1]!r}")
        header = json.loads(text.decode(), object_pairs_hook=_unique, parse_int=_natural,
                            parse_float=_natural, parse_constant=_natural)
        metadata = header.pop("__metadata__", {})
        entries = [_entry(name, fields) for name, fields in header.items()]
        _check_layout(entries, size - 8 - n)
        return entries, *_split_metadata(metadata, set(header))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: the header is not that of a safetensors file, or damaged: "
                        f"{error}", path) from None


def _unique(pairs):
    found = {}
    for key, value in pairs:
        if key in found or not _is_unicode(key):
            raise ValueError(f"the name {brief(key)} comes twice or is not Unicode")
        found[key] = value
    return found


def _natural(text):
    """The number that stands in the JSON, -1, 1.0 and NaN refused."""
    if not text.isdecimal():
        raise ValueError(f"{text} is not a whole number from 0")
    return int(text)


def _entry(name, fields):
    if not isinstance(fields, dict) or set(fields) != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"{name!r} has not dtype, shape, data_offsets alone: {brief(fields)}")
    dtype, shape, offsets = fields["dtype"], fields["shape"], fields["data_offsets"]
    if not isinstance(dtype, str) or dtype not in CODES:
        raise ValueError(f"{name!r} has the dtype {brief(dtype)}, known are {', '.join(CODES)}")
    for numbers in (shape, offsets):
        if not isinstance(numbers, list) or any(type(k) is not int for k in numbers):
            raise ValueError(f"{name!r} has {brief(numbers)} in place of whole numbers")
    item = np.dtype(CODES[dtype]).itemsize
    if len(shape) > 64 or math.prod(k or 1 for k in shape) * item >= 2 ** 63:   # even if empty
        raise ValueError(f"{name!r} has the shape {brief(shape)}: NumPy holds no such array")
    length = math.prod(shape) * item
    if len(offsets) != 2 or offsets[1] - offsets[0] != length:
        raise ValueError(f"{name!r} lies at {brief(offsets)}, its shape {shape} of {dtype} "
                         f"needs {length} bytes")
    return Entry(name, dtype, tuple(shape), tuple(offsets))


def _check_layout(entries, size):
    """The arrays lie behind one another and fill ``size`` bytes: no holes, no overlap."""
    at = 0
    for e in sorted(entries, key=lambda e: e.offsets):
        begin, end = e.offsets
        if begin != at:
            fault = "overlaps the array before" if begin < at else "leaves a hole before"
            raise ValueError(f"{e.name!r} lies at {begin} to {end} and {fault}, up to {at}")
        at = end
    if at != size:
        raise ValueError(f"the arrays take {at} bytes, the file has {size} for them"
                         + (" (truncated?)" if size < at else ""))


def _split_metadata(metadata, names):
    """(the user's metadata, {name: checksum}, empty where the file is not ours)."""
    if not isinstance(metadata, dict) or not all(
            isinstance(v, str) and _is_unicode(v) for v in metadata.values()):
        raise ValueError("__metadata__ must map strings to strings")
    version, text = metadata.pop(OURS, None), metadata.pop(SUMS, None)
    if version is None and text is None:
        return metadata, {}
    if version != VERSION or text is None:
        raise ValueError(f"its checksums are of version {version!r}, {VERSION!r} is known")
    match json.loads(text):
        case {"metadata": str(own), "tensors": dict(sums)} if (
                own == _sum_of_metadata(metadata) and set(sums) == names):
            return metadata, sums
    raise ValueError("the metadata or the names are not what the checksums say")


def _read_array(f, e, sums, path):
    """The next array of the file, checked; in the byte order of this machine."""
    a = np.empty(e.shape, np.dtype(CODES[e.dtype]).newbyteorder("<"))
    data = a.reshape(-1).view(np.uint8)
    if f.readinto(data) != len(data):
        raise DataError(f"{path}: the file ends within {e.name!r}", path)
    if sums and sums[e.name] != _sum_of(e.name, e.dtype, e.shape, data):
        raise DataError(f"{path}: {e.name!r} is not what its checksum says: the file was "
                        "damaged, or changed since it was written", path)
    if e.dtype == "BOOL" and data.size and data.max() > 1:
        raise DataError(f"{path}: {e.name!r} is BOOL and holds bytes other than 0 and 1", path)
    if e.dtype == "BF16":                               # the upper half of a float32
        return np.asarray(a.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return a.astype(a.dtype.newbyteorder("="), copy=False)

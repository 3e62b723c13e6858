"""Vector code for this machine: LLVM's text in, a function for ctypes out, kept on disk.

llvmlite, which numba brings, is used directly. What numba adds, types found out from Python
source and its own dispatch, generated code does not need, and it costs most of the time: layer
norm with GELU, forward and backward, compiles in a quarter of a second, against several.

What was compiled lies in the folder of `folder`, one file each, named by a hash of the text, of
the machine and of the version. It may be deleted at any time.
"""

import ctypes
import functools
import hashlib
import os
import sys
from pathlib import Path

import llvmlite
import llvmlite.binding as llvm
import numpy as np

from .._files import replacing

HEAD = object.__basicsize__             # where the address of an array's elements stands in it
_kept = []                              # what must live as long as its functions


@functools.cache
def machine():
    """LLVM's code generator for this processor."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    features = llvm.get_host_cpu_features().flatten()
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=features, opt=3)


@functools.cache
def width():
    """Bytes in a vector register."""
    found = llvm.get_host_cpu_features()
    return 64 if found.get("avx512f") and found.get("avx512dq") else 32 if found.get(
        "avx2") else 16


@functools.cache
def works():
    """Whether arrays can be handed over as objects: their address lies behind the head of the
    object, as NumPy's C interface says."""
    a = np.empty(1)
    return sys.implementation.name == "cpython" and ctypes.c_void_p.from_address(
        id(a) + HEAD).value == a.ctypes.data


def function(text, kinds):
    """The function ``run`` of a module in LLVM's text, for arguments of these ctypes."""
    return ctypes.CFUNCTYPE(None, *kinds)(_address(text))


@functools.cache
def _address(text):
    data = _from_disk(text) or _compiled(text)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine())
    engine.add_object_file(llvm.object_file.ObjectFileRef.from_data(data))
    engine.finalize_object()
    _kept.append(engine)
    return engine.get_function_address("run")


def _compiled(text):
    module = llvm.parse_assembly(text)
    module.verify()
    options = llvm.create_pipeline_tuning_options(speed_level=2)
    options.loop_vectorization = options.slp_vectorization = options.loop_unrolling = False
    passes = llvm.create_pass_builder(machine(), options)
    passes.getModulePassManager().run(module, passes)
    data = machine().emit_object(module)
    try:
        path = _path(text)
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as f:
            f.write(hashlib.sha256(data).digest() + data)
    except OSError:
        pass                            # there is no folder that can be written to
    return data


def _from_disk(text):
    try:
        data = _path(text).read_bytes()
    except OSError:
        return None
    digest, data = data[:32], data[32:]
    return data if hashlib.sha256(data).digest() == digest else None


def _path(text):
    m = machine()
    sort = "\n".join([text, m.triple, llvm.get_host_cpu_name(),
                      llvm.get_host_cpu_features().flatten(), llvmlite.__version__])
    return folder() / (hashlib.sha256(sort.encode()).hexdigest()[:32] + ".o")


def folder():
    """Where compiled code is kept: in NUMBA_CACHE_DIR, or in `__pycache__` beside this file, or
    where that cannot be written, in a folder of the user's own."""
    asked = os.environ.get("NUMBA_CACHE_DIR")
    here = Path(asked) if asked else Path(__file__).parent / "__pycache__"
    if not asked and not os.access(here if here.exists() else here.parent, os.W_OK):
        here = Path.home() / ".cache"
    return here / "tinygrad_nn-chains"

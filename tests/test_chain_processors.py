"""The code of generated kernels for processors that this machine may not have: LLVM makes it,
nothing runs it."""

import re

import numpy as np
import pytest
from tracing import program, table

import tinygrad_nn as tn
from tinygrad_nn.passes import _chains as chains_pass
from tinygrad_nn.passes import optimised

pytest.importorskip("numba")

import llvmlite.binding as llvm

from tinygrad_nn.kernels import _chains as chain_kernels
from tinygrad_nn.kernels import _llvm

PROCESSORS = [  # triple, processor, bytes of a vector, such registers, a call
    ("aarch64-unknown-linux-gnu", "neoverse-n1", 16, r"\bv\d+\.(4s|2d)", r"\sbl\s+(\S+)"),
    ("arm64-apple-darwin", "apple-m1", 16, r"\.(4s|2d)\s", r"\sbl\s+_(\S+)"),
    ("x86_64-unknown-linux-gnu", "x86-64", 16, r"xmm\d", r"\scallq?\s+(\w+)"),
    ("x86_64-unknown-linux-gnu", "haswell", 32, r"ymm\d", r"\scallq?\s+(\w+)"),
    ("x86_64-unknown-linux-gnu", "skylake-avx512", 64, r"zmm\d", r"\scallq?\s+(\w+)")]
LIBRARY = {name + kind for kind in ("", "f") for name in ("floor", "ceil", "trunc", "rint")} | {
    "table", "memset", "memcpy", "bzero"}       # what every C library has, and the kernel's own


def machine(triple, processor):
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    try:
        return llvm.Target.from_triple(triple).create_target_machine(
            cpu=processor, opt=3, codemodel="small")
    except RuntimeError:
        pytest.skip(f"this llvmlite makes no code for {triple}")


def assembly(f, arrays, processor, monkeypatch):
    """The code of all kernels of a function's program for a processor."""
    triple, name, width, *_ = processor
    target = machine(triple, name)
    monkeypatch.setattr(_llvm, "width", lambda: width)
    found = ""
    for e in optimised(program(f, *arrays))["chains"].equations:
        if isinstance(e.fn, chains_pass.Chained):
            module = llvm.parse_assembly(e.fn.source)
            module.triple, module.data_layout = triple, str(target.target_data)
            module.verify()
            found += target.emit_assembly(module)
    return found


OPERATIONS = [
    lambda x, y: np.exp(x) + np.log(y), lambda x, y: np.tanh(x) * tn.gelu(y),
    lambda x, y: np.where(x > y, np.expm1(x), np.log1p(y)), lambda x, y: tn.softmax(x - y),
    lambda x, y: np.sum(x, axis=0) * y, lambda x, y: np.logaddexp(x, y) / np.sqrt(y),
    lambda x, y: np.mean(x, axis=1, keepdims=True) - np.floor(y), lambda x, y: np.rint(x) * y,
    lambda x, y: np.maximum(x, y) + np.clip(x, -1, 2), lambda x, y: np.isfinite(x) * y]


@pytest.mark.parametrize("processor", PROCESSORS, ids=lambda p: p[1])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("threaded", [False, True])
def test_vectors_of_the_processor_and_no_unknown_functions(processor, dtype, threaded,
                                                           monkeypatch):
    monkeypatch.setattr(chain_kernels, "PARALLEL", 0 if threaded else 1 << 60)
    arrays = table((40, 67), dtype), table((40, 67), dtype, 1)
    *_, registers, call = processor
    for f in OPERATIONS:
        code = assembly(f, arrays, processor, monkeypatch)
        assert re.search(registers, code)
        called = set(re.findall(call, code))
        assert "table" in called and called <= LIBRARY

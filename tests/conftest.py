"""What the tests share: where real data lies, the examples as modules, silent NumPy."""

import math
import os
import sys
from pathlib import Path

import numpy as np
import pytest

import tinygrad_nn.passes

pytest_plugins = ["tinygrad_nn_pytest"]     # as its entry point, where nothing is installed
ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "examples"))


@pytest.fixture(autouse=True)
def chains_in_their_own_tests(request, monkeypatch):
    """Compiled functions are compared with the functions themselves bit for bit. Kernels for
    chains differ from NumPy in the last places and have tests of their own, of any size."""
    own = request.path.stem.startswith("test_chain")
    monkeypatch.setattr(tinygrad_nn.passes._chains, "LEAST", 0 if own else math.inf)
    if own:
        monkeypatch.setattr(tinygrad_nn.passes._chains, "HEAVY", 0)


@pytest.fixture(scope="session")
def real_data():
    """The folder of real data named by TINYGRAD_NN_DATA; the test is skipped without it."""
    folder = os.environ.get("TINYGRAD_NN_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("TINYGRAD_NN_DATA is not set")
    return Path(folder)


@pytest.fixture
def silence():
    """NumPy's own warnings are not what is tested here: they stay unsaid."""
    with np.errstate(all="ignore"):
        yield

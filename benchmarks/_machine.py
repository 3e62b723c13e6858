"""The machine, and the environment that every measured process gets."""

import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

from . import THREADS

ROOT = Path(__file__).parents[1]
# A user's tuning would flatter one framework; OPENBLAS_CORETYPE and OPENBLAS_L2_SIZE even
# change which kernel runs. Every worker starts from the defaults, but for the threads.
DROPPED = ("OPENBLAS_", "OMP_", "GOMP_", "KMP_", "MKL_", "BLIS_", "VECLIB_", "MALLOC_",
           "GLIBC_", "NUMBA_", "XLA_", "TF_", "PYTHONMALLOC", "PYTHONDONTWRITEBYTECODE")
NUMBER_OF_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS",
                     "VECLIB_MAXIMUM_THREADS", "BENCHMARKS_THREADS")
SET = {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu", "TF_CPP_MIN_LOG_LEVEL": "3"}


def threads(number):
    """The variables that set so many for everybody; the last one is for `frameworks/`."""
    return dict.fromkeys(NUMBER_OF_THREADS, str(number))



def environment():
    """For workers: the user's, without the tuning, with the number of threads."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(DROPPED)}
    return {**kept, **SET, **threads(THREADS)}


def missing(peer):
    """None, or a sentence that says why this one cannot take part."""
    package, _, part = peer.partition(".")
    if importlib.util.find_spec(package) is None:
        return f"{peer} is left out: {package} is not installed."
    compilers = filter(None, (os.environ.get("CXX"), "g++", "clang++"))
    if part == "compile" and not any(map(shutil.which, compilers)):
        return f"{peer} is left out: it needs a C++ compiler, and there is none."
    return None


def cpus():
    """So many CPUs as there are threads, on different cores where the system tells."""
    if not hasattr(os, "sched_getaffinity"):
        return []
    allowed, cores = sorted(os.sched_getaffinity(0)), {}
    for cpu in allowed:
        cores.setdefault(_core_of(cpu), cpu)
    return sorted([*cores.values(), *(c for c in allowed if c not in cores.values())][:THREADS])


def _core_of(cpu):
    siblings = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
    return siblings.read_text() if siblings.exists() else cpu


def describe():
    """What a reader needs to judge the numbers."""
    return {
        "cpu": _cpu_model(), "cpus": os.cpu_count(), "used_cpus": cpus(), "threads": THREADS,
        "system": platform.platform(), "python": platform.python_version(), "commit": _commit(),
        "load": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
        "dropped_variables": sorted(k for k in os.environ if k.startswith(DROPPED)),
        "environment": {**SET, **threads(THREADS)}, "executable": sys.executable,
    }


def _cpu_model():
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or "unknown"


def _commit():
    try:
        done = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, text=True,
                              capture_output=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() or None

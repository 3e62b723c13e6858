"""What a process holds: resident memory, its peak, and objects that the collector knows."""

import gc
import resource
import sys
from pathlib import Path

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def peak():
    """The most bytes that were ever resident. VmHWM where there is one: ru_maxrss of a young
    process can be its parent's."""
    kilobyte = 1 if sys.platform == "darwin" else 1024
    return _status("VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * kilobyte


def resident():
    """Bytes resident now; the peak where the system does not tell."""
    return _status("VmRSS") or peak()


def _status(name):
    if STATUS.exists():
        for line in STATUS.read_text().splitlines():
            if line.startswith(name + ":"):
                return int(line.split()[1]) * 1024
    return None


def reset_peak():
    """Let the peak start again from what is resident now, where the system can."""
    try:
        CLEAR.write_text("5")
    except OSError:
        return False
    return True


def cost_of(step):
    """Run ``step()`` twice with the garbage collector off, for the first time in this process.

    ``peak``: by how many bytes resident memory grew at most in the first run; ``again``: by how
    many the second run's peak is higher; ``objects``: how many more objects the collector knows
    in the end. The last two are (nearly) 0 where reference counting frees everything. What is
    resident in the end says little: the allocator keeps pages for use.
    """
    gc.collect()
    gc.disable()
    try:
        before, objects = resident(), len(gc.get_objects())
        exact = reset_peak()
        step()
        first = peak()
        step()
        return {"peak": first - before, "again": peak() - first, "exact": exact,
                "objects": len(gc.get_objects()) - objects}
    finally:
        gc.enable()

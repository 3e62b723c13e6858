"""Speed and memory beside NumPy by hand and other frameworks: ``python -m benchmarks``."""

import os

# Of BLAS and of every framework; also the CPUs that a worker may use. The variable is for rows
# that measure other numbers: `_workers.started` sets it.
THREADS = int(os.environ.get("BENCHMARKS_THREADS", "2"))

"""Speed and memory beside NumPy by hand and other frameworks: ``python -m benchmarks``."""

THREADS = 2        # of BLAS and of every framework; also the CPUs that a worker may use

"""Speed and memory against hand-written NumPy and other frameworks: ``python -m benchmarks``."""

THREADS = 2        # of BLAS and of every framework, and the number of CPUs each worker may use

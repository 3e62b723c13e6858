.PHONY: check test bench

check:
	ruff check .
	python -m pytest

test:
	python -m pytest

bench:
	python -m benchmarks

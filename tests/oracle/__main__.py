"""The table of the oracle: ``python -m tests.oracle [operator ...]``."""

import sys

from .runner import table

print(table(sys.argv[1:]))

"""Prints the page of functions: ``python -m tinygrad_nn.rules > docs/functions.md``."""

from ._page import page

print(page(), end="")

"""Prints the page of functions: ``python -m tinygrad_nn.rules > docs/functions.md``."""

from ._page import page

if __name__ == "__main__":
    print(page(), end="")

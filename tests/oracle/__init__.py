"""PyTorch as an oracle: its own sample inputs, run through it and through this package.

    python -m tests.oracle              # the table, operator by operator

`runner` knows PyTorch and pairs each sample with our call; the files of the mapping know only
NumPy and this package, and state what each operator of PyTorch is there.
"""

"""`History`: what every epoch of a run came to."""


class History(list):
    """A dict of numbers for each epoch, in order; by a name, that number of every epoch.

    Prints as a table.

    >>> import tinygrad_nn as tn
    >>> history = tn.train.History([{"epoch": 1, "loss": 0.69}, {"epoch": 2, "loss": 0.4}])
    >>> history["loss"], history[-1]["loss"]
    ([0.69, 0.4], 0.4)
    >>> print(history)
    epoch    loss
        1  0.6900
        2  0.4000
    """

    def __getitem__(self, key):
        if not isinstance(key, str):
            return super().__getitem__(key)
        if self and key not in self[0]:
            raise KeyError(f"the history has no {key!r}, it has {', '.join(self[0])}")
        return [row[key] for row in self]

    def __repr__(self):
        if not self:
            return "no epochs"
        half = LONG // 2
        rows = list(self) if len(self) <= LONG else [*self[:half], None, *self[-half:]]
        cells = [list(self[0]), *(["…"] * len(self[0]) if row is None else
                                  [number(v) for v in row.values()] for row in rows)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        return "\n".join("  ".join(c.rjust(w) for c, w in zip(row, widths, strict=True))
                         for row in cells)

    __str__ = __repr__


LONG = 40               # rows of a table; of a longer history it shows the first and the last


def number(value):
    """A number as a person reads it in a line or table."""
    if isinstance(value, int):
        return str(value)
    return f"{value:.4f}" if value == 0 or 1e-2 <= abs(value) < 1e4 else f"{value:.3g}"

"""The exceptions of tinygrad_nn: few types, each under the builtin that a caller would catch.

    TinygradError
    ├── ShapeError         (ValueError)           shapes that do not fit together
    ├── DetachError        (TypeError)            a value would leave the graph without a word
    ├── GraphError         (RuntimeError)         a graph used in a way it cannot be
    │   └── MutationError                         an array that it still needs was changed
    ├── NoRuleError        (NotImplementedError)  a function without a derivative rule
    ├── NonFiniteError     (FloatingPointError)   the first nan or infinity, by debug_nans
    ├── GradcheckError     (AssertionError)       derivatives that disagree
    ├── DataError          (ValueError)           a file, folder or picture is of no use
    └── MissingExtraError  (ImportError)          an optional package that is not installed

Messages are sentences: what was expected, what came (shape, dtype, value), where, what to do.
"""


class TinygradError(Exception):
    """Base class of every error that tinygrad_nn raises itself."""


class ShapeError(TinygradError, ValueError):
    """Shapes do not broadcast, multiply or match; the message names the operation and axis."""


class DetachError(TinygradError, TypeError):
    """A Tensor was about to become a plain number or array, losing its gradient silently."""


class GraphError(TinygradError, RuntimeError):
    """A graph was used in a way it cannot be: freed, not scalar, or part of a transform."""


class MutationError(GraphError):
    """An array that a recorded operation needs was written to before the backward pass."""


class NoRuleError(TinygradError, NotImplementedError):
    """A function, or one of its arguments, has no derivative rule."""


class NonFiniteError(TinygradError, FloatingPointError):
    """An operation made a nan or an infinity of finite numbers; raised within `debug_nans`."""


class GradcheckError(TinygradError, AssertionError):
    """Two ways of computing a derivative disagree; ``report`` says everything about it."""

    def __init__(self, message, report=None):
        super().__init__(message)
        self.report = report


class DataError(TinygradError, ValueError):
    """A file, folder or picture cannot be used; ``path`` says which.

    ``path`` is a string, or None where the data did not come from a file.
    """

    def __init__(self, message, path=None):
        super().__init__(message)
        self.path = None if path is None else str(path)


class MissingExtraError(TinygradError, ImportError):
    """An optional package is missing; the message is the ``pip install`` line to type."""

"""Progress: one line that renews itself on a terminal, a few plain lines elsewhere."""

import shutil
import sys
import time

from ._callbacks import Callback
from ._history import number

OFTEN = 0.1             # seconds between two renewals: faster than that nobody reads
FEW = 20                # epochs up to which each has a line that stays


class Line:
    """The last line of a stream: renewed in place on a terminal, else kept or not shown."""

    def __init__(self, stream=None):
        self.stream = stream or sys.stdout
        self.terminal = self.stream.isatty()
        self.shown, self.width = time.perf_counter(), 0

    def due(self):
        """Whether a person would see a renewal: on a terminal, when the last one is a while
        ago."""
        return self.terminal and time.perf_counter() - self.shown > OFTEN

    def renew(self, text, keep=False):
        """Put ``text`` in the place of the line; ``keep``: and begin the next line."""
        if self.terminal:
            text = text if keep else text[:shutil.get_terminal_size().columns - 1]
            padded, self.shown = text.ljust(self.width), time.perf_counter()
            self.width = 0 if keep else len(text)
            print("\r" + padded, end="\n" if keep else "", file=self.stream, flush=True)
        elif keep:
            print(text, file=self.stream, flush=True)

    def end(self):
        """Leave a line that was not kept, so that what follows stands below it."""
        if self.width:
            print(file=self.stream, flush=True)
            self.width = 0


class Progress:
    """Numbers, rate and time left of ``total`` equal steps; ten lines where there is no
    terminal.

    >>> import tinygrad_nn as tn
    >>> progress = tn.train.Progress(20)
    >>> for i in range(20): progress(i, cost=1 / (1 + i)) if i in (0, 1, 10, 19) else None
    iteration 0: cost 1.0000
    iteration 10: cost 0.0909
    iteration 19: cost 0.0500
    """

    def __init__(self, total, stream=None, unit="iteration"):
        self.total, self.unit, self.line = total, unit, Line(stream)
        self.start = time.perf_counter()

    def __call__(self, i, **numbers):
        """Step ``i``, from 0, is done, with these numbers."""
        done, last = i + 1, i + 1 == self.total
        if self.line.terminal:
            if last or self.line.due():
                rate = pace(done, self.total, time.perf_counter() - self.start)
                self.line.renew(f"{self.unit} {done} of {self.total}   {listed(numbers)}   "
                                f"{rate}", keep=last)
        elif last or i % -(-self.total // 10) == 0:
            self.line.renew(f"{self.unit} {i}: {listed(numbers)}", keep=True)


class EpochLines(Callback):
    """What `fit` prints: the present epoch on a terminal, a line for each epoch done (of more
    than twenty, for about every twentieth part)."""

    def __init__(self, stream=None):
        self.line = Line(stream)

    def settings(self):
        return None

    def on_start(self, run):
        for note in run.notes:
            self.line.renew(note, keep=True)
        self.start = self.began = time.perf_counter()
        self.before = run.steps             # a resumed run has done these in another life
        self.length = run.feed.length()

    def on_step(self, run):
        if not self.line.due():
            return
        seconds, of = time.perf_counter() - self.start, ""
        total = done = run.steps - self.before
        if self.length:
            of = f" of {self.length}"
            total += (run.epochs - run.epoch) * self.length - run.step
        self.line.renew(f"epoch {run.epoch + 1} of {run.epochs}   step {run.step}{of}   "
                        f"{listed(run.averages.result())}   {pace(done, total, seconds)}")

    def on_epoch(self, run):
        self.length = self.length or run.steps // run.epoch
        now, row = time.perf_counter(), dict(run.history[-1])
        del row["epoch"], row["lr"]
        text = (f"epoch {run.epoch} of {run.epochs}: {listed(row)}   "
                f"({duration(now - self.began)})")
        keep = (run.epoch in (1, run.epochs) or run.stopped is not None or run.epochs <= FEW
                or run.epoch % -(-run.epochs // FEW) == 0)
        if keep or self.line.due():
            self.line.renew(text, keep)
        self.began = now

    def on_end(self, run):
        if run.stopped is not None:
            self.line.renew(f"Stopped after epoch {run.epoch}: {run.stopped}.", keep=True)

    def close(self):
        self.line.end()


def listed(numbers):
    """Names and numbers: "loss 0.1234   accuracy 0.9876"."""
    return "   ".join(f"{name} {number(value)}" for name, value in numbers.items())


def pace(done, total, seconds):
    """Steps a second and the time left, at the speed so far."""
    rate = done / max(seconds, 1e-9)
    left = f"   {duration((total - done) / rate)} left" if total > done else ""
    return f"{number_of(rate)} a second{left}"


def number_of(rate):
    """A rate with two digits at least."""
    return f"{rate:.0f}" if rate >= 10 else f"{rate:.2g}"


def duration(seconds):
    """12.3 s, 45 s, 3 min 20 s, 1 h 5 min."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, seconds = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {seconds} s"
    return f"{minutes // 60} h {minutes % 60} min"

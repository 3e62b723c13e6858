"""Ctrl-C that waits for the end of what must not be done by halves. Knows nothing of training.
"""

import contextlib
import signal
import threading


class CtrlC:
    """While `watched`, Ctrl-C within a ``with`` block of this object takes effect at its end.

    Python raises KeyboardInterrupt between any two bytecodes: between the updates of two
    parameters, too. In threads other than the main one, and where the program has switched
    Python's own handling off, nothing is changed and nothing waits.
    """

    def __init__(self):
        self.inside, self.noted, self.handler = False, None, None

    @contextlib.contextmanager
    def watched(self):
        """Within it this object handles the signal; afterwards who did before does again."""
        self.handler = signal.getsignal(signal.SIGINT)
        if threading.current_thread() is not threading.main_thread() or not callable(
                self.handler):
            yield
            return
        signal.signal(signal.SIGINT, self._received)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, self.handler)

    def _received(self, *signal_and_frame):
        if self.inside:
            self.noted = signal_and_frame
        else:
            self.handler(*signal_and_frame)

    def __enter__(self):
        self.inside = True

    def __exit__(self, *error):
        self.inside = False
        if self.noted is not None:
            noted, self.noted = self.noted, None
            self.handler(*noted)

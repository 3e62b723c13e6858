"""One file a framework, one function a kind of problem.

``chain(problem)``, ``mlp(problem)`` and ``network(problem)`` return ``step()``, which runs one
step to its end and returns a tuple of what can be compared: the values of a chain and its
gradient, or the loss.
Files end in an underscore where a package has the plain name.
"""

from time import perf_counter


def timed(epoch):
    """``run(epochs)``, which calls ``epoch`` so often: (seconds, losses), one each an epoch."""
    def run(epochs):
        seconds, losses = [], []
        for _ in range(epochs):
            start = perf_counter()
            losses.append(epoch())
            seconds.append(perf_counter() - start)
        return seconds, losses
    return run

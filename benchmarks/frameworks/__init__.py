"""One file a framework, one function a kind of problem.

``chain(problem)``, ``mlp(problem)`` and ``network(problem)`` return ``step()``, which runs one
step to its end and returns a tuple of what can be compared: the values of a chain and its
gradient, or the loss.
Files end in an underscore where a package has the plain name.
"""

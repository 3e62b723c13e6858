"""What a step cannot do without: operations of its products, and bytes that pass by.

Operations are those of the matrix products and convolutions, an addition and a multiplication
being two; the gradient of the data is not needed and does not count. Bytes are those that must
pass between memory and the CPU if no array stays there from one pass to the next: each array is
read or written once in each of the passes that need it (forward, backward, update).
"""

import math

F4 = 4                                  # bytes of a float32; all rows that are counted have it


def cost(problem, settings):
    """(operations, bytes) of one step, or None where nothing is counted."""
    return COSTS[problem](**settings) if problem in COSTS else None


def _mlp(layers, samples, iterations=1, **rest):
    shapes = list(zip(layers[1:], layers[:-1], strict=True))
    operations = sum(6 * samples * n * m for n, m in shapes) - 2 * samples * math.prod(
        shapes[0])
    # The data: forward and for the gradient of the weights. Weights: forward, to go back but
    # in the first layer, and to be updated where they lie. Activations: written and read, and
    # so are their gradients.
    weights = sum(n * m for n, m in shapes)
    moved = (2 * samples * layers[0] + 4 * weights - math.prod(shapes[0])
             + 4 * samples * sum(layers[1:]))
    return iterations * operations, iterations * F4 * moved


def _network(image, convolutions, layers, samples, classes, batch=0, **rest):
    steps, n = (samples // batch, batch) if batch else (1, samples)
    channels, side = image[0], image[-1]
    operations, sizes, outputs = [], [], []          # of each layer, in one pass
    for c in convolutions:
        operations.append(2 * n * (side - 2) ** 2 * 9 * channels * c)
        sizes.append(9 * channels * c)
        channels, side = c, (side - 2) // 2
        outputs.append(n * c * side ** 2)            # pooled: more need not be kept
    inputs = channels * side ** 2 if convolutions else channels
    for m in (*layers, classes):
        operations.append(2 * n * inputs * m)
        sizes.append(inputs * m)
        outputs.append(n * m)
        inputs = m
    # As above, but Adam reads and writes two moments more, and the gradient lies between.
    moved = 2 * n * math.prod(image) + 10 * sum(sizes) - sizes[0] + 4 * sum(outputs)
    return steps * (3 * sum(operations) - operations[0]), steps * F4 * moved


def _block(rows, features, **rest):
    """x and y, then the gradient of y, x again and its gradient."""
    return 0, F4 * 5 * rows * features


COSTS = {"mlp": _mlp, "network": _network, "block": _block}

"""NumPy by hand: whole epochs, each batch taken into the arrays that the step works on."""

import numpy as np
from PIL import Image

from . import plain, timed


def arrays(p):
    def fill(rows, x, y):
        np.take(p.x, rows, axis=0, out=x, mode="clip")
        np.take(p.y, rows, axis=0, out=y, mode="clip")
    return _fit(p, fill, p.x.shape[1:], p.y.shape[1:], len(p.x), p.shuffle)


def pictures(p):
    """Decoded one after the other."""
    files, shape = p.files, p.network.x.shape[1:]

    def fill(rows, x, y):
        for k, row in enumerate(rows):
            path, y[k] = files[row]
            picture = Image.open(path).resize(shape[1:], Image.Resampling.BILINEAR)
            np.divide(np.asarray(picture).transpose(2, 0, 1), np.float32(255), out=x[k])
    return _fit(p.network, fill, shape, (1,), p.batches * p.network.batch, p.shuffle)


def _fit(p, fill, x_shape, y_shape, samples, shuffle):
    x, y = np.empty((p.batch, *x_shape), p.x.dtype), np.empty((p.batch, *y_shape), p.y.dtype)
    step, rng = plain.network(p._replace(x=x, y=y)), np.random.default_rng(0)

    def epoch():
        order = rng.permutation(samples) if shuffle else np.arange(samples)
        losses = []
        for rows in order.reshape(-1, p.batch):
            fill(rows, x, y)
            losses.append(float(step()[0]))
        return float(np.mean(losses))

    return timed(epoch)

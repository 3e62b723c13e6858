"""Gradients written by hand in NumPy: as the tutorial has them, and as well as NumPy allows."""

import numpy as np


def chain(p):
    factor, term = p.factor, p.term

    def step():
        y = p.x
        for _ in range(p.n // 2):
            y = y * factor
            y = y + term
        g = p.seed
        for _ in range(p.n // 2):
            g = g * factor
        return y, g
    return step


def mlp_course(p):
    """The tutorial's way: samples are columns, nothing is reused, and the gradient of the
    picture is computed although nobody asks for it."""
    x, y, m = p.x.T, p.y.T, len(p.x)                 # x: (features, samples), as the tutorial
    weights, biases = list(p.weights), [b[:, None] for b in p.biases]
    last = len(weights) - 1

    def forward():
        a, kept = x, []
        for i, (w, b) in enumerate(zip(weights, biases, strict=True)):
            z = np.dot(w, a) + b
            kept.append((a, z))
            a = 1 / (1 + np.exp(-z)) if i == last else np.maximum(0, z)
        return a, kept

    def backward(q, kept):
        da = -(np.divide(y, q) - np.divide(1 - y, 1 - q))
        gradients = []
        for i in range(last, -1, -1):
            a, z = kept[i]
            if i == last:
                s = 1 / (1 + np.exp(-z))
                dz = da * s * (1 - s)
            else:
                dz = np.array(da, copy=True)
                dz[z <= 0] = 0
            gradients.append((np.dot(dz, a.T) / m, np.sum(dz, axis=1, keepdims=True) / m))
            da = np.dot(weights[i].T, dz)
        return gradients[::-1]

    def step():
        q, kept = forward()
        cost = -np.sum(y * np.log(q) + (1 - y) * np.log(1 - q)) / m
        for i, (dw, db) in enumerate(backward(q, kept)):
            weights[i] = weights[i] - p.rate * dw
            biases[i] = biases[i] - p.rate * db
        return (cost,)
    return step


def mlp_tuned(p):
    """Samples are rows, every array is made once, and the first layer stops at its weights."""
    weights, biases = [w.copy() for w in p.weights], [b.copy() for b in p.biases]
    acts = [p.x] + [np.empty((len(p.x), len(b)), p.x.dtype) for b in biases]
    dzs = [np.empty_like(a) for a in acts[1:]]
    dws = [np.empty_like(w) for w in weights]
    last = len(weights) - 1
    scale = np.float32(p.rate / len(p.x))

    def forward():
        for i, (w, b) in enumerate(zip(weights, biases, strict=True)):
            z = np.matmul(acts[i], w.T, out=acts[i + 1])
            z += b
            if i < last:
                np.maximum(z, 0, out=z)
        np.negative(z, out=z)
        np.exp(z, out=z)
        z += 1
        return np.reciprocal(z, out=z)

    def step():
        q = forward()
        loss = -np.mean(np.log(np.where(p.y, q, 1 - q)))
        np.subtract(q, p.y, out=dzs[last])
        dzs[last] *= scale                      # the rate and the mean, once for all layers
        for i in range(last, -1, -1):
            np.matmul(dzs[i].T, acts[i], out=dws[i])
            if i:
                np.matmul(dzs[i], weights[i], out=dzs[i - 1])
                dzs[i - 1] *= acts[i] > 0
            weights[i] -= dws[i]
            biases[i] -= dzs[i].sum(axis=0)
        return (loss,)
    return step

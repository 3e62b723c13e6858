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
        return z

    def hinge(z):
        """The loss, and its gradient in the place of ``dzs[last]``."""
        below = np.maximum(1 - p.y * z, 0)
        np.multiply(below > 0, -p.y, out=dzs[last])
        return np.mean(below)

    def cross_entropy(z):
        np.negative(z, out=z)
        np.exp(z, out=z)
        z += 1
        q = np.reciprocal(z, out=z)
        np.subtract(q, p.y, out=dzs[last])
        return -np.mean(np.log(np.where(p.y, q, 1 - q)))

    def step():
        loss = (hinge if p.hinge else cross_entropy)(forward())
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


def _patches(x, w):
    """What lies under the kernel, (C * kh * kw, outputs), of each image in turn."""
    windows = np.lib.stride_tricks.sliding_window_view(x, w.shape[2:], (2, 3))
    for image in windows:                                    # (C, rows, columns, kh, kw)
        yield image.transpose(0, 3, 4, 1, 2).reshape(w[0].size, -1)


def _conv(x, w, b):
    y = np.empty((len(x), len(w), x.shape[2] - w.shape[2] + 1, x.shape[3] - w.shape[3] + 1),
                 x.dtype)
    for out, patches in zip(y, _patches(x, w), strict=True):
        np.matmul(w.reshape(len(w), -1), patches, out=out.reshape(len(w), -1))
    y += b[:, None, None]
    return np.maximum(y, 0, out=y)


def _conv_back(dy, x, w, wanted):
    """The gradients of weights, biases and (if ``wanted``) images."""
    dw, dx = np.zeros((len(w), w[0].size), w.dtype), np.zeros_like(x) if wanted else None
    rows, columns = dy.shape[2:]
    for k, patches in enumerate(_patches(x, w)):
        d = dy[k].reshape(len(w), -1)
        dw += d @ patches.T
        if wanted:
            parts = (w.reshape(len(w), -1).T @ d).reshape(*w.shape[1:], rows, columns)
            for i, j in np.ndindex(w.shape[2:]):
                dx[k, :, i:i + rows, j:j + columns] += parts[:, i, j]
    return dw.reshape(w.shape), dy.sum(axis=(0, 2, 3)), dx


def _corners(x):
    """The four elements of each 2 x 2 window, as views."""
    rows, columns = x.shape[2] // 2 * 2, x.shape[3] // 2 * 2
    return [x[:, :, i:rows:2, j:columns:2] for i in (0, 1) for j in (0, 1)]


def _pool(x):
    a, b, c, d = _corners(x)
    y = np.maximum(a, b)
    np.maximum(y, c, out=y)
    return np.maximum(y, d, out=y)


def _pool_back(dy, y, x):
    """Through pooling and the ReLU before it: where x is 0 nothing arrives, so that of equal
    elements only positive ones would count twice, which random pictures do not have."""
    dx = np.zeros_like(x)
    dy = dy * (y > 0)
    for part, values in zip(_corners(dx), _corners(x), strict=True):
        np.multiply(dy, values == y, out=part)
    return dx


def _loss(z, y):
    """The loss and its gradient by the last layer's outputs."""
    if y.dtype.kind == "f":
        e = np.exp(-np.abs(z))
        loss = np.mean(np.maximum(z, 0) - z * y + np.log1p(e))
        return loss, (np.where(z >= 0, 1, e) / (1 + e) - y) / len(z)
    z = z - z.max(axis=1, keepdims=True)
    e = np.exp(z)
    total, rows = e.sum(axis=1, keepdims=True), np.arange(len(z))
    loss = np.mean(np.log(total[:, 0]) - z[rows, y])
    dz = e / total
    dz[rows, y] -= 1
    return loss, dz / len(z)


def _adam(p, parameters):
    """A function that updates the parameters in place."""
    ms, vs = ([np.zeros_like(w) for w in parameters] for _ in range(2))
    (beta1, beta2), t = p.betas, 0

    def update(gradients):
        nonlocal t
        t += 1
        for w, g, m, v in zip(parameters, gradients, ms, vs, strict=True):
            m *= beta1
            m += (1 - beta1) * g
            v *= beta2
            v += (1 - beta2) * g * g
            d = np.sqrt(v / (1 - beta2 ** t))
            d += p.eps
            np.divide(m, d, out=d)
            d *= p.rate / (1 - beta1 ** t)
            w -= d
    return update


def network(p):
    """Convolutions image by image, ReLU and Adam in place."""
    weights, biases = [w.copy() for w in p.weights], [b.copy() for b in p.biases]
    update, last = _adam(p, weights + biases), len(weights) - 1

    def forward():
        a, kept = p.x, []
        for i, (w, b) in enumerate(zip(weights, biases, strict=True)):
            if w.ndim == 4:
                z = _conv(a, w, b)
                kept.append((a, z))
                a = _pool(z)
            else:
                flat = a.reshape(len(a), -1)
                kept.append((flat, a))
                a = flat @ w.T + b
                a = a if i == last else np.maximum(a, 0, out=a)
        return a, kept

    def step():
        z, kept = forward()
        loss, d = _loss(z, p.y)
        dws, dbs = [None] * len(weights), [None] * len(weights)
        for i in range(last, -1, -1):
            w, (a, aside) = weights[i], kept[i]
            if w.ndim == 4:
                y = _pool(aside)
                dws[i], dbs[i], d = _conv_back(_pool_back(d, y, aside), a, w, i > 0)
            else:
                dws[i], dbs[i] = d.T @ a, d.sum(axis=0)
                if i:
                    d = (d @ w).reshape(aside.shape)
                    if weights[i - 1].ndim == 2:
                        d *= a > 0
        update(dws + dbs)
        return (loss,)
    return step


def block(p):
    """As one writes it; of the intermediate arrays some are used again."""
    line, cube = (np.float32(c) for c in ((2 / np.pi) ** 0.5, 0.044715))

    def step():
        x = p.x
        square = x * x
        t = np.tanh(line * (x + cube * x * square))
        h = x + 0.5 * x * (1 + t)
        h -= h.mean(axis=1, keepdims=True)
        scale = 1 / np.sqrt((h * h).mean(axis=1, keepdims=True) + p.eps)
        h *= scale
        y = h * p.weight + p.bias
        dweight, dbias = (p.seed * h).sum(axis=0), p.seed.sum(axis=0)
        d = p.seed * p.weight
        d -= d.mean(axis=1, keepdims=True) + h * (d * h).mean(axis=1, keepdims=True)
        d *= scale
        inner = line * (1 + 3 * cube * square)
        d *= 1 + 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * inner
        return y, d, dweight, dbias
    return step

"""Activations, losses and normalisations of PyTorch, written in NumPy and this package."""

import numpy as np

import tinygrad_nn as tn

from .adapt import reduced


def _softmax(fn, sign=1):
    return lambda x, dim, dtype=None: fn(sign * x, dim) if np.ndim(x) else np.reshape(
        fn(sign * np.reshape(x, (1,)), 0), ())


def _softplus(x, beta=1.0, threshold=20.0):
    return np.where(beta * x > threshold, x, tn.softplus(beta * x) / beta)


def _elu(x, alpha=1.0, scale=1.0, width=1.0):
    return scale * np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0) / width))


def _prelu(x, weight):
    if np.ndim(weight) == 1 and np.size(weight) > 1:
        weight = np.reshape(weight, (-1,) + (1,) * (np.ndim(x) - 2))
    elif np.ndim(weight) == 1 and np.ndim(x) == 0:
        weight = weight[0]
    return np.where(x > 0, x, weight * x)


def _glu(x, dim=-1):
    a, b = np.split(x, 2, dim)
    return a * tn.sigmoid(b)


def _distance(a, b, p=2.0, eps=1e-6, keepdim=False):
    return np.linalg.norm(a - b + eps, p, axis=-1, keepdims=keepdim)


def _smooth_l1(x, y, beta=1.0, reduction="mean"):
    d = np.abs(x - y)
    return reduced(d if beta == 0 else np.where(d < beta, d * d / (2 * beta), d - beta / 2),
                   reduction)


def _cross_entropy_of_probabilities(p, y, weight=None, reduction="mean"):
    loss = -(y * np.maximum(np.log(p), -100.0) + (1 - y) * np.maximum(np.log1p(-p), -100.0))
    return reduced(loss if weight is None else weight * loss, reduction)


def _cross_entropy_of_logits(x, y, weight=None, pos_weight=None, reduction="mean"):
    w = 1.0 if pos_weight is None else pos_weight
    loss = (1 - y) * tn.softplus(x) + w * y * tn.softplus(-x)
    return reduced(loss if weight is None else weight * loss, reduction)


def _divergence(x, y, reduction="mean", log_target=False):
    if log_target:
        loss = np.exp(y) * (y - x)
    else:
        loss = y * np.log(np.where(np.equal(y, 0), 1.0, y)) - y * x
    if reduction == "batchmean":
        return np.sum(loss) / np.shape(x)[0]
    return reduced(loss, reduction)


def _gaussian(x, y, variance, full=False, eps=1e-6, reduction="mean"):
    if np.shape(variance) != np.shape(x) and np.shape(variance) == np.shape(x)[:-1]:
        variance = variance[..., None]
    v = np.where(variance < eps, eps, tn.stop_gradient(variance)) + (
        variance - tn.stop_gradient(variance))             # PyTorch clamps the value alone
    loss = (np.log(v) + (x - y) ** 2 / v) / 2 + (np.log(2 * np.pi) / 2 if full else 0.0)
    return reduced(loss, reduction)


def _poisson(x, y, log_input=True, full=False, eps=1e-8, reduction="mean"):
    loss = np.exp(x) - y * x if log_input else x - y * np.log(x + eps)
    if full:
        y1 = np.where(y > 1, y, 1.0)
        loss = loss + np.where(y > 1, y * np.log(y1) - y + np.log(2 * np.pi * y1) / 2, 0.0)
    return reduced(loss, reduction)


def _cosine(a, b, dim=1, eps=1e-8):
    if np.ndim(a) == 0:
        a, b = np.reshape(a, (1,)), np.reshape(b, (1,))
    a, b = np.broadcast_arrays(a, b)

    def length(x):
        return np.maximum(np.linalg.norm(x, axis=dim, keepdims=True), eps)
    return np.sum(a / length(a) * (b / length(b)), axis=dim)


def _cosine_embedding(a, b, y, margin=0.0, reduction="mean"):
    def dot(u, v):
        return np.sum(u * v, axis=-1)
    cosine = dot(a, b) / np.sqrt((dot(a, a) + 1e-12) * (dot(b, b) + 1e-12))
    return reduced(np.where(np.equal(y, 1), 1 - cosine, 0.0) + np.where(
        np.equal(y, -1), tn.relu(cosine - margin), 0.0), reduction)


def _triplet(a, p, n, margin=1.0, eps=1e-6, swap=False, reduction="mean",
             distance_function=None, **norm):
    near, far = _distance(a, p, eps=eps, **norm), _distance(a, n, eps=eps, **norm)
    if swap:
        far = np.minimum(far, _distance(p, n, eps=eps, **norm))
    return reduced(tn.relu(margin + near - far), reduction)


def _normalized(x, axis, eps, ddof=0):
    d = x - np.mean(x, axis=axis, keepdims=True)
    return d / np.sqrt(np.mean(d * d, axis=axis, keepdims=True) + eps)


def _layer_norm(x, shape, weight=None, bias=None, eps=1e-5):
    y = _normalized(x, tuple(range(-len(shape), 0)), eps)
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


def _rms_norm(x, shape, weight=None, eps=None):
    eps = np.finfo(float).eps if eps is None else eps
    square = np.mean(x * x, axis=tuple(range(-len(shape), 0)), keepdims=True)
    y = x / np.sqrt(square + eps)
    return y if weight is None else y * weight


def _group_norm(x, groups, weight=None, bias=None, eps=1e-5):
    n, channels, *rest = np.shape(x)
    y = np.reshape(x, (n, groups, channels // groups, *rest))
    y = np.reshape(_normalized(y, tuple(range(2, np.ndim(y))), eps), np.shape(x))
    each = (-1,) + (1,) * len(rest)
    y = y if weight is None else y * np.reshape(weight, each)
    return y if bias is None else y + np.reshape(bias, each)


def _normalize(x, p=2.0, dim=1, eps=1e-12):
    if np.ndim(x) == 0:
        return np.reshape(_normalize(np.reshape(x, (1,)), p, 0, eps), ())
    return x / np.maximum(np.linalg.norm(x, p, axis=dim, keepdims=True), eps)


def _pixel_shuffle(x, upscale_factor):
    *n, c, h, w = np.shape(x)
    r, k = upscale_factor, len(n)
    y = np.reshape(x, (*n, c // r**2, r, r, h, w))
    y = np.transpose(y, (*range(k + 1), k + 3, k + 1, k + 4, k + 2))
    return np.reshape(y, (*n, c // r**2, h * r, w * r))


def _channel_shuffle(x, groups):
    n, c, *rest = np.shape(x)
    return np.reshape(np.swapaxes(np.reshape(x, (n, groups, c // groups, *rest)), 1, 2),
                      (n, c, *rest))


NETWORKS = {
    "nn.functional.relu": tn.relu,
    "nn.functional.softplus": _softplus,
    "softmax": _softmax(tn.softmax), "log_softmax": _softmax(tn.log_softmax),
    "nn.functional.softmin": _softmax(tn.softmax, -1),
    "nn.functional.logsigmoid": lambda x: -tn.softplus(-x),
    "nn.functional.silu": tn.silu, "nn.functional.gelu": tn.gelu,
    "nn.functional.mish": lambda x: x * np.tanh(tn.softplus(x)),
    "nn.functional.softsign": lambda x: x / (1 + np.abs(x)),
    "nn.functional.tanhshrink": lambda x: x - np.tanh(x),
    "nn.functional.relu6": lambda x: np.clip(x, 0, 6),
    "nn.functional.hardtanh": lambda x, min_val=-1.0, max_val=1.0: np.clip(
        x, min_val, max_val),
    "nn.functional.hardsigmoid": lambda x: np.clip(x / 6 + 0.5, 0, 1),
    "nn.functional.hardswish": lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
    "nn.functional.leaky_relu": tn.leaky_relu, "nn.functional.elu": tn.elu,
    "nn.functional.celu": lambda x, alpha=1.0: _elu(x, alpha, 1.0, alpha),
    "nn.functional.selu": lambda x: _elu(x, 1.6732632423543772, 1.0507009873554805),
    "nn.functional.threshold": lambda x, at, value: np.where(x > at, x, value),
    "nn.functional.hardshrink": lambda x, lambd=0.5: np.where(
        (x > lambd) | (x < -lambd), x, 0.0),
    "nn.functional.softshrink": lambda x, lambd=0.5: np.sign(x) * tn.relu(np.abs(x) - lambd),
    "nn.functional.prelu": _prelu,
    "nn.functional.glu": _glu,

    "nn.functional.mse_loss": tn.nn.mse_loss, "nn.functional.l1_loss": tn.nn.l1_loss,
    "nn.functional.huber_loss": tn.nn.huber_loss,
    "nn.functional.smooth_l1_loss": _smooth_l1,
    "nn.functional.binary_cross_entropy": _cross_entropy_of_probabilities,
    "nn.functional.binary_cross_entropy_with_logits": _cross_entropy_of_logits,
    "nn.functional.kl_div": _divergence,
    "nn.functional.gaussian_nll_loss": _gaussian,
    "nn.functional.poisson_nll_loss": _poisson,
    "nn.functional.soft_margin_loss": lambda x, y, reduction="mean": reduced(
        tn.softplus(-y * x), reduction),
    "nn.functional.margin_ranking_loss": lambda a, b, y, margin=0.0, reduction="mean": reduced(
        tn.relu(-y * (a - b) + margin), reduction),
    "nn.functional.hinge_embedding_loss": lambda x, y, margin=1.0, reduction="mean": reduced(
        np.where(np.equal(y, -1), 0.0, x) + np.where(
            np.equal(y, 1), 0.0, tn.relu(margin - x)), reduction),
    "nn.functional.cosine_similarity": _cosine,
    "nn.functional.cosine_embedding_loss": _cosine_embedding,
    "nn.functional.pairwise_distance": _distance,
    "nn.functional.triplet_margin_loss": _triplet,

    "nn.functional.normalize": _normalize,
    "nn.functional.layer_norm": _layer_norm, "nn.functional.rms_norm": _rms_norm,
    "nn.functional.group_norm": _group_norm,
    "nn.functional.pixel_shuffle": _pixel_shuffle,
    "nn.functional.channel_shuffle": _channel_shuffle,
}

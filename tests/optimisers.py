"""Update rules written out by hand, and gradients made up to try them."""

import math

import numpy as np
import pytest

from tinygrad_nn import Tensor

SHAPES = [(3, 4), (5,), (), (2, 1, 3)]


def by_hand_sgd(w, g, s, t, lr, momentum=0.0, weight_decay=0.0, nesterov=False):
    g = g + weight_decay * w
    if momentum == 0:
        return w - lr * g
    s["b"] = momentum * s.get("b", 0.0) + g
    return w - lr * (g + momentum * s["b"] if nesterov else s["b"])


def by_hand_adam(w, g, s, t, lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
    g = g + weight_decay * w
    s["m"] = betas[0] * s.get("m", 0.0) + (1 - betas[0]) * g
    s["v"] = betas[1] * s.get("v", 0.0) + (1 - betas[1]) * g * g
    m, v = s["m"] / (1 - betas[0] ** t), s["v"] / (1 - betas[1] ** t)
    return w - lr * m / (math.sqrt(v) + eps)


def by_hand_adamw(w, g, s, t, lr, weight_decay=0.01, **more):
    return by_hand_adam(w - lr * weight_decay * w, g, s, t, lr, **more)


def by_hand_rmsprop(w, g, s, t, lr, alpha=0.99, eps=1e-8, weight_decay=0.0, momentum=0.0):
    g = g + weight_decay * w
    s["v"] = alpha * s.get("v", 0.0) + (1 - alpha) * g * g
    s["b"] = momentum * s.get("b", 0.0) + g / (math.sqrt(s["v"]) + eps)
    return w - lr * s["b"]


def by_hand_adagrad(w, g, s, t, lr, lr_decay=0.0, weight_decay=0.0,
                    initial_accumulator_value=0.0, eps=1e-10):
    g = g + weight_decay * w
    s["s"] = s.get("s", initial_accumulator_value) + g * g
    return w - lr / (1 + (t - 1) * lr_decay) * g / (math.sqrt(s["s"]) + eps)


CASES = [(name, options) for name, all_options in {
    "SGD": [{}, {"momentum": 0.9}, {"momentum": 0.5, "nesterov": True}, {"weight_decay": 0.1},
            {"momentum": 0.9, "nesterov": True, "weight_decay": 0.03}],
    "Adam": [{}, {"betas": (0.8, 0.9)}, {"eps": 1e-3}, {"weight_decay": 0.1},
             {"betas": (0.0, 0.5), "weight_decay": 0.01}],
    "AdamW": [{}, {"weight_decay": 0.0}, {"betas": (0.8, 0.9), "weight_decay": 0.3}],
    "RMSprop": [{}, {"alpha": 0.8}, {"momentum": 0.9}, {"weight_decay": 0.1, "eps": 1e-4},
                {"momentum": 0.5, "weight_decay": 0.1, "alpha": 0.9}],
    "Adagrad": [{}, {"lr_decay": 0.1}, {"initial_accumulator_value": 0.5},
                {"weight_decay": 0.1, "eps": 1e-3, "lr_decay": 0.01}],
}.items() for options in all_options]
IDS = [f"{name}-{'-'.join(options) or 'defaults'}" for name, options in CASES]
BY_HAND = {"SGD": by_hand_sgd, "Adam": by_hand_adam, "AdamW": by_hand_adamw,
           "RMSprop": by_hand_rmsprop, "Adagrad": by_hand_adagrad}
every_case = pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)


def start(dtype=np.float64):
    rng = np.random.default_rng(3)
    return [Tensor(rng.normal(size=s).astype(dtype)) for s in SHAPES]


def slope(i, step, w):
    """A made-up gradient of parameter i; parameter 1 has none in some steps, at first too."""
    if i == 1 and (step < 5 or step % 4 == 2):
        return None
    noise = np.random.default_rng([i, step]).normal(size=w.shape)
    return np.asarray(np.sin(3 * w) + w + 0.3 * noise).astype(w.dtype)


def run(opt, steps, first=0):
    for step in range(first, first + steps):
        for i, p in enumerate(opt.parameters):
            p.grad = slope(i, step, p.data)
        opt.lr = rate(step)
        opt.step()
        opt.zero_grad()
    return opt.parameters


def rate(step):
    return 0.05 if step < 30 else 0.01

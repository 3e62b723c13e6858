"""Update rules: pure functions of (parameter, gradient, state, step, settings).

    new_parameter, new_state = rule(w, g, state, t, **settings)

``w`` and ``g`` have one shape and dtype; ``state`` is a dict of arrays of that shape and dtype,
zeros at the start, and the result holds the same names; ``t`` counts the steps of this
parameter from 1. Every rule is elementwise and changes nothing in place, so an optimiser may
run it on a strip of a large array at a time (`_strips`), and it runs on Tensors as well: the
gradient of a training run by its learning rate is a `tn.grad` away.

>>> import numpy as np, tinygrad_nn as tn
>>> w, state = tn.optim.sgd(np.ones(2), np.array([1.0, -1.0]), {}, 1, lr=0.1)
>>> w
array([0.9, 1.1])

Settings are Python numbers. Those that change from step to step (the learning rate, momentum
and betas) may be 0-d arrays as well; what is computed of them alone is computed in float64,
then cast to the dtype of ``w``, since a 0-d float64 array would promote a float32 one.
"""

import numpy as np

from .._core import astype


def sgd(w, g, state, t, *, lr, momentum=0.0, weight_decay=0.0, nesterov=False):
    """Gradient descent: ``w - lr * g``; with a ``momentum_buffer`` b in the state
    ``b = momentum * b + g`` and ``w - lr * b``, or Nesterov's ``w - lr * (g + momentum * b)``.

    Robbins and Monro (1951); Polyak (1964); Nesterov (1983) in the form of Sutskever et al.
    (2013), "On the importance of initialization and momentum in deep learning".
    """
    g = _decayed(g, w, weight_decay)
    if not state:
        return w - astype(lr, w.dtype) * g, {}
    momentum = astype(momentum, w.dtype)
    b = momentum * state["momentum_buffer"] + g
    return w - astype(lr, w.dtype) * (g + momentum * b if nesterov else b), {
        "momentum_buffer": b}


def adam(w, g, state, t, *, lr, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.0):
    """Running averages of the gradient and of its square, their bias towards 0 corrected:
    ``w - lr * m / (1 - beta1**t) / (sqrt(v / (1 - beta2**t)) + eps)``.

    State: ``exp_avg`` m, ``exp_avg_sq`` v. Kingma and Ba (2015), "Adam: a method for stochastic
    optimization", algorithm 1.
    """
    rate = astype(lr / (1 - np.power(beta1, t)), w.dtype)
    spread = astype(np.sqrt(1 - np.power(beta2, t)), w.dtype)
    g = _decayed(g, w, weight_decay)
    m, v = state["exp_avg"], state["exp_avg_sq"]
    m = m + astype(1 - beta1, w.dtype) * (g - m)
    v = astype(beta2, w.dtype) * v + astype(1 - beta2, w.dtype) * (g * g)
    return w - rate * (m / (np.sqrt(v) / spread + eps)), {"exp_avg": m, "exp_avg_sq": v}


def adamw(w, g, state, t, *, lr, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.01):
    """`adam` of ``w * (1 - lr * weight_decay)``: the decay does not pass through the averages.

    Loshchilov and Hutter (2019), "Decoupled weight decay regularization", algorithm 2.
    """
    w = w * astype(1 - lr * weight_decay, w.dtype)
    return adam(w, g, state, t, lr=lr, beta1=beta1, beta2=beta2, eps=eps)


def rmsprop(w, g, state, t, *, lr, alpha=0.99, eps=1e-8, weight_decay=0.0, momentum=0.0):
    """``w - lr * d`` with ``d = g / (sqrt(v) + eps)`` and v the running average of g²; with a
    ``momentum_buffer`` b in the state ``b = momentum * b + d`` and ``w - lr * b``.

    State: ``square_avg`` v. Tieleman and Hinton (2012), lecture 6.5 of "Neural networks for
    machine learning"; the momentum as in Graves (2013), "Generating sequences with recurrent
    neural networks".
    """
    g = _decayed(g, w, weight_decay)
    v = alpha * state["square_avg"] + (1 - alpha) * (g * g)
    d, new = g / (np.sqrt(v) + eps), {"square_avg": v}
    if "momentum_buffer" in state:
        d = new["momentum_buffer"] = astype(momentum, w.dtype) * state["momentum_buffer"] + d
    return w - astype(lr, w.dtype) * d, new


def adagrad(w, g, state, t, *, lr, lr_decay=0.0, eps=1e-10, weight_decay=0.0):
    """``w - lr / (1 + (t - 1) * lr_decay) * g / (sqrt(s) + eps)`` with s the sum of all g².

    State: ``sum`` s. Duchi, Hazan and Singer (2011), "Adaptive subgradient methods for online
    learning and stochastic optimization".
    """
    g = _decayed(g, w, weight_decay)
    s = state["sum"] + g * g
    rate = astype(lr / (1 + (t - 1) * lr_decay), w.dtype)
    return w - rate * (g / (np.sqrt(s) + eps)), {"sum": s}


def _decayed(g, w, weight_decay):
    """The gradient with that of ``weight_decay / 2 * sum(w**2)`` added."""
    return g + weight_decay * w if weight_decay else g

"""HIPS autograd."""

import autograd.numpy as anp
from autograd import make_vjp, value_and_grad


def chain(p):
    factor, term = p.factor, p.term

    def f(x):
        for _ in range(p.n // 2):
            x = x * factor
            x = x + term
        return x

    def step():
        pullback, y = make_vjp(f)(p.x)
        return y, pullback(p.seed)
    return step


def mlp(p):
    layers = list(zip(p.weights, p.biases, strict=True))

    def loss_of(layers):
        a = p.x
        for w, b in layers[:-1]:
            a = anp.maximum(anp.dot(a, w.T) + b, 0)
        w, b = layers[-1]
        q = 1 / (1 + anp.exp(-(anp.dot(a, w.T) + b)))
        return -anp.mean(p.y * anp.log(q) + (1 - p.y) * anp.log1p(-q))

    def step():
        nonlocal layers
        loss, gradients = value_and_grad(loss_of)(layers)
        layers = [(w - p.rate * dw, b - p.rate * db)
                  for (w, b), (dw, db) in zip(layers, gradients, strict=True)]
        return (loss,)
    return step

"""tinygrad_nn, eager, as its users write it."""

import tinygrad_nn as tn


def chain(p):
    x = tn.Tensor(p.x)
    factor, term = p.factor, p.term

    def step():
        y = x
        for _ in range(p.n // 2):
            y = y * factor
            y = y + term
        y.backward(p.seed)
        g, x.grad = x.grad, None
        return y.data, g
    return step


def mlp(p):
    model = tn.models.CatClassifier((p.x.shape[1], *[len(b) for b in p.biases]))
    arrays = [a for pair in zip(p.weights, p.biases, strict=True) for a in pair]
    for parameter, a in zip(model.parameters(), arrays, strict=True):
        parameter.data = a
    optimiser = tn.optim.SGD(model.parameters(), lr=p.rate)

    def step():
        loss = tn.nn.binary_cross_entropy(model(p.x), p.y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return (loss.data,)
    return step

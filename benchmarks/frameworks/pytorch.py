"""PyTorch, eager, with its default SGD."""

import torch
import torch.nn.functional as F

from .. import THREADS

torch.set_num_threads(THREADS)


def chain(p):
    x, seed = torch.tensor(p.x, requires_grad=True), torch.tensor(p.seed)
    factor, term = (c if isinstance(c, float) else torch.tensor(c) for c in (p.factor, p.term))

    def step():
        y = x
        for _ in range(p.n // 2):
            y = y * factor
            y = y + term
        y.backward(seed)
        g, x.grad = x.grad, None
        return y.detach(), g
    return step


def mlp(p):
    x, y = torch.from_numpy(p.x), torch.from_numpy(p.y)
    weights = [torch.tensor(w, requires_grad=True) for w in p.weights]
    biases = [torch.tensor(b, requires_grad=True) for b in p.biases]
    layers = list(zip(weights, biases, strict=True))
    optimiser = torch.optim.SGD(weights + biases, lr=p.rate)

    def step():
        a = x
        for w, b in layers[:-1]:
            a = F.relu(F.linear(a, w, b))
        loss = F.binary_cross_entropy(torch.sigmoid(F.linear(a, *layers[-1])), y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return (loss.detach(),)
    return step

"""PyTorch, eager, with its own optimisers."""

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
    return training(*mlp_parts(p))


def network(p):
    return training(*network_parts(p))


def network_tuned(p):
    """Channels last, and all parameters updated in one fused kernel."""
    return training(*network_parts(p, channels_last=True, fused=True))


def block(p):
    return there_and_back(*block_parts(p))


def training(loss_of, optimiser):
    def step():
        loss = loss_of()
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        return (loss.detach(),)
    return step


def there_and_back(f, leaves, seed):
    def step():
        y = f(*leaves)
        y.backward(seed)
        gradients = [v.grad for v in leaves]
        for v in leaves:
            v.grad = None
        return y.detach(), *gradients
    return step


def mlp_parts(p):
    """(a function without arguments that gives the loss, the optimiser)."""
    x, y = torch.from_numpy(p.x), torch.from_numpy(p.y)
    weights = [torch.tensor(w, requires_grad=True) for w in p.weights]
    biases = [torch.tensor(b, requires_grad=True) for b in p.biases]
    layers = list(zip(weights, biases, strict=True))

    def loss_of():
        a = x
        for w, b in layers[:-1]:
            a = F.relu(F.linear(a, w, b))
        z = F.linear(a, *layers[-1])
        if p.hinge:
            return torch.mean(torch.relu(1 - y * z))
        return F.binary_cross_entropy(torch.sigmoid(z), y)
    return loss_of, torch.optim.SGD(weights + biases, lr=p.rate)


def network_parts(p, channels_last=False, fused=None):
    """As `mlp_parts`."""
    x, y = torch.from_numpy(p.x), torch.from_numpy(p.y)
    model, loss_of, optimiser = network_model(p, fused)
    if channels_last and x.ndim == 4:
        model, x = (v.to(memory_format=torch.channels_last) for v in (model, x))
    return lambda: loss_of(model(x), y), optimiser


def network_model(p, fused=None):
    """(model, loss function, optimiser)."""
    layers = []
    for w in p.weights:
        if w.ndim == 4:
            layers += [torch.nn.Conv2d(w.shape[1], w.shape[0], w.shape[2:]), torch.nn.ReLU(),
                       torch.nn.MaxPool2d(2)]
        else:
            if layers and isinstance(layers[-1], torch.nn.MaxPool2d):
                layers.append(torch.nn.Flatten())
            layers += [torch.nn.Linear(w.shape[1], w.shape[0]), torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers[:-1])
    arrays = [a for pair in zip(p.weights, p.biases, strict=True) for a in pair]
    with torch.no_grad():
        for parameter, a in zip(model.parameters(), arrays, strict=True):
            parameter.copy_(torch.from_numpy(a))
    loss_of = (F.binary_cross_entropy_with_logits if p.y.dtype.kind == "f"
               else F.cross_entropy)
    return model, loss_of, torch.optim.Adam(model.parameters(), lr=p.rate, fused=fused)


def block_parts(p):
    """(a function of leaves, the leaves, the gradient of its value)."""
    leaves = [torch.tensor(a, requires_grad=True) for a in (p.x, p.weight, p.bias)]

    def f(x, weight, bias):
        return F.layer_norm(x + F.gelu(x, approximate="tanh"), weight.shape, weight, bias,
                            p.eps)
    return f, leaves, torch.from_numpy(p.seed)

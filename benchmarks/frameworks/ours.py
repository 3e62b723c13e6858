"""tinygrad_nn, as its users write it: eager, compiled, and a loop in closed form."""

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
    step = _mlp_step(p)
    return lambda: (step(p.x, p.y).data,)


def mlp_compiled(p):
    step = tn.compile(_mlp_step(p))
    return lambda: (step(p.x, p.y).data,)


def mlp_closed_form(p):
    """`iterations` steps, one after the other."""
    losses = iter(tn.compile(_mlp_step(p)).repeat(p.iterations, p.x, p.y))
    return lambda: (next(losses).data,)


def _mlp_step(p):
    model = tn.models.CatClassifier((p.x.shape[1], *[len(b) for b in p.biases]))
    loss_of = tn.nn.binary_cross_entropy
    if p.hinge:
        model, loss_of = tn.nn.Sequential(*list(model.layers)[:-1]), tn.nn.hinge_loss
    arrays = [a for pair in zip(p.weights, p.biases, strict=True) for a in pair]
    for parameter, a in zip(model.parameters(), arrays, strict=True):
        parameter.data = a
    return _training(model, tn.optim.SGD(model.parameters(), lr=p.rate), loss_of)


def network(p):
    step = _network_step(p)
    return lambda: (step(p.x, p.y).data,)


def network_compiled(p):
    step = tn.compile(_network_step(p))
    return lambda: (step(p.x, p.y).data,)


def network_parts(p):
    """(model, optimiser, loss function)."""
    nn, layers = tn.nn, []
    for w in p.weights:
        if w.ndim == 4:
            layers += [nn.Conv2d(w.shape[1], w.shape[0], w.shape[2:]), nn.ReLU(),
                       nn.MaxPool2d(2)]
        else:
            if layers and isinstance(layers[-1], nn.MaxPool2d):
                layers.append(nn.Flatten())
            layers += [nn.Linear(w.shape[1], w.shape[0]), nn.ReLU()]
    model = nn.Sequential(*layers[:-1])
    arrays = [a for pair in zip(p.weights, p.biases, strict=True) for a in pair]
    for parameter, a in zip(model.parameters(), arrays, strict=True):
        parameter.data = a.copy()
    optimiser = tn.optim.Adam(model.parameters(), lr=p.rate)
    return model, optimiser, (nn.cross_entropy if p.y.dtype.kind == "i"
                              else nn.binary_cross_entropy_with_logits)


def _network_step(p):
    return _training(*network_parts(p))


def _training(model, optimiser, loss_of):
    def step(x, y):
        loss = loss_of(model(x), y)
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        return loss
    return step


def block(p):
    return _block(p, _block_step(p))


def block_compiled(p):
    return _block(p, tn.compile(_block_step(p)))


def _block(p, both):
    def step():
        y, *gradients = both(p.seed)
        return y.data, *gradients
    return step


def _block_step(p):
    x, norm = tn.Tensor(p.x), tn.nn.LayerNorm(p.x.shape[1], eps=p.eps)
    norm.weight.data, norm.bias.data = p.weight, p.bias

    def step(g):
        y = norm(x + tn.gelu(x, "tanh"))
        y.backward(g)
        gradients = x.grad, norm.weight.grad, norm.bias.grad
        x.grad = norm.weight.grad = norm.bias.grad = None
        return y, *gradients
    return step

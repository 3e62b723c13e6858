"""MyGrad with its memory guard off, which is its faster mode."""

import mygrad as mg
from mygrad.nnet.activations import relu, sigmoid

mg.turn_memory_guarding_off()


def chain(p):
    x = mg.tensor(p.x)
    factor, term = p.factor, p.term

    def step():
        y = x
        for _ in range(p.n // 2):
            y = y * factor
            y = y + term
        y.backward(p.seed)
        g = x.grad
        x.null_grad()
        return y.data, g
    return step


def mlp(p):
    weights = [mg.tensor(w.copy()) for w in p.weights]
    biases = [mg.tensor(b.copy()) for b in p.biases]
    layers = list(zip(weights, biases, strict=True))

    def step():
        a = p.x
        for w, b in layers[:-1]:
            a = relu(mg.matmul(a, w.T) + b)
        w, b = layers[-1]
        q = sigmoid(mg.matmul(a, w.T) + b)
        loss = -mg.mean(p.y * mg.log(q) + (1 - p.y) * mg.log1p(-q))
        loss.backward()
        for v in weights + biases:
            v.data -= p.rate * v.grad
            v.null_grad()
        return (loss.data,)
    return step

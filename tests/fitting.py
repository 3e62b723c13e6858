"""Small data and networks, and a loop by hand, for the tests of `fit`."""

import numpy as np

from tinygrad_nn import nn, optim, train

RNG = np.random.default_rng(0)
X = RNG.normal(size=(50, 4)).astype(np.float32)
LABELS = (X[:, 0] > 0).astype(np.int64) + (X[:, 1] > 0)


def network(seed=0):
    return nn.Sequential(nn.Linear(4, 8, rng=seed), nn.BatchNorm1d(8), nn.ReLU(),
                         nn.Dropout(0.25, rng=seed), nn.Linear(8, 3, rng=seed))


def plain(seed=0):
    return nn.Sequential(nn.Linear(4, 3, rng=seed))


def fit(model, data=(X, LABELS), loss=nn.cross_entropy, epochs=2, **options):
    options.setdefault("progress", False)
    return train.fit(model, data, loss, optim.SGD(model.parameters(), lr=0.1), epochs,
                     **options)


def equal_models(a, b):
    for (name, x), (other, y) in zip(a.state_dict().items(), b.state_dict().items(),
                                     strict=True):
        assert name == other and x.tobytes() == y.tobytes(), name


def by_hand(model, batches_of, epochs, lr=0.1):
    """The loop of the README, and the losses that it saw: [(loss, samples)] for each epoch."""
    opt, seen = optim.SGD(model.parameters(), lr=lr), []
    for epoch in range(epochs):
        seen.append([])
        for x, t in batches_of(epoch):
            loss = nn.cross_entropy(model(x), t)
            loss.backward()
            opt.step()
            opt.zero_grad()
            seen[-1].append((loss.item(), len(t)))
    return seen


class Loader:
    """A loader by its interface alone: ``batches(epoch)`` and a length."""

    def __init__(self, size=16):
        self.size, self.asked = size, []

    def __len__(self):
        return -(-len(X) // self.size)

    def batches(self, epoch):
        self.asked.append(epoch)
        order = np.random.default_rng([7, epoch]).permutation(len(X))
        for i in range(0, len(X), self.size):
            yield X[order[i:i + self.size]], LABELS[order[i:i + self.size]]


class Failing(nn.Module):
    """The identity, until it has been called ``n`` times."""

    def __init__(self, n, fail):
        self.n, self.fail = n, fail

    def forward(self, x):
        if self.training:
            self.n -= 1
            if not self.n:
                self.fail()
        return x

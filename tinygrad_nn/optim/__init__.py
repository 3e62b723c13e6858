"""Optimisers, learning-rate schedules and clipping, with PyTorch's names, defaults, formulas.

    opt = optim.Adam(model.parameters(), lr=1e-3)
    schedule = optim.CosineAnnealingLR(opt, T_max=10)
    for epoch in range(10):
        for x, t in loader:
            loss = nn.cross_entropy(model(x), t)
            loss.backward();  optim.clip_grad_norm(model.parameters(), 1.0)
            opt.step();  opt.zero_grad()
        schedule.step()

Every optimiser is a class around one pure function of (parameter, gradient, state, step,
settings): `sgd`, `adam`, `adamw`, `rmsprop`, `adagrad`. There are no parameter groups: two
learning rates are two optimisers.
"""

from ._clip import clip_grad_norm, clip_grad_value
from ._optimizer import Optimizer
from ._optimizers import SGD, Adagrad, Adam, AdamW, RMSprop
from ._rules import adagrad, adam, adamw, rmsprop, sgd
from ._schedules import (
    CosineAnnealingLR,
    ExponentialLR,
    LinearLR,
    OneCycleLR,
    ReduceLROnPlateau,
    Schedule,
    StepLR,
)

__all__ = [  # noqa: RUF022  plain order, capitals first: a test holds it
    "Adagrad",
    "Adam",
    "AdamW",
    "CosineAnnealingLR",
    "ExponentialLR",
    "LinearLR",
    "OneCycleLR",
    "Optimizer",
    "RMSprop",
    "ReduceLROnPlateau",
    "SGD",
    "Schedule",
    "StepLR",
    "adagrad",
    "adam",
    "adamw",
    "clip_grad_norm",
    "clip_grad_value",
    "rmsprop",
    "sgd",
]

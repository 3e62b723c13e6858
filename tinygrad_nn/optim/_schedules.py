"""Learning-rate schedules: how ``opt.lr`` changes from one ``schedule.step()`` to the next.

Names and formulas are PyTorch's. Like there, most schedules turn the learning rate that *is*
into the next one, so they can be chained (a warm-up and a decay on one optimiser, each stepped)
and respect a value assigned by hand; `OneCycleLR` sets it outright. Call ``step()`` once an
epoch or once an iteration, after ``opt.step()``; the present value is ``opt.lr``.

To resume, build optimiser and schedule as before, then load both states: the learning rate is
the optimiser's.
"""

import math

from .._errors import ShapeError
from .._messages import whole
from ._optimizer import Optimizer, checked


class Schedule:
    """The base of the schedules: counts its steps in ``last_epoch``.

    A subclass defines ``_rate(lr, epoch)``, the learning rate of this epoch, given that of the
    one before.
    """

    def __init__(self, optimizer):
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"{type(self).__name__} takes an optimiser, got "
                            f"{type(optimizer).__name__}")
        self.optimizer = optimizer
        self.last_epoch = 0

    def step(self):
        """Go on to the next epoch, or iteration."""
        self.optimizer.lr = self._rate(self.optimizer.lr, self.last_epoch + 1)
        self.last_epoch += 1

    def state_dict(self):
        """{name: value} of everything but the optimiser."""
        return {name: value for name, value in vars(self).items() if name != "optimizer"}

    def load_state_dict(self, state_dict):
        """Take over what `state_dict` gave; `ShapeError` names all that is missing or
        unexpected, and nothing is changed then."""
        own = self.state_dict()
        wrong = [f"missing {name}" for name in own if name not in state_dict]
        wrong += [f"unexpected {name}" for name in state_dict if name not in own]
        if wrong:
            raise ShapeError(f"this state does not fit {type(self).__name__}: "
                             + "; ".join(wrong))
        vars(self).update(state_dict)


class StepLR(Schedule):
    """Times ``gamma`` after every ``step_size`` epochs.

    >>> import numpy as np, tinygrad_nn as tn
    >>> opt = tn.optim.SGD([tn.Tensor(np.zeros(2))], lr=8.0)
    >>> schedule = tn.optim.StepLR(opt, step_size=2, gamma=0.5)
    >>> [(schedule.step(), opt.lr)[1] for _ in range(5)]
    [8.0, 4.0, 4.0, 2.0, 2.0]
    """

    def __init__(self, optimizer, step_size, gamma=0.1):
        super().__init__(optimizer)
        self.step_size = whole("StepLR: step_size", step_size)
        self.gamma = checked("StepLR: gamma", gamma)

    def _rate(self, lr, epoch):
        return lr if epoch % self.step_size else lr * self.gamma


class ExponentialLR(Schedule):
    """Times ``gamma`` after every epoch."""

    def __init__(self, optimizer, gamma):
        super().__init__(optimizer)
        self.gamma = checked("ExponentialLR: gamma", gamma)

    def _rate(self, lr, epoch):
        return lr * self.gamma


class LinearLR(Schedule):
    """A factor from ``start_factor`` to ``end_factor`` in ``total_iters`` epochs: a warm-up.

    The factor is applied from the start, when the schedule is made. Goyal et al. (2017),
    "Accurate, large minibatch SGD".
    """

    def __init__(self, optimizer, start_factor=1 / 3, end_factor=1.0, total_iters=5):
        super().__init__(optimizer)
        self.start_factor = _fraction("LinearLR: start_factor", start_factor)
        self.end_factor = _fraction("LinearLR: end_factor", end_factor)
        if not self.start_factor:
            raise ValueError("LinearLR: start_factor must not be 0, later factors multiply it")
        self.total_iters = whole("LinearLR: total_iters", total_iters)
        optimizer.lr *= self.start_factor

    def _factor(self, epoch):
        done = epoch / self.total_iters
        return self.start_factor + (self.end_factor - self.start_factor) * done

    def _rate(self, lr, epoch):
        if epoch > self.total_iters:
            return lr
        return lr * self._factor(epoch) / self._factor(epoch - 1)


class CosineAnnealingLR(Schedule):
    """From the learning rate at the start to ``eta_min`` in ``T_max`` epochs along half a
    cosine; then back, and so on.

    ``eta_min + (lr - eta_min) * (1 + cos(pi * epoch / T_max)) / 2``. Loshchilov and Hutter
    (2017), "SGDR: stochastic gradient descent with warm restarts", without the restarts.
    """

    def __init__(self, optimizer, T_max, eta_min=0.0):
        super().__init__(optimizer)
        self.T_max = whole("CosineAnnealingLR: T_max", T_max)
        self.eta_min = checked("CosineAnnealingLR: eta_min", eta_min)
        self.base_lr = optimizer.lr

    def _height(self, epoch):
        """(1 + cos(pi * epoch / T_max)) / 2, without cancellation where it is small."""
        return math.sin(math.pi * (self.T_max - epoch) / (2 * self.T_max)) ** 2

    def _rate(self, lr, epoch):
        height, before = self._height(epoch), self._height(epoch - 1)
        if (epoch - 1) % (2 * self.T_max) == self.T_max:            # at the lowest point
            return lr + (self.base_lr - self.eta_min) * height
        return self.eta_min + (lr - self.eta_min) * height / before


class OneCycleLR(Schedule):
    """Up from ``max_lr / div_factor`` to ``max_lr`` in the first ``pct_start`` of all steps,
    then down to a ``final_div_factor``-th of where it started; step after every batch.

    The number of steps is ``total_steps``, or ``epochs * steps_per_epoch``. With
    ``cycle_momentum`` the momentum (the first of betas where there is none) goes the other way,
    from ``max_momentum`` down to ``base_momentum`` and back. ``anneal_strategy``: "cos" or
    "linear". Smith and Topin (2018), "Super-convergence", in PyTorch's form of two phases.
    """

    def __init__(self, optimizer, max_lr, total_steps=None, epochs=None, steps_per_epoch=None,
                 pct_start=0.3, anneal_strategy="cos", cycle_momentum=True, base_momentum=0.85,
                 max_momentum=0.95, div_factor=25.0, final_div_factor=1e4):
        super().__init__(optimizer)
        if total_steps is None:
            total_steps = (whole("OneCycleLR: epochs, without total_steps,", epochs)
                           * whole("OneCycleLR: steps_per_epoch", steps_per_epoch))
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError("OneCycleLR: anneal_strategy must be 'cos' or 'linear', got "
                             f"{anneal_strategy!r}")
        self.total_steps = whole("OneCycleLR: total_steps", total_steps)
        self.top = _fraction("OneCycleLR: pct_start", pct_start) * self.total_steps - 1
        self.anneal_strategy = anneal_strategy
        self.max_lr = checked("OneCycleLR: max_lr", max_lr)
        self.initial_lr = self.max_lr / _divisor("OneCycleLR: div_factor", div_factor)
        self.min_lr = self.initial_lr / _divisor("OneCycleLR: final_div_factor",
                                                 final_div_factor)
        self.cycled = _cycled(optimizer) if cycle_momentum else None
        self.base_momentum = checked("OneCycleLR: base_momentum", base_momentum, below=1)
        self.max_momentum = checked("OneCycleLR: max_momentum", max_momentum, below=1)
        optimizer.lr = self._rate(None, 0)
        self._set_momentum(0)

    def step(self):
        """Go on to the next batch; ValueError where there are no steps left.

        The step after the last batch changes nothing (PyTorch's overshoots there, with
        "linear" to a negative learning rate).
        """
        if self.last_epoch >= self.total_steps:
            raise ValueError(f"OneCycleLR: all {self.total_steps} steps are done, give it a "
                             "larger total_steps")
        super().step()
        self._set_momentum(self.last_epoch)

    def _rate(self, lr, epoch):
        return self._between(epoch, self.initial_lr, self.max_lr, self.min_lr)

    def _set_momentum(self, epoch):
        if self.cycled:
            high, low = self.max_momentum, self.base_momentum
            setattr(self.optimizer, self.cycled, self._between(epoch, high, low, high))

    def _between(self, epoch, first, middle, last):
        """The value at an epoch of one that goes from first to middle, then to last."""
        bottom = self.total_steps - 1
        if epoch <= self.top or self.top == bottom:
            a, b, start, end = first, middle, 0, self.top
        else:
            a, b, start, end = middle, last, self.top, bottom
        done = min((epoch - start) / (end - start), 1.0) if end != start else 1.0
        if self.anneal_strategy == "linear":
            return a + (b - a) * done
        return b + (a - b) / 2 * (1 + math.cos(math.pi * done))


class ReduceLROnPlateau(Schedule):
    """Times ``factor`` when the metric given to ``step(metric)`` has not become better for more
    than ``patience`` epochs.

    Better is less with ``mode="min"`` and more with "max", by more than ``threshold``, relative
    to the best so far or ("abs") absolute. After a reduction it waits ``cooldown`` epochs. The
    learning rate stays at least ``min_lr``, and it is not reduced by ``eps`` or less. A metric
    that is nan is not better.
    """

    def __init__(self, optimizer, mode="min", factor=0.1, patience=10, threshold=1e-4,
                 threshold_mode="rel", cooldown=0, min_lr=0.0, eps=1e-8):
        super().__init__(optimizer)
        for name, value, choice in (("mode", mode, ("min", "max")),
                                    ("threshold_mode", threshold_mode, ("rel", "abs"))):
            if value not in choice:
                raise ValueError(f"ReduceLROnPlateau: {name} must be one of {choice}, got "
                                 f"{value!r}")
        self.mode, self.threshold_mode = mode, threshold_mode
        self.factor = checked("ReduceLROnPlateau: factor", factor, below=1)
        self.patience = whole("ReduceLROnPlateau: patience", patience, least=0)
        self.threshold = checked("ReduceLROnPlateau: threshold", threshold)
        self.cooldown = whole("ReduceLROnPlateau: cooldown", cooldown, least=0)
        self.min_lr = checked("ReduceLROnPlateau: min_lr", min_lr)
        self.eps = checked("ReduceLROnPlateau: eps", eps)
        self.best = math.inf if mode == "min" else -math.inf
        self.num_bad_epochs = self.cooldown_counter = 0

    def step(self, metric):
        """Go on to the next epoch, the last one having reached ``metric``, a number."""
        metric = float(metric)
        if self._better(metric):
            self.best, self.num_bad_epochs = metric, 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        super().step()
        if self.num_bad_epochs > self.patience:
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0

    def _rate(self, lr, epoch):
        if self.num_bad_epochs <= self.patience:
            return lr
        reduced = max(lr * self.factor, self.min_lr)
        return reduced if lr - reduced > self.eps else lr

    def _better(self, metric):
        sign = 1 if self.mode == "max" else -1
        if self.threshold_mode == "abs":
            return sign * metric > sign * self.best + self.threshold
        return sign * metric > sign * (self.best * (1 + sign * self.threshold))


def _cycled(optimizer):
    """The name of the setting that plays the part of the momentum."""
    for name in ("momentum", "beta1"):
        if name in optimizer.settings:
            return name
    raise ValueError(f"OneCycleLR: {type(optimizer).__name__} has neither momentum nor betas: "
                     "pass cycle_momentum=False")


def _fraction(what, x):
    if checked(what, x) > 1:
        raise ValueError(f"{what} must be in 0..1, got {x!r}")
    return float(x)


def _divisor(what, x):
    if not checked(what, x):
        raise ValueError(f"{what} must not be 0")
    return float(x)

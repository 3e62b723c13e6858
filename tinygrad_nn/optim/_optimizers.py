"""The optimisers: each a rule of `_rules`, its settings with PyTorch's defaults, its state."""

from . import _rules
from ._optimizer import Momentum, Number, Optimizer, checked


class SGD(Optimizer):
    """Gradient descent, with momentum where it is not 0, plain or Nesterov's.

    The formulas are those of `sgd`; dampening is 0.
    """

    rule = staticmethod(_rules.sgd)
    momentum = Momentum()

    def __init__(self, parameters, lr=1e-3, momentum=0.0, *, weight_decay=0.0, nesterov=False):
        super().__init__(parameters, lr=lr, momentum=momentum, weight_decay=weight_decay,
                         nesterov=nesterov)

    @property
    def nesterov(self):
        """Whether the momentum is Nesterov's."""
        return self.settings["nesterov"]

    @nesterov.setter
    def nesterov(self, value):
        if value and not self.momentum:
            raise ValueError("SGD: nesterov=True needs a momentum, e.g. momentum=0.9")
        self.settings["nesterov"] = bool(value)


class Adam(Optimizer):
    """Adam; the formulas are those of `adam`. ``weight_decay`` is added to the gradient.

    >>> import numpy as np, tinygrad_nn as tn
    >>> w = tn.Tensor(np.array([1.0, -3.0]))
    >>> opt = tn.optim.Adam([w], lr=0.1)
    >>> (w * w).sum().backward(); opt.step()
    >>> w.data.round(6)                         # the first step is lr, whatever the gradient
    array([ 0.9, -2.9])
    """

    rule = staticmethod(_rules.adam)
    beta1 = Number("first of betas", below=1, changes=True)
    beta2 = Number("second of betas", below=1, changes=True)
    eps = Number("eps")

    def __init__(self, parameters, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
        beta1, beta2 = _pair(betas, type(self).__name__)
        super().__init__(parameters, lr=lr, beta1=beta1, beta2=beta2, eps=eps,
                         weight_decay=weight_decay)
        self._keep("exp_avg")
        self._keep("exp_avg_sq")

    @property
    def betas(self):
        """How much of the averages of the gradient and of its square stays at each step."""
        return self.beta1, self.beta2

    @betas.setter
    def betas(self, pair):
        beta1, beta2 = _pair(pair, type(self).__name__)
        self.settings.update(beta1=Adam.beta1.kept(self, beta1),
                             beta2=Adam.beta2.kept(self, beta2))


class AdamW(Adam):
    """Adam with decoupled weight decay; the formulas are those of `adamw`."""

    rule = staticmethod(_rules.adamw)

    def __init__(self, parameters, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01):
        super().__init__(parameters, lr, betas, eps, weight_decay)


class RMSprop(Optimizer):
    """RMSprop; the formulas are those of `rmsprop`, with momentum where it is not 0."""

    rule = staticmethod(_rules.rmsprop)
    alpha = Number("smoothing constant alpha", below=1)
    eps = Number("eps")
    momentum = Momentum()

    def __init__(self, parameters, lr=1e-2, alpha=0.99, eps=1e-8, weight_decay=0.0,
                 momentum=0.0):
        super().__init__(parameters, lr=lr, alpha=alpha, eps=eps, weight_decay=weight_decay,
                         momentum=momentum)
        self._keep("square_avg")


class Adagrad(Optimizer):
    """Adagrad; the formulas are those of `adagrad`, its sums start at
    ``initial_accumulator_value``."""

    rule = staticmethod(_rules.adagrad)
    lr_decay = Number("decay of the learning rate")
    eps = Number("eps")

    def __init__(self, parameters, lr=1e-2, lr_decay=0.0, weight_decay=0.0,
                 initial_accumulator_value=0.0, eps=1e-10):
        super().__init__(parameters, lr=lr, lr_decay=lr_decay, eps=eps,
                         weight_decay=weight_decay)
        self._keep("sum", checked("Adagrad: initial_accumulator_value",
                                  initial_accumulator_value))


def _pair(betas, who):
    if not isinstance(betas, (tuple, list)) or len(betas) != 2:
        raise TypeError(f"{who}: betas must be a pair of numbers, got {betas!r}")
    return betas

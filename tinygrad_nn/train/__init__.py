"""Training: a loop, what to measure and to do on the way, and runs that survive being killed.

    history = train.fit(model, (x, t), nn.cross_entropy, opt, epochs=20, batch_size=32,
                        validation=(test_x, test_t), metrics=["accuracy"],
                        callbacks=[train.EarlyStopping(patience=3),
                                   train.Checkpoint("run.safetensors", resume=True)])
    train.evaluate(model, (test_x, test_t), nn.cross_entropy, ["accuracy"])
    train.predict(model, test_x)

The loop is a page (`_fit`), a step of it another (`_run`); whoever needs another loop writes it
with ``loss.backward(); opt.step(); opt.zero_grad()``. Knows nothing of pictures or files of
data: batches come from arrays, from a loader, or from any iterable.
"""

from ._callbacks import Callback, Log, Schedule, StopOnNan
from ._checkpoint import Checkpoint
from ._evaluate import evaluate, predict
from ._fit import fit
from ._history import History
from ._metrics import accuracy, binary_accuracy, binary_accuracy_with_logits
from ._progress import Progress
from ._run import Run
from ._watching import EarlyStopping, SaveBest

__all__ = [
    "Callback",
    "Checkpoint",
    "EarlyStopping",
    "History",
    "Log",
    "Progress",
    "Run",
    "SaveBest",
    "Schedule",
    "StopOnNan",
    "accuracy",
    "binary_accuracy",
    "binary_accuracy_with_logits",
    "evaluate",
    "fit",
    "predict",
]

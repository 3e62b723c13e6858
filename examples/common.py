"""What the examples with pictures share: training, mistakes, the saved model, the command line.

A network gives logits here: one column says class 1 of two, otherwise there is one a class. The
file of a model carries the names of the classes and what is done to a picture before it.
"""

import sys
import time
from pathlib import Path

import numpy as np
import pictures

import tinygrad_nn as tn
from tinygrad_nn import data, nn, optim, train
from tinygrad_nn.models import conv_net

# ---------------------------------------------------------------- learning

def one_logit_loss(z, t):
    """Binary cross-entropy of the logits ``z`` (N, 1) with the labels ``t`` (N,)."""
    return nn.binary_cross_entropy_with_logits(z[:, 0], t.astype(z.dtype))


def one_logit_accuracy(z, t):
    """Whether each logit of (N, 1) is on the side of its label."""
    return train.binary_accuracy_with_logits(z[:, 0], t)


def fit(model, dataset, options, optimizer, *, augment=None, cycle=False, seed=None, keep=True):
    """Train ``model`` for ``options.epochs`` epochs.

    ``cycle``: the one-cycle schedule, whose highest rate is the optimiser's. ``keep``: write
    the history and a checkpoint into ``options.out``, and go on from it with
    ``options.resume``. Seconds are printed at the end.
    """
    loader = data.DataLoader(dataset, options.batch_size, shuffle=True, augment=augment,
                             seed=options.seed if seed is None else seed)
    callbacks = [train.StopOnNan()]
    if keep:
        options.out.mkdir(parents=True, exist_ok=True)
        callbacks += [train.Log(options.out / "history.csv"),
                      train.Checkpoint(options.out / "checkpoint.safetensors",
                                       resume=options.resume)]
        print(nn.summary(model, (options.batch_size, *dataset[0][0].shape)))
    if cycle:
        schedule = optim.OneCycleLR(optimizer, optimizer.lr, epochs=options.epochs,
                                    steps_per_epoch=len(loader))
        callbacks.append(train.Schedule(schedule, per="step"))
    binary = len(model[-1].bias.data) == 1
    start = time.perf_counter()
    history = train.fit(model, loader, one_logit_loss if binary else nn.cross_entropy,
                        optimizer, options.epochs, callbacks=callbacks, progress=keep,
                        metrics={"accuracy": one_logit_accuracy if binary else "accuracy"})
    print(f"Trained in {time.perf_counter() - start:.0f} s, last loss "
          f"{history['loss'][-1]:.4f}", flush=True)


def learn(options, dataset, network, augment, seed, keep=True):
    """A convolutional network trained on pictures of two classes, by AdamW and one cycle.

    ``network``: arguments of `conv_net`, its channels and dropout.
    """
    model = conv_net(size=options.size, outputs=1, rng=seed, **network)
    optimizer = optim.AdamW(model.parameters(), lr=options.learning_rate)
    fit(model, dataset, options, optimizer, augment=augment, cycle=True, seed=seed, keep=keep)
    return model


def cross_validate(dataset, options, learn, mirrored=False):
    """Judge each picture by a network that has not seen it; the share that is right.

    ``learn(part, seed)`` gives a network trained on a part of ``dataset``.
    """
    k, right = options.cross_validate, np.zeros(len(dataset), bool)
    for n, (learnt, held_out) in enumerate(data.folds(dataset, k, options.seed), start=1):
        model = learn(dataset.subset(learnt), options.seed + n)
        part = dataset.subset(held_out)
        right[held_out] = probabilities(model, part, mirrored).argmax(1) == part.y
        print(f"Fold {n} of {k}: {right[held_out].mean():.2%} of {len(held_out)} held out",
              flush=True)
    print(f"Cross-validated accuracy: {right.mean():.2%} of {len(right):,} pictures")
    return right.mean()


# ---------------------------------------------------------------- judging

def probabilities(model, dataset, mirrored=False):
    """(N, classes) of the pictures of a data set, in its order.

    ``mirrored``: the mean of what the network says of a picture and of its mirror image.
    """
    loader = data.DataLoader(dataset, 256)
    p = _shares(train.predict(model, loader))
    if mirrored:
        p = (p + _shares(train.predict(model, (x[..., ::-1] for x, _ in loader)))) / 2
    return p


def _shares(z):
    """Probabilities of the classes, of logits (N, 1) or (N, classes)."""
    if z.shape[1] > 1: return tn.softmax(z, axis=1)
    return np.concatenate([tn.sigmoid(-z), tn.sigmoid(z)], axis=1)


def conclude(model, tested, classes, options, mirrored=False):
    """Look at the test pictures, once: print the accuracy, save the worst mistakes and the
    model in ``options.out``; what the network says of each, (N, classes)."""
    p = probabilities(model, tested, mirrored)
    report(p, tested.y, classes)
    save_mistakes(tested, p, classes, options.out / "mistakes.png")
    channels, size, _ = tested[0][0].shape
    save_model(options.out / "model.safetensors", model, classes, size, channels, mirrored)
    print(f"\nSaved history.csv, mistakes.png, model.safetensors and checkpoint.safetensors in "
          f"{options.out}")
    return p


def report(p, y, classes):
    """Print the accuracy, and that of each class with what it is most often taken for."""
    said = p.argmax(1)
    most = np.bincount(y).max() / len(y)
    print(f"\nAccuracy on the {len(y):,} test pictures: {np.mean(said == y):.2%} "
          f"(always saying the commonest class: {most:.2%})")
    for k, name in enumerate(classes):
        mine = said[y == k]
        if not mine.size:
            continue
        wrong = np.bincount(mine[mine != k], minlength=len(classes))
        text = f"  {name:12} {np.mean(mine == k):7.1%} of {mine.size}"
        if wrong.any():
            text += f", taken for {classes[wrong.argmax()]} {wrong.max()} times"
        print(text)


def save_mistakes(dataset, p, classes, path):
    """A gallery of the pictures that the network was surest about and wrong."""
    said, sure, y = p.argmax(1), p.max(1), dataset.y
    wrong = np.flatnonzero(said != y)
    worst = wrong[np.argsort(-sure[wrong], kind="stable")][:pictures.MOST]
    captions = [f"{classes[y[i]]}\nsaid {classes[said[i]]}\n{sure[i]:.2%} sure" for i in worst]
    images = [np.broadcast_to(x, (3, *x.shape[1:])).transpose(1, 2, 0)
              for x, _ in map(dataset.__getitem__, worst)]
    pictures.gallery(images, captions, path, title=f"The {len(worst)} surest of {len(wrong):,} "
                                                   f"mistakes on {len(y):,} test pictures")


# ---------------------------------------------------------------- pictures of two classes

def two_classes(path, size, **classes):
    """The `ImageFolder` of two classes; pictures that cannot be read are named and left out."""
    found = data.ImageFolder(path, size, on_unreadable="skip", **classes)
    check_two_classes(found, path)
    return found


def check_two_classes(found, path):
    """Name the pictures that were left out; DataError unless there are two classes."""
    for error in found.skipped:
        print(f"skipped: {error}", file=sys.stderr)
    if len(found.classes) != 2:
        raise tn.DataError(f"{path} holds {len(found.classes)} classes "
                           f"({', '.join(found.classes)}), this network tells two apart", path)


# ---------------------------------------------------------------- the saved model

def save_model(path, model, classes, size, channels=3, mirrored=False):
    """Write the file that `predict` needs."""
    tn.save_model(path, model, classes=classes,
                  preprocessing={"size": size, "scale": 1 / 255, "channels": channels,
                                 "mirrored": mirrored})


def predict(file, paths):
    """Print of each picture what the model of a file says that it shows."""
    model, classes, preprocessing = load_model(file)
    grey = preprocessing["channels"] == 1
    for path in paths:
        x = data.read_image(path, preprocessing["size"], grey=grey).transpose(2, 0, 1)
        one = data.ArrayDataset(x[None], [0])
        say(path, classes, probabilities(model, one, preprocessing["mirrored"])[0])


def say(path, classes, p):
    """Print file, class and probability."""
    print(f"{path}: {classes[p.argmax()]} ({p.max():.1%})")


def load_model(file):
    """What `save_model` wrote, or DataError where the parts do not fit together."""
    model, classes, preprocessing = saved = tn.load_model(file)
    lacks = {"size", "channels", "mirrored"} - (preprocessing or {}).keys()
    if classes is None or lacks:
        raise tn.DataError(f"{file} is no model of this example: it lacks "
                           f"{'the names of the classes' if classes is None else min(lacks)}",
                           file)
    shape = 1, preprocessing["channels"], preprocessing["size"], preprocessing["size"]
    try:                    # a file may say anything
        y = train.predict(model, np.zeros(shape, np.float32))
    except (tn.TinygradError, ValueError, TypeError) as error:
        raise tn.DataError(f"{file} is no model of this example: it does not take pictures of "
                           f"shape {shape[1:]} ({error})", file) from error
    if y.shape != (1, len(classes)) and (y.shape, len(classes)) != ((1, 1), 2):
        raise tn.DataError(f"{file} is no model of this example: it names {len(classes)} "
                           f"classes, and the network gives an array of shape {y.shape} for a "
                           "picture", file)
    return saved


# ---------------------------------------------------------------- the command line

def whole(text, least=1):
    """A whole number, positive unless ``least`` says otherwise."""
    n = int(text)
    if n < least:
        raise ValueError(text)
    return n


def natural(text):
    """0, 1, 2, …"""
    return whole(text, 0)


def parts(text):
    """2, 3, 4, …"""
    return whole(text, 2)


def rate(text):
    """A positive number."""
    number = float(text)
    if not 0 < number < float("inf"):
        raise ValueError(text)
    return number


def add_cross_validate(parser, when=""):
    """``--cross-validate``; ``when`` says what it goes with."""
    parser.add_argument("--cross-validate", metavar="K", type=parts,
                        help=f"{when}train on K parts of the training pictures, each time "
                             "without one, which is then judged; the test pictures stay unseen")


def add_training_options(parser, out, seed="of weights and batches (0)"):
    """``--seed``, ``--resume`` and ``--out``."""
    parser.add_argument("--seed", type=natural, default=0, help=seed)
    parser.add_argument("--resume", action="store_true",
                        help="go on from the checkpoint of a run that was stopped")
    parser.add_argument("--out", type=Path, default=Path(out),
                        help=f"the folder for what is saved ({out})")


def command(run, stopped="stopped"):
    """Call ``run()``; the exit code: 0, or 1 after a sentence on what went wrong."""
    try:
        run()
    except (tn.TinygradError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\n{stopped}", file=sys.stderr)
        return 130
    return 0

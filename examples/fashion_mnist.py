"""Fashion-MNIST: ten kinds of garments, told apart by the tutorials' network or a small CNN.

    python examples/fashion_mnist.py                    where Debian's package put the files
    python examples/fashion_mnist.py --data FOLDER      the four IDX files, gzipped or not
    python examples/fashion_mnist.py --cnn              two convolutions
    python examples/fashion_mnist.py --resume           go on where a run was stopped

It prints how it goes, the accuracy on the 10,000 test pictures (looked at once, at the end) and
that of each class, and saves the history, a gallery of the worst mistakes, and the model.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import pictures

import tinygrad_nn as tn
from tinygrad_nn import data, nn, optim, train

# ---------------------------------------------------------------- the two networks

def mlp(rng):
    """The tutorials' network: 784 pixels, 128 hidden units, 10 classes."""
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 128, rng=rng), nn.ReLU(),
                         nn.Linear(128, 10, rng=rng))


def cnn(rng):
    """Two convolutions, two dense layers.

    Normalisation and ReLU come after the pooling, where a quarter of the numbers is left: the
    same network with them before it takes half as long again for an epoch.
    """
    def block(before, after):
        return [nn.Conv2d(before, after, 3, padding=1, rng=rng), nn.MaxPool2d(2),
                nn.BatchNorm2d(after), nn.ReLU()]
    return nn.Sequential(*block(1, 32), *block(32, 64), nn.Flatten(), nn.Dropout(0.4, rng=rng),
                         nn.Linear(64 * 7 * 7, 128, rng=rng), nn.ReLU(),
                         nn.Dropout(0.4, rng=rng), nn.Linear(128, 10, rng=rng))


# ---------------------------------------------------------------- learning

def learn(options, x, y):
    """The trained model and its history."""
    rng = np.random.default_rng(options.seed)
    flip = data.augment.RandomHorizontalFlip() if options.cnn else None
    loader = data.DataLoader(data.ArrayDataset(x, y), options.batch_size, shuffle=True,
                             seed=options.seed, augment=flip)
    callbacks = [train.Log(options.out / "history.csv"), train.StopOnNan(),
                 train.Checkpoint(options.out / "checkpoint.safetensors",
                                  resume=options.resume)]
    model = cnn(rng) if options.cnn else mlp(rng)
    optimizer = optim.Adam(model.parameters(), lr=options.learning_rate)
    if options.cnn:
        cycle = optim.OneCycleLR(optimizer, options.learning_rate, epochs=options.epochs,
                                 steps_per_epoch=len(loader))
        callbacks.append(train.Schedule(cycle, per="step"))
    print(nn.summary(model, (options.batch_size, 1, 28, 28)))
    history = train.fit(model, loader, nn.cross_entropy, optimizer, options.epochs,
                        metrics=["accuracy"], callbacks=callbacks)
    return model, history


def probabilities(model, x):
    """(N, 10) of uint8 pictures (N, 28, 28)."""
    loader = data.DataLoader(data.ArrayDataset(x, np.zeros(len(x), np.int64)), 256)
    return tn.softmax(train.predict(model, loader), axis=1)


# ---------------------------------------------------------------- the report

def report(p, y, classes):
    """Accuracy, and that of each class with what it is most often taken for."""
    said = p.argmax(1)
    print(f"\nAccuracy on the {len(y):,} test pictures: {np.mean(said == y):.2%}")
    for k, name in enumerate(classes):
        mine = said[y == k]
        if not mine.size:
            continue
        wrong = np.bincount(mine[mine != k], minlength=len(classes))
        text = f"  {name:12} {np.mean(mine == k):7.1%} of {mine.size}"
        if wrong.any():
            text += f", taken for {classes[wrong.argmax()]} {wrong.max()} times"
        print(text)


def save_worst(x, y, p, classes, path):
    """A gallery of the pictures that the model was surest about and wrong."""
    said, sure = p.argmax(1), p.max(1)
    wrong = np.flatnonzero(said != y)
    worst = wrong[np.argsort(-sure[wrong], kind="stable")][:pictures.MOST]
    captions = [f"{classes[y[i]]}\nsaid {classes[said[i]]}\n{sure[i]:.2%} sure" for i in worst]
    images = np.repeat(x[worst][..., None] / 255, 3, axis=3)
    pictures.gallery(images, captions, path, title=f"The {len(worst)} surest of {len(wrong):,} "
                                                   f"mistakes on {len(y):,} test pictures")


def run(options):
    train_x, train_y, test_x, test_y, classes = data.fashion_mnist(options.data)
    print(f"{len(train_x):,} pictures to learn from, {len(test_x):,} to be tested on: "
          f"{', '.join(classes)}")
    options.out.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    model, history = learn(options, train_x, train_y)
    print(f"\n{history}\nTrained in {time.perf_counter() - start:.0f} s")
    p = probabilities(model, test_x)
    report(p, test_y, classes)
    save_worst(test_x, test_y, p, classes, options.out / "mistakes.png")
    tn.save_model(options.out / "model.safetensors", model, classes=classes,
                  preprocessing={"size": 28, "scale": 1 / 255, "channels": 1})
    print(f"\nSaved history.csv, mistakes.png, model.safetensors and checkpoint.safetensors in "
          f"{options.out}")


# ---------------------------------------------------------------- the command line

def whole(text):
    """A positive whole number."""
    n = int(text)
    if n < 1:
        raise ValueError(text)
    return n


def arguments(argv):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", metavar="FOLDER", type=Path,
                        help="the folder of the four IDX files (where Debian's package "
                             "dataset-fashion-mnist puts them)")
    parser.add_argument("--cnn", action="store_true", help="two convolutions instead of none")
    parser.add_argument("--epochs", type=whole, help="5; with --cnn 10")
    parser.add_argument("--batch-size", type=whole, help="32; with --cnn 64")
    parser.add_argument("--learning-rate", type=float, help="0.001; with --cnn 0.004 at most")
    parser.add_argument("--seed", type=int, default=0, help="of weights and batches (0)")
    parser.add_argument("--resume", action="store_true",
                        help="go on from the checkpoint of a run that was stopped")
    parser.add_argument("--out", type=Path, default=Path("fashion_mnist_output"),
                        help="the folder for what is saved (fashion_mnist_output)")
    options = parser.parse_args(argv)
    options.epochs = options.epochs or (10 if options.cnn else 5)
    options.batch_size = options.batch_size or (64 if options.cnn else 32)
    options.learning_rate = options.learning_rate or (4e-3 if options.cnn else 1e-3)
    return options


def main(argv=None):
    """Run the command; the exit code."""
    try:
        run(arguments(argv))
    except (tn.TinygradError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped; --resume goes on from the last epoch", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Cats and dogs: photos in two folders, told apart by a small convolutional network.

    python examples/cats_vs_dogs.py FOLDER               train/ and test/ inside, or two classes
    python examples/cats_vs_dogs.py FOLDER --tutorial    the Keras tutorial's network
    python examples/cats_vs_dogs.py FOLDER --cross-validate 3     judge by training photos alone
    python examples/cats_vs_dogs.py FOLDER --resume      go on where a run was stopped
    python examples/cats_vs_dogs.py predict FILE ...     what is on these pictures

FOLDER holds ``train`` and ``test`` (also ``training_set`` and ``test_set``) with a sub-folder
of photos for each class in both; or just the sub-folders, of which a fifth is then put aside as
test photos. Those are looked at once, at the end. It prints how it goes, the accuracy and that
of each class, and saves the history, a gallery of the worst mistakes, and the model, from which
``predict`` prints file, class and probability.
"""

import argparse
import sys
from pathlib import Path

import common

from tinygrad_nn import data, optim
from tinygrad_nn.data.augment import (
    ColorJitter,
    Compose,
    RandomAffine,
    RandomHorizontalFlip,
)
from tinygrad_nn.models import keras_net

# ---------------------------------------------------------------- the two networks

NETWORK = {"channels": (3, 16, 32, 64, 128, 256)}
OURS = Compose([RandomHorizontalFlip(),
                RandomAffine(degrees=15, translate=(0.1, 0.1), scale=(0.8, 1.2)),
                ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2)])
KERAS = Compose([RandomAffine(scale=((0.8, 1.2), (0.8, 1.2)), shear=0.2),
                 RandomHorizontalFlip()])


def learn(options, photos, seed, keep=True):
    """A network that was trained on a data set of photos."""
    if not options.tutorial:
        return common.learn(options, photos, NETWORK, OURS, seed, keep)
    model = keras_net(options.size, rng=seed)
    optimizer = optim.Adam(model.parameters(), lr=options.learning_rate)
    common.fit(model, photos, options, optimizer, augment=KERAS, seed=seed, keep=keep)
    return model


# ---------------------------------------------------------------- the photos

LEARNT = ("train", "training")
TESTED = ("test", "testing", "val", "valid", "validation")


def part(folder, names):
    """The folder inside ``folder`` that has one of the names, or ``<name>_set``; or None."""
    inside = folder.iterdir() if folder.is_dir() else ()
    return next((path for path in sorted(inside) if path.is_dir()
                 and path.name.lower().removesuffix("_set") in names), None)


def photos(options):
    """The photos to learn from and those to be tested on, two data sets."""
    learnt, tested = (part(options.folder, names) for names in (LEARNT, TESTED))
    if learnt and tested:
        first = common.two_classes(learnt, options.size, positive=options.positive)
        return first, common.two_classes(tested, options.size, classes=first.classes)
    everything = common.two_classes(options.folder, options.size, positive=options.positive)
    return tuple(everything.subset(indices) for indices in data.split(everything))


# ---------------------------------------------------------------- the command line

def run(options):
    """Train, then look at the test photos; or cross-validate without them."""
    learnt, tested = photos(options)
    print(f"To learn from: {learnt}\nTo be tested on: {tested}\n"
          f"Class indices: {learnt.class_indices}")
    mirrored = not options.tutorial
    if options.cross_validate:
        common.cross_validate(learnt, options, lambda photos, seed: learn(
            options, photos, seed, keep=False), mirrored)
        return
    model = learn(options, learnt, options.seed)
    common.conclude(model, tested, tested.classes, options, mirrored)


def arguments(argv):
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n")[0],
        epilog="cats_vs_dogs.py predict FILE ... [--model FILE] says what is on pictures; a "
               "folder that is called predict can be given as ./predict.")
    parser.add_argument("folder", metavar="FOLDER", type=Path,
                        help="photos: train and test inside, or a sub-folder for each class")
    parser.add_argument("--tutorial", action="store_true",
                        help="the network, augmentation and training of the Keras tutorial")
    parser.add_argument("--size", type=common.whole, default=64, help="pixels a side (64)")
    parser.add_argument("--epochs", type=common.whole, help="40; with --tutorial 25")
    parser.add_argument("--batch-size", type=common.whole, default=32, help="32")
    parser.add_argument("--learning-rate", type=common.rate,
                        help="0.003 at most; with --tutorial 0.001")
    parser.add_argument("--positive", metavar="NAME",
                        help="the class that is class 1 (cat or cats, else the last)")
    common.add_cross_validate(parser)
    common.add_training_options(parser, "cats_vs_dogs_output")
    options = parser.parse_args(argv)
    least = 4 if options.tutorial else 2 ** (len(NETWORK["channels"]) - 1)
    if options.size < least: parser.error(f"--size must be at least {least} for this network")
    options.epochs = options.epochs or (25 if options.tutorial else 40)
    options.learning_rate = options.learning_rate or (1e-3 if options.tutorial else 3e-3)
    return options


def predict_arguments(argv):
    parser = argparse.ArgumentParser(prog="cats_vs_dogs.py predict",
                                     description="Print file, class and probability.")
    parser.add_argument("files", metavar="FILE", nargs="+", type=Path, help="pictures")
    parser.add_argument("--model", type=Path, metavar="FILE",
                        default=Path("cats_vs_dogs_output/model.safetensors"),
                        help="what a run saved (cats_vs_dogs_output/model.safetensors)")
    return parser.parse_args(argv)


def main(argv=None):
    """Run the command; the exit code."""
    argv = sys.argv[1:] if argv is None else argv
    if argv[:1] == ["predict"]:
        options = predict_arguments(argv[1:])
        return common.command(lambda: common.predict(options.model, options.files))
    options = arguments(argv)
    return common.command(lambda: run(options), "stopped; --resume goes on from the last epoch")


if __name__ == "__main__":
    sys.exit(main())

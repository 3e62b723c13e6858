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
from pathlib import Path

import common
import numpy as np

from tinygrad_nn import data, nn, optim
from tinygrad_nn.models import conv_net

# ---------------------------------------------------------------- the two networks

def mlp(rng):
    """The tutorials' network: 784 pixels, 128 hidden units, 10 classes."""
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 128, rng=rng), nn.ReLU(),
                         nn.Linear(128, 10, rng=rng))


def cnn(rng):
    """Two convolutions, two dense layers."""
    return conv_net((1, 32, 64), 28, 10, hidden=128, dropout=0.25, rng=rng)


def learn(options, dataset):
    """A network that was trained on a data set."""
    model = (cnn if options.cnn else mlp)(np.random.default_rng(options.seed))
    optimizer = optim.Adam(model.parameters(), lr=options.learning_rate)
    flip = data.augment.RandomHorizontalFlip() if options.cnn else None
    common.fit(model, dataset, options, optimizer, augment=flip, cycle=options.cnn)
    return model


def run(options):
    train_x, train_y, test_x, test_y, classes = data.fashion_mnist(options.data)
    print(f"{len(train_x):,} pictures to learn from, {len(test_x):,} to be tested on: "
          f"{', '.join(classes)}")
    learnt, tested = data.ArrayDataset(train_x, train_y), data.ArrayDataset(test_x, test_y)
    common.conclude(learn(options, learnt), tested, classes, options, mirrored=options.cnn)


# ---------------------------------------------------------------- the command line

def arguments(argv):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", metavar="FOLDER", type=Path,
                        help="the folder of the four IDX files (where Debian's package "
                             "dataset-fashion-mnist puts them)")
    parser.add_argument("--cnn", action="store_true", help="two convolutions instead of none")
    parser.add_argument("--epochs", type=common.whole, help="5; with --cnn 7")
    parser.add_argument("--batch-size", type=common.whole, help="32; with --cnn 64")
    parser.add_argument("--learning-rate", type=common.rate,
                        help="0.001; with --cnn 0.004 at most")
    common.add_training_options(parser, "fashion_mnist_output")
    options = parser.parse_args(argv)
    options.epochs = options.epochs or (7 if options.cnn else 5)
    options.batch_size = options.batch_size or (64 if options.cnn else 32)
    options.learning_rate = options.learning_rate or (4e-3 if options.cnn else 1e-3)
    return options


def main(argv=None):
    """Run the command; the exit code."""
    options = arguments(argv)
    return common.command(lambda: run(options), "stopped; --resume goes on from the last epoch")


if __name__ == "__main__":
    sys.exit(main())

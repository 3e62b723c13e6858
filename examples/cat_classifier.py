"""Cat or not: the network of the tutorials, trained on pictures, in one command.

    python examples/cat_classifier.py                   draws its own pictures first
    python examples/cat_classifier.py --data FOLDER     photos, a sub-folder for each class
    python examples/cat_classifier.py --data FOLDER --size 128
    python examples/cat_classifier.py --course FOLDER   the course's two .h5 files
    python examples/cat_classifier.py --cnn             four convolutions, changed pictures
    python examples/cat_classifier.py --model FILE --predict PICTURE ...

It prints the cost while it learns, the accuracy on pictures that it has not seen beside what
always saying the commoner class would reach, and saves the cost curve, a gallery of the
pictures it got wrong, and the model, one file from which ``--model`` predicts.
"""

import argparse
import sys
import time
from pathlib import Path

import common
import numpy as np
import pictures
from common import whole

import tinygrad_nn as tn
from tinygrad_nn import data, nn, optim
from tinygrad_nn.data.augment import (
    ColorJitter,
    Compose,
    RandomAffine,
    RandomHorizontalFlip,
)
from tinygrad_nn.models import CatClassifier
from tinygrad_nn.train import Progress

# ---------------------------------------------------------------- learning

def train(model, x, y, iterations, learning_rate, report):
    """Full-batch gradient descent; ``x`` (N, features), ``y`` (N, 1). The costs, one each."""
    optimizer = optim.SGD(model.parameters(), lr=learning_rate)

    @tn.compile
    def step(x, y):
        loss = nn.binary_cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss

    costs = []
    for i, loss in enumerate(step.repeat(iterations, x, y)):    # one constant batch
        costs.append(loss.item())
        report(i, costs[-1])
    return costs


def probabilities(model, x):
    """The probability of class 1 for each row of ``x``: (N,)."""
    with tn.no_grad():
        return model(x)[:, 0]


def flat(images):
    """(N, size, size, 3) to (N, size * size * 3), each picture as it is stored."""
    return images.reshape(len(images), -1)


# ---------------------------------------------------------------- the two experiments

def course(folder, iterations=2500, print=print):
    """The course's experiment to the letter; (costs, right on train, right on test).

    Float64, pixels / 255, the start drawn from the stream of ``np.random.seed(1)``.
    """
    train_x, train_y, test_x, test_y, _ = data.read_course(folder)
    model = CatClassifier(randn=np.random.RandomState(1).randn, dtype=np.float64)

    def tutorial_line(i, cost):
        if i % 100 == 0 or i == iterations - 1:
            print(f"Cost after iteration {i}: {cost:.6f}")
    costs = train(model, flat(train_x) / 255, train_y[:, None].astype(np.float64), iterations,
                  0.0075, tutorial_line)
    right = []
    for name, x, y in (("training", train_x, train_y), ("test", test_x, test_y)):
        right.append(int(np.sum((probabilities(model, flat(x) / 255) > 0.5) == y)))
        print(f"Accuracy on the {name} images: {right[-1] / len(y):.6f} "
              f"({right[-1]} of {len(y)})")
    again = {image.tobytes() for image in train_x} & {image.tobytes() for image in test_x}
    if again:
        print(f"({len(again)} of the test images is in the training set too; an all-cat guess "
              f"would reach {np.mean(test_y):.0%} on the test images)")
    return costs, *right


def photos(folder, options):
    """Train on an image folder, look at the held-out fifth, save pictures and model."""
    everything = data.read_folder(folder, options.size, options.positive)
    common.check_two_classes(everything, folder)
    learn, held_out = data.split(everything, seed=options.seed)
    other, positive = everything.classes
    print(f"{len(everything.x)} pictures at {options.size}x{options.size}: "
          f"{np.sum(everything.y)} {positive}, {np.sum(everything.y == 0)} {other}"
          + (f"; {len(everything.skipped)} could not be read" if everything.skipped else "")
          + f". Learning from {len(learn)}, looking at {len(held_out)} afterwards.")
    print(f"Class indices: {everything.class_indices}")

    x, y = flat(everything.x), everything.y[:, None].astype(np.float32)
    layers = (x.shape[1], *options.layers, 1)
    model = CatClassifier(layers, init_scale=options.init_scale, rng=options.seed)
    print(f"Network {list(layers)}, learning rate {options.learning_rate}")
    start = time.perf_counter()
    progress = Progress(options.iterations)
    costs = train(model, x[learn], y[learn], options.iterations, options.learning_rate,
                  lambda i, cost: progress(i, cost=cost))
    print(f"Trained in {time.perf_counter() - start:.1f} s, last cost {costs[-1]:.4f}")

    p = probabilities(model, x)
    right = (p > 0.5) == everything.y
    majority = max(np.mean(everything.y[held_out]), 1 - np.mean(everything.y[held_out]))
    print(f"Accuracy: {right[learn].mean():.1%} on the pictures it learnt from, "
          f"{right[held_out].mean():.1%} on those it had not seen "
          f"(always saying the commoner class: {majority:.1%})")
    save_results(options.out, model, costs, everything, p, held_out[~right[held_out]], options)
    predict(model, everything.classes, options.size,
            options.predict or [everything.paths[held_out[0]]])


def predict(model, classes, size, paths):
    """Say of each picture what it shows."""
    for path in paths:
        q = probabilities(model, flat(data.read_image(path, size)[None]))[0]
        common.say(path, classes, np.array([1 - q, q]))


def saved(file, paths):
    """Predict with a model that an earlier run saved, of either network."""
    model, classes, preprocessing = tn.load_model(file)
    if not (preprocessing or {}).get("flat"):
        common.predict(file, paths)
        return
    if classes is None or len(classes) != 2 or "size" not in preprocessing:
        raise tn.DataError(f"{file} is no model of this example: it lacks the names of two "
                           "classes or the size of the pictures", file)
    predict(model, classes, preprocessing["size"], paths)


def save_results(folder, model, costs, images, p, wrong, options):
    """Cost curve, gallery of the mislabelled pictures and the model, in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures.cost_curve(costs, folder / "cost.png",
                        title=f"Cost of {len(costs)} iterations, learning rate "
                              f"{options.learning_rate}")
    wrong = wrong[np.argsort(-np.abs(p[wrong] - 0.5), kind="stable")]       # the surest first
    positive = images.classes[1]
    captions = [f"{images.classes[images.y[i]]}\n{p[i]:.0%} {positive}" for i in wrong]
    pictures.gallery(images.x[wrong], captions, folder / "mislabelled.png",
                     title=f"Mislabelled: {len(wrong)} held-out pictures")
    tn.save_model(folder / "model.safetensors", model, classes=images.classes,
                  preprocessing={"size": options.size, "scale": 1 / 255, "flat": True})
    print(f"Saved {folder / 'cost.png'}, {folder / 'mislabelled.png'} and "
          f"{folder / 'model.safetensors'}")


def drawings(options):
    """Draw the data set that a machine without photos learns from; its folder."""
    folder = options.out / f"drawings-{options.size}"
    print(f"No photos given, so these are drawings (in {folder}): cats, and other things.\n"
          "For photos of your own: --data FOLDER, with one sub-folder of pictures for each "
          "class.")
    return data.write_drawings(folder, size=options.size, seed=options.seed)


# ---------------------------------------------------------------- with convolutions

NETWORK = {"channels": (3, 16, 32, 64, 128)}
CHANGES = Compose([RandomHorizontalFlip(),
                   RandomAffine(degrees=15, translate=(0.1, 0.1), scale=(0.75, 1.25)),
                   ColorJitter(brightness=0.3, contrast=0.3, saturation=0.3)])


def convolutional(options):
    """Train the small convolutional network, look at the pictures put aside, once."""
    if options.course:
        train_x, train_y, test_x, test_y, classes = data.read_course(options.course)
        learnt, tested = data.ArrayDataset(train_x, train_y), data.ArrayDataset(test_x, test_y)
        options.size = train_x.shape[1]
    else:
        everything = common.two_classes(options.data or drawings(options), options.size,
                                        positive=options.positive)
        learnt, tested = map(everything.subset, data.split(everything, seed=options.seed))
        classes = everything.classes
    learn = lambda part, seed, keep=False: common.learn(options, part, NETWORK, CHANGES, seed,
                                                        keep)
    if options.cross_validate:
        common.cross_validate(learnt, options, learn, mirrored=True)
        return
    model = learn(learnt, options.seed, keep=True)
    p = common.conclude(model, tested, classes, options, mirrored=True)
    if options.course:
        seen = {row.tobytes() for row in learnt.x}
        new = np.array([row.tobytes() not in seen for row in tested.x])
        print(f"Without the {np.sum(~new)} of them that is in the training set too: "
              f"{np.mean((p.argmax(1) == tested.y)[new]):.2%}")
    if options.predict:
        common.predict(options.out / "model.safetensors", options.predict)


# ---------------------------------------------------------------- the command line

def sizes(text):
    """Whole numbers with commas between: the hidden layers."""
    return tuple(whole(n) for n in text.split(",")) if text else ()


def arguments(argv):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--data", metavar="FOLDER", type=Path,
                        help="photos, one sub-folder for each of two classes")
    source.add_argument("--course", metavar="FOLDER", type=Path,
                        help="the folder of train_catvnoncat.h5 and test_catvnoncat.h5: the "
                             "course's experiment to the letter")
    source.add_argument("--model", metavar="FILE", type=Path,
                        help="a model that an earlier run saved: no training, --predict only")
    parser.add_argument("--positive", metavar="NAME",
                        help="the sub-folder that is class 1, whose probability the network "
                             "gives (cat or cats, else the last of the two)")
    parser.add_argument("--size", type=whole, default=64, help="pixels a side (64)")
    parser.add_argument("--layers", type=sizes, default=(20, 7, 5),
                        help="the hidden layers (20,7,5)")
    parser.add_argument("--init-scale", type=float, metavar="S",
                        help="start with S * randn instead of randn / sqrt(inputs); 0.01 with "
                             "--layers 7 is the course's two-layer network")
    parser.add_argument("--iterations", type=whole, help="steps of gradient descent (2500; "
                        "of drawings 1250)")
    parser.add_argument("--learning-rate", type=common.rate,
                        help="0.0075; with --cnn 0.003 at most")
    parser.add_argument("--cnn", action="store_true",
                        help="four convolutions that learn from flipped, turned, shifted and "
                             "zoomed pictures")
    parser.add_argument("--epochs", type=whole, default=80, help="of --cnn (80)")
    parser.add_argument("--batch-size", type=whole, default=32, help="of --cnn (32)")
    common.add_cross_validate(parser, "with --cnn: ")
    common.add_training_options(parser, "cat_classifier_output", "of the split and the start "
                                "(0)")
    parser.add_argument("--predict", nargs="+", type=Path, metavar="FILE",
                        help="pictures to classify afterwards")
    options = parser.parse_args(argv)
    options.learning_rate = options.learning_rate or (3e-3 if options.cnn else 0.0075)
    if options.model and not options.predict:
        parser.error("--model needs --predict")
    if options.cnn and options.size < 16:
        parser.error("--size must be at least 16 with --cnn")
    if (options.resume or options.cross_validate) and not options.cnn:
        parser.error("--resume and --cross-validate need --cnn")
    return options


def main(argv=None):
    """Run the command; the exit code."""
    options = arguments(argv)
    return common.command(lambda: run(options))


def run(options):
    if options.model:
        saved(options.model, options.predict)
    elif options.cnn:
        convolutional(options)
    elif options.course:
        course(options.course, options.iterations or 2500)
    else:
        options.iterations = options.iterations or (2500 if options.data else 1250)
        photos(options.data or drawings(options), options)


if __name__ == "__main__":
    sys.exit(main())

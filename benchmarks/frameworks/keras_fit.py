"""Keras on TensorFlow: whole epochs of `fit`, as its tutorials have them."""

import itertools
from time import perf_counter

import keras
import tensorflow as tf

from . import tensorflow_  # noqa: F401, it sets the number of threads


def arrays(p):
    return _fit(p, p.x, p.y, batch_size=p.batch, shuffle=p.shuffle)


def pictures(p):
    """Each picture is decoded in each epoch."""
    return _fit(p.network, _dataset(p).prefetch(tf.data.AUTOTUNE))


def pictures_cached(p):
    return _fit(p.network, _dataset(p).cache().prefetch(tf.data.AUTOTUNE))


def _dataset(p):
    side = p.network.x.shape[-1]
    dataset = keras.utils.image_dataset_from_directory(
        p.folder, class_names=p.classes, label_mode="binary", batch_size=p.network.batch,
        image_size=(side, side), shuffle=p.shuffle, seed=0, verbose=False)
    pixels = keras.layers.Rescaling(1 / 255)
    return dataset.take(p.batches).map(lambda x, y: (pixels(x), y),
                                       num_parallel_calls=tf.data.AUTOTUNE)


def _fit(p, *data, **settings):
    model = _model(p)

    def run(epochs):
        clock = Clock()
        history = model.fit(*data, epochs=epochs, verbose=0, callbacks=[clock], **settings)
        return clock.seconds(), history.history["loss"]
    return run


def _model(p):
    binary = p.y.dtype.kind == "f"
    p = p.channels_last() if p.x.ndim == 4 else p
    layers = [keras.Input(p.x.shape[1:])]
    for k, w in enumerate(p.weights):
        if w.ndim == 4:
            layers += [keras.layers.Conv2D(w.shape[3], w.shape[:2], activation="relu"),
                       keras.layers.MaxPooling2D()]
        else:
            if k and p.weights[k - 1].ndim == 4:
                layers.append(keras.layers.Flatten())
            last = k == len(p.weights) - 1
            layers.append(keras.layers.Dense(len(w), activation=None if last else "relu"))
    model = keras.Sequential(layers)
    model.set_weights([a for w, b in zip(p.weights, p.biases, strict=True)
                       for a in (w if w.ndim == 4 else w.T, b)])
    loss = (keras.losses.BinaryCrossentropy(from_logits=True) if binary
            else keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    accuracy = keras.metrics.BinaryAccuracy(threshold=0) if binary else "accuracy"
    model.compile(keras.optimizers.Adam(p.rate, *p.betas, epsilon=p.eps), loss,
                  metrics=[accuracy])
    return model


class Clock(keras.callbacks.Callback):
    """When epochs end."""

    def on_train_begin(self, logs=None):
        self.times = [perf_counter()]

    def on_epoch_end(self, epoch, logs=None):
        self.times.append(perf_counter())

    def seconds(self):
        return [b - a for a, b in itertools.pairwise(self.times)]

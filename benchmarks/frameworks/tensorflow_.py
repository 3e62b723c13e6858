"""TensorFlow, the whole step in one `tf.function`."""

import tensorflow as tf

from .. import THREADS

tf.config.threading.set_intra_op_parallelism_threads(THREADS)
tf.config.threading.set_inter_op_parallelism_threads(THREADS)


def chain(p):
    n, x, seed = p.n, tf.constant(p.x), tf.constant(p.seed)
    factor, term = p.factor, p.term

    @tf.function
    def both(x, seed):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = x
            for _ in range(n // 2):              # a Python loop: unrolled while it is traced
                y = y * factor
                y = y + term
        return y, tape.gradient(y, x, output_gradients=seed)

    return lambda: tuple(v.numpy() for v in both(x, seed))


def mlp(p):
    x, y = tf.constant(p.x), tf.constant(p.y)
    weights, biases = [tf.Variable(w) for w in p.weights], [tf.Variable(b) for b in p.biases]
    layers, parameters = list(zip(weights, biases, strict=True)), weights + biases

    @tf.function
    def update(x, y):
        with tf.GradientTape() as tape:
            a = x
            for w, b in layers[:-1]:
                a = tf.nn.relu(tf.matmul(a, w, transpose_b=True) + b)
            w, b = layers[-1]
            q = tf.sigmoid(tf.matmul(a, w, transpose_b=True) + b)
            loss = -tf.reduce_mean(y * tf.math.log(q) + (1 - y) * tf.math.log1p(-q))
        for v, g in zip(parameters, tape.gradient(loss, parameters), strict=True):
            v.assign_sub(p.rate * g)
        return loss

    return lambda: (update(x, y).numpy(),)

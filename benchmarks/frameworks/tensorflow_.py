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
            z = tf.matmul(a, w, transpose_b=True) + b
            if p.hinge:
                loss = tf.reduce_mean(tf.nn.relu(1 - y * z))
            else:
                q = tf.sigmoid(z)
                loss = -tf.reduce_mean(y * tf.math.log(q) + (1 - y) * tf.math.log1p(-q))
        for v, g in zip(parameters, tape.gradient(loss, parameters), strict=True):
            v.assign_sub(p.rate * g)
        return loss

    return lambda: (update(x, y).numpy(),)


def network(p):
    p = p.channels_last() if p.x.ndim == 4 else p
    x, y = tf.constant(p.x), tf.constant(p.y)
    weights, biases = [tf.Variable(w) for w in p.weights], [tf.Variable(b) for b in p.biases]
    parameters = weights + biases
    ms, vs = ([tf.Variable(tf.zeros_like(w)) for w in parameters] for _ in range(2))
    (beta1, beta2), t = p.betas, tf.Variable(0.0)

    def loss_of(x):
        for k, (w, b) in enumerate(zip(weights, biases, strict=True)):
            if len(w.shape) == 4:
                x = tf.nn.relu(tf.nn.conv2d(x, w, 1, "VALID") + b)
                x = tf.nn.max_pool2d(x, 2, 2, "VALID")
            else:
                x = tf.matmul(tf.reshape(x, (x.shape[0], -1)), w, transpose_b=True) + b
                x = tf.nn.relu(x) if k < len(weights) - 1 else x
        if y.dtype.is_floating:
            return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(y, x))
        return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, x))

    @tf.function
    def update(x):
        with tf.GradientTape() as tape:
            loss = loss_of(x)
        t.assign_add(1.0)
        for w, m, v, g in zip(parameters, ms, vs, tape.gradient(loss, parameters),
                              strict=True):
            m.assign(beta1 * m + (1 - beta1) * g)
            v.assign(beta2 * v + (1 - beta2) * g * g)
            w.assign_sub(p.rate / (1 - beta1 ** t) * m / (
                tf.sqrt(v / (1 - beta2 ** t)) + p.eps))
        return loss

    return lambda: (update(x).numpy(),)


def block(p):
    @tf.function
    def both(x, weight, bias, seed):
        with tf.GradientTape() as tape:
            tape.watch((x, weight, bias))
            h = x + tf.nn.gelu(x, approximate=True)
            d = h - tf.reduce_mean(h, axis=1, keepdims=True)
            variance = tf.reduce_mean(d * d, axis=1, keepdims=True)
            y = d * tf.math.rsqrt(variance + p.eps) * weight + bias
        return y, *tape.gradient(y, (x, weight, bias), output_gradients=seed)

    arrays = [tf.constant(a) for a in p]
    return lambda: both(*arrays)                 # whole when it returns; .numpy() would copy

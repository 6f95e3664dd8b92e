"""The maximum mean discrepancy of two sets of points, with its analytic gradient.

Gretton et al. (2012), "A kernel two-sample test", eq. 3: unbiased, so that the mean
over batches is that of all images, whatever the batches' size. Kernels and scales are
those of Tolstikhin et al. (2018), "Wasserstein auto-encoders", section 4 and their
code: the sum over s of C / (C + |x - y|^2) with C = 2 z_dim s, which is the expected
squared distance of two points of N(0, I), times s.

Distances come from a product of matrices; a GPU that multiplies in TF32 rounds them to
some three digits.
"""

import tensorflow as tf

SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


@tf.custom_gradient
def squared_mmd(points: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
    """Estimate the squared maximum mean discrepancy; no gradient flows into `others`.

    Args:
        points: [N, z_dim]; of a single one, nothing can be estimated.
        others: Drawn from what the points are compared with, [N, z_dim].

    Returns:
        float32 []; it may be negative, for it is around 0 where both sets are of the
        same distribution. 0 of a single point.
    """
    x, y = tf.cast(points, tf.float32), tf.cast(others, tf.float32)
    number = tf.shape(x)[0]
    several = number > 1
    count = tf.cast(tf.maximum(number, 2), tf.float32)
    within, across = 1.0 / (count * (count - 1.0)), 2.0 / tf.square(count)
    # A point is not compared with itself.
    different = 1.0 - tf.eye(number)
    values_x, slopes_x = _kernel(x, x)
    values_y, _ = _kernel(y, y)
    values_xy, slopes_xy = _kernel(x, y)
    value = within * tf.reduce_sum(different * (values_x + values_y))
    value -= across * tf.reduce_sum(values_xy)

    def gradient(upstream):
        # Of each pair within there are two, and |x - y|^2 has the slope 2 (x - y).
        towards_x = 4.0 * within * different * slopes_x
        towards_y = -2.0 * across * slopes_xy
        rows = tf.reduce_sum(towards_x + towards_y, axis=1, keepdims=True)
        by_points = rows * x - tf.matmul(towards_x, x) - tf.matmul(towards_y, y)
        by_points = tf.where(several, upstream * by_points, 0.0)
        return tf.cast(by_points, points.dtype), None

    return tf.where(several, value, 0.0), gradient


def _kernel(x: tf.Tensor, y: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the kernel of each pair, float32 [N, N], and its slope by the distance."""
    products = tf.matmul(x, y, transpose_b=True)
    squares = [tf.reduce_sum(tf.square(z), axis=1) for z in (x, y)]
    distances = squares[0][:, None] + squares[1] - 2.0 * products
    distances = tf.maximum(distances, 0.0)
    constants = 2.0 * x.shape[1] * tf.constant(SCALES)[:, None, None]
    shares = constants / (constants + distances)
    # Reduced, not added one by one: TensorFlow adds such terms in an order that varies.
    slopes = tf.square(shares) / constants
    return tf.reduce_sum(shares, axis=0), -tf.reduce_sum(slopes, axis=0)

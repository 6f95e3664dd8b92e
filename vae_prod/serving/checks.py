"""What a request's tensors must be, asserted in the graph before anything is computed.

Each check gives its tensor back, tied to the assertions: nothing is allocated for a
request that is refused. Messages name the input, say what was expected, and end with
what was received.
"""

from collections.abc import Sequence

import tensorflow as tf


def rows(name: str, tensor: tf.Tensor, max_batch: int) -> tf.Tensor:
    """Check that there is a row, and not more of them than the limit."""
    count = tf.shape(tensor)[0]
    fits = (count >= 1) & (count <= max_batch)
    return tied(tensor, fits, f"{name}: expected 1 to {max_batch} rows, got", count)


def as_many(name: str, tensor: tf.Tensor, other: str, count: tf.Tensor) -> tf.Tensor:
    """Check that there are as many rows as another input has."""
    same = tf.equal(tf.shape(tensor)[0], count)
    text = f"{name}: expected as many rows as {other}, got"
    return tied(tensor, same, text, tf.shape(tensor)[0], "and", count)


def row_shape(name: str, tensor: tf.Tensor, shape: Sequence[int]) -> tf.Tensor:
    """Check the shape of rows; () of single values.

    A signature's declared shape is no check: what runs a SavedModel passes others on.
    """
    # Hides the declared shape, from which the answer would be known beforehand.
    unchecked = tf.raw_ops.PlaceholderWithDefault(
        input=tensor, shape=tf.TensorShape(None)
    )
    # As text, for shapes of different lengths can't be compared.
    row = tf.strings.reduce_join(tf.as_string(tf.shape(unchecked)[1:]), separator=" ")
    fits = tf.equal(row, " ".join(map(str, shape)))
    text = f"{name}: expected rows of shape {list(shape)}, got a batch of shape"
    return tf.ensure_shape(
        tied(unchecked, fits, text, tf.shape(unchecked)), [None, *shape]
    )


def finite(name: str, tensor: tf.Tensor) -> tf.Tensor:
    """Check that no number is NaN or infinite."""
    fine = tf.reduce_all(tf.math.is_finite(tensor))
    wrong = first_row(~tf.math.is_finite(tensor))
    text = f"{name}: expected finite numbers, got NaN or infinite ones in row"
    return tied(tensor, fine, text, wrong)


def unit_range(name: str, tensor: tf.Tensor) -> tf.Tensor:
    """Check that all numbers are in [0, 1]; NaN isn't."""
    fine = (tensor >= 0.0) & (tensor <= 1.0)
    text = f"{name}: expected numbers in [0, 1] (uint8 / 255), got others in row"
    wrong = first_row(~fine)
    return tied(tensor, tf.reduce_all(fine), text, wrong)


def not_negative(name: str, tensor: tf.Tensor) -> tf.Tensor:
    """Check that all numbers are finite and not negative."""
    fine = tf.math.is_finite(tensor) & (tensor >= 0.0)
    text = f"{name}: expected finite numbers of at least 0, got others in row"
    return tied(tensor, tf.reduce_all(fine), text, first_row(~fine))


def one_of(name: str, tensor: tf.Tensor, known: Sequence[str]) -> tf.Tensor:
    """Check that all names are known; return their numbers.

    Args:
        name: Of the input.
        tensor: string [B].
        known: The names there are.

    Returns:
        int32 [B], places in `known`.
    """
    matches = tf.equal(tensor[:, None], tf.constant(list(known))[None, :])
    is_known = tf.reduce_any(matches, axis=1)
    text = f"{name}: expected one of {', '.join(known)}; got"
    number = tf.argmax(tf.cast(matches, tf.int32), axis=1, output_type=tf.int32)
    wrong = tf.gather(tensor, first_row(~is_known))
    return tied(number, tf.reduce_all(is_known), text, wrong)


def first_row(wrong: tf.Tensor) -> tf.Tensor:
    """Return the first row with something wrong, int32 []; 0 where nothing is."""
    by_row = tf.reduce_any(tf.reshape(wrong, [tf.shape(wrong)[0], -1]), axis=1)
    return tf.argmax(tf.cast(by_row, tf.int32), output_type=tf.int32)


def tied(tensor: tf.Tensor, condition: tf.Tensor, *message) -> tf.Tensor:
    """Give a tensor back that is there only if a condition holds.

    Args:
        tensor: Any.
        condition: bool [].
        *message: Texts and tensors that say what was expected and received.
    """
    with tf.control_dependencies([tf.debugging.Assert(condition, list(message))]):
        return tf.identity(tensor)

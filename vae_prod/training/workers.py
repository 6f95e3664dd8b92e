"""What workers of a run do together beside their steps: begin, stop, and fail alike."""

import contextlib
import re
from collections.abc import Callable, Iterator, Sequence

import tensorflow as tf

from pipelines import files
from vae_prod.optim import exchange as exchange_lib

# Executions between looks at whether all workers are to stop: a look waits for the
# device.
_LOOK_EVERY = 10
# What collective operations raise where another worker is gone or doesn't answer.
LOST = (
    tf.errors.UnavailableError,
    tf.errors.DeadlineExceededError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
)


# What TensorFlow says of it, amid the graph.
_ABORTED = re.compile(r"Collective ops is aborted by: (.*)")


class LostError(files.UserError):
    """Another worker of the run is gone."""

    def __init__(self, workers: int, error: Exception):
        aborted = _ABORTED.search(str(error))
        reason = aborted[1] if aborted else type(error).__name__
        super().__init__(
            f"Expected all {workers} workers to take each step, one is gone or doesn't "
            f"answer ({reason[:200]}). Start all of them again with --resume; at "
            "most the steps since the last checkpoint are lost."
        )


@contextlib.contextmanager
def others(
    exchange: exchange_lib.Exchange, on_loss: Callable[[], None] = lambda: None
) -> Iterator[None]:
    """Tell in a sentence that another worker is gone, where there are any.

    Args:
        exchange: With the others; of one alone errors pass as they are.
        on_loss: Called before that.
    """
    try:
        yield
    except LOST as error:
        if exchange.workers == 1:
            raise
        on_loss()
        raise LostError(exchange.workers, error) from error


def share(exchange: exchange_lib.Exchange, variables: Sequence[tf.Variable]) -> None:
    """Give all workers the chief's values of variables, of any type."""
    if exchange.workers == 1:
        return

    @tf.function(autograph=False)
    def run():
        flat = [_as_floats(variable.value()) for variable in variables]
        sizes = [value.shape.num_elements() for value in flat]
        of_chief = tf.split(exchange.gather(tf.concat(flat, axis=0))[0], sizes)
        for variable, value in zip(variables, of_chief, strict=True):
            variable.assign(_from_floats(value, variable))

    run()


def _as_floats(value: tf.Tensor) -> tf.Tensor:
    """Return the bits of a tensor as float32 [N]."""
    if value.dtype in (tf.float16, tf.bfloat16):
        value = tf.cast(value, tf.float32)
    return tf.reshape(tf.bitcast(value, tf.float32), [-1])


def _from_floats(bits: tf.Tensor, like: tf.Variable) -> tf.Tensor:
    if like.dtype in (tf.float16, tf.bfloat16):
        return tf.cast(tf.reshape(bits, like.shape), like.dtype)
    halves = like.dtype.size // 4
    shape = [*like.shape, halves] if halves > 1 else like.shape
    return tf.bitcast(tf.reshape(bits, shape), like.dtype)


class Stopping:
    """Lets all workers stop at the same step, once one of them is asked to.

    Attributes:
        wish: float32 [], whether this worker was asked to; the step brings it to all.
        agreed: float32 [], how many were, as of the last step.

    Args:
        requested: Says whether this process was asked to stop.
    """

    def __init__(self, requested: Callable[[], bool]):
        self.wish = tf.Variable(0.0)
        self.agreed = tf.Variable(0.0)
        self._requested = requested
        self._looks = 0

    def __call__(self) -> bool:
        """Say whether all stop now; called as often on each worker."""
        if self._requested():
            self.wish.assign(1.0)
        self._looks += 1
        return self._looks % _LOOK_EVERY == 0 and bool(self.agreed.numpy())

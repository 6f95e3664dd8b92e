"""The train steps that tools.benchmark_step and tools.doctor measure, and how.

A step is measured as `fit` takes it: Keras' own train function, which draws a batch
from an iterator. What is measured beside it is a large matrix multiplication, the most
arithmetic that the same device does in a second.
"""

import time
from collections.abc import Iterator, Sequence

import attrs
import numpy as np
import tensorflow as tf

from pipelines import config as data_config_lib
from pipelines import shards
from pipelines.reading import dataset
from tools.benchmarks import measuring, step_trace, stock_vae
from vae_prod import config as config_lib
from vae_prod.training import building, devices

_BUILDERS = {"stock": stock_vae.build, "ours": building.build}
_SEED = 1
# How long a size of matrices is multiplied, and what it takes to try no larger one.
_MATMUL_SECONDS = 1.0
_MATMUL_TOO_LONG_SECONDS = 5.0

Batches = Iterator[dict[str, tf.Tensor]]


@attrs.frozen
class Setting:
    """What one run measures.

    Attributes:
        model: `stock` or `ours`.
        model_config: What the model computes.
        train_config: How it is trained; its precision and jit above all.
        data_config: How batches are read, and how large they are.
        data_dir: A converted data set; empty: one random batch, held in memory.
        warmup_steps: Steps after the first before anything counts.
        steps: Steps that count.
        trace_steps: Steps that are traced after them.
    """

    model: str
    model_config: config_lib.ModelConfig
    train_config: config_lib.TrainConfig
    data_config: data_config_lib.DataConfig
    data_dir: str = ""
    warmup_steps: int = 2
    steps: int = 6
    trace_steps: int = 2


@attrs.frozen
class Figures:
    """What one run has found.

    Attributes:
        images_per_second: After the warm-up.
        first_seconds: The first step: tracing, compilation where it is compiled, and
            the computation itself.
        memory_mb: Peak memory beyond that of the process before the model was built;
            on a GPU that of the device.
        total_loss: Mean of the loss over all steps.
        operations: Operations of a traced step, the longest first.
    """

    images_per_second: float
    first_seconds: float
    memory_mb: float
    total_loss: float
    operations: tuple[step_trace.Operation, ...]


class Step:
    """A model with its train function.

    Args:
        setting: Says which.

    Attributes:
        batch_size: Images of a step.
        total_loss: Mean of the loss over all steps so far.
    """

    def __init__(self, setting: Setting):
        self.batch_size = setting.data_config.batch_size
        build = _BUILDERS[setting.model]
        self._model = build(setting.model_config, setting.train_config)
        self._model.make_train_function()
        self.total_loss = 0.0

    def seconds(self, batches: Batches, steps: int = 1) -> float:
        """Take steps; return how long they took, until the last loss is known."""
        begun = time.perf_counter()
        for _ in range(steps):
            metrics = self._model.train_function(batches)
        self.total_loss = float(metrics["total_loss"])
        return time.perf_counter() - begun

    def rate(self, batches: Batches, steps: int) -> float:
        """Take steps; return images per second."""
        return steps * self.batch_size / self.seconds(batches, steps)


def measure(setting: Setting, before_mb: float) -> Figures:
    """Measure a step, in a process that has done nothing else.

    Args:
        setting: What to measure.
        before_mb: Memory of the process before.
    """
    devices.set_up(setting.train_config)
    step, batches = Step(setting), make_batches(setting)
    first_seconds = step.seconds(batches)
    for _ in range(setting.warmup_steps):
        step.seconds(batches)
    rate = step.rate(batches, setting.steps)
    memory_mb = _peak_mb(before_mb)  # Before the trace, which takes memory of its own.
    loss = step.total_loss
    traced = step_trace.trace(lambda: step.seconds(batches), setting.trace_steps)
    return Figures(rate, first_seconds, memory_mb, loss, tuple(traced))


def _peak_mb(before_mb: float) -> float:
    if tf.config.get_visible_devices("GPU"):
        return tf.config.experimental.get_memory_info("GPU:0")["peak"] / 1e6
    return max(measuring.peak_mb() - before_mb, 0.0)


def make_batches(setting: Setting) -> Batches:
    """Return an endless iterator of batches: from memory, or from a data set."""
    config = setting.data_config
    if setting.data_dir:
        manifest = shards.load_manifest(setting.data_dir)
        return iter(dataset.train_batches(setting.data_dir, manifest, config))
    shape = (config.batch_size, *setting.model_config.image_shape)
    images = np.random.default_rng(_SEED).integers(0, 256, shape, np.uint8)
    return iter(tf.data.Dataset.from_tensors({"image": images}).repeat())


def matmul_flops_per_second(precision: str, sizes: Sequence[int]) -> float:
    """Multiply square matrices; return the operations a second of the best size.

    Args:
        precision: Their type, such as `float32`.
        sizes: Their sides, in ascending order; where one takes too long, as 16 bits do
            where they are emulated, larger ones are left out.
    """
    best = 0.0
    multiply = tf.function(tf.matmul)
    for size in sizes:
        matrix = tf.cast(tf.random.stateless_uniform((size, size), (1, 2)), precision)

        def product(matrix=matrix):
            begun = time.perf_counter()
            float(multiply(matrix, matrix)[0, 0])  # Waits for it.
            return time.perf_counter() - begun

        product()  # Traced and warmed up.
        taken = [product()]
        while sum(taken) < _MATMUL_SECONDS:
            taken.append(product())
        best = max(best, 2.0 * size**3 / min(taken))
        if min(taken) > _MATMUL_TOO_LONG_SECONDS:
            break
    return best

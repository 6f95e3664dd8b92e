"""The train steps that tools.benchmark_step and tools.doctor measure, and how.

A step is measured as `fit` takes it: by the model's train function, which draws batches
from an iterator and, compiled for a GPU, takes several steps in a call. What is
measured beside it is a large matrix multiplication, the most arithmetic that the same
device does in a second.
"""

import time
from collections.abc import Iterator, Sequence

import attrs
import numpy as np
import tensorflow as tf

from pipelines import config as data_config_lib
from pipelines import shards
from pipelines.reading import dataset
from tools.benchmarks import measuring, step_figures, step_trace, stock_vae
from vae_prod import config as config_lib
from vae_prod.training import building, devices, execution

# Of the epoch that is measured; it never ends within a call.
_STEPS_PER_EPOCH = 1 << 20
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
        steps: Steps that count, or some more, where a call takes several.
        trace_steps: Steps, or calls of several, that are traced after them.
    """

    model: str
    model_config: config_lib.ModelConfig
    train_config: config_lib.TrainConfig
    data_config: data_config_lib.DataConfig
    data_dir: str = ""
    warmup_steps: int = 2
    steps: int = 6
    trace_steps: int = 2


class Step:
    """A model with its train function.

    Args:
        setting: Says which.

    Attributes:
        at_once: Steps of a call.
        batch_size: Images of a step.
        total_loss: Mean of the loss over all steps so far.
    """

    def __init__(self, setting: Setting):
        self.batch_size = setting.data_config.batch_size
        configs = setting.model_config, setting.train_config
        if setting.model == "stock":
            self._model = stock_vae.build(*configs)
        else:
            self._model = building.build(*configs, _STEPS_PER_EPOCH)
            optimizer = self._model.optimizer
            optimizer.build(self._model.trainable_variables)
            execution.use_train_function(self._model, _STEPS_PER_EPOCH)
        self._model.make_train_function()
        self.at_once = self._model.steps_per_execution
        self.total_loss = 0.0

    def batches(self, setting: Setting) -> Batches:
        """Return an endless iterator of batches: from memory, or from a data set."""
        dataset = make_batches(setting)
        if setting.model == "ours":
            dataset = execution.ahead(self._model, dataset)
        return iter(dataset)

    def seconds(self, batches: Batches, calls: int = 1) -> float:
        """Call it; return how long that took, until the last loss is known."""
        begun = time.perf_counter()
        for _ in range(calls):
            metrics = self._model.train_function(batches)
        self.total_loss = float(metrics["total_loss"])
        return time.perf_counter() - begun

    def rate(self, batches: Batches, steps: int) -> float:
        """Take at least so many steps; return images per second."""
        calls = -(-steps // self.at_once)
        images = calls * self.at_once * self.batch_size
        return images / self.seconds(batches, calls)


def measure(setting: Setting, before_mb: float) -> step_figures.Figures:
    """Measure a step, in a process that has done nothing else.

    Args:
        setting: What to measure.
        before_mb: Memory of the process before.
    """
    devices.set_up(setting.train_config)
    step = Step(setting)
    batches = step.batches(setting)
    first_seconds = step.seconds(batches)
    for _ in range(setting.warmup_steps):
        step.seconds(batches)
    rate = step.rate(batches, setting.steps)
    memory_mb = _peak_mb(before_mb)  # Before the trace, which takes memory of its own.
    loss = step.total_loss
    traced = step_trace.trace(
        lambda: step.seconds(batches), setting.trace_steps, step.at_once
    )
    return step_figures.Figures(rate, first_seconds, memory_mb, loss, tuple(traced))


def _peak_mb(before_mb: float) -> float:
    if tf.config.get_visible_devices("GPU"):
        return tf.config.experimental.get_memory_info("GPU:0")["peak"] / 1e6
    return max(measuring.peak_mb() - before_mb, 0.0)


def make_batches(setting: Setting) -> tf.data.Dataset:
    """Return an endless dataset of batches: from memory, or from a data set."""
    config = setting.data_config
    if setting.data_dir:
        manifest = shards.load_manifest(setting.data_dir)
        return dataset.train_batches(setting.data_dir, manifest, config)
    shape = (config.batch_size, *setting.model_config.image_shape)
    images = np.random.default_rng(_SEED).integers(0, 256, shape, np.uint8)
    return tf.data.Dataset.from_tensors({"image": images}).repeat()


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

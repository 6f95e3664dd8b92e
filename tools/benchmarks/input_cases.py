"""The input pipelines that tools.benchmark_input compares, and how one is measured.

All read the same records and give the same batches: dicts of `image`, [B, H, W, C].
The stock ones are written as TensorFlow's performance guide advises.
"""

import gc
import os
import time
from collections.abc import Iterator

import attrs
import tensorflow as tf

from pipelines import config as config_lib
from pipelines import shards, sources
from pipelines.converting import conversion, plan
from pipelines.reading import dataset
from tools import progress
from tools.benchmarks import measuring

AUTOTUNE = tf.data.AUTOTUNE
# Where in an epoch the late start is.
LATE = 0.9
_FEATURES = {"image": tf.io.FixedLenFeature([], tf.string)}

Batches = Iterator[dict[str, tf.Tensor]]


@attrs.frozen
class Setting:
    """What one run measures.

    Attributes:
        pipeline: `records`, `stock`, `stock_batched`, `twin` or `op`.
        data_dir: A converted data set.
        dtype: Type of the finished images.
        augment: Whether examples are shuffled and half of them mirrored.
        batch_size: Examples in a batch.
        shuffle_buffer: Records that the stock pipelines shuffle together.
        warmup_seconds: Time that passes before anything counts.
        seconds: Time that counts.
        data_config: How `twin` and `op` read; None: as the fields above say.
    """

    pipeline: str
    data_dir: str
    dtype: str
    augment: bool
    batch_size: int
    shuffle_buffer: int
    warmup_seconds: float
    seconds: float
    data_config: config_lib.DataConfig | None = None


@attrs.frozen
class Figures:
    """What one run has found.

    Attributes:
        images_per_second: After the warm-up.
        cpu_seconds: Processor time of 1,000 images, after the warm-up.
        memory_mb: Peak memory beyond that of the interpreter with TensorFlow loaded.
        first_seconds: To the first batch of a fresh process, from step 0.
        again_seconds: To the first batch from step 0 once more, in the same process.
        late_seconds: To the first batch from 90 % of an epoch, in the same process.
    """

    images_per_second: float
    cpu_seconds: float
    memory_mb: float
    first_seconds: float
    again_seconds: float
    late_seconds: float


def measure(setting: Setting, before_mb: float) -> Figures:
    """Measure a pipeline, in a process that has done nothing else.

    Args:
        setting: What to measure.
        before_mb: Memory of the process before.
    """
    manifest = shards.load_manifest(setting.data_dir)
    steps = dataset.steps_per_epoch(manifest, _data_config(setting))
    first_seconds, batches = _start(setting, 0)
    _read(batches, setting.warmup_seconds)
    wall, cpu = time.perf_counter(), time.process_time()
    images = _read(batches, setting.seconds) * setting.batch_size
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    memory_mb = max(measuring.peak_mb() - before_mb, 0.0)
    del batches
    again_seconds, late_seconds = (
        _start(setting, step)[0] for step in (0, int(LATE * steps))
    )
    return Figures(
        images_per_second=images / wall,
        cpu_seconds=1000 * cpu / images,
        memory_mb=memory_mb,
        first_seconds=first_seconds,
        again_seconds=again_seconds,
        late_seconds=late_seconds,
    )


def draw(out: str, config: config_lib.ConvertConfig) -> str:
    """Draw and convert the built-in faces; return their folder."""
    planned = plan.make_plan(sources.open_source("faces", config), config)
    with progress.Progress() as show:
        conversion.convert(planned, out, len(os.sched_getaffinity(0)), show)
    return out


def _start(setting: Setting, step: int) -> tuple[float, Batches]:
    """Begin at a step of the first epoch; return the time it takes, and the rest."""
    gc.collect()
    begun = time.perf_counter()
    batches = iter(make(setting, step))
    next(batches)
    return time.perf_counter() - begun, batches


def _read(batches: Batches, seconds: float) -> int:
    """Take batches for a time, at least one; return how many."""
    end, count = time.perf_counter() + seconds, 0
    while not count or time.perf_counter() < end:
        next(batches)
        count += 1
    return count


def make(setting: Setting, step: int = 0) -> tf.data.Dataset:
    """Make the endless batches of a setting, from a step of the first epoch on."""
    manifest = shards.load_manifest(setting.data_dir)
    if setting.pipeline in ("twin", "op"):
        return dataset.train_batches(
            setting.data_dir,
            manifest,
            _data_config(setting),
            start_step=step,
            dtype=tf.as_dtype(setting.dtype),
        )
    files = [
        os.path.join(setting.data_dir, shard.file)
        for shard in manifest.split(dataset.TRAIN_SPLIT).shards
    ]
    # Endless, so that no epoch's end holds up the stock pipelines.
    names = tf.data.Dataset.from_tensor_slices(files).repeat()
    records = tf.data.TFRecordDataset(names, num_parallel_reads=AUTOTUNE)
    records = records.skip(step * setting.batch_size)
    if setting.pipeline == "records":
        return records.batch(setting.batch_size).prefetch(AUTOTUNE)
    options = tf.data.Options()
    if setting.augment:
        records = records.shuffle(setting.shuffle_buffer)
        options.deterministic = False  # As is advised where the order is random.
    stock = _Stock(setting, manifest.record.image_shape, manifest.record.encoding)
    make_batches = {"stock": stock.per_example, "stock_batched": stock.batched}
    batches = make_batches[setting.pipeline](records)
    return batches.prefetch(AUTOTUNE).with_options(options)


def _data_config(setting: Setting) -> config_lib.DataConfig:
    config = setting.data_config or config_lib.DataConfig(
        batch_size=setting.batch_size,
        shuffle="global" if setting.augment else "none",
        flip=setting.augment,
    )
    return attrs.evolve(config, native="true" if setting.pipeline == "op" else "false")


@attrs.frozen
class _Stock:
    """Serialized examples to batches, with nothing but TensorFlow's own."""

    setting: Setting
    image_shape: tuple[int, int, int]
    encoding: str

    def per_example(self, records: tf.data.Dataset) -> tf.data.Dataset:
        """Parse, decode, flip and scale one example at a time."""

        def example(record: tf.Tensor) -> dict[str, tf.Tensor]:
            parsed = tf.io.parse_single_example(record, _FEATURES)
            return self._finished(self._decoded(parsed["image"]))

        return self._batch(records.map(example, num_parallel_calls=AUTOTUNE))

    def batched(self, records: tf.data.Dataset) -> tf.data.Dataset:
        """Do what can be done by the batch by the batch.

        Of raw images that is all. Encoded ones must be taken apart to be decoded,
        which costs less by `unbatch` than by `tf.map_fn`.
        """

        def parsed(batch: tf.Tensor) -> tf.Tensor:
            return tf.io.parse_example(batch, _FEATURES)["image"]

        def from_raw(batch: tf.Tensor) -> dict[str, tf.Tensor]:
            pixels = tf.io.decode_raw(parsed(batch), tf.uint8)
            return self._finished(tf.reshape(pixels, [-1, *self.image_shape]))

        def from_encoded(data: tf.Tensor) -> dict[str, tf.Tensor]:
            return self._finished(self._decoded(data))

        batches = self._batch(records)
        if self.encoding == "raw":
            return batches.map(from_raw, num_parallel_calls=AUTOTUNE)
        images = batches.map(parsed, num_parallel_calls=AUTOTUNE).unbatch()
        return self._batch(images.map(from_encoded, num_parallel_calls=AUTOTUNE))

    def _batch(self, examples: tf.data.Dataset) -> tf.data.Dataset:
        return examples.batch(self.setting.batch_size, drop_remainder=True)

    def _decoded(self, data: tf.Tensor) -> tf.Tensor:
        if self.encoding == "raw":
            return tf.reshape(tf.io.decode_raw(data, tf.uint8), self.image_shape)
        decode = getattr(tf.io, f"decode_{self.encoding}")
        return tf.ensure_shape(decode(data, self.image_shape[-1]), self.image_shape)

    def _finished(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        if self.setting.augment:
            images = tf.image.random_flip_left_right(images)
        if self.setting.dtype != "uint8":
            images = tf.image.convert_image_dtype(images, self.setting.dtype)
        return {"image": images}

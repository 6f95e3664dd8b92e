"""Makes one batch: examples cropped, flipped, augmented, corrupted and scaled."""

from collections.abc import Callable

import attrs
import tensorflow as tf

from pipelines import config as config_lib
from pipelines.reading import augment, corruption, counter_rng
from pipelines.reading import crop as crop_lib

Example = dict[str, tf.Tensor]
Read = Callable[[crop_lib.Crop], Example]


@attrs.frozen
class Maker:
    """Makes batches as a `DataConfig` asks.

    Attributes:
        stored_shape: (height, width, channels) of the images in the shards.
        config: Augmentation, corruption and seed.
        dtype: Type of the finished images.
    """

    stored_shape: tuple[int, int, int]
    config: config_lib.DataConfig
    dtype: tf.DType

    @property
    def _window(self) -> tuple[int, int]:
        side = self.config.random_crop
        return (side, side) if side else self.stored_shape[:2]

    def training(
        self, epoch: tf.Tensor, first: tf.Tensor, num: tf.Tensor, read: Read
    ) -> Example:
        """Make a batch of training examples.

        Args:
            epoch: int64 [].
            first: int64 [], position of the first example in the epoch.
            num: int32 [], number of examples.
            read: Reads them, cropped as it is told.
        """
        config = self.config
        draws = self._draws(epoch, first, num)
        example = read(self._training_crop(draws))
        example["image"] = augment.augment(example["image"], draws, config)
        seed = counter_rng.stream_seed(config.seed, counter_rng.CORRUPTION, epoch)
        return self._finished(example, seed, first)

    def training_crop(
        self, epoch: tf.Tensor, first: tf.Tensor, num: tf.Tensor
    ) -> crop_lib.Crop:
        """Return how `training` has the images of a batch cropped and mirrored."""
        return self._training_crop(self._draws(epoch, first, num))

    def _draws(self, epoch, first, num) -> augment.Draws:
        stream = counter_rng.AUGMENTATION
        seed = counter_rng.stream_seed(self.config.seed, stream, epoch)
        return augment.Draws.make(seed, first, num)

    def _training_crop(self, draws: augment.Draws) -> crop_lib.Crop:
        mirrored = draws.mirrored()
        if not self.config.flip:
            mirrored = tf.zeros_like(mirrored)
        return self._crop(draws.corners(self.stored_shape, self._window), mirrored)

    def evaluation(self, first: tf.Tensor, num: tf.Tensor, read: Read) -> Example:
        """Make a batch of examples as they are, or their central windows."""
        margins = [
            (stored - kept) // 2
            for stored, kept in zip(self.stored_shape, self._window, strict=False)
        ]
        corners = tf.tile(tf.constant([margins], tf.int32), tf.stack([num, 1]))
        example = read(self._crop(corners, tf.zeros(num[None], tf.bool)))
        seed = counter_rng.stream_seed(self.config.seed, counter_rng.EVALUATION, 0)
        return self._finished(example, seed, first)

    def _crop(self, corners: tf.Tensor, mirrored: tf.Tensor) -> crop_lib.Crop:
        # What changes pixels works on bytes; scaling then comes last.
        dtype = tf.uint8 if self.config.changing() else self.dtype
        return crop_lib.Crop(self._window, corners, mirrored, dtype)

    def _finished(self, example: Example, seed: tf.Tensor, first: tf.Tensor) -> Example:
        if self.config.corruption != "none":
            clean = example["image"]
            corrupted = corruption.corrupt(clean, seed, first, self.config)
            example |= {"image": corrupted, "target": clean}
        return {
            name: crop_lib.scale(value, self.dtype)
            if value.dtype == tf.uint8
            else value
            for name, value in example.items()
        }

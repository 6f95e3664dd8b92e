"""A converted data set with the settings it is read by: what training is given."""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence

import attrs
import tensorflow as tf

from pipelines import config as config_lib
from pipelines import failures, files, folders, shards
from pipelines.reading import bad_records, dataset


@attrs.frozen(eq=False)
class DataSet:
    """A converted data set, opened by `open_data`. It holds no images.

    Attributes:
        data_dir: Directory of the shards.
        manifest: What it holds, and how it was made.
        config: How it is read.
    """

    data_dir: str
    manifest: shards.Manifest
    config: config_lib.DataConfig

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of a batch's images."""
        return dataset.image_shape(self.manifest, self.config)

    @property
    def digest(self) -> str:
        """The data set's identity."""
        return self.manifest.digest()

    @property
    def batch_size(self) -> int:
        """Images in a (global) batch."""
        return self.config.batch_size

    @property
    def keep_last_batch(self) -> bool:
        """Whether the last batch of an epoch may be smaller."""
        return self.config.keep_last_batch

    @property
    def steps_per_epoch(self) -> int:
        """Training batches in an epoch."""
        return dataset.steps_per_epoch(self.manifest, self.config)

    @property
    def validation_images(self) -> int:
        """Images of the validation split; 0 where there is none."""
        split = self.manifest.splits.get("validation")
        return split.num_examples if split else 0

    @property
    def description(self) -> str:
        """Where the images come from and how many there are, for people."""
        splits = self.manifest.splits.items()
        counts = [f"{name} {split.num_examples:,}" for name, split in splits]
        return f"{self.manifest.name} ({', '.join(counts)} images)"

    def train(
        self, epoch: int = 0, step: int = 0, worker: tuple[int, int] = (0, 1)
    ) -> tf.data.Dataset:
        """Read the training split without end, see `dataset.train_batches`.

        Args:
            epoch: Epoch to begin in, from 0.
            step: Batches of it to leave out.
            worker: (index, count): of several that share batches, this one's part.
        """
        return dataset.train_batches(
            self.data_dir,
            self.manifest,
            self.config,
            start_epoch=epoch,
            start_step=step,
            replica=worker,
        )

    @property
    def is_on_device(self) -> bool:
        """Whether the training images are to be on the device that trains."""
        return self.config.cache == "device"

    def on_device(self) -> Callable[..., dict[str, tf.Tensor]] | None:
        """Load the training images onto the device, where the settings say so.

        Returns:
            What takes a batch from there, of `places`; None where it isn't so.
        """
        if not self.is_on_device:
            return None
        return dataset.train_on_device(self.data_dir, self.manifest, self.config).batch

    def places(self, epoch: int, step: int, at_once: int) -> tf.data.Dataset:
        """Say where the images of `train` are, see `dataset.train_places`."""
        return dataset.train_places(
            self.manifest,
            self.config,
            start_epoch=epoch,
            start_step=step,
            at_once=at_once,
        )

    @property
    def validation(self) -> Callable[..., tf.data.Dataset] | None:
        """Makes the validation batches, of a worker its turns; None without any."""
        if not self.validation_images:
            return None
        return lambda worker=(0, 1): self.batches("validation", worker=worker)

    def batches(
        self, split: str, fields: Sequence[str] = (), worker: tuple[int, int] = (0, 1)
    ) -> tf.data.Dataset:
        """Read a split once, in file order, see `dataset.eval_batches`.

        Args:
            split: Name of the split.
            fields: Which of `records.FIELDS` to return beside the image.
            worker: As in `train`.
        """
        return dataset.eval_batches(
            self.data_dir,
            self.manifest,
            split,
            self.config,
            fields=fields,
            worker=worker,
        )

    def protocol(self, split: str) -> dict:
        """Say what makes the images of a split what they are; figures are told by it.

        Raises:
            UserError: There is no such split.
        """
        made, encoding = self.manifest.settings, self.manifest.record.encoding
        is_corrupted = self.config.corruption != "none"
        self.manifest.split(split)
        return {
            "data": self.manifest.name,
            "split": split,
            "size": list(self.image_shape),
            "protocol": made.get("protocol", "none"),
            **{name: made.get(name) for name in ("crop", "pad", "resample")},
            "stored": f"jpeg {made['quality']}" if encoding == "jpeg" else "lossless",
            "random_crop": self.config.random_crop,
            "corruption": self.config.corruption,
            "corruption_level": self.config.corruption_level if is_corrupted else None,
        }

    def read_config(self, values: dict) -> config_lib.DataConfig:
        """Return what a run directory says of its data, of earlier versions, too."""
        return config_lib.read_data_config(values)

    def reading(self) -> contextlib.AbstractContextManager[None]:
        """Turn damage that TensorFlow meets in the shards into a `UserError`."""
        return reading(self.data_dir)


def open_data(data_dir: str, config: config_lib.DataConfig | None = None) -> DataSet:
    """Open a converted data set.

    Args:
        data_dir: Directory of the shards; any path TensorFlow can read.
        config: How to read it; None: by the defaults.

    Raises:
        UserError: There is none, or its manifest is damaged.
    """
    manifest = shards.load_manifest(data_dir)
    data_dir = folders.absolute(data_dir)
    return DataSet(data_dir, manifest, config or config_lib.DataConfig())


@contextlib.contextmanager
def reading(data_dir: str) -> Iterator[None]:
    """Turn damage that TensorFlow meets in the shards into a `UserError`."""
    try:
        yield
    except tf.errors.OpError as error:
        failure = failures.find(error)
        if failure and not failure.path.startswith(os.path.join(data_dir, "")):
            raise  # Of what is written meanwhile.
        if isinstance(error, tf.errors.DataLossError | tf.errors.NotFoundError):
            raise files.UserError(
                f"Expected to read the shards in {data_dir}, they are damaged. Find "
                "out where with tools.verify_shards, and convert again."
            ) from error
        if sentence := bad_records.sentence(error):
            raise files.UserError(sentence) from error
        raise

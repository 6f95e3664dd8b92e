"""What an evaluation asks of a data set, and takes beside its figures."""

from collections.abc import Iterator

import attrs
import numpy as np

from pipelines import duplicates, files, fingerprints, shards
from pipelines.reading import dataset
from vae_prod.evaluation import attribute_gaps, memorisation, wasserstein
from vae_prod.evaluation.features import distances
from vae_prod.training import run_directory

# Training images to look for copies among, unless more are asked for.
COPIES_IMAGES = 20_000
# More samples tell no more.
_MOST_SAMPLES = 1000
_FINGERPRINTS = memorisation.Fingerprints(
    fingerprints.describe, fingerprints.variants, fingerprints.SAME, duplicates.find
)


def check_images(
    image_shape: tuple[int, int, int], manifest: shards.Manifest, split: str
) -> None:
    """Refuse held-out images that models can't be compared on, before any is trained.

    Args:
        image_shape: (height, width, channels) of the models' images.
        manifest: Of the data set.
        split: The split that figures are taken on.

    Raises:
        UserError: They are too small or too few.
    """
    wasserstein.check_size(image_shape)
    count = manifest.split(split).num_examples
    if count < distances.FEWEST:
        raise files.UserError(
            f"Expected at least {distances.FEWEST} held-out images to measure models "
            f"on, the {split} split of {manifest.name} has {count}. Convert with more, "
            "or give another --data_dir."
        )


class Beside:
    """Takes what needs more of the data set than an evaluation's images.

    Args:
        run: The run.
        data_dir: The data set.
        manifest: What it holds.
        split: The split that is evaluated.
        samples: Images of random z to look at; no more than 1,000 are.
        copies_images: Training images to look for copies among, at most.

    Attributes:
        parts: What sees each batch of the evaluation, see `measurements.evaluate`.
        note: Why nobody looks for copies, or not everywhere, in a sentence, or empty.
    """

    def __init__(
        self,
        run: run_directory.Run,
        data_dir: str,
        manifest: shards.Manifest,
        split: str,
        samples: int,
        copies_images: int,
    ):
        self._run, self._data_dir, self._manifest = run, data_dir, manifest
        self._split = split
        self._attributes = manifest.record.attributes
        self._gaps = attribute_gaps.AttributeGaps(self._attributes)
        self._every, self.note = _every(run, manifest, split, copies_images)
        self._samples = memorisation.Samples(_FINGERPRINTS, min(samples, _MOST_SAMPLES))
        self.parts = [self._samples] if self._every else []
        if self._attributes:
            self.parts.append(self._gaps)

    def batches(self):
        """Read the split, as the run reads it, with the fields that are needed."""
        fields = ("attributes",) if self._attributes else ()
        return dataset.eval_batches(
            self._data_dir, self._manifest, self._split, self._run.data, fields=fields
        )

    def copies(self) -> memorisation.Memorisation | None:
        """Look for copies, in one pass over the training images; None: nobody looks.

        The images of the evaluation must have been seen.
        """
        if not self._every:
            return None
        return self._samples.compare(self._training(), self._every)

    def gaps(self) -> list[attribute_gaps.Gap] | None:
        """Return the gaps of the attributes, None where the images have none."""
        return self._gaps.result() if self._attributes else None

    def _training(self) -> Iterator[np.ndarray]:
        config = attrs.evolve(self._run.data, corruption="none", cache="none")
        batches = dataset.eval_batches(
            self._data_dir,
            self._manifest,
            dataset.TRAIN_SPLIT,
            config,
            every=self._every,
        )
        for batch in batches:
            yield batch["image"].numpy()


def _every(
    run: run_directory.Run, manifest: shards.Manifest, split: str, limit: int
) -> tuple[int, str]:
    """Return which training images to take, and why not all; 0: none."""
    if not limit:
        return 0, "No copies were looked for: --copies_images looks for some."
    if run.data_digest != manifest.digest():
        return 0, (
            "No copies were looked for: this isn't the data set that the model was "
            "trained on."
        )
    if split == dataset.TRAIN_SPLIT:
        return 0, "No copies were looked for: that takes a held-out --split."
    count = manifest.split(dataset.TRAIN_SPLIT).num_examples
    every = -(-count // limit)
    if every <= 1:
        return every, ""
    return every, (
        f"Copies were looked for among one in {every} training images: "
        f"--copies_images={count} takes all."
    )

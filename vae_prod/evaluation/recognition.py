"""Whether a picture shows its subject: the share of images that a network recognises.

Of faces, the subject is found by a detector (`faces`, see `features.face_network`); of
anything else by a SavedModel of the user's that gives each image a probability.
"""

from collections.abc import Callable

import attrs
import numpy as np

from pipelines import files
from vae_prod.evaluation import held_out, resampling
from vae_prod.evaluation.features import extractors, face_network
from vae_prod.reporting import image_grids

# How sure a network must be.
CONFIDENCE = 0.9
# Images given to a network at a time; they bound the memory.
_BATCH = 64


@attrs.frozen
class Recogniser:
    """A network that says how sure it is of an image's subject.

    Attributes:
        name: `faces`, or the SavedModel's path.
        digest: sha256 of its weights.
        confidences: uint8 [B, H, W, C] to float32 [B] in [0, 1].
    """

    name: str
    digest: str
    confidences: Callable[[np.ndarray], np.ndarray]

    def recognised(self, images: np.ndarray) -> np.ndarray:
        """Say which images, uint8 or float in [0, 1], show their subject: bool [B]."""
        images = image_grids.to_uint8(images)
        parts = [images[i : i + _BATCH] for i in range(0, len(images), _BATCH)]
        sure = np.concatenate([self.confidences(part) for part in parts])
        return sure >= CONFIDENCE


def load(given: str, image_shape: tuple[int, int, int]) -> Recogniser:
    """Load a recogniser.

    Args:
        given: `faces`, or a SavedModel's path.
        image_shape: (height, width, channels) of the images it will be given.

    Raises:
        UserError: There is none, or it gives more than one number an image.
    """
    if given == face_network.NAME:
        return Recogniser(given, face_network.DIGEST, face_network.confidences())
    network = extractors.load(f"saved_model:{given}", image_shape)
    probe = network.features(np.zeros((1, *image_shape), np.uint8))
    if probe.shape != (1, 1):
        raise files.UserError(
            f"Expected one probability an image from the SavedModel in {given}, "
            f"received {probe.shape[1]} numbers. Mend --recognise."
        )
    return Recogniser(
        given, network.digest, lambda images: network.extract(images)[:, 0]
    )


@attrs.frozen(eq=False)
class Recognised:
    """Shares of images in which the subject is recognised.

    Attributes:
        recogniser: Name of the network.
        digest: Of its weights.
        num_images: Images of each kind.
        samples: Of images of z ~ N(0, I); higher is better.
        reconstructions: Of reconstructions from z_mean.
        real: Of the real ones: what a perfect model would come to.
    """

    recogniser: str
    digest: str
    num_images: int
    samples: resampling.Estimate
    reconstructions: resampling.Estimate
    real: resampling.Estimate


class Recognition:
    """`Recognised` of the first images of batches.

    Args:
        recogniser: The network.
        limit: Images of each kind, at most.
        seed: Of the bootstrap.
    """

    def __init__(self, recogniser: Recogniser, limit: int, seed: int):
        self._recogniser = recogniser
        self._limit = limit
        self._seed = seed
        self._count = 0
        names = ("samples", "reconstructions", "real")
        self._shares = {name: resampling.Mean() for name in names}

    def add(self, batch: held_out.Batch) -> None:
        """Add a batch, its reconstructions from z_mean, and images of random z."""
        size = min(len(batch), self._limit - batch.first)
        if size <= 0:
            return
        images = {
            "samples": batch.samples(size),
            "reconstructions": batch.reconstructions[:size],
            "real": batch.targets[:size],
        }
        generated = resampling.GENERATED
        drawn = resampling.counts(self._seed, generated, batch.first, size)
        for name, share in self._shares.items():
            counts = drawn if name == "samples" else batch.counts[:size]
            share.add(self._recogniser.recognised(images[name]), counts)
        self._count += size

    def result(self) -> Recognised:
        """Return the shares of all images so far, at least one."""
        shares = {name: share.result() for name, share in self._shares.items()}
        network = self._recogniser
        return Recognised(network.name, network.digest, self._count, **shares)

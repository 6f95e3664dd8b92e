"""How a model's images compare with real ones in a feature extractor's eyes."""

import numpy as np

from pipelines import files
from vae_prod.evaluation import held_out
from vae_prod.evaluation.features import distances
from vae_prod.evaluation.features import extractor as extractor_lib


class Comparison:
    """Features of the first images and of as many samples.

    Memory: 4 bytes times the features' size, twice for each image.

    Args:
        extractor: The network.
        limit: Images of each kind, at most.
    """

    def __init__(self, extractor: extractor_lib.Extractor, limit: int):
        self._extractor = extractor
        self._limit = limit
        self._count = 0
        self._real, self._samples = [], []

    def add(self, batch: held_out.Batch) -> None:
        """Add a batch, and as many images of random z."""
        size = min(len(batch), self._limit - self._count)
        if size:
            self._real.append(self._extractor.features(batch.targets[:size]))
            self._samples.append(self._extractor.features(batch.samples(size)))
            self._count += size

    def result(self) -> distances.FeatureDistances:
        """Compare what was added.

        Raises:
            UserError: There are too few images.
        """
        if self._count < distances.FEWEST:
            raise files.UserError(
                f"Expected at least {distances.FEWEST} images to compare "
                f"features, received {self._count}. Evaluate on a larger split, or "
                "without --features."
            )
        samples, real = np.concatenate(self._samples), np.concatenate(self._real)
        return distances.compare(samples, real)

"""Sliced Wasserstein distances of a model's images, as sets, from real ones."""

from vae_prod.evaluation import held_out, resampling, wasserstein
from vae_prod.reporting import image_grids


class SetDistances:
    """Patches of targets, reconstructions and samples, of the first images alone."""

    def __init__(self, image_shape: tuple[int, int, int], limit: int, seed: int):
        self._limit = limit
        self._seed = seed
        streams = (resampling.REAL, resampling.REAL, resampling.GENERATED)
        self._targets, self._reconstructions, self._samples = (
            wasserstein.Patches(image_shape, seed, stream=stream) for stream in streams
        )

    def add(self, batch: held_out.Batch) -> None:
        """Add a batch, and as many images of random z, all as they would be saved."""
        size = min(len(batch), self._limit - self._targets.num_images)
        if size:
            self._targets.add(image_grids.to_uint8(batch.targets[:size]))
            self._reconstructions.add(
                image_grids.to_uint8(batch.reconstructions[:size])
            )
            self._samples.add(image_grids.to_uint8(batch.samples(size)))

    def result(self) -> dict:
        """Return the fields of `Quality` that these are."""
        sample_distance, reconstruction_distance = wasserstein.distances(
            [self._samples, self._reconstructions], self._targets, self._seed
        )
        return {
            "distance_images": self._targets.num_images,
            "sample_distance": sample_distance,
            "reconstruction_distance": reconstruction_distance,
        }

"""How far z is from z_mean: the table that tells an autoencoder from a VAE.

Where the KL loss is next to nothing, z_log_var falls until z can't be told from z_mean:
the model ignores its noise, and is an autoencoder in all but name.
"""

import attrs
import numpy as np

# Components of z this far from z_mean are counted.
FAR = 0.05


@attrs.frozen
class Extent:
    """Mean and extremes of numbers."""

    mean: float
    smallest: float
    largest: float


@attrs.frozen
class Table:
    """What separates z, drawn once an image, from z_mean.

    Attributes:
        num_images: Images.
        z_dim: Latent dimensions.
        z_log_var: Of all components (images x dimensions); None of an autoencoder.
        shift: |z - z_mean| of all components.
        far: Components with |z - z_mean| above 0.05.
        radius: |z|.
        mean_radius: |z_mean|.
        difference: How far the two are apart, ||z| - |z_mean||.
        relative_difference: The same, as a share of |z|.
    """

    num_images: int
    z_dim: int
    z_log_var: Extent | None
    shift: Extent
    far: int
    radius: Extent
    mean_radius: Extent
    difference: Extent
    relative_difference: Extent

    def rows(self) -> list[tuple[str, Extent]]:
        """Return the extents with what they are of, in words."""
        rows = [
            ("|z - z_mean|", self.shift),
            ("|z|", self.radius),
            ("|z_mean|", self.mean_radius),
            ("||z| - |z_mean||", self.difference),
            ("||z| - |z_mean|| / |z|", self.relative_difference),
        ]
        return [("z_log_var", self.z_log_var), *rows] if self.z_log_var else rows


class _Extremes:
    """An `Extent` of numbers that arrive in batches."""

    def __init__(self):
        self._count = 0
        self._sum = 0.0
        self._smallest, self._largest = np.inf, -np.inf

    def update(self, values: np.ndarray) -> None:
        self._count += values.size
        self._sum += values.sum(dtype=np.float64)
        self._smallest = min(self._smallest, values.min())
        self._largest = max(self._largest, values.max())

    def result(self) -> Extent:
        mean = self._sum / self._count
        return Extent(float(mean), float(self._smallest), float(self._largest))


class Posteriors:
    """A `Table` of posteriors that arrive in batches of any size."""

    def __init__(self):
        self._shape = (0, 0)
        self._far = 0
        self._log_var = None
        names = ("shift", "radius", "mean_radius", "difference", "relative_difference")
        self._extremes = {name: _Extremes() for name in names}

    def add(
        self, z_mean: np.ndarray, z_log_var: np.ndarray | None, z: np.ndarray
    ) -> None:
        """Add a batch of images, at least one.

        Args:
            z_mean: float32 [B, z_dim].
            z_log_var: float32 [B, z_dim]; None of an autoencoder.
            z: Drawn from the posterior: float32 [B, z_dim].
        """
        self._shape = (self._shape[0] + len(z), z.shape[1])
        mean, drawn = (np.asarray(points, np.float64) for points in (z_mean, z))
        shift = np.abs(drawn - mean)
        self._far += int(np.count_nonzero(shift > FAR))
        radius, mean_radius = (
            np.linalg.norm(points, axis=1) for points in (drawn, mean)
        )
        difference = np.abs(radius - mean_radius)
        values = {
            "shift": shift,
            "radius": radius,
            "mean_radius": mean_radius,
            "difference": difference,
            "relative_difference": difference / np.maximum(radius, 1e-30),
        }
        for name, extremes in self._extremes.items():
            extremes.update(values[name])
        if z_log_var is not None:
            self._log_var = self._log_var or _Extremes()
            self._log_var.update(z_log_var)

    def result(self) -> Table:
        """Return the table of all images so far, at least one."""
        extents = {name: extremes.result() for name, extremes in self._extremes.items()}
        log_var = self._log_var.result() if self._log_var else None
        num_images, z_dim = self._shape
        return Table(
            num_images=num_images,
            z_dim=z_dim,
            z_log_var=log_var,
            far=self._far,
            **extents,
        )

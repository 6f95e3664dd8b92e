"""Latent arithmetic: what an attribute, or a class, adds to a point.

The vector of an attribute goes from the mean of the images without it to the mean of
those with it. Added to an encoded image and decoded, it gives the attribute to it
(Larsen et al., 2016, "Autoencoding beyond pixels using a learned similarity metric",
section 4.2).
"""

import os
from collections.abc import Mapping, Sequence

import attrs
import numpy as np

from pipelines import files
from vae_prod.core import artefacts

_CHUNK = 4096
_WITHOUT = "no "
_FILES = ("names", "counts", "means")


@attrs.frozen(eq=False)
class GroupMeans:
    """Mean points of groups of images, which may overlap.

    Attributes:
        names: Of the groups; of an attribute there are two, `Smiling` and
            `no Smiling`.
        counts: int64 [G], images of each group.
        means: float32 [G, z_dim]; zeros for a group without images.
        made: How they were made.
    """

    names: tuple[str, ...]
    counts: np.ndarray
    means: np.ndarray
    made: Mapping = attrs.field(factory=dict)

    def mean(self, name: str) -> np.ndarray:
        """Return a group's mean, float32 [z_dim].

        Raises:
            UserError: There is no such group, or no image in it.
        """
        if name not in self.names:
            raise files.UserError(
                f"Expected one of {', '.join(self.names)}, received {name!r}."
            )
        number = self.names.index(name)
        if not self.counts[number]:
            raise files.UserError(
                f"Expected encoded images of {name!r}, received none. Choose another "
                "attribute, or encode more images."
            )
        return self.means[number]

    def vector(self, name: str, start: str | None = None) -> np.ndarray:
        """Return the way to a group's mean, float32 [z_dim].

        Args:
            name: The group to go to.
            start: The group to come from; None: the images without attribute `name`.

        Raises:
            UserError: There is no such group, or no image in it.
        """
        start = f"{_WITHOUT}{name}" if start is None else start
        return self.mean(name) - self.mean(start)

    def vectors(self) -> dict[str, np.ndarray]:
        """Return the vector of each attribute that some images have and some haven't.

        Returns:
            Name to float32 [z_dim].
        """
        counted = dict(zip(self.names, self.counts, strict=True))
        return {
            name: self.vector(name)
            for name in self.names
            if counted[name] and counted.get(f"{_WITHOUT}{name}")
        }

    def save(self, path: str) -> None:
        """Write to a folder, aside first; older ones there are replaced."""
        arrays = {name: getattr(self, name) for name in _FILES}
        artefacts.save(path, arrays, self.made)


def folder(run_dir: str, name: str) -> str:
    """Return where a run's group means lie."""
    return os.path.join(run_dir, "attributes", name)


def load(path: str, remedy: str) -> GroupMeans:
    """Read saved group means.

    Args:
        path: The folder that they were saved to.
        remedy: What to do where it is missing or damaged.

    Raises:
        UserError: There are none, or they can't be read.
    """
    arrays, made = artefacts.load(path, "means of groups of images", remedy)
    if set(arrays) != set(_FILES):
        raise files.UserError(
            f"Expected means of groups of images in {path}, it holds {sorted(arrays)}. "
            f"{remedy}"
        )
    names = tuple(arrays.pop("names").tolist())
    return GroupMeans(names, **arrays, made=made)


def by_attribute(
    z: np.ndarray,
    attributes: np.ndarray,
    names: Sequence[str],
    made: Mapping | None = None,
) -> GroupMeans:
    """Average points with and without each attribute, in one pass.

    Args:
        z: float [N, z_dim], may be mapped from disk.
        attributes: [N, A], 0 or 1, may be mapped from disk.
        names: Of the A attributes.
        made: How the points were made, kept with the means.
    """
    both = (*names, *(f"{_WITHOUT}{name}" for name in names))

    def groups(first: int) -> np.ndarray:
        has_attribute = np.asarray(attributes[first : first + _CHUNK]) == 1
        return np.concatenate([has_attribute, ~has_attribute], axis=1)

    return GroupMeans(both, *_means(z, groups, len(both)), made=made or {})


def by_label(
    z: np.ndarray, labels: np.ndarray, names: Sequence[str], made: Mapping | None = None
) -> GroupMeans:
    """Average the points of each class, in one pass.

    Args:
        z: float [N, z_dim], may be mapped from disk.
        labels: int [N], in [0, L), may be mapped from disk.
        names: Of the L classes.
        made: How the points were made, kept with the means.
    """

    def groups(first: int) -> np.ndarray:
        return labels[first : first + _CHUNK, None] == np.arange(len(names))

    return GroupMeans(tuple(names), *_means(z, groups, len(names)), made=made or {})


def _means(z: np.ndarray, groups, num_groups: int) -> tuple[np.ndarray, np.ndarray]:
    """Return each group's count and mean; `groups` maps a row to a chunk's members."""
    counts = np.zeros(num_groups, np.int64)
    sums = np.zeros((num_groups, z.shape[1]))
    for first in range(0, len(z), _CHUNK):
        members = groups(first)
        counts += members.sum(axis=0)
        sums += members.astype(np.float64).T @ z[first : first + _CHUNK]
    return counts, (sums / np.maximum(counts, 1)[:, None]).astype(np.float32)


def edit(z: np.ndarray, vector: np.ndarray, strengths: Sequence[float]) -> np.ndarray:
    """Add a vector to points at several strengths.

    Args:
        z: float32 [N, z_dim].
        vector: float32 [z_dim].
        strengths: S factors; 1 goes from one group's mean to the other's, -1 as far the
            other way, 0 changes nothing.

    Returns:
        float32 [N, S, z_dim].
    """
    factors = np.asarray(strengths, np.float32)[:, None]
    return z[:, None] + factors * vector

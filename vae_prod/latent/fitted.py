"""Samplers that were fitted to encoded images: what each can do, and where it lies."""

import os
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import tensorflow as tf

from pipelines import files
from vae_prod.core import artefacts
from vae_prod.latent import densities, second_stage


class Fitted(Protocol):
    """What is fitted to encoded images, to draw new points from."""

    @property
    def made(self) -> Mapping:
        """How it was made; `model` is the digest of the weights it belongs to."""

    @property
    def log_prob_text(self) -> str:
        """What `log_prob` gives, in words."""

    def sample(self, seeds: tf.Tensor) -> tf.Tensor:
        """Draw z float32 [N, z_dim] of seeds int64 [N]."""

    def arrays(self) -> Sequence[np.ndarray]:
        """Return what `draw` takes, float32."""

    @staticmethod
    def draw(
        seed: tf.Tensor,
        arrays: Sequence[tf.Tensor],
        temperature: tf.Tensor | float = 1.0,
    ) -> tf.Tensor:
        """Draw one seed's point of `arrays`, float32 [z_dim], within a graph."""

    def log_prob(self, z: np.ndarray) -> np.ndarray:
        """Return the log-density of points [N, z_dim], nats, float64 [N]."""

    def save(self, path: str) -> None:
        """Write to a folder."""


# Name of a fitted sampler of `samplers.SAMPLERS` to its class.
KINDS: dict[str, type[densities.Density] | type[second_stage.SecondStage]] = {
    "gaussian": densities.Density,
    "mixture": densities.Density,
    "two_stage": second_stage.SecondStage,
}


def folder(run_dir: str, name: str) -> str:
    """Return where a run's fitted sampler lies."""
    return os.path.join(run_dir, "samplers", name)


def load(path: str, kind: str, remedy: str) -> Fitted:
    """Read a saved sampler.

    Args:
        path: The folder that it was saved to.
        kind: One of `KINDS`.
        remedy: What to do where it is missing or damaged.

    Raises:
        UserError: There is none, or it can't be read.
    """
    arrays, made = artefacts.load(path, "a fitted sampler", remedy)
    try:
        return KINDS[kind].from_arrays(arrays, made)
    except (TypeError, ValueError) as error:
        raise files.UserError(
            f"Expected a fitted sampler ({kind}) in {path}, it is another thing "
            f"({error}). {remedy}"
        ) from error

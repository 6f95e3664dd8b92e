"""Sets of features with known distances, for tests."""

from collections.abc import Callable, Iterator

import numpy as np

from vae_prod.evaluation import resampling


def counts(*sizes: int, seed: int = 1) -> list[np.ndarray]:
    """Return how often replicates draw images of sets of these sizes."""
    return [
        resampling.counts(seed, stream, 0, size) for stream, size in enumerate(sizes)
    ]


def gaussians(
    trials: int, size: int, dimensions: int, shift: float = 0.0, scale: float = 1.0
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Give pairs of sets: N(shift, scale^2), by dimension, and N(0, I)."""
    random = np.random.default_rng(0)
    for _ in range(trials):
        samples, real = random.normal(size=(2, size, dimensions)).astype(np.float32)
        yield scale * samples + np.float32(shift), real


def coverage(
    estimate: Callable[..., resampling.Estimate],
    pairs: Iterator[tuple[np.ndarray, np.ndarray]],
) -> float:
    """Return how often intervals hold the mean of the estimates."""
    estimates = [
        estimate(*pair, counts(*map(len, pair), seed=trial))
        for trial, pair in enumerate(pairs)
    ]
    mean = np.mean([each.value for each in estimates])
    return np.mean([each.interval[0] <= mean <= each.interval[1] for each in estimates])

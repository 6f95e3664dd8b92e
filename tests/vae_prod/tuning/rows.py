"""Trials made by hand, which the tests of what a search shows share."""

import numpy as np

from vae_prod.evaluation import resampling
from vae_prod.tuning import leaderboard

DISTANCE = leaderboard.Objective("frechet", minimize=True)


def row(
    trial: int,
    sample: float | None = 60.0,
    reconstruction: float | None = 40.0,
    status: str = "completed",
    epochs: int = 9,
    message: str = "",
    settings: dict | None = None,
    error: float | None = None,
    **figures,
) -> leaderboard.Row:
    """Return a trial whose `fact` is its number + 1, unless `settings` are given.

    `error` is the standard error of its distance, drawn apart from other trials'.
    """
    replicates = {}
    if status == "completed":
        both = (sample, reconstruction)
        distance = None if None in both else sum(both)
        figures = {
            "frechet": distance,
            "sample_frechet": sample,
            "reconstruction_frechet": reconstruction,
            "psnr": 18.0,
            "kl": 100.0,
            "elbo": None,
            "active_units": 20,
        } | figures
        if error is not None:
            noise = np.random.default_rng(trial).normal(size=resampling.REPLICATES)
            noise = (noise - noise.mean()) / noise.std(ddof=1)
            replicates = {"frechet": list(distance + error * noise)}
    if settings is None:
        settings = {"fact": trial + 1.0, "z_dim": 32, "decoder": "conv2d_transpose"}
    return leaderboard.Row(
        f"{trial:04d}",
        status,
        settings,
        epochs,
        30.0,
        figures,
        message,
        replicates=replicates,
    )


def failed(trial: int, message: str = "not finite") -> leaderboard.Row:
    """Return a trial that failed."""
    return row(trial, status="failed", message=message)


def running(trial: int) -> leaderboard.Row:
    """Return a trial that still runs."""
    return row(trial, status="running", epochs=2)

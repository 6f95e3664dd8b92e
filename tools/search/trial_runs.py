"""A trial of a search as runs: trained like any other, then evaluated."""

import os

import attrs
import numpy as np
import tensorflow as tf

from pipelines import files, shards
from pipelines.reading import data_set, dataset
from tools import runs
from vae_prod import config as config_lib
from vae_prod.evaluation import quality as quality_lib
from vae_prod.evaluation import resampling
from vae_prod.evaluation import subject as subject_lib
from vae_prod.evaluation.features import extractors
from vae_prod.latent import sampling
from vae_prod.model import codec, likelihoods
from vae_prod.model import vae as vae_lib
from vae_prod.optim import adam
from vae_prod.reporting import image_grids
from vae_prod.training import batch_norm, graphs, run_directory
from vae_prod.tuning import search_space, trials

HELD_OUT = "validation"
_COLUMNS = 4
_NUM_SAMPLES = _COLUMNS * _COLUMNS


class TrialRuns:
    """Runs trials: a callable for `worker.work`.

    Args:
        space: What is searched.
        base: The run that every trial is, but for what is searched.
    """

    def __init__(self, space: search_space.SearchSpace, base: run_directory.Run):
        self.space = space
        self.base = base
        self.manifest = shards.load_manifest(base.data_dir)
        self._judge = extractors.load(space.search.judge, base.model.image_shape)
        # Each trial traces functions of its own, which TensorFlow warns of.
        tf.get_logger().setLevel("ERROR")

    def __call__(self, plan: trials.Plan) -> trials.Figures:
        """Train a trial, or go on, draw its pictures and evaluate it.

        Returns:
            Its figures, averaged over its trainings; their replicates draw both images
            and trainings anew, see `resampling.over_trainings`.
        """
        figures = []
        graphs.forget()  # Those of the trial before.
        for execution in range(self.space.search.executions_per_trial):
            model_config, train_config = self.space.settings(
                plan.values, plan.epochs, execution
            )
            run = attrs.evolve(self.base, model=model_config, train=train_config)
            text = run.flagfile()
            run_dir = plan.run_dir(execution)
            print(f"\ntrial {plan.trial}: {run_dir}", flush=True)
            model = runs.train(run_dir, run, text, resume=True)
            figures.append(self._evaluate(model, run))
            if not execution:
                self._draw(model, plan.directory)
        return _mean(figures, self.base.train.seed)

    def _evaluate(self, model: vae_lib.VAE, run: run_directory.Run) -> trials.Figures:
        search, seed = self.space.search, self.base.train.seed
        with adam.averaged(model), data_set.reading(run.data_dir):
            if search.measure_batch_norm and run.model.uses_batch_norm:
                batches = dataset.train_batches(run.data_dir, self.manifest, run.data)
                batch_norm.recompute(model, batches.take(search.measure_batch_norm))
            quality = quality_lib.evaluate_quality(
                subject_lib.Subject.from_model(model),
                dataset.eval_batches(run.data_dir, self.manifest, HELD_OUT, run.data),
                self._judge,
                seed,
                search.distance_images,
                search.importance_samples,
            )
        return figures_of(quality, run.model, search)

    def _draw(self, model: vae_lib.VAE, directory: str) -> None:
        seeds = sampling.seeds(self.base.train.seed, _NUM_SAMPLES)
        with adam.averaged(model):
            images = codec.from_model(model).decode(
                sampling.prior(seeds, model.config.z_dim)
            )
        images = image_grids.to_uint8(images)
        image_grids.save_png(
            os.path.join(directory, "samples.png"), image_grids.grid(images, _COLUMNS)
        )
        with files.open_new(os.path.join(directory, "samples.npy")) as file:
            np.save(file, images)


def figures_of(
    quality: quality_lib.Quality,
    model: config_lib.ModelConfig,
    search: config_lib.SearchConfig,
) -> trials.Figures:
    """Return what a trial's row of the leaderboard tells, by name.

    `total_loss` is in the training convention, on held-out images, without free bits;
    None where the loss has another divergence than the KL.
    """
    names = (
        *("psnr", "reconstruction_nats", "kl", "elbo", "bits_per_dim"),
        *("importance_bound", "active_units", "radius", "sampled_radius"),
        "prior_radius",
    )
    scale = likelihoods.training_scale(model)
    total = resampling.derived(
        lambda nats, kl: scale * nats + model.fact * kl,
        quality.reconstruction_nats,
        quality.kl,
    )
    weight, judged = search.reconstruction_distance_weight, quality.judged
    return {
        "frechet": quality.frechet(weight),
        "sample_frechet": judged.fid,
        "reconstruction_frechet": judged.reconstruction_fid,
        "density": judged.density,
        "coverage": judged.coverage,
        "distance": quality.distance(weight),
        "sample_distance": quality.sample_distance.mean,
        "reconstruction_distance": quality.reconstruction_distance.mean,
        **{name: getattr(quality, name) for name in names},
        "total_loss": total if model.has_kl_loss else None,
    }


def _mean(trainings: list[trials.Figures], seed: int) -> trials.Figures:
    def mean(values):
        if None in values:
            return None
        if isinstance(values[0], resampling.Estimate):
            return resampling.over_trainings(values, seed)
        return float(np.mean(values))

    return {name: mean([each[name] for each in trainings]) for name in trainings[0]}

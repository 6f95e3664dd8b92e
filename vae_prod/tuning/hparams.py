"""TensorBoard's HParams dashboard: a session for each trial, with its figures.

https://www.tensorflow.org/tensorboard/hyperparameter_tuning_with_hparams
"""

import os

import tensorflow as tf
from tensorboard.plugins.hparams import api

from pipelines import files
from vae_prod.tuning import trials


def write(plan: trials.Plan, result: trials.Result) -> None:
    """Write a trial's values and figures, in place of what an earlier process wrote."""
    with files.new_folder(os.path.join(plan.directory, "hparams")) as folder:
        writer = tf.summary.create_file_writer(folder)
        with writer.as_default(step=plan.epochs):
            api.hparams(dict(plan.values), trial_id=plan.trial)
            for name, value in result.figures.items():
                if value is not None:
                    tf.summary.scalar(f"search/{name}", value)
        writer.close()

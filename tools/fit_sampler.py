"""Fit a density, or a second VAE, to encoded images, to draw new ones from.

    python -m tools.encode --run_dir=RUN
    python -m tools.fit_sampler --run_dir=RUN --kind=mixture
    python -m tools.generate --run_dir=RUN --kinds=mixture

An autoencoder, and a VAE of small fact, give no images of z ~ N(0, I); of such a
density they do. Writes RUN/samplers/KIND/, and prints the mean log-density of each
split that is encoded: where it is much lower on held-out images than on those fitted
to, take fewer components, a simpler covariance, or fewer epochs.
"""

import os
import sys

from pipelines import folders
from tools import flags, program, progress
from vae_prod.latent import samplers

_COVARIANCES = ("auto", "full", "tied", "diag", "spherical")
# Images of a split behind the log-density that is printed.
_MEASURED = 2000


def define(values):
    """Define this program's flags."""
    flags.add(values, "run_dir", "", "Run directory, with encodings by tools.encode.")
    flags.add(values, "split", "train", "Encoded split to fit to.")
    text = (
        "A Gaussian of full covariance, a mixture of Gaussians, or a two-stage VAE's "
        "second stage."
    )
    flags.add(values, "kind", "gaussian", text, samplers.FITTED)
    flags.add(values, "components", 10, "Gaussians of a mixture.", least=1)
    text = (
        "Form of their covariances; tied: one for all; auto: full for each, or tied "
        "where there are fewer than 5 z_dim images a component."
    )
    flags.add(values, "covariance", "auto", text, _COVARIANCES)
    text = "Images to fit a mixture to, at most, picked at random; others take all."
    flags.add(values, "points", 20_000, text, least=1)
    flags.add(values, "epochs", 300, "two_stage: passes over the images.", least=1)
    text = "two_stage: units of each hidden layer."
    flags.add(values, "units", 1024, text, least=1)
    text = "two_stage: hidden layers of encoder and decoder, each."
    flags.add(values, "layers", 3, text, least=1)
    text = "Seed of the choice, and of a mixture's or a second stage's beginning."
    flags.add_seed(values, text)


def main(values):
    """Fit what the flags say."""
    flags.require(values, "run_dir")
    program.import_tensorflow()
    from vae_prod.core import artefacts
    from vae_prod.latent import encodings as encodings_lib
    from vae_prod.latent import fitted as fitted_lib

    encodings = os.path.join(values.run_dir, "encodings")
    encode = f"python -m tools.encode --run_dir={values.run_dir} --split={values.split}"
    encoding = encodings_lib.open_encoding(
        os.path.join(encodings, values.split), f"Make it with {encode}."
    )
    path = fitted_lib.folder(values.run_dir, values.kind)
    with folders.replacing(path, artefacts.ARRAYS, "--run_dir"):
        fitted = _fit(values, encoding)
        fitted.save(path)
    print(f"fitted to {fitted.made['num_points']:,} images: {path}")
    if not fitted.made.get("converged", True):
        print(
            "not converged: the mixture may still become better with fewer components"
        )
    for split, density in _log_densities(values, encodings, fitted):
        print(f"{fitted.log_prob_text} of {split}: {density:,.1f} nats an image")


def _fit(values, encoding):
    from vae_prod.latent import densities, second_stage_training

    points = encoding.z_mean, encoding.z_log_var
    if values.kind == "gaussian":
        return densities.fit_gaussian(*points, made=encoding.made)
    if values.kind == "two_stage":
        with progress.Progress("epochs") as show:
            return second_stage_training.fit(
                *points,
                units=values.units,
                layers=values.layers,
                epochs=values.epochs,
                seed=values.seed,
                made=encoding.made,
                on_progress=show,
            )
    return densities.fit_mixture(
        *points,
        components=values.components,
        covariance=values.covariance,
        num_points=values.points,
        seed=values.seed,
        made=encoding.made,
    )


def _log_densities(values, encodings, fitted):
    """Yield each split encoded by the same model, and its mean log-density."""
    from vae_prod.latent import densities
    from vae_prod.latent import encodings as encodings_lib

    for split in folders.listed(encodings):
        encoding = encodings_lib.open_encoding(os.path.join(encodings, split), "")
        if encoding.made["model"] == fitted.made["model"]:
            points = densities.draw_points(
                encoding.z_mean, encoding.z_log_var, _MEASURED, values.seed
            )
            yield split, fitted.log_prob(points).mean()


def run():
    """Run the program."""
    sys.exit(program.run(sys.modules[__name__]))


if __name__ == "__main__":
    run()

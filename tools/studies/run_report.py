"""A finished run on a page: what it was, how it went, what it can do."""

import numpy as np

from pipelines import files
from tools import evaluating
from tools.studies import beside as beside_lib
from tools.studies import lab as lab_lib
from tools.studies import losses, outcome, pictures, quality, reconstruction
from vae_prod.latent import sampling
from vae_prod.reporting import report
from vae_prod.training import checkpoints

_IMPORTANCE_SAMPLES = 10


def study(lab: lab_lib.Lab) -> outcome.Outcome:
    """Summarise the run.

    Raises:
        UserError: It isn't finished.
    """
    run = lab.open(lab.run_dir)
    _check_finished(run)
    runs = {"run": run}
    beside = evaluating.Beside(
        run.run,
        lab.data_dir,
        lab.manifest,
        lab.held_out,
        lab.study.measured_images,
        evaluating.COPIES_IMAGES,
    )
    evaluated = {"run": quality.evaluate(lab, run, _IMPORTANCE_SAMPLES, beside)}
    taken, copies, gaps = beside_lib.parts(lab, run, beside)
    count = lab.study.rows * lab.study.columns
    z = np.asarray(sampling.prior(lab.seeds(count), run.codec.z_dim))
    samples = run.codec.decode_many(z)
    model = run.run.model
    return outcome.Outcome(
        f"{'A VAE' if model.is_vae else 'An autoencoder'} of {model.z_dim} latent "
        f"dimensions, trained on {run.trained_on}.",
        [
            report.Section("Verdict", quality.verdicts(evaluated)),
            report.Section("Figures", [quality.table(lab, evaluated)]),
            report.Section(
                "Pictures",
                [
                    reconstruction.picture(lab, run, lab.held_out),
                    pictures.grid(
                        "samples", samples, lab.study.columns, "Images of z ~ N(0, I)."
                    ),
                ],
            ),
            *taken,
            report.Section("Losses", losses.parts(runs)),
        ],
        {
            "quality": evaluated["run"].values(),
            "losses": losses.figures(run),
            "copies": copies,
            "attribute_gaps": gaps,
        },
        runs,
    )


def _check_finished(run: lab_lib.Opened) -> None:
    rows, config = run.history(), run.run.train
    stopping = checkpoints.EarlyStopping()
    for epoch, row in enumerate(rows, 1):
        stopping.update(row.get("val_total_loss", row["total_loss"]), epoch)
    if len(rows) < config.epochs and not stopping.has_stalled(config.early_stopping):
        raise files.UserError(
            f"Expected a finished run in {run.run_dir}, it has done {len(rows)} of "
            f"{config.epochs} epochs. Go on with tools.train --resume, or report on "
            "another."
        )

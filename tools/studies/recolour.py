"""Grey images given their colours: grey in, colour out."""

from pipelines import files
from tools.studies import lab as lab_lib
from tools.studies import losses, outcome, restoration
from vae_prod.reporting import report

# Of the clean images' saturation; below it colours are hardly there.
_LITTLE = 0.25


def study(lab: lab_lib.Lab) -> outcome.Outcome:
    """Train a model to colour images, and see what it makes of new ones."""
    if lab.model.image_shape[-1] != 3:
        raise files.UserError(
            f"Expected colour images for --study=recolour, {lab.data_dir} holds grey "
            "ones. Convert a source with colours with --channels=3, or choose another "
            "study: all but this one work on grey images."
        )
    opened = lab.train_and_open({"recolour": {"corruption": "grayscale"}})
    run = opened["recolour"]
    restored = restoration.measure(lab, run)
    rows = [
        ["PSNR, dB", restored.psnr_given, restored.psnr_restored, None],
        [
            "saturation, in [0, 1]",
            restored.saturation_given,
            restored.saturation_restored,
            restored.saturation_clean,
        ],
    ]
    columns = ["measure", "grey, as given", "coloured", "the clean image"]
    caption = f"Means over {restored.num_images:,} {lab.held_out} images"
    share = restored.saturation_restored / max(restored.saturation_clean, 1e-6)
    return outcome.Outcome(
        "A model is given grey images and trained on the same ones in colour; here is "
        "what it makes of images that it has never seen.",
        [
            report.Section(
                "Coloured images",
                [
                    report.Verdict(_verdict(share)),
                    report.Table(columns, rows, caption),
                    restoration.picture(lab, run, lab.held_out, "held_out"),
                    restoration.picture(lab, run, "train", "train"),
                ],
            ),
            report.Section("Losses", losses.parts(opened)),
        ],
        {
            "psnr_given": restored.psnr_given,
            "psnr_coloured": restored.psnr_restored,
            "saturation_coloured": restored.saturation_restored,
            "saturation_clean": restored.saturation_clean,
            "images": restored.num_images,
            "losses": losses.figures(run),
        },
        opened,
    )


def _verdict(share: float) -> str:
    if share < _LITTLE:
        return (
            f"Hardly any colour is back: {share:.0%} of the clean images' saturation. "
            "Train for more epochs."
        )
    return (
        f"Colours came back with {share:.0%} of the clean images' saturation. Where a "
        "colour doesn't follow from the grey image, the model gives an average of what "
        "is likely, which is duller."
    )

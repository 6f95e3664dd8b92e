"""Images restored from noise and from dropped pixels.

The input is damaged, the target is the clean image. A plain autoencoder does this
well: it needs no latent space that one can draw from, only room for detail, so z_dim
is 512. With --corruption only that damage is studied.
"""

from tools.studies import lab as lab_lib
from tools.studies import losses, outcome, restoration
from vae_prod.reporting import report

_NOISE, _DROPPED = 0.3, 0.8


def study(lab: lab_lib.Lab) -> outcome.Outcome:
    """Train a model for each damage and see what it restores."""
    opened = lab.train_and_open(_plans(lab))
    restored = {name: restoration.measure(lab, run) for name, run in opened.items()}
    rows = [
        [
            name,
            result.psnr_given,
            result.psnr_restored,
            result.psnr_restored - result.psnr_given,
        ]
        for name, result in restored.items()
    ]
    columns = ["damage", "PSNR given, dB", "PSNR restored, dB", "gain, dB"]
    caption = f"Means over {lab.num_images(lab.held_out):,} {lab.held_out} images"
    pictures = [
        restoration.picture(lab, run, lab.held_out, name.replace(" ", "_"))
        for name, run in opened.items()
    ]
    figures = {
        name: {
            "psnr_given": result.psnr_given,
            "psnr_restored": result.psnr_restored,
            "images": result.num_images,
            "losses": losses.figures(opened[name]),
        }
        for name, result in restored.items()
    }
    return outcome.Outcome(
        "A model is given damaged images and trained on the clean ones; here is what "
        "it restores of images that it has never seen.",
        [
            report.Section(
                "Restored images",
                [
                    report.Verdict(_verdict(restored)),
                    report.Table(columns, rows, caption),
                    *pictures,
                ],
            ),
            report.Section("Losses", losses.parts(opened)),
        ],
        figures,
        opened,
    )


def _plans(lab: lab_lib.Lab) -> dict[str, dict]:
    if lab.data.corruption != "none":
        return {lab.data.corruption: {}}
    return {
        "noise": {"corruption": "noise", "corruption_level": _NOISE},
        "pixel_dropout": {"corruption": "pixel_dropout", "corruption_level": _DROPPED},
    }


def _verdict(restored: dict[str, restoration.Restored]) -> str:
    gains = {n: run.psnr_restored - run.psnr_given for n, run in restored.items()}
    helped = [name for name, gain in gains.items() if gain > 0]
    listed = ", ".join(f"{name} {gain:+.1f} dB" for name, gain in gains.items())
    if len(helped) == len(gains):
        return (
            "Restored images are nearer to the clean ones than what was given: "
            f"{listed}."
        )
    return (
        f"Not all restored images are nearer to the clean ones than what was given "
        f"({listed}): what the model loses of detail outweighs what it mends. Train "
        "for more epochs, raise --z_dim, or judge by eye."
    )

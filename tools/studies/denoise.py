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
            found.psnr_given,
            found.psnr_restored,
            found.psnr_restored - found.psnr_given,
        ]
        for name, found in restored.items()
    ]
    columns = ["damage", "PSNR given, dB", "PSNR restored, dB", "gain, dB"]
    caption = f"Means over {lab.num_images(lab.held_out):,} {lab.held_out} images"
    pictures = [
        restoration.picture(lab, run, lab.held_out, name.replace(" ", "_"))
        for name, run in opened.items()
    ]
    figures = {
        name: {
            "psnr_given": found.psnr_given,
            "psnr_restored": found.psnr_restored,
            "images": found.num_images,
            "losses": losses.figures(opened[name]),
        }
        for name, found in restored.items()
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
    gains = {n: found.psnr_restored - found.psnr_given for n, found in restored.items()}
    helped = [name for name, gain in gains.items() if gain > 0]
    told = ", ".join(f"{name} {gain:+.1f} dB" for name, gain in gains.items())
    if len(helped) == len(gains):
        return (
            f"Restored images are nearer to the clean ones than what was given: {told}."
        )
    return (
        f"Not all restored images are nearer to the clean ones than what was given "
        f"({told}): what the model loses of detail outweighs what it mends. Train for "
        "more epochs, raise --z_dim, or judge by eye."
    )

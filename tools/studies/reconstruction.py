"""What comes back of images: originals above reconstructions, of both splits."""

from tools.studies import lab as lab_lib
from tools.studies import losses, outcome, pictures, quality, restoration
from vae_prod.reporting import image_grids, report


def study(lab: lab_lib.Lab) -> outcome.Outcome:
    """Reconstruct training images and new ones."""
    run = lab.one_run()
    runs = {"run": run}
    evaluated = {"run": quality.evaluate(lab, run)}
    return outcome.Outcome(
        "Originals, and below each what the decoder makes of its z_mean: of training "
        "images and of others. What is lost there no sample can have.",
        [
            report.Section(
                "Originals above reconstructions",
                [picture(lab, run, split) for split in ("train", lab.held_out)],
            ),
            report.Section("Figures", [quality.table(lab, evaluated)]),
            report.Section("Losses", losses.parts(runs)),
        ],
        {
            "quality": evaluated["run"].values(),
            "losses": losses.figures(run),
        },
        runs,
    )


def picture(
    lab: lab_lib.Lab,
    opened: lab_lib.Opened,
    split: str,
    name: str = "",
    rows: int = 0,
) -> report.Picture:
    """Show images of a split above what comes back of them.

    Args:
        lab: The study's data and settings.
        opened: The run.
        split: The split.
        name: The picture's name; empty: reconstructions_SPLIT.
        rows: Pairs of rows; 0: as the settings say.
    """
    name = name or f"reconstructions_{split}"
    if opened.run.data.corruption != "none":
        return restoration.picture(lab, opened, split, name)
    count = (rows or lab.study.rows) * lab.study.columns
    chosen = lab.choose(opened, split, count)["image"]
    z_mean = opened.codec.encode(chosen)["z_mean"]
    back = image_grids.to_uint8(opened.codec.decode(z_mean))
    caption = f"Images of the {split} split, each row above its reconstructions."
    return pictures.pairs(name, lab.study.columns, caption, chosen, back)

"""Transposed convolutions against upsampling: the same training, checkerboards beside.

Where a decoder enlarges maps by a stride, a pattern of the stride's period can be left
in its images. It is measured in their spectrum (`evaluation.checkerboard`).
"""

import numpy as np

from tools.studies import lab as lab_lib
from tools.studies import losses, outcome, pictures, quality
from vae_prod.evaluation import resampling
from vae_prod.latent import sampling
from vae_prod.reporting import image_grids, report, uncertainty

DECODERS = ("conv2d_transpose", "upsampling")
# Decibels of a pattern above which it can be made out.
_SEEN = 1.0


def study(lab: lab_lib.Lab) -> outcome.Outcome:
    """Train both decoders and measure the patterns that they leave."""
    opened = lab.train_and_open({name: {"decoder": name} for name in DECODERS})
    evaluated = {name: quality.evaluate(lab, run) for name, run in opened.items()}
    boards = {name: run.measurements.checkerboards for name, run in evaluated.items()}
    return outcome.Outcome(
        "Two models, alike but for how their decoders enlarge maps: by transposed "
        "convolutions, or by upsampling and a convolution. How much of a checkerboard "
        "do they leave?",
        [
            report.Section("Checkerboards", _parts(lab, boards)),
            report.Section("Pictures", _pictures(lab, opened)),
            report.Section("Quality", [quality.table(lab, evaluated)]),
            report.Section("Losses", losses.parts(opened)),
        ],
        {
            name: {
                "excess_db": {
                    str(board.period): board.excess.value for board in boards[name]
                },
                "energy_db": {
                    str(board.period): board.energy.value for board in boards[name]
                },
                "quality": evaluated[name].values(),
                "losses": losses.figures(opened[name]),
            }
            for name in opened
        },
        opened,
    )


def _parts(lab, boards) -> list[report.Part]:
    periods = [board.period for board in boards[DECODERS[0]]]
    rows = []
    for number, period in enumerate(periods):
        pair = [boards[name][number] for name in DECODERS]
        rows.append(
            [f"{period} pixels: pattern, dB", *(_cell(board.excess) for board in pair)]
        )
        rows.append(
            [f"{period} pixels: energy, dB", *(_cell(board.energy) for board in pair)]
        )
    caption = (
        f"Reconstructions of {lab.num_images(lab.held_out):,} {lab.held_out} images. "
        "Pattern: how much more than in real images the period's frequencies stand out "
        "from those around them; 0 is none. Energy: power at these frequencies over "
        "that of the real images; blur lowers it."
    )
    return [
        report.Verdict(_verdict(boards)),
        report.Table(["period", *DECODERS], rows, caption),
    ]


def _cell(figure: resampling.Estimate) -> uncertainty.Uncertain:
    return uncertainty.Uncertain(figure.value, figure.half_width)


def _verdict(boards) -> str:
    if not boards[DECODERS[0]]:
        return "No stride is seen in images of this size: there is nothing to compare."
    worst = {
        name: max(board.excess.value for board in boards[name]) for name in DECODERS
    }
    one, other = DECODERS
    listed = ", ".join(f"{name} {value:.1f} dB" for name, value in worst.items())
    if max(worst.values()) < _SEEN:
        return f"Neither decoder leaves a pattern that can be made out ({listed})."
    better = min(worst, key=worst.get)
    if abs(worst[one] - worst[other]) < _SEEN:
        return f"Both decoders leave about the same pattern ({listed})."
    return f"The {better} decoder leaves less of a checkerboard ({listed})."


def _pictures(lab, opened) -> list[report.Part]:
    count = lab.study.columns * lab.study.rows
    z = sampling.prior(lab.seeds(count), opened[DECODERS[0]].codec.z_dim)
    first = opened[DECODERS[0]]
    chosen = lab.choose(first, lab.held_out, count)
    shown = [chosen.get("target", chosen["image"])]
    for run in opened.values():
        z_mean = run.codec.encode(chosen["image"])["z_mean"]
        shown.append(image_grids.to_uint8(run.codec.decode(z_mean)))
    caption = (
        f"Images of the {lab.held_out} split, below them their reconstructions by "
        f"{DECODERS[0]}, below these by {DECODERS[1]}."
    )
    parts = [pictures.pairs("reconstructions", lab.study.columns, caption, *shown)]
    for name, run in opened.items():
        images = run.codec.decode_many(np.asarray(z))
        caption = f"The same z ~ N(0, I), decoded by {name}."
        parts.append(
            pictures.grid(f"samples_{name}", images, lab.study.columns, caption)
        )
    return parts

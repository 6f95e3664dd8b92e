"""Reproduce a published figure: convert, train, measure, and judge what comes out.

    python -m tools.reproduce --list
    python -m tools.reproduce --row=rae_vae --source=CELEBA --out=DIR \
        --judge=ttur:classify_image_graph_def.pb
    python -m tools.reproduce --row=rae_vae --source=CELEBA --out=DIR --fraction=0.01

Each step is a program of this package, whose command is told; the same command again
goes on where it was stopped. DIR gets records/, run/, study/ and report.html with the
judgement: within, outside, or can't tell, and why. With --fraction less than 1 the
steps are tried in small: nothing is learned of the published figure.
"""

import sys

from tools import flags, program
from vae_prod.config import extractors


def define(values):
    """Define this program's flags."""
    flags.add(values, "row", "", "Which published figure; see --list.")
    flags.add(values, "list", False, "Print the published figures and end.")
    flags.add(values, "source", "", "CelebA, as tools.convert_celeba takes it.")
    flags.add(values, "out", "", "Folder to write to, new or of the same row.")
    text = "Share of the published number of training images to take."
    flags.add(values, "fraction", 1.0, text)
    flags.add(values, "epochs", 0, "Passes over them; 0: as published.")
    flags.add(values, "judge", "auto", extractors.JUDGE_HELP)
    text = "Images of each side behind a distance, at most; 0: as published."
    flags.add(values, "measured_images", 0, text)


def main(values):
    """Reproduce the row that the flags name."""
    from tools.reproduction import rows

    if values.list:
        print(rows.table())
        return
    flags.require(values, "row", "source", "out")
    if values.row not in rows.ROWS:
        raise flags.UsageError(
            f"--row takes {', '.join(rows.ROWS)}; received {values.row!r}."
        )
    if not 0 < values.fraction <= 1:
        raise flags.UsageError(
            f"--fraction takes a share above 0, up to 1; received {values.fraction}."
        )
    row = rows.ROWS[values.row]
    program.import_tensorflow()  # Not before: --help has answered by now.
    from tools.reproduction import steps

    steps.reproduce(values, row)


def run():
    """Run the program."""
    sys.exit(program.run(sys.modules[__name__]))


if __name__ == "__main__":
    run()

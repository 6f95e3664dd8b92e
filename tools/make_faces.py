"""Draws faces and writes them as CelebA is: JPEGs and five annotation files.

For trying everything out where CelebA itself is not at hand:

    python -m tools.make_faces --out=faces --num_images=4096

The faces are drawn, not photographs; their forty attributes are those of CelebA and
visible in the pictures. The same seed gives the same files, byte for byte, whatever
the number of workers. A tree that is already there is kept, an interrupted one
is completed.
"""

import sys

from absl import flags as absl_flags

from pipelines import faces
from tools import flags, progress


def define(values: absl_flags.FlagValues) -> None:
    """Define the flags of this program."""
    absl_flags.DEFINE_string("out", "", "Folder to write to.", flag_values=values)
    absl_flags.DEFINE_integer(
        "num_images", 4096, "How many images.", flag_values=values
    )
    absl_flags.DEFINE_integer(
        "seed", 1, "Seed of everything random.", flag_values=values
    )
    absl_flags.DEFINE_integer(
        "workers", 0, "Processes that draw; 0: one per core.", flag_values=values
    )


def main(values: absl_flags.FlagValues) -> None:
    """Write the tree and say where it is."""
    flags.require(values, "out")
    with progress.Progress() as show:
        written = faces.write_tree(
            values.out, values.num_images, values.seed, values.workers, show
        )
    state = "written to" if written else "already there:"
    print(f"{values.num_images} faces {state} {values.out}")


def run() -> None:
    """Console entry point."""
    sys.exit(flags.run(sys.modules[__name__]))


if __name__ == "__main__":
    run()

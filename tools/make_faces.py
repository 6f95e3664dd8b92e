"""Draw faces and write them as CelebA is: JPEGs and five annotation files.

For trying everything out where CelebA itself is not at hand:

    python -m tools.make_faces --out=faces --num_images=4096

The faces are drawn, not photographs; their forty attributes are those of CelebA and
visible in the pictures. The same seed gives the same files, byte for byte, whatever
the number of workers. A tree that is already there is kept, an interrupted one
is completed.
"""

import sys

from pipelines import faces
from tools import flags, program, progress


def define(values):
    """Define this program's flags."""
    flags.add(values, "out", "", "Folder to write to.")
    flags.add(values, "num_images", 4096, "How many images.", least=1)
    flags.add_seed(values, "Seed of everything random.")
    text = "Processes that draw; 0: one for each core."
    flags.add(values, "workers", 0, text, most=4096)


def main(values):
    """Write the tree and say where it is."""
    flags.require(values, "out")
    with progress.Progress() as show:
        written = faces.write_tree(
            values.out, values.num_images, values.seed, values.workers, show
        )
    state = "written to" if written else "already there:"
    print(f"{values.num_images} faces {state} {values.out}")


def run():
    """Run the program."""
    sys.exit(program.run(sys.modules[__name__]))


if __name__ == "__main__":
    run()

"""Check a converted directory against its manifest and name what is wrong.

    python -m tools.verify_shards --data_dir=DIR

Compared are the files' existence, sizes and checksums, the record index, every
record's own checksum, the number of examples and their keys; every image is decoded.
The exit status is 1 when anything is wrong.
"""

import sys

from pipelines import files
from tools import flags, program, progress


def define(values):
    """Define this program's flags."""
    flags.add(values, "data_dir", "", "Folder made by tools.convert_celeba.")


def main(values):
    """Verify the directory."""
    flags.require(values, "data_dir")
    program.import_tensorflow()  # Not before: --help has answered by now.
    from pipelines import shards, verification

    with progress.Progress() as show:
        problems = verification.verify(values.data_dir, show)
    if problems:
        raise files.UserError(
            "\n  ".join([f"Found wrong in {values.data_dir}:", *problems])
        )
    manifest = shards.load_manifest(values.data_dir)
    counts = ", ".join(f"{n} {s.num_examples:,}" for n, s in manifest.splits.items())
    print(f"{values.data_dir} is whole: {counts} images.")


def run():
    """Run the program."""
    sys.exit(program.run(sys.modules[__name__]))


if __name__ == "__main__":
    run()

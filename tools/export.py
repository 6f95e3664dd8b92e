"""Export a trained run as a SavedModel for serving.

    python -m tools.export --run_dir=RUN

Writes RUN/export/VERSION (the next free integer) with the signatures encode, decode,
reconstruct and generate; it loads where neither this package nor Keras is installed.
"""

import os
import sys

from tools import flags


def define(values):
    """Define this program's flags."""
    flags.add_run(values)
    flags.add(values, "out", "", "Folder of the versions; default: RUN_DIR/export.")


def main(values):
    """Export what the flags say."""
    flags.require(values, "run_dir")
    flags.require_not_negative(values, "recompute_batch_norm")
    flags.import_tensorflow()
    from tools import models
    from vae_prod import export

    _, model = models.load_model(
        values.run_dir, values.weights, values.recompute_batch_norm
    )
    path = export.next_version(values.out or os.path.join(values.run_dir, "export"))
    export.export(model, path, models.settings_files(values.run_dir))
    print(f"exported: {path}")


def run():
    """Run the program."""
    sys.exit(flags.run(sys.modules[__name__]))


if __name__ == "__main__":
    run()

"""Encode a split of a data set: its latent points, streamed to disk.

    python -m tools.encode --run_dir=RUN --split=train

Writes RUN/encodings/SPLIT/ with z_mean.npy and z_log_var.npy (float32 [N, z_dim]; an
autoencoder has no z_log_var), label.npy and attributes.npy where the data set has
them, keys.txt (one key a line, in the same order) and made.json.
"""

import os
import sys

from tools import flags, program, progress


def define(values):
    """Define this program's flags."""
    flags.add_trained(values)
    flags.add(values, "split", "train", "Split to encode.")
    flags.add(
        values,
        "out",
        "",
        "Folder to write; default: encodings/SPLIT in the run directory (of an export: "
        "in the working directory).",
    )


def main(values):
    """Encode what the flags say."""
    program.import_tensorflow()
    from pipelines import folders
    from pipelines.reading import data_set, dataset
    from tools import models, runs
    from vae_prod.latent import encodings

    out = values.out or os.path.join(values.run_dir, "encodings", values.split)
    folders.require_ours(out, encodings.KEYS, "--out")
    trained = models.open_trained(values)
    data_dir, manifest = runs.open_data(trained.run, values.data_dir)
    stored = manifest.record.fields()
    batches = dataset.eval_batches(
        data_dir,
        manifest,
        values.split,
        trained.run.data,
        fields=[name for name in ("key", "label", "attributes") if name in stored],
    )
    made = {
        "split": values.split,
        "data_digest": manifest.digest(),
        "weights": values.export_dir or values.weights,
        "recompute_batch_norm": values.recompute_batch_norm,
        "label_names": manifest.record.label_names,
        "attribute_names": manifest.record.attributes,
    }
    count = manifest.split(values.split).num_examples
    with (
        folders.replacing(out, encodings.KEYS, "--out"),
        data_set.reading(data_dir),
        progress.Progress() as show,
    ):
        encodings.encode_to_disk(trained.codec, batches, count, out, show, made)
    print(f"encoded {count:,} images: {out}")


def run():
    """Run the program."""
    sys.exit(program.run(sys.modules[__name__]))


if __name__ == "__main__":
    run()

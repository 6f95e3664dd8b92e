"""Encoded images of a study's runs, kept on disk and reused."""

import os

import numpy as np

from pipelines import files
from pipelines.reading import dataset
from tools import progress
from tools.studies import lab as lab_lib
from vae_prod.latent import encodings

_ANNOTATIONS = ("label", "attributes")


def encode(lab: lab_lib.Lab, opened: lab_lib.Opened, split: str) -> encodings.Encoding:
    """Encode a split with its labels and attributes, unless it is there already.

    Written to `encodings/RUN/SPLIT` of the study's folder, for the same weights and
    data only once.

    Args:
        lab: The study's data and settings.
        opened: The run that encodes.
        split: The split.
    """
    name = os.path.basename(os.path.abspath(opened.run_dir))
    out = os.path.join(lab.out, "encodings", name, split)
    made = {
        "split": split,
        "data_digest": lab.manifest.digest(),
        "label_names": list(lab.manifest.record.label_names),
        "attribute_names": list(lab.manifest.record.attributes),
    }
    if not _is_made(out, {**made, "model": opened.codec.weights_digest()}):
        stored = lab.manifest.record.fields()
        fields = ("key", *(name for name in _ANNOTATIONS if name in stored))
        batches = lab.batches(opened, split, fields)
        count = lab.num_images(split)
        print(f"encoding {count:,} {split} images with {opened.run_dir}", flush=True)
        with progress.Progress() as show:
            encodings.encode_to_disk(opened.codec, batches, count, out, show, made)
    return encodings.open_encoding(out, f"Remove {out} and start again.")


def _is_made(out: str, wanted: dict) -> bool:
    """Say whether a folder holds what is wanted."""
    try:
        made = encodings.open_encoding(out, "").made
    except files.UserError:
        return False
    return wanted.items() <= made.items()


def images(
    lab: lab_lib.Lab, opened: lab_lib.Opened, split: str, rows: np.ndarray
) -> np.ndarray:
    """Read the images of some rows of an encoding: uint8 [N, H, W, C]."""
    read = dataset.examples(lab.data_dir, lab.manifest, split, rows, opened.run.data)
    return read["image"]

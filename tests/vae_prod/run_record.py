"""What a run leaves that must not depend on how often it was interrupted."""

import csv
import os

import h5py
import numpy as np
import tensorflow as tf

# Columns and tags that say how fast it went, not what came out.
TIMING = ("seconds", "images_per_second", "first_step_seconds")


def history(run_dir: str) -> list[dict[str, str]]:
    """Read the rows of history.csv without the timing."""
    with open(os.path.join(run_dir, "history.csv")) as file:
        rows = list(csv.DictReader(file))
    return [{k: v for k, v in row.items() if k not in TIMING} for row in rows]


def weights(run_dir: str) -> dict[str, np.ndarray]:
    """Read every array of weights/last and weights/best, by file and name."""
    arrays = {}
    for kind in ("last", "best"):
        for part in ("vae", "encoder", "decoder"):
            path = f"weights/{kind}/{part}.weights.h5"
            with h5py.File(os.path.join(run_dir, path)) as file:

                def keep(name, item, path=path):
                    if isinstance(item, h5py.Dataset):
                        arrays[f"{path}:{name}"] = item[()]

                file.visititems(keep)
    return arrays


def tensorboard(run_dir: str) -> list[tuple[str, int, str, bytes]]:
    """Read the records of TensorBoard: folder, step, tag, value; without the timing."""
    records = []
    for part in ("train", "validation"):
        folder = os.path.join(run_dir, "tensorboard", part)
        for name in os.listdir(folder):
            for record in tf.data.TFRecordDataset(os.path.join(folder, name)):
                event = tf.compat.v1.Event.FromString(record.numpy())
                for value in event.summary.value:
                    if value.tag.split("/")[-1] in TIMING:
                        continue
                    # The settings name the run directory.
                    differs = value.tag == "settings"
                    shown = b"" if differs else value.tensor.SerializeToString()
                    records.append((part, event.step, value.tag, shown))
    return sorted(records)


def assert_same(case: tf.test.TestCase, expected: str, run_dir: str) -> None:
    """Compare two run directories bit for bit."""
    case.assertEqual(history(expected), history(run_dir))
    one, two = weights(expected), weights(run_dir)
    case.assertEqual(list(one), list(two))
    for name in one:
        case.assertEqual(one[name].tobytes(), two[name].tobytes(), name)
    shown, again = tensorboard(expected), tensorboard(run_dir)
    case.assertEqual([r[:3] for r in shown], [r[:3] for r in again])
    case.assertEqual([r[:3] for r in set(shown) - set(again)], [])

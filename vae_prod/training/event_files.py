"""TensorBoard's event files, cut back to the step that a run goes on from."""

import os
from collections.abc import Iterator

import tensorflow as tf

from pipelines import files

# TensorBoard reads whatever has "tfevents" in its name; this hasn't.
_ASIDE = "kept"


def drop_later(directory: str, step: int) -> None:
    """Drop what the event files under `directory` hold of later steps.

    Args:
        directory: Searched with its folders; may be missing.
        step: The last step to keep; -1 keeps none.
    """
    for folder, _, names in os.walk(directory):
        for name in names:
            if "tfevents" in name:
                _rewrite(os.path.join(folder, name), step)


def _rewrite(path: str, step: int) -> None:
    begin = os.path.join(os.path.dirname(path), _ASIDE)
    with files.new_file(path, begin) as aside, tf.io.TFRecordWriter(aside) as writer:
        for record in _records(path):
            event = tf.compat.v1.Event.FromString(record)
            if event.HasField("file_version") or event.step <= step:
                writer.write(record)


def _records(path: str) -> Iterator[bytes]:
    """Read the records of a file, but not the one that a kill has cut short."""
    try:
        for record in tf.data.TFRecordDataset(path):
            yield record.numpy()
    except tf.errors.DataLossError:
        return

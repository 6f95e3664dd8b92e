"""TensorBoard's event files, cut back to the step that a run goes on from."""

import os
import shutil

import tensorflow as tf
from google.protobuf import message

from pipelines import files

# TensorBoard reads whatever has "tfevents" in its name; these haven't.
_ASIDE = "kept"
_DAMAGED = "damaged"
# What TensorFlow says of the record that a kill has cut short.
_CUT_SHORT = "truncated record"


def drop_later(directory: str, step: int) -> None:
    """Drop what the event files under `directory` hold of later steps.

    A file with damage before its end is kept aside as it was, and named; TensorBoard
    goes on with what is before the damage.

    Args:
        directory: Searched with its folders; may be missing.
        step: The last step to keep; -1 keeps none.
    """
    for folder, _, names in os.walk(directory):
        for name in names:
            if "tfevents" in name:
                _rewrite(os.path.join(folder, name), step)


def _rewrite(path: str, step: int) -> None:
    folder = os.path.dirname(path)
    begin = os.path.join(folder, _ASIDE)
    with files.new_file(path, begin) as aside:
        with tf.io.TFRecordWriter(aside) as writer:
            reason = _copy(path, writer, step)
        if reason:
            kept = _free_name(os.path.join(folder, _DAMAGED))
            with files.new_file(kept) as copy:
                shutil.copyfile(path, copy)
            print(
                f"{path} is damaged ({reason}): kept as {kept}, and TensorBoard shows "
                "what is before the damage",
                flush=True,
            )


def _copy(path: str, writer: tf.io.TFRecordWriter, step: int) -> str:
    """Copy the records up to a step; say what stops it, but for a kill's last one."""
    try:
        for record in tf.data.TFRecordDataset(path):
            event = tf.compat.v1.Event.FromString(record.numpy())
            if event.HasField("file_version") or event.step <= step:
                writer.write(record.numpy())
    except tf.errors.DataLossError as error:
        reason = error.message.splitlines()[0]
        return "" if _CUT_SHORT in reason else reason
    except message.DecodeError as error:
        return str(error)
    return ""


def _free_name(begin: str) -> str:
    """Return the first of `begin-1`, `begin-2`, ... that isn't there."""
    number = 1
    while os.path.lexists(path := f"{begin}-{number}"):
        number += 1
    return path
